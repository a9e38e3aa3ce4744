"""lake.question: one statement of SQL that somebody asks: that it only reads, which tables it names, which values it needs.

Room: lake. May import: lake.session, duckdb. It is read by DuckDB's own parser and judged by its tree, never by its text:
https://duckdb.org/docs/stable/data/json/sql_to_and_from_json

What is not in these lists is refused. They are the second wall: the first is that the files of what somebody may not
see cannot be opened at all (lake.sandbox).
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import duckdb
import msgspec

from careloom.fhir.outcome import Issue, IssueCode, OutcomeError
from careloom.lake.session import opened

MOST_CHARACTERS = 100_000
TABLE_FUNCTIONS = frozenset(
    {"unnest", "range", "generate_series", "repeat", "repeat_row", "json_each", "json_tree"}
)
"""Those that make rows of their arguments, and of nothing else."""

NO_FUNCTIONS = frozenset({
    "current_setting", "getenv", "getvariable", "pg_get_viewdef", "pg_get_constraintdef", "pg_get_expr",
    "write_log", "nextval", "currval", "set_config", "json_deserialize_sql", "json_serialize_plan",
})  # fmt: skip
"""Those that tell of the machine, or leave something behind."""

SCHEMA_TABLES = frozenset({"tables", "columns"})
"""Of information_schema: names and types, nothing else."""

LISTING = "information_schema"

_EXPLAIN = re.compile(r"(?:\s|--[^\n]*\n|/\*.*?\*/)*explain\b", re.IGNORECASE | re.DOTALL)
_NO_PLACE = 2**63
READS = "Only one statement that reads is answered: SELECT, WITH, FROM, VALUES, DESCRIBE, SUMMARIZE, SHOW or EXPLAIN."


@dataclass(frozen=True, slots=True)
class Question:
    """A statement that may be asked."""

    sql: str
    tables: tuple[str, ...]
    """Those that it reads, by their full names (`Patient`, `marts.persons`)."""
    parameters: tuple[str, ...]
    """`$name` of it, without the dollar."""
    is_listing: bool = False
    """It asks which tables there are."""


def question(sql: str, known: Collection[str]) -> Question:
    """Judge a statement; `known`: the full names of the tables that there are.

    Raises OutcomeError with place and cause: invalid, not-supported, not-found, too-long.
    """
    _refuse_text(sql)
    start = match.end() if (match := _EXPLAIN.match(sql)) else 0
    nodes = list(_nodes(_tree(sql, start)))
    offset = len(sql[:start].encode())
    names = {name.lower(): name for name in known}
    own = {str(one["key"]).lower() for node in nodes for one in _ctes(node)}
    tables: dict[str, None] = {}
    is_listing = False
    for node in nodes:
        place = _place(node, sql, offset)
        kind = node.get("type")
        if kind == "BASE_TABLE":
            found = _table(node, names, own, place)
            is_listing |= found == LISTING
            tables.update({} if found in {"", LISTING} else {found: None})
        elif kind == "TABLE_FUNCTION":
            _refuse_unless(_called(node["function"]) in TABLE_FUNCTIONS, _called(node["function"]), place)
        elif kind == "FUNCTION":
            _refuse_unless(_called(node) not in NO_FUNCTIONS, _called(node), place)
        elif kind == "SHOW_REF":
            is_listing |= node.get("show_type") == "SHOW_SPECIAL"
    parameters = (str(node["identifier"]) for node in nodes if node.get("class") == "PARAMETER")
    return Question(sql, tuple(tables), tuple(dict.fromkeys(parameters)), is_listing)


@dataclass(frozen=True, slots=True)
class Parameter:
    """A value that a statement needs."""

    name: str
    """`a` of `$a`, the number of a `?`."""
    type: str
    """What the statement casts it to, in DuckDB's words; "" where it does not."""


def parameters_of(sql: str) -> list[Parameter]:
    """What must be given for a statement that is not judged yet: by number, or as they come. Raises OutcomeError.

    >>> parameters_of("select ?::date, ?")
    [Parameter(name='1', type='DATE'), Parameter(name='2', type='')]
    """
    _refuse_text(sql)
    start = match.end() if (match := _EXPLAIN.match(sql)) else 0
    found: dict[str, str] = {}
    for node in _nodes(_tree(sql, start)):
        child = node.get("child")
        if node.get("class") == "CAST" and isinstance(child, dict) and child.get("class") == "PARAMETER":
            kind = node.get("type_expr")
            found[str(child["identifier"])] = str(kind["type_name"]).upper() if isinstance(kind, dict) else ""
        elif node.get("class") == "PARAMETER":
            found.setdefault(str(node["identifier"]), "")
    names = sorted(found, key=int) if all(name.isdecimal() for name in found) else list(found)
    return [Parameter(name, found[name]) for name in names]


def _refuse_text(sql: str) -> None:
    if len(sql) > MOST_CHARACTERS:
        raise OutcomeError(Issue("too-long", f"A statement may have {MOST_CHARACTERS} characters."))
    if "\0" in sql:
        raise OutcomeError(Issue("invalid", "The statement holds a NUL, which is no character of SQL."))


def placed(sql: str, position: int) -> str:
    """A place in a statement, in bytes of it, as a person finds it.

    >>> placed("select\\n  foo", 9)
    'line 2, column 3'
    """
    before = sql.encode()[:position].decode("utf-8", "replace")
    return f"line {before.count(chr(10)) + 1}, column {len(before) - before.rfind(chr(10))}"


def _tree(sql: str, start: int) -> Any:
    try:
        # A cursor is a connection of its own to the same engine: threads do not wait for one another.
        with _parser().cursor() as duck:
            row = duck.execute("select json_serialize_sql(?)", [sql[start:]]).fetchone()
    except duckdb.Error:
        row = None
    told: Mapping[str, Any] = msgspec.json.decode(row[0]) if row else {"error": True}
    if told.get("error") and told.get("error_type") == "parser":
        at = int(told.get("position") or 0) + len(sql[:start].encode())
        raise OutcomeError(Issue("invalid", f"At {placed(sql, at)}: {told.get('error_message')}."))
    statements = told.get("statements") or []
    if told.get("error") or len(statements) != 1:
        raise OutcomeError(Issue("not-supported", READS))
    return statements[0]


@cache
def _parser() -> duckdb.DuckDBPyConnection:
    """An engine that only ever parses: opening one takes longer than that."""
    return opened(None, "", 1)


def _nodes(tree: Any) -> Iterator[Mapping[str, Any]]:
    """Every node; without recursion, for a statement may be deep."""
    waiting = [tree]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            yield one
            waiting.extend(reversed(one.values()))
        elif isinstance(one, list):
            waiting.extend(reversed(one))


def _ctes(node: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    held = node.get("cte_map")
    found = [*held["map"]] if isinstance(held, dict) else []
    name = node.get("cte_name")
    return [*found, {"key": name}] if isinstance(name, str) else found


def _table(node: Mapping[str, Any], names: Mapping[str, str], own: Collection[str], place: str) -> str:
    """The full name of what it names: LISTING for the tables of names, "" for what the statement itself makes."""
    catalog, schema, name = (
        str(node.get(part) or "").lower() for part in ("catalog_name", "schema_name", "table_name")
    )
    if catalog in {"", "memory"}:
        if schema == "information_schema" and name in SCHEMA_TABLES:
            return LISTING
        if schema == "" and catalog == "" and name in own:
            return names.get(name, "")
        full = name if schema in {"", "main"} else f"{schema}.{name}"
        if full in names:
            return names[full]
    whole = ".".join(
        str(node[part]) for part in ("catalog_name", "schema_name", "table_name") if node.get(part)
    )
    hint = f" Did you mean {near}?" if (near := _near(whole.lower(), names)) else ""
    raise OutcomeError(Issue("not-found", f"At {place}: there is no table '{whole[:80]}'.{hint}"))


def _near(name: str, names: Mapping[str, str]) -> str:
    """The table that was meant: the same word in a schema, or one that is written nearly so."""
    bare = name.rpartition(".")[2]
    same = [full for full in names if full.rpartition(".")[2] == bare]
    found = same or difflib.get_close_matches(name, names, 1) or difflib.get_close_matches(bare, names, 1)
    return names[found[0]] if found else ""


def _called(function: Mapping[str, Any]) -> str:
    return str(function.get("function_name") or "").lower()


def _refuse_unless(is_right: bool, name: str, place: str) -> None:  # noqa: FBT001
    if not is_right:
        code: IssueCode = "not-supported"
        raise OutcomeError(Issue(code, f"At {place}: the function {name[:80]} is not answered here."))


def _place(node: Mapping[str, Any], sql: str, offset: int) -> str:
    at = node.get("query_location")
    if not isinstance(at, int) or at >= _NO_PLACE:
        return "the beginning"
    return placed(sql, at + offset)
