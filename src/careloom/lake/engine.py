"""lake.engine: a compiled view run on DuckDB: rows, batches, or a file, and what goes wrong said as an outcome.

Room: lake. May import: lake, duckdb, pyarrow.
"""

# pyarrow has no types.
# pyright: reportUnknownParameterType=false

from __future__ import annotations

import contextlib
import re
from collections.abc import Generator, Iterable
from pathlib import Path
from typing import Any, Literal

import duckdb
import pyarrow as pa

from careloom.fhir.outcome import Issue, OutcomeError
from careloom.fhir.resource import Resource
from careloom.lake.reading import literal
from careloom.lake.row import to_row, to_table
from careloom.lake.session import opened
from careloom.lake.view.fault import MARK
from careloom.lake.view.statement import Statement

Connection = duckdb.DuckDBPyConnection
Format = Literal["csv", "ndjson", "parquet"]
FORMATS: tuple[Format, ...] = ("csv", "ndjson", "parquet")

_COPY: dict[Format, str] = {
    "csv": "FORMAT csv, HEADER true",
    "ndjson": "FORMAT json",
    "parquet": "FORMAT parquet, COMPRESSION zstd",
}


def connect(*, threads: int = 0, memory: str = "", spill: Path | None = None) -> Connection:
    """A DuckDB of its own for views; what does not fit `memory` ("2GB") goes to the folder `spill`, if one is given."""
    return opened(spill, memory, threads, {"autoload_known_extensions": "false"})


def tables_of(resources: Iterable[Resource]) -> dict[str, pa.Table]:
    """Resources as the tables of their types."""
    rows: dict[str, list[dict[str, Any]]] = {}
    for resource in resources:
        rows.setdefault(str(resource.get("resourceType")), []).append(to_row(resource))
    return {kind: to_table(found, kind) for kind, found in rows.items()}


def run(connection: Connection, statement: Statement, source: str | pa.Table = "") -> list[dict[str, Any]]:
    """The rows of a view, all at once. `source`: an Arrow table, or what stands behind FROM."""
    with _asked(connection, statement, source) as sql, outcomes():
        cursor = connection.execute(sql)
        return [dict(zip(statement.columns, row, strict=True)) for row in cursor.fetchall()]


def write(
    connection: Connection,
    statement: Statement,
    path: Path | str,
    form: Format,
    source: str | pa.Table = "",
) -> int:
    """Write the rows of a view to a file as they come; how many there were."""
    with _asked(connection, statement, source) as sql, outcomes():
        cells = as_texts(statement, sql) if form == "csv" else sql
        found = connection.execute(f"COPY ({cells}) TO {literal(path)} ({_COPY[form]})").fetchone()
    return int(found[0]) if found else 0


def as_texts(statement: Statement, sql: str) -> str:
    """A query for CSV: a list is the text of a JSON array, everything else the text that DuckDB makes of it."""
    cells = [
        f"CAST({f'to_json({name})' if many else name} AS VARCHAR) AS {name}"
        for name, many in ((f'"{column}"', column in statement.lists) for column in statement.columns)
    ]
    return f"SELECT {', '.join(cells)} FROM ({sql}) AS v"


@contextlib.contextmanager
def _asked(connection: Connection, statement: Statement, source: str | pa.Table) -> Generator[str]:
    """The SQL over a source; an Arrow table is known by a name while it is read."""
    if isinstance(source, str):
        yield statement.sql("duckdb", source)
        return
    connection.register("careloom_source", source)
    try:
        yield statement.sql("duckdb", "careloom_source")
    finally:
        connection.unregister("careloom_source")


@contextlib.contextmanager
def outcomes() -> Generator[None]:
    """Errors of DuckDB as OutcomeError; what a view itself complains of keeps its words.

    An engine's own message may hold a value of a row, so only its kind is told.
    """
    try:
        yield
    except duckdb.Error as error:
        raise outcome_of(str(error), type(error).__name__) from None


_COSTLY = {
    "OutOfMemoryException": "The view needs more memory than it may have.",
    "InterruptException": "The view took longer than it may: narrow it, or ask for less.",
}


def outcome_of(message: str, kind: str) -> OutcomeError:
    """What an engine says, without values of rows."""
    if kind in _COSTLY:
        return OutcomeError(Issue("too-costly", _COSTLY[kind]))
    complaint = re.search(re.escape(MARK) + r"([^\n]*)", message)
    if complaint is None:
        return OutcomeError(Issue("processing", f"The query stopped: {kind}."))
    said = complaint[1].partition(" SQLSTATE")[0]
    place, _, text = said.partition(": ") if said.startswith("ViewDefinition.") else ("", "", said)
    return OutcomeError(Issue("processing", text, place))
