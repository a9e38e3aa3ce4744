"""lake.view.spark: how Spark writes what views are made of.

Room: lake. May import: lake.view. Source: https://spark.apache.org/docs/latest/api/sql/

Spark counts from 0 (`get`), takes a NULL in a list of lists for the whole (`flatten`), and reads backslashes in texts.
"""

from __future__ import annotations

from decimal import Decimal

from careloom.lake.view.fault import MARK
from careloom.lake.view.plan import Unnest
from careloom.lake.view.sql import Key
from careloom.lake.view.written import Written, called, infix, put

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
        match value:
            case None:
                return "NULL"
            case bool():
                return "TRUE" if value else "FALSE"
            case int():
                return str(value) if abs(value) < 2**31 else f"{value}L"
            case Decimal():
                return f"CAST('{value}' AS DOUBLE)"
            case _:
                return _text(str(value))

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
    **{sign: infix(sign) for sign in ("=", "<>", "<", "<=", ">", ">=", "+", "-", "*")},
    "and": infix("AND"),
    "or": infix("OR"),
    "not": "(NOT {0})",
    "is not null": "({0} IS NOT NULL)",
    "is true": "coalesce({0}, FALSE)",
    "/": "({0} / nullif({1}, 0))",
    "mod": "({0} % nullif({1}, 0))",
    "div": "CAST(CAST({0} AS DOUBLE) / nullif({1}, 0) AS BIGINT)",
    "negative": "(-{0})",
    "rounded": "round({0}, 8)",
    # Spark wants the places to be the same for all rows.
    "round to": "(round({0} * pow(10, {1})) / pow(10, {1}))",
    "power": called("pow"),
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
    "coalesce": called("coalesce"),
    "least": called("least"),
    "greatest": called("greatest"),
    "concat": called("concat"),
    "join": "coalesce(array_join({0}, {1}), '')",
    "text": "CAST({0} AS STRING)",
    "double": "try_cast({0} AS DOUBLE)",
    "long": "CAST({0} AS BIGINT)",
    "whole": "try_cast({0} AS INT)",
    "microseconds": "unix_micros(try_cast({0} AS TIMESTAMP))",
    "clock": "rpad(CASE WHEN length({0}) = 8 THEN {0} || '.' ELSE {0} END, 18, '0')",
    "length of text": called("length"),
    "left": "left({0}, {1})",
    "right padded": called("rpad"),
    "last day": "CAST(last_day(try_cast({0} || '-01' AS DATE)) AS STRING)",
    "matched": "regexp_extract({0}, {1}, 1)",
    "nonempty": "nullif({0}, '')",
    "folded": "lower(trim(regexp_replace({0}, '\\\\s+', ' ')))",
    "startsWith": called("startswith"),
    "endsWith": called("endswith"),
    "contains": called("contains"),
    "matches": "({0} RLIKE {1})",
    "upper": called("upper"),
    "lower": called("lower"),
    "trim": called("trim"),
    "indexOf": "(instr({0}, {1}) - 1)",
    "replace": called("replace"),
    "substring": "substring({0}, {1} + 1, {2})",
    "abs": called("abs"),
    "ceiling": called("ceil"),
    "floor": called("floor"),
    "truncate": "CAST({0} AS BIGINT)",
    "sqrt": "CASE WHEN {0} >= 0 THEN sqrt({0}) END",
    "fail": f"raise_error(concat('{MARK}', {{0}}, left({{1}}, 0)))",
    "cell": _cell,
    "cells": _cells,
    "as ansi": _as_ansi,
}
