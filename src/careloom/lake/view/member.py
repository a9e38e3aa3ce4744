"""lake.view.member: one step of a path: from an element to an element below it, typed column or JSON text.

Room: lake. May import: lake.view, lake.shape, fhir.
"""

from __future__ import annotations

from functools import partial

from careloom.fhir.facts import Child, children, facts
from careloom.fhir.path.types import PRIMITIVES
from careloom.lake.shape import MORE, RAW, Leaf, Struct
from careloom.lake.view.sql import Constant, Get, Key, Kind, Open, Row, Sql, fn
from careloom.lake.view.value import (
    Choice,
    Empty,
    Names,
    Result,
    Value,
    exists,
    mapped,
    present,
    restricted,
)

_KINDS: dict[str, Kind] = {
    "boolean": "boolean",
    "integer": "integer",
    "unsignedInt": "integer",
    "positiveInt": "integer",
}
_OPENED = {"boolean": Leaf.BOOLEAN, "integer": Leaf.INTEGER, "json": Leaf.JSON, "text": Leaf.TEXT}
_DIGITS = "_text"


def member(names: Names, value: Value, name: str, *, exact: bool = False) -> Result:
    """The elements of that name; `exact`: decimals as the text that was written."""
    return mapped(names, value, lambda one: _of_one(names, one, name, exact=exact))


def has_member(owner: str, name: str) -> bool:
    """Whether a type has an element of that name."""
    return bool(_children(owner, name))


def _children(owner: str, name: str) -> list[Child]:
    # A primitive has an id and extensions, which stand beside it in JSON and are not looked for.
    return [] if owner in PRIMITIVES else children(owner, name)


def _of_one(names: Names, one: Value, name: str, *, exact: bool) -> Result:
    found = _children(one.type, name)
    if not found:
        return Empty()
    if len(found) == 1 and f"{name}[x]" not in facts().elements.get(one.type, {}):
        return _child(names, one, found[0], exact=exact)
    options = {child.type: partial(_child, names, one, child, exact=exact) for child in found}
    return Choice(options, lambda: _any(names, one, found))


def _any(names: Names, one: Value, found: list[Child]) -> Sql:
    tests = [exists(_child(names, one, child, exact=False)) for child in found]
    return tests[0] if len(tests) == 1 else fn("or", *tests)


def _child(names: Names, one: Value, child: Child, *, exact: bool) -> Value:
    found = _read(names, one, child, exact=exact)
    if one.guard is None:
        return found
    return restricted(found, one.guard)


def _read(names: Names, one: Value, child: Child, *, exact: bool) -> Value:
    many = child.element.many
    if not isinstance(one.holds, Struct):
        return _opened(names, one.sql, child, exact=exact)
    field = one.holds.field(child.key)
    if field is None:
        rest = RAW if isinstance(one.sql, Row) and child.key == "text" else MORE
        return _opened(names, Get(one.sql, rest), child, exact=exact)
    key = child.key + _DIGITS if exact and field.holds is Leaf.DOUBLE else child.key
    sql: Sql = Get(one.sql, key)
    if many and not isinstance(field.holds, Struct):
        sql = present(sql, names.new())
    return Value(sql, child.type, Leaf.TEXT if key != child.key else field.holds, many=many)


def _opened(names: Names, text: Sql, child: Child, *, exact: bool) -> Value:
    """An element that is read from JSON. Decimals are texts there, as lake.row wrote them."""
    is_decimal = child.type == "decimal"
    kind: Kind = _KINDS.get(child.type, "text" if child.type in PRIMITIVES else "json")
    many = child.element.many
    sql: Sql = Open(text, Key(child.key, kind, many))
    if many:
        sql = present(sql, names.new())
    if not is_decimal or exact:
        return Value(sql, child.type, _OPENED[kind], many=many)
    if many:
        raise NotImplementedError(child.key)  # R4 has no list of decimals
    return Value(fn("double", sql), child.type, Leaf.DOUBLE)


def resource_type_is(value: Value, name: str) -> Sql:
    """Whether a resource that is held as JSON is of this type."""
    return fn("=", Open(value.sql, Key("resourceType", "text")), Constant(name))
