"""fhir.path.tree: the tree of a FHIRPath expression: what was written, and nothing of how it is evaluated.

Room: fhir. May import: the standard library only. Standard: http://hl7.org/fhirpath/N1/grammar.html

A tree is read with `match`:

    match node:
        case Member(None, name): ...        # `name`, at the start of a path
        case Member(base, name): ...        # `base.name`
        case Call(base, "where", (criteria,)): ...

`at` is the position in the text, from 0; it does not count when trees are compared.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal as OneOf

SystemType = OneOf["Boolean", "String", "Integer", "Long", "Decimal", "Date", "DateTime", "Time"]
Operator = OneOf[
    "*", "/", "div", "mod", "+", "-", "&", "|", "<=", "<", ">", ">=", "=", "~", "!=", "!~",
    "in", "contains", "and", "or", "xor", "implies",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Empty:
    """`{}`"""

    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Literal:
    """A literal; a Date, DateTime or Time holds its text without the `@` and, for a Time, without the `T`."""

    type: SystemType
    value: bool | int | Decimal | str
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Quantity:
    """`4 'mg'` or, where `is_calendar`, `4 days` (the unit as written)."""

    value: Decimal
    unit: str
    is_calendar: bool = False
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Variable:
    """`%name`"""

    name: str
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Special:
    """What functions set: `$this`, `$index` or `$total`; the name is without the `$`."""

    name: OneOf["this", "index", "total"]
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Member:
    """`base.name`; at the start of a path base is None, and the name may be that of the type of the context."""

    base: Node | None
    name: str
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Call:
    """`base.name(arguments)`; at the start of a path base is None."""

    base: Node | None
    name: str
    arguments: tuple[Node, ...] = ()
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Indexer:
    """`base[index]`"""

    base: Node
    index: Node
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Polarity:
    """`-operand`, `+operand`; as an argument of sort() the minus also says: descending."""

    sign: OneOf["+", "-"]
    operand: Node
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Binary:
    """`left operator right`"""

    operator: Operator
    left: Node
    right: Node
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class TypeOperation:
    """`operand is type`, `operand as type`; the type as written (`Quantity`, `System.Quantity`)."""

    operator: OneOf["is", "as"]
    operand: Node
    type: str
    at: int = field(default=0, compare=False)


Node = (
    Empty
    | Literal
    | Quantity
    | Variable
    | Special
    | Member
    | Call
    | Indexer
    | Polarity
    | Binary
    | TypeOperation
)


def parts(node: Node) -> tuple[Node, ...]:
    """The nodes directly below, in the order in which they are written."""
    match node:
        case Member(base):
            return () if base is None else (base,)
        case Call(base, _, arguments):
            return arguments if base is None else (base, *arguments)
        case Indexer(base, index):
            return (base, index)
        case Polarity(_, operand) | TypeOperation(_, operand):
            return (operand,)
        case Binary(_, left, right):
            return (left, right)
        case _:
            return ()


def nodes(node: Node) -> Iterator[Node]:
    """The node and all below it."""
    waiting = [node]
    while waiting:
        found = waiting.pop()
        yield found
        waiting += parts(found)


def type_name(node: Node) -> str:
    """The name that stands as an argument where a type is asked (`ofType(System.String)`); "" if it is none."""
    match node:
        case Member(None, name):
            return name
        case Member(Member(None, namespace), name):
            return f"{namespace}.{name}"
        case _:
            return ""
