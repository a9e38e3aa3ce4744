"""store.aside: changes that a station could not digest: set aside, named, and shown on the health page.

Room: store. Touches: the table set_aside.
"""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from careloom.store.database import Connection
from careloom.store.feed import Change


class Aside(NamedTuple):
    """One change that one station could not digest."""

    station: str
    rtype: str
    id: str
    version: int
    event_id: int | None
    reason: str
    at: datetime


def set_aside(connection: Connection, station: str, change: Change, reason: str) -> None:
    """Name a change; naming it again (a station that ran twice) changes nothing."""
    connection.execute(
        "insert into set_aside (station, rtype, resource_id, version, event_id, reason)"
        " values (%s, %s, %s, %s, %s, %s) on conflict do nothing",
        [station, change.rtype, change.id, change.version, change.event_id, reason],
    )


def asides(connection: Connection, limit: int = 100) -> list[Aside]:
    """What was set aside, the newest first."""
    rows = connection.execute(
        "select station, rtype, resource_id, version, event_id, reason, at from set_aside order by id desc limit %s",
        [limit],
    ).fetchall()
    return [Aside(*row) for row in rows]
