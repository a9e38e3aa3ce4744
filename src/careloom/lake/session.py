"""lake.session: the one place where a DuckDB is opened: in memory, bounded, spilling beside the lake's files.

Room: lake. May import: duckdb. https://duckdb.org/docs/stable/configuration/overview
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import duckdb

from careloom.fhir.outcome import Issue, OutcomeError
from careloom.lake.reading import literal

SCRATCH = "_scratch"
"""Where DuckDB spills what does not fit its memory: beside the tables, for it is patients' data as they are."""


def opened(
    root: Path | None, memory: str = "1GB", threads: int = 0, more: Mapping[str, str] | None = None
) -> duckdb.DuckDBPyConnection:
    """A DuckDB of its own; `root` None: it does not spill; `memory` "": most of the machine's; `threads` 0: one for each
    core; `more` of its configuration.
    """
    config: dict[str, str | bool | int | float | list[str]] = {
        # Left to itself it would spill to the working directory.
        "temp_directory": "" if root is None else str(root / SCRATCH),
        # Nothing is fetched from the network behind one's back, and nothing is installed.
        "autoinstall_known_extensions": "false",
        **(more or {}),
    }
    if memory:
        config["memory_limit"] = memory
    if threads:
        config["threads"] = str(threads)
    return duckdb.connect(config=config)


def seal(
    duck: duckdb.DuckDBPyConnection, root: Path | None, paths: Iterable[object], spill: str = "2GB"
) -> None:
    """Close all to it but these files; there is no way back, in any SQL. It spills beside the lake of `root`, if there is one."""
    if root is not None:
        duck.execute(f"set temp_directory = {literal(root / SCRATCH)}")
        duck.execute(f"set max_temp_directory_size = '{spill}'")
    duck.execute("set allow_community_extensions = false")
    duck.execute(f"set allowed_paths = [{', '.join(map(literal, paths))}]")
    duck.execute("set enable_external_access = false")
    duck.execute("set lock_configuration = true")


def rows(duck: duckdb.DuckDBPyConnection, sql: str, count: int = 10_000) -> Iterator[tuple[Any, ...]]:
    """The names of the columns, then the rows, `count` at a time in memory. Raises OutcomeError for what is wrong in it."""
    try:
        duck.execute(sql)
        yield tuple(column[0] for column in duck.description or ())
        while found := duck.fetchmany(count):
            yield from found
    except duckdb.Error as error:
        raise OutcomeError(Issue("invalid", words_of(error))) from None


def words_of(error: duckdb.Error) -> str:
    """What may be said of an error of DuckDB: all of it where it speaks of the SQL, else its kind, for a value may stand in it."""
    if isinstance(error, duckdb.ParserException | duckdb.BinderException | duckdb.CatalogException):
        return str(error).strip()
    if isinstance(error, duckdb.OutOfMemoryException):
        return "The query needs more memory than it may have."
    return f"The query failed ({type(error).__name__})."
