"""store.aside: changes that a station could not digest: set aside, named, and shown on the health page.

Room: store. Touches: the table set_aside.
"""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from careloom.store.database import Connection
from careloom.store.feed import Change
from careloom.store.stored import Stored


class Aside(NamedTuple):
    """One change that one station could not digest."""

    station: str
    rtype: str
    id: str
    version: int
    event_id: int | None
    reason: str
    at: datetime


def set_aside(connection: Connection, station: str, change: Change | Stored, reason: str) -> None:
    """Name a change; naming it again (a station that ran twice) changes nothing."""
    connection.execute(
        "insert into set_aside (station, rtype, resource_id, version, event_id, reason)"
        " values (%s, %s, %s, %s, %s, %s) on conflict do nothing",
        [station, change.rtype, change.id, change.version, change.event_id, reason],
    )


def taken_back(connection: Connection, station: str) -> None:
    """A station begins from the start: what it set aside before, it will meet again."""
    connection.execute("delete from set_aside where station = %s", [station])


def asides(connection: Connection, limit: int = 100, station: str = "") -> list[Aside]:
    """What was set aside, by one station or by all, the newest first."""
    rows = connection.execute(
        "select station, rtype, resource_id, version, event_id, reason, at from set_aside"
        " where %s in (station, '') order by id desc limit %s",
        [station, limit],
    ).fetchall()
    return [Aside(*row) for row in rows]


def counts(connection: Connection) -> dict[str, int]:
    """How much each station has set aside."""
    return dict(connection.execute("select station, count(*) from set_aside group by station").fetchall())
