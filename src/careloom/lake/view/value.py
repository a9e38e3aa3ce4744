"""lake.view.value: what a path gives: a typed SQL expression for at most one item, or for a list of them.

Room: lake. May import: lake.view, lake.shape, fhir.

FHIRPath knows only collections. Here it is known beforehand whether there can be more than one item: One is a scalar
that is NULL where the collection is empty, Many a list.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import count

from careloom.lake.shape import Leaf, Struct
from careloom.lake.view.sql import (
    FALSE,
    NULL,
    TRUE,
    Case,
    Constant,
    Each,
    Fn,
    Keep,
    Row,
    Sql,
    Var,
    at,
    fn,
    is_there,
    length,
    when,
)


@dataclass(frozen=True)
class Value:
    """Items of one type."""

    sql: Sql
    type: str
    """Type of R4, path of a backbone element, or "Boolean", "String" ... of System."""
    holds: Leaf | Struct
    many: bool = False
    guard: Sql | None = None
    """Only for the row itself, which cannot be NULL: whether it is still in the collection."""


@dataclass(frozen=True)
class Choice:
    """`value` before anyone has said of which type: an option for each; they are made when they are asked for."""

    options: Mapping[str, Callable[[], Value | Empty]]
    found: Callable[[], Sql]
    """Whether there is any."""
    many: bool = False


@dataclass(frozen=True)
class Empty:
    """`{}`, or an element that the type does not have."""

    many: bool = False


Result = Value | Choice | Empty
EMPTY = Empty()


class Names:
    """Names for lambdas that differ from each other within one statement."""

    def __init__(self) -> None:
        self._count = count(1)

    def new(self) -> str:
        """A name that was not given before."""
        return f"x{next(self._count)}"


def mapped(names: Names, value: Value, step: Callable[[Value], Result]) -> Result:
    """The step taken from each item of a list, the results in a row; from a scalar, just taken."""
    if not value.many:
        return step(value)
    name = names.new()
    return gathered(value.sql, name, step(replace(value, sql=Var(name), many=False)))


def gathered(items: Sql, name: str, found: Result) -> Result:
    """What was found from each item, in one list."""
    match found:
        case Empty():
            return Empty(many=True)
        case Choice(options, any_found):
            lifted = {kind: _lifted(items, name, option) for kind, option in options.items()}
            return Choice(lifted, lambda: fn("not empty", Keep(items, name, any_found())), many=True)
        case Value(sql, _, _, True):
            return replace(found, sql=fn("flatten", Each(items, name, sql)))
        case Value(sql):
            return replace(found, sql=present(Each(items, name, sql), name), many=True, guard=None)


def _lifted(items: Sql, name: str, option: Callable[[], Value | Empty]) -> Callable[[], Value | Empty]:
    def lifted() -> Value | Empty:
        found = gathered(items, name, option())
        return Empty(many=True) if isinstance(found, Choice) else found

    return lifted


def present(items: Sql, name: str) -> Sql:
    """The items that are not NULL."""
    return Keep(items, name, is_there(Var(name)))


def restricted(value: Value, test: Sql) -> Value:
    """The one item, if the test is true."""
    if isinstance(value.sql, Row):
        return replace(value, guard=test if value.guard is None else fn("and", value.guard, test))
    return replace(value, sql=when(test, value.sql))


def exists(found: Result) -> Sql:
    """Whether there is any item; never NULL."""
    match found:
        case Empty():
            return FALSE
        case Choice():
            return found.found()
        case Value(Row(), guard=guard):
            return TRUE if guard is None else fn("is true", guard)
        case Value(sql, many=True):
            return fn("not empty", sql)
        case Value(sql):
            return is_there(sql)


def counted(found: Value | Empty) -> Sql:
    """How many items there are."""
    match found:
        case Empty():
            return Constant(0)
        case Value(sql, many=True):
            return length(sql)
        case Value():
            return when(exists(found), Constant(1), Constant(0))


def first(value: Value) -> Value:
    """The first item."""
    return replace(value, sql=at(value.sql, Constant(0)), many=False) if value.many else value


def only(value: Value, complaint: str) -> Value:
    """The one item; the query stops where there are more."""
    if not value.many:
        return value
    several = fn(">", length(value.sql), Constant(1))
    stopped = fn("fail", Constant(complaint), fn("text", length(value.sql)))
    return replace(value, sql=Case(((several, stopped),), at(value.sql, Constant(0))), many=False)


def boolean(sql: Sql, *, many: bool = False) -> Value:
    """A Boolean of System."""
    return Value(sql, "Boolean", Leaf.BOOLEAN, many=many)


def text(sql: Sql, kind: str = "String") -> Value:
    """A String of System, or a date."""
    return Value(sql, kind, Leaf.TEXT)


def integer(sql: Sql) -> Value:
    """An Integer of System."""
    return Value(sql, "Integer", Leaf.INTEGER)


def decimal(sql: Sql) -> Value:
    """A Decimal of System."""
    return Value(sql, "Decimal", Leaf.DOUBLE)


def as_list(found: Value | Empty) -> Sql:
    """The items as a list, whatever they were."""
    match found:
        case Empty():
            return NULL
        case Value(sql, many=True):
            return sql
        case Value(sql):
            return when(is_there(sql), Fn("list", (sql,)))


FAMILIES = {
    "boolean": ("boolean", "Boolean"),
    "number": ("decimal", "integer", "positiveInt", "unsignedInt", "Integer", "Decimal"),
    "moment": ("date", "dateTime", "instant", "Date", "DateTime"),
    "time": ("time", "Time"),
    "text": (
        "base64Binary", "canonical", "code", "id", "markdown", "oid", "string", "uri", "url", "uuid", "xhtml",
        "String",
    ),
}  # fmt: skip
_FAMILY = {kind: family for family, kinds in FAMILIES.items() for kind in kinds}


def family(value: Value) -> str:
    """What a value can be compared with: boolean, number, moment, time, text; "" for what has elements."""
    return _FAMILY.get(value.type, "")
