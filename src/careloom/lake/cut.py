"""lake.cut: for who may not see all of a table, a file with exactly the rows that they may see.

Room: lake. May import: lake, store.seen, duckdb, pyarrow. Touches: the folder `_cuts` of the lake.

A filter in a view would not do: an engine may try a predicate of the asker on a row before the filter drops it, and
what fails, or is slow, tells of the row. So the rows that are hidden are not in any file that the asker's engine can
open. A cut is named by what went into it, the version of the table and the versions seen: it is never stale, and who
sees the same shares it.
"""

# pyarrow has no types.
# pyright: reportUnknownParameterType=false

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import duckdb
import pyarrow as pa

from careloom.lake import sight
from careloom.lake.column import digest_of
from careloom.lake.fresh import replacing
from careloom.lake.lake import Lake
from careloom.lake.reading import literal
from careloom.store.actor import Actor
from careloom.store.database import Connection
from careloom.store.seen import Seen, seen
from careloom.store.visible import visible

CUTS = "_cuts"
MOST_CUTS = 400
RESTS_S = 600.0
"""A cut that was not used for so long may be removed when there are too many."""


Maker = Callable[[], AbstractContextManager[duckdb.DuckDBPyConnection]]


@dataclass(frozen=True, slots=True)
class Table:
    """What an actor may see of a type: a SELECT over files, and those files."""

    rtype: str
    sql: str
    files: tuple[Path, ...]


def table(lake: Lake, connection: Connection, actor: Actor, rtype: str, maker: Maker) -> Table:
    """What is current of a type, as far as `actor` may see it; `maker` opens an engine that sees all, if a cut must be made.

    The lake was published before the store is asked: whatever row the lake has, the store has a word on it.
    Raises OutcomeError(forbidden) for an actor without clinical.read.
    """
    sources = lake.sources(rtype, may_lack=True)
    if rtype not in lake.published.versions:
        visible(actor)
        return Table(rtype, sight.plain(rtype, [sources.outline]), (sources.outline,))
    sees = seen(connection, actor, rtype)
    if sees.is_all:
        files = (sources.outline, *(sources.folder / part.name for part in sources.parts))
        return Table(rtype, sight.current(sources), files)
    whole = f"{rtype} {lake.published.versions[rtype]} {digest_of(rtype)} {sees.digest()}"
    path = lake.root / CUTS / f"{rtype}-{blake2b(whole.encode(), digest_size=16).hexdigest()}.parquet"
    if path.exists():
        os.utime(path)
    else:
        with maker() as duck:
            _make(duck, sight.current(sources), sees, path)
        tidy(path.parent)
    return Table(rtype, sight.plain(rtype, [sources.outline, path]), (sources.outline, path))


def bare(lake: Lake, rtype: str) -> Table:
    """A type with its columns and without a row."""
    outline = sight.outline(lake.root, rtype)
    return Table(rtype, sight.plain(rtype, [outline]), (outline,))


def _make(duck: duckdb.DuckDBPyConnection, current: str, sees: Seen, path: Path) -> None:
    kind = "anti" if sees.is_rest else "semi"
    sql = f"select v.* from ({current}) v {kind} join sees s on s.id = v.id and s.version_id = v.version_id"
    copied(duck, sql, sees, path)


def copied(duck: duckdb.DuckDBPyConnection, sql: str, sees: Seen, path: Path) -> None:
    """Make the file of a cut; the SELECT may name `sees`: id and version_id of what is seen, or of what is hidden."""
    path.parent.mkdir(mode=0o700, exist_ok=True)
    ids, versions = zip(*sees.pairs, strict=True) if sees.pairs else ((), ())
    duck.register(
        "sees", pa.table({"id": pa.array(ids, pa.string()), "version_id": pa.array(versions, pa.int32())})
    )
    try:
        with replacing(path) as fresh:
            # Small groups: a type has up to 1,182 columns, and each has its buffer while a group is written.
            duck.execute(
                f"copy ({sql}) to {literal(fresh)} (format parquet, compression zstd, row_group_size 10240)"
            )
    finally:
        duck.unregister("sees")


def tidy(folder: Path) -> None:
    """Remove those that were not used for longest; never one that somebody may be about to open."""
    now = time.time()
    aged: Sequence[tuple[float, Path]] = sorted(
        (path.stat().st_mtime, path) for path in folder.iterdir() if path.exists()
    )
    for used, path in aged[:-MOST_CUTS]:
        if now - used > RESTS_S:
            path.unlink(missing_ok=True)
