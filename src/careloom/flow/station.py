"""flow.station: every change is offered to every station; what it returns is committed with that change as cause.

Room: flow. A station hears changes in commit order, from its own cursor, at least once; the cursor moves in the
transaction that commits what the station returned, so the effect is exactly once.
"""

from __future__ import annotations

import sys
from datetime import datetime

import structlog

from careloom.fhir.outcome import Issue, OutcomeError
from careloom.fhir.resource import Resource
from careloom.flow.retry import retried
from careloom.flow.validity import validate
from careloom.logs import place_of
from careloom.registry import STATIONS, TIMERS, load
from careloom.settings import Settings
from careloom.store import feed
from careloom.store.actor import STATION
from careloom.store.aside import set_aside
from careloom.store.commit import Committed, Origin, Write, commit
from careloom.store.database import Connection, Database, DatabaseError, is_transient
from careloom.store.read import Reader

log = structlog.get_logger()

BATCH = 200
"""Changes a station hears in one transaction."""

LAG = 1000
"""Transactions after which a cursor moves on although nothing for its station came."""

MAX_DEPTH = 8
"""A chain of causes longer than this is an action that feeds on itself; it is refused."""


def run_station(database: Database, name: str, now: datetime) -> int:
    """Offer a station its next batch; return how many changes it heard."""
    return retried(lambda: _run_batch(database, name, now), also=frozenset({"conflict"}))


def run_timer(database: Database, name: str, settings: Settings, now: datetime) -> int:
    """Ask a timer what is due; commit it; return how many resources changed."""

    def once() -> int:
        with database.connection() as connection:
            # The row of the timer is held until the end: two engines never run one timer at the same time.
            feed.cursor_of(connection, f"timer:{name}")
            due: list[Resource] = load(TIMERS[name])(
                now, Reader(connection, STATION), escalate_after_minutes=settings.escalate_after_minutes
            )
            return len(_commit(connection, due, Origin(now, STATION.id, name, depth=1)))

    return retried(once, also=frozenset({"conflict"}))


def hears(name: str) -> frozenset[str]:
    """The resource types a station hears: TYPES of its module."""
    station = load(STATIONS[name])
    return sys.modules[station.__module__].TYPES


def _run_batch(database: Database, name: str, now: datetime) -> int:
    with database.connection() as connection:
        after = feed.cursor_of(connection, name)
        batch = feed.batch(connection, after, BATCH, hears(name))
        read = Reader(connection, STATION)
        for change in batch.changes:
            _offer(connection, name, change, read, now)
        # The horizon moves with every transaction; to write it down each time would move it for ever.
        if batch.changes or batch.cursor.tx - after.tx > LAG:
            feed.advance(connection, name, batch.cursor)
        return len(batch.changes)


def _offer(connection: Connection, name: str, change: feed.Change, read: Reader, now: datetime) -> None:
    station = load(STATIONS[name])
    try:
        with connection.transaction():
            returned: list[Resource] = station(change, read)
            if returned and change.depth >= MAX_DEPTH:
                raise OutcomeError(
                    Issue("business-rule", f"{name} was stopped: its cause chain is too deep.")
                )
            origin = Origin(now, STATION.id, name, change.event_id, change.depth + 1)
            _commit(connection, returned, origin)
    except (
        OutcomeError, ArithmeticError, AttributeError, DatabaseError, LookupError, TypeError, ValueError,
    ) as error:  # fmt: skip
        if is_transient(error) or (
            isinstance(error, OutcomeError) and any(issue.code == "conflict" for issue in error.issues)
        ):
            raise  # Somebody wrote in between: the whole batch is read and heard again.
        # One poisoned change must not stop the station: it is set aside, named, and shown on the health page.
        reason = (
            str(error) if isinstance(error, OutcomeError) else f"The station failed ({type(error).__name__})."
        )
        # Not the resource's id: a sender may have made it of a number of the patient's.
        log.error(  # noqa: TRY400 - a traceback may hold values
            "change_set_aside", station=name, event_id=change.event_id, error=place_of(error)
        )
        set_aside(connection, name, change, reason)


def _commit(connection: Connection, resources: list[Resource], origin: Origin) -> list[Committed]:
    issues = [issue for resource in resources for issue in validate(resource) if issue.is_error]
    if issues:
        raise OutcomeError(*issues)
    writes = [Write(resource, if_match=_version_read(resource)) for resource in resources]
    return [done for done in commit(connection, writes, origin) if done.is_changed]


def _version_read(resource: Resource) -> int | None:
    # A resource that the station read and changed carries the version it read: a write in between is a conflict.
    version = resource.get("meta", {}).get("versionId")
    return int(version) if version else None
