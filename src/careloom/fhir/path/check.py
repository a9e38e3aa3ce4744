"""fhir.path.check: what can be seen to be wrong with an expression before it meets a resource: elements that are not there.

Room: fhir. May import: fhir.path. Standard: http://hl7.org/fhirpath/N1/#type-safety-and-strict-evaluation

Evaluation is lenient, as R4 asks: an element that a type does not have gives nothing. Whoever writes an expression
wants to hear of it. What cannot be known (what a reference leads to, what lies below a node) is not complained of.
"""

from __future__ import annotations

from functools import cache

from careloom.fhir.path.fault import semantic_error
from careloom.fhir.path.tree import (
    Binary,
    Call,
    Indexer,
    Literal,
    Member,
    Node,
    Polarity,
    Quantity,
    Special,
    TypeOperation,
    Variable,
    type_name,
)
from careloom.fhir.path.types import PRIMITIVES, is_kind_of, known_type, steps

Types = frozenset[str] | None
"""What an item may be: types of FHIR, paths of backbone elements, "System.X"; None if anything."""

_BOOLEAN: Types = frozenset({"System.Boolean"})
# Of these, instances are of other types, whose elements they may have.
_ABSTRACT = frozenset({"Resource", "DomainResource", "Element", "BackboneElement"})
_KEEPING = frozenset(
    {"where", "sort", "distinct", "trace", "defineVariable", "exclude", "intersect", "single"}
)
_IN_ORDER = frozenset({"first", "last", "tail", "skip", "take"})


def check(tree: Node, of: str) -> None:
    """Raise OutcomeError(invalid), with the character, for a path that leads nowhere from the type `of`.

    >>> from careloom.fhir.path import parse
    >>> check(parse("name.given.length() > 3"), "Patient")
    """
    checked(tree, of)


def checked(tree: Node, of: str) -> Types:
    """The same; the types of what the expression may give, None where that cannot be known."""
    return _Checker(of).types(tree, frozenset({of}))


class _Checker:
    def __init__(self, of: str) -> None:
        self._of = of

    def types(self, node: Node, this: Types) -> Types:  # noqa: PLR0911 - one for each kind of node
        """The types that a node may give where `$this` is of these types."""
        match node:
            case Literal(kind):
                return frozenset({f"System.{kind}"})
            case Quantity():
                return frozenset({"System.Quantity"})
            case Member(None, name, at) if _is_type(name):
                return self._start(name, at, this)
            case Member(base, name, at):
                return _led(this if base is None else self.types(base, this), name, at)
            case Call():
                return self._called(node, this)
            case Special("this"):
                return this
            case Variable("context" | "resource" | "rootResource" as name):
                return frozenset({self._of}) if name == "context" else None
            case Indexer(base, index):
                self.types(index, this)
                return self._ordered(base, self.types(base, this), node.at)
            case TypeOperation(operator, operand, name):
                self.types(operand, this)
                return _BOOLEAN if operator == "is" else _named(name)
            case Polarity(_, operand):
                return self.types(operand, this)
            case Binary(operator, left, right):
                return self._operated(operator, self.types(left, this), self.types(right, this))
            case _:
                return None

    def _start(self, name: str, at: int, this: Types) -> Types:
        """`Patient` in `Patient.name`."""
        if this is None or any(is_kind_of(name, kind) for kind in this):
            return frozenset({name})
        found = frozenset(kind for kind in this if is_kind_of(kind, name))
        if not found:
            raise semantic_error(f"The path begins with {name}, and the context is another type", at)
        return found

    def _operated(self, operator: str, left: Types, right: Types) -> Types:
        if operator == "|":
            return _either(left, right)
        return None if operator in {"+", "-", "*", "/", "div", "mod", "&"} else _BOOLEAN

    def _called(self, call: Call, this: Types) -> Types:
        given = this if call.base is None else self.types(call.base, this)
        name = call.name
        if name in {"ofType", "as"} and len(call.arguments) == 1:
            return _named(type_name(call.arguments[0]))
        if name == "is":
            return _BOOLEAN
        inner = [self.types(argument, self._this_of(call, given, this)) for argument in call.arguments]
        match name, inner:
            case "union" | "combine", [other]:
                return _either(given, other)
            case "select", [projected]:
                return projected
            case "iif", [_, then, *otherwise]:
                return _either(then, otherwise[0] if otherwise else frozenset())
            case _:
                return self._kept(call, given)

    def _kept(self, call: Call, given: Types) -> Types:
        if call.name in _IN_ORDER:
            return self._ordered(call.base, given, call.at)
        if call.name in _KEEPING:
            return given
        return frozenset({"Extension"}) if call.name == "extension" else None

    def _this_of(self, call: Call, given: Types, this: Types) -> Types:
        """What `$this` is within the arguments."""
        if call.name in {"where", "select", "exists", "all", "sort", "trace", "iif", "aggregate"}:
            return given
        # What repeat() finds it looks at again, and that may be of other types.
        return None if call.name == "repeat" else this

    def _ordered(self, base: Node | None, given: Types, at: int) -> Types:
        if isinstance(base, Call) and base.name in {"children", "descendants"}:
            raise semantic_error(f"{base.name}() has no order, so none of its items is the first", at)
        return given


def _led(owners: Types, name: str, at: int) -> Types:
    if owners is None or not owners or any(owner in _ABSTRACT for owner in owners):
        return None
    found: set[str] = set()
    for owner in owners:
        if owner == "System.Quantity" and name in {"value", "unit"}:
            return None
        found.update(
            step.type for step in (() if owner.startswith("System.") else steps(owner).get(name, ()))
        )
    if not found:
        known = ", ".join(sorted(owners)[:5])
        raise semantic_error(f"There is no element {name} in {known}", at)
    return frozenset(found)


def _either(one: Types, other: Types) -> Types:
    return None if one is None or other is None else one | other


def _named(name: str) -> Types:
    known = known_type(name)
    if known is None or (known[0] and known[1]):
        return None  # Quantity is a type of both
    return frozenset({known[2] if known[0] else f"System.{known[2]}"})


@cache
def _is_type(name: str) -> bool:
    known = known_type(name)
    return known is not None and known[0] and name not in PRIMITIVES and name[:1].isupper()
