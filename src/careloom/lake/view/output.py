"""lake.view.output: a value as the cell of a column: one item or a list, and the type that the column declares.

Room: lake. May import: lake.view, lake.shape, fhir.
"""

from __future__ import annotations

from dataclasses import replace

from careloom.fhir.path.types import PRIMITIVES
from careloom.lake.shape import Leaf
from careloom.lake.view.definition import Column
from careloom.lake.view.fault import refused
from careloom.lake.view.moment import begun
from careloom.lake.view.sql import NULL, Constant, Sql, fn
from careloom.lake.view.value import Empty, Value, as_list, only

_SYSTEM = frozenset({"Boolean", "String", "Integer", "Decimal", "Date", "DateTime", "Time"})
_HOLDS = {
    "boolean": Leaf.BOOLEAN,
    "integer": Leaf.INTEGER,
    "positiveInt": Leaf.INTEGER,
    "unsignedInt": Leaf.INTEGER,
    "decimal": Leaf.DOUBLE,
}
_NAMES = {Leaf.BOOLEAN: "boolean", Leaf.INTEGER: "integer", Leaf.DOUBLE: "double", Leaf.TEXT: "text"}


def cell(column: Column, value: Value | Empty) -> Value:
    """What a cell holds; its type is "" for what is always empty. Raises OutcomeError where no column can hold it."""
    wanted = _HOLDS.get(column.type, Leaf.TEXT) if column.type in PRIMITIVES else None
    if isinstance(value, Empty):
        return Value(NULL, "", wanted or Leaf.TEXT, many=column.collection)
    if value.type not in PRIMITIVES and value.type not in _SYSTEM:
        what = value.type or "a resource"
        raise refused(
            f"The path leads to {what}, which has elements; a column holds a primitive.", column.path.place
        )
    if column.collection:
        found = replace(value, sql=as_list(value), many=True)
    else:
        complaint = f"{column.path.place}: '{column.name}' has several values; say \"collection\": true."
        found = only(value, complaint)
    return _as_declared(column, found, wanted)


def _as_declared(column: Column, value: Value, wanted: Leaf | None) -> Value:
    if wanted is None or wanted is value.holds:
        return value
    is_wider = wanted is Leaf.TEXT or (wanted is Leaf.DOUBLE and value.holds is Leaf.INTEGER)
    if not is_wider:
        text = f"The column is declared {column.type}, and the path gives {value.type}."
        raise refused(text, column.path.place)
    return replace(value, holds=wanted)


def finished(column: Column, value: Value) -> Sql:
    """The cell as it leaves the query: of the type that it is known to have, or that a tag `ansi/type` asks for."""
    holds = value.holds if isinstance(value.holds, Leaf) else Leaf.TEXT
    for name, wanted in column.tags:
        if name == "ansi/type" and not value.many:
            kind = _ansi(wanted, column)
            text = begun(value.sql, is_instant="ZONE" in kind) if _is_moment(kind, value) else value.sql
            return fn("as ansi", text, Constant(kind))
    return fn("cells" if value.many else "cell", value.sql, Constant(_NAMES[holds]))


ANSI = frozenset({
    "BOOLEAN", "SMALLINT", "INTEGER", "INT", "BIGINT", "REAL", "DOUBLE PRECISION", "FLOAT", "DECIMAL", "NUMERIC",
    "CHARACTER", "CHARACTER VARYING", "VARCHAR", "DATE", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE",
})  # fmt: skip
"""Types that a tag `ansi/type` may name; what does not convert is NULL."""


_MOMENTS = frozenset({"date", "dateTime", "instant", "Date", "DateTime"})


def _is_moment(kind: str, value: Value) -> bool:
    return value.type in _MOMENTS and (kind == "DATE" or kind.startswith("TIMESTAMP"))


def _ansi(wanted: str, column: Column) -> str:
    name = " ".join(wanted.upper().split())
    if name not in ANSI:
        raise refused(
            f"'{wanted[:64]}' is no ansi/type that is known here.", column.path.place, "not-supported"
        )
    return name
