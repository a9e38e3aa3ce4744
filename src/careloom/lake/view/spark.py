"""lake.view.spark: how Spark writes what views are made of.

Room: lake. May import: lake.view. Source: https://spark.apache.org/docs/latest/api/sql/

Spark counts from 0 (`get`), takes a NULL in a list of lists for the whole (`flatten`), and reads backslashes in texts.
"""

from __future__ import annotations

from careloom.lake.view.fault import MARK
from careloom.lake.view.plan import Unnest
from careloom.lake.view.sql import Key
from careloom.lake.view.written import ALIKE, Written, called, constant, put

_KINDS = {"text": "STRING", "boolean": "BOOLEAN", "integer": "INT", "double": "DOUBLE", "json": "STRING"}
_ANSI = {
    "DOUBLE PRECISION": "DOUBLE",
    "REAL": "FLOAT",
    "NUMERIC": "DECIMAL",
    "CHARACTER": "STRING",
    "CHARACTER VARYING": "STRING",
    "VARCHAR": "STRING",
    "TIMESTAMP WITH TIME ZONE": "TIMESTAMP",
    "TIMESTAMP": "TIMESTAMP_NTZ",
}


class Spark:
    """The dialect."""

    def name(self, text: str) -> str:
        """A quoted name."""
        return "`" + text.replace("`", "``") + "`"

    def constant(self, value: object) -> str:
        """A literal; a decimal is a double."""
        return constant(value, text=_text, whole=_whole)

    def get(self, base: str, field: str) -> str:
        """A field of a struct."""
        return f"({base}).{self.name(field)}"

    def opened(self, text: str, key: Key) -> str:
        """A key of a JSON text; JSON itself comes as text."""
        kind = f"ARRAY<{_KINDS[key.kind]}>" if key.many else _KINDS[key.kind]
        name = self.name(key.name)
        return f"from_json({text}, {_text(f'{name} {kind}')}).{name}"

    def each(self, items: str, variables: str, body: str) -> str:
        """The items transformed."""
        # Spark reads brackets around a single variable as something else.
        written = f"({variables})" if "," in variables else variables
        return f"transform({items}, {written} -> {body})"

    def keep(self, items: str, var: str, test: str) -> str:
        """The items filtered."""
        return f"filter({items}, {var} -> {test})"

    def unnested(self, carried: list[str], step: Unnest, source: str, *, with_index: bool) -> str:
        """A query with one row for each item of a list."""
        parts = [self.name(slot) for slot in carried]
        parts.append(self.name(step.element))
        if with_index:
            parts.append(f"coalesce({self.name(step.index)}, 0) AS {self.name(step.index)}")
        outer = "OUTER " if step.or_null else ""
        view = (
            f"LATERAL VIEW {outer}posexplode({self.name(step.items)}) v{step.element}"
            f" AS {self.name(step.index)}, {self.name(step.element)}"
        )
        return f"SELECT {', '.join(parts)} FROM {source} {view}"

    def function(self, name: str, arguments: list[str]) -> str:
        """A function or operator."""
        return put(_FUNCTIONS[name], arguments)


def _whole(value: int) -> str:
    return str(value) if abs(value) < 2**31 else f"{value}L"


def _text(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _concat_lists(*lists: str) -> str:
    return "concat(" + ", ".join(f"coalesce({each}, array())" for each in lists) + ")"


def _cell(value: str, kind: str) -> str:
    return f"CAST({value} AS {_KINDS[kind.strip(chr(39))]})"


def _cells(value: str, kind: str) -> str:
    held = f"ARRAY<{_KINDS[kind.strip(chr(39))]}>"
    return f"coalesce(CAST({value} AS {held}), CAST(array() AS {held}))"


def _as_ansi(value: str, kind: str) -> str:
    wanted = kind.strip("'")
    return f"try_cast({value} AS {_ANSI.get(wanted, wanted)})"


_FUNCTIONS: dict[str, Written] = {
    **ALIKE,
    "div": "CAST(CAST({0} AS DOUBLE) / nullif({1}, 0) AS BIGINT)",
    # Spark wants the places to be the same for all rows.
    "round to": "(round({0} * pow(10, {1})) / pow(10, {1}))",
    "items": "coalesce(size({0}), 0)",
    "not empty": "(coalesce(size({0}), 0) > 0)",
    "at": "get({0}, CAST({1} AS INT))",
    "flatten": "flatten(filter({0}, l -> l IS NOT NULL))",
    "concat lists": _concat_lists,
    "list": "array({0})",
    "placed": "named_struct('o', {0} || lpad(CAST({1} AS STRING), 8, '0'), 'n', {2})",
    "sorted": called("array_sort"),
    "no items": "CAST(array() AS ARRAY<STRING>)",
    "distinct": called("array_distinct"),
    "slice": "slice({0}, CAST({1} + 1 AS INT), CAST({2} AS INT))",
    "contains item": called("array_contains"),
    "concat": called("concat"),
    "join": "coalesce(array_join({0}, {1}), '')",
    "text": "CAST({0} AS STRING)",
    "double": "try_cast({0} AS DOUBLE)",
    "whole": "try_cast({0} AS INT)",
    "microseconds": "unix_micros(try_cast({0} AS TIMESTAMP))",
    "left": "left({0}, {1})",
    "last day": "CAST(last_day(try_cast({0} || '-01' AS DATE)) AS STRING)",
    "folded": "lower(trim(regexp_replace({0}, '\\\\s+', ' ')))",
    "startsWith": called("startswith"),
    "endsWith": called("endswith"),
    "matches": "({0} RLIKE {1})",
    "indexOf": "(instr({0}, {1}) - 1)",
    "ceiling": called("ceil"),
    "floor": called("floor"),
    "truncate": "CAST({0} AS BIGINT)",
    "fail": f"raise_error(concat('{MARK}', {{0}}, left({{1}}, 0)))",
    "cell": _cell,
    "cells": _cells,
    "as ansi": _as_ansi,
}
