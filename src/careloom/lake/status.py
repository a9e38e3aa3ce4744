"""lake.status: how fresh the lake is, how large, and what was set aside; no patient's value in it.

Room: lake. May import: lake, store.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from careloom.lake.build import STATION
from careloom.lake.lake import Lake
from careloom.store import feed
from careloom.store.aside import Aside, asides
from careloom.store.database import Database


@dataclass(frozen=True, slots=True)
class TableStatus:
    """One table."""

    rtype: str
    versions: int
    """Rows: each version of a resource is one."""
    files: int
    size: int
    """Bytes of the files that hold the rows."""
    unsettled: int
    """Rows in files in which the ends of versions are not filled in yet."""


@dataclass(frozen=True, slots=True)
class Status:
    """The lake at one moment."""

    published: datetime | None
    reached: int
    """The transaction of the store up to which, not with, the lake was fed."""
    waiting: int
    """About how many versions the store has that the lake has not."""
    tables: list[TableStatus]
    aside: list[Aside]
    """The newest of what could not be laid into columns: type, id, version and reason."""


def status(database: Database, lake: Lake, limit: int = 20) -> Status:
    """Raises OutcomeError(not-found) where nothing was built yet."""
    published = lake.published
    with database.connection() as connection:
        waiting = feed.ahead(connection, published.cursor)
        aside = asides(connection, limit, STATION)
    tables = [_table(lake, rtype) for rtype in lake.types]
    return Status(published.at, published.cursor.tx, waiting, tables, aside)


def _table(lake: Lake, rtype: str) -> TableStatus:
    parts = lake.sources(rtype).parts
    return TableStatus(
        rtype,
        versions=sum(part.rows for part in parts),
        files=len(parts),
        size=sum(part.size for part in parts),
        unsettled=sum(part.rows for part in parts if not part.is_settled),
    )
