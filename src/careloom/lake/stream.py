"""lake.stream: the rows of a view as bytes while they are computed: CSV, NDJSON, JSON or Parquet; none is kept.

Room: lake. May import: lake, duckdb. https://duckdb.org/docs/stable/sql/statements/copy

The engine itself writes the form, to a pipe; whoever reads slowly slows the engine down.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC

import duckdb

from careloom.fhir.outcome import OutcomeError
from careloom.lake.engine import as_texts, outcomes
from careloom.lake.order import Form, Wanted
from careloom.lake.reading import literal
from careloom.lake.view.statement import Statement

_COPY: dict[Form, str] = {
    "csv": "FORMAT csv, HEADER {header}",
    "ndjson": "FORMAT json",
    "json": "FORMAT json, ARRAY true",
    "parquet": "FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 61440",
}
_PIECE = 1 << 16


class Pipe:
    """Where the engine writes to; made before its files are closed to it."""

    def __init__(self) -> None:
        self.end, self._start = os.pipe()
        self.path = f"/dev/fd/{self._start}"
        self.rows = 0
        """How many rows were written; known at the end."""

    def close_start(self) -> None:
        """Nothing more will be written."""
        if self._start >= 0:
            os.close(self._start)
            self._start = -1

    def close(self) -> None:
        """Nobody reads any more: whoever still writes is told so."""
        if self.end >= 0:
            os.close(self.end)
            self.end = -1


@contextmanager
def piped() -> Generator[Pipe]:
    """A pipe, closed at the end."""
    pipe = Pipe()
    try:
        yield pipe
    finally:
        pipe.close()
        pipe.close_start()


def streamed(
    duck: duckdb.DuckDBPyConnection,
    statement: Statement,
    wanted: Wanted,
    pipe: Pipe,
    source: str = "",
    kept: str = "",
) -> Iterator[bytes]:
    """The rows, some thousand bytes at a time. `source`: what stands behind FROM; by default the type's own table. `kept`: a
    SELECT of the rows, where they stand already.

    Raises OutcomeError, maybe after the first pieces: what was given before is not the whole then.
    """
    failed: list[OutcomeError] = []
    sql = _cells(statement, wanted, kept or statement.sql("duckdb", source_of(statement, wanted, source)))
    how = _COPY[wanted.form].format(header=wanted.has_header)

    def write() -> None:
        try:
            with outcomes():
                told = duck.execute(f"COPY ({sql}) TO {literal(pipe.path)} ({how})").fetchone()
        except OutcomeError as error:
            failed.append(error)
        else:
            pipe.rows = int(told[0]) if told else 0
        finally:
            pipe.close_start()

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    try:
        while piece := os.read(pipe.end, _PIECE):
            yield piece
    finally:
        with suppress(OSError):
            pipe.close()
        writer.join()
    if failed:
        raise failed[0]


def source_of(statement: Statement, wanted: Wanted, source: str = "") -> str:
    """What stands behind FROM, of which only what is wanted."""
    table = source or f'"{statement.resource}"'
    if wanted.since is None:
        return table
    moment = wanted.since.astimezone(UTC).isoformat()
    return f"(select * from {table} where last_updated > timestamptz '{moment}')"


def _cells(statement: Statement, wanted: Wanted, sql: str) -> str:
    cells = as_texts(statement, sql) if wanted.form == "csv" else sql
    return cells if wanted.limit is None else f"SELECT * FROM ({cells}) AS l LIMIT {wanted.limit}"
