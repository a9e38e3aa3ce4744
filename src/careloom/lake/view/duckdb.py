"""lake.view.duckdb: how DuckDB writes what views are made of.

Room: lake. May import: lake.reading, lake.view. Source: https://duckdb.org/docs/stable/sql/functions/overview
"""

from __future__ import annotations

from careloom.lake.reading import literal
from careloom.lake.view.fault import MARK
from careloom.lake.view.plan import Unnest
from careloom.lake.view.sql import Key
from careloom.lake.view.written import ALIKE, Written, called, constant, infix, put

_KINDS = {"text": "VARCHAR", "boolean": "BOOLEAN", "integer": "INTEGER", "double": "DOUBLE", "json": "JSON"}
_ANSI = {
    "DOUBLE PRECISION": "DOUBLE",
    "FLOAT": "DOUBLE",
    "CHARACTER": "VARCHAR",
    "CHARACTER VARYING": "VARCHAR",
}


class DuckDB:
    """The dialect."""

    def name(self, text: str) -> str:
        """A quoted name."""
        return '"' + text.replace('"', '""') + '"'

    def constant(self, value: object) -> str:
        """A literal; a decimal is a double."""
        return constant(value, text=literal, whole=str)

    def get(self, base: str, field: str) -> str:
        """A field of a struct."""
        return f"struct_extract({base}, '{field}')"

    def opened(self, text: str, key: Key) -> str:
        """A key of a JSON text; JSON itself comes as text."""
        name = key.name.replace("'", "''")
        shape = f'["{_KINDS[key.kind]}"]' if key.many else f'"{_KINDS[key.kind]}"'
        found = f"struct_extract(from_json({text}, '{{\"{name}\":{shape}}}'), '{name}')"
        return f"CAST({found} AS VARCHAR{'[]' if key.many else ''})" if key.kind == "json" else found

    def each(self, items: str, variables: str, body: str) -> str:
        """The items transformed."""
        return f"list_transform({items}, lambda {variables}: {body})"

    def keep(self, items: str, var: str, test: str) -> str:
        """The items filtered."""
        return f"list_filter({items}, lambda {var}: {test})"

    def unnested(self, carried: list[str], step: Unnest, source: str, *, with_index: bool) -> str:
        """A query with one row for each item of a list."""
        items = self.name(step.items)
        if step.or_null:
            items = f"CASE WHEN coalesce(len({items}), 0) = 0 THEN [NULL] ELSE {items} END"
        parts = [self.name(slot) for slot in carried]
        parts.append(f"unnest({items}) AS {self.name(step.element)}")
        if with_index:
            parts.append(f"unnest(range(len({items}))) AS {self.name(step.index)}")
        return f"SELECT {', '.join(parts)} FROM {source}"

    def function(self, name: str, arguments: list[str]) -> str:
        """A function or operator."""
        return put(_FUNCTIONS[name], arguments)


def _at(items: str, place: str) -> str:
    if place.isdigit():
        return f"list_extract({items}, {int(place) + 1})"
    return f"CASE WHEN {place} >= 0 THEN list_extract({items}, CAST({place} + 1 AS BIGINT)) END"


def _concat_lists(first: str, *rest: str) -> str:
    for other in rest:
        first = f"list_concat({first}, {other})"
    return first


def _cell(value: str, kind: str) -> str:
    return f"CAST({value} AS {_KINDS[kind.strip(chr(39))]})"


def _cells(value: str, kind: str) -> str:
    held = _KINDS[kind.strip("'")]
    return f"coalesce(CAST({value} AS {held}[]), CAST([] AS {held}[]))"


def _as_ansi(value: str, kind: str) -> str:
    wanted = kind.strip("'")
    return f"TRY_CAST({value} AS {_ANSI.get(wanted, wanted)})"


_FUNCTIONS: dict[str, Written] = {
    **ALIKE,
    "div": "CAST(trunc(CAST({0} AS DOUBLE) / nullif({1}, 0)) AS BIGINT)",
    "round to": "round({0}, CAST({1} AS INTEGER))",
    "items": "coalesce(len({0}), 0)",
    "not empty": "(coalesce(len({0}), 0) > 0)",
    "at": _at,
    "flatten": called("flatten"),
    "concat lists": _concat_lists,
    "list": "[{0}]",
    "placed": "{{'o': {0} || lpad(CAST({1} AS VARCHAR), 8, '0'), 'n': {2}}}",
    "sorted": called("list_sort"),
    "no items": "CAST([] AS VARCHAR[])",
    "distinct": "list_filter({0}, lambda v, i: list_position({0}, v) = i)",
    "slice": "list_slice({0}, {1} + 1, {1} + {2})",
    "contains item": called("list_contains"),
    "concat": infix("||"),
    "join": "coalesce(array_to_string({0}, {1}), '')",
    "text": "CAST({0} AS VARCHAR)",
    "double": "TRY_CAST({0} AS DOUBLE)",
    "whole": "TRY_CAST({0} AS INTEGER)",
    "microseconds": "epoch_us(TRY_CAST({0} AS TIMESTAMPTZ))",
    "left": called("left"),
    "last day": "strftime(last_day(TRY_CAST({0} || '-01' AS DATE)), '%Y-%m-%d')",
    "folded": "lower(trim(regexp_replace({0}, '\\s+', ' ', 'g')))",
    "startsWith": called("starts_with"),
    "endsWith": called("ends_with"),
    "matches": called("regexp_matches"),
    "indexOf": "(strpos({0}, {1}) - 1)",
    "ceiling": "CAST(ceil({0}) AS BIGINT)",
    "floor": "CAST(floor({0}) AS BIGINT)",
    "truncate": "CAST(trunc({0}) AS BIGINT)",
    "fail": f"error('{MARK}' || {{0}} || left({{1}}, 0))",
    "cell": _cell,
    "cells": _cells,
    "as ansi": _as_ansi,
}
