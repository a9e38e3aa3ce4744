"""flow.station: every change is offered to every station; what it returns is committed with that change as cause.

Room: flow. A station hears changes in commit order, from its own cursor, at least once; the cursor moves in the
transaction that commits what the station returned, so the effect is exactly once.

Most of what a source sends concerns no station: it is left out by the database (`store.interest`), and who finds nothing
new writes nothing, for each commit costs a write to the disk.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
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
from careloom.store.feed import Change, Cursor
from careloom.store.interest import Interest
from careloom.store.read import Reader

log = structlog.get_logger()

BATCH = 200
"""Changes a station hears in one transaction."""

LAG = 1000
"""Transactions after which a cursor moves on although nothing for its station came."""

MAX_DEPTH = 8
"""A chain of causes longer than this is an action that feeds on itself; it is refused."""


_FAULTS = (OutcomeError, ArithmeticError, AttributeError, DatabaseError, LookupError, TypeError, ValueError)

Hears = Callable[[Change, Reader], list[Resource]]


class Ears:
    """How far one engine has listened beyond where its stations stand, while nothing for them came."""

    def __init__(self) -> None:
        self._reached: dict[str, tuple[Cursor, Cursor]] = {}

    def after(self, name: str, stood: Cursor) -> Cursor:
        """Where to listen on; if another engine has moved the station, from there."""
        known, reached = self._reached.get(name, (stood, stood))
        return reached if known == stood else stood

    def heard(self, name: str, stood: Cursor, reached: Cursor) -> None:
        """Up to here there was nothing for the station, which stands where it stood."""
        self._reached[name] = (stood, reached)


def run_station(database: Database, name: str, now: datetime, ears: Ears | None = None) -> int:
    """Offer a station its next batch; return how many changes it heard."""
    return retried(lambda: _run_batch(database, name, now, ears or Ears()), also=frozenset({"conflict"}))


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


def hears(name: str) -> Interest:
    """What a station hears: TYPES of its module; of those in its CODES, if it has some, only what is coded so."""
    module = sys.modules[load(STATIONS[name]).__module__]
    return Interest(module.TYPES, getattr(module, "CODES", {}))


def _run_batch(database: Database, name: str, now: datetime, ears: Ears) -> int:
    interest = hears(name)
    with database.connection() as connection:
        known = feed.standing(connection, name)
        stood = known or feed.START
        batch = feed.batch(connection, ears.after(name, stood), BATCH, interest)
        # The horizon moves with every transaction; to write it down each time would move it for ever.
        if known and not batch.changes and batch.cursor.tx - stood.tx <= LAG:
            ears.heard(name, stood, batch.cursor)
            return 0
        locked = feed.cursor_of(connection, name)
        if locked != stood:
            # Another engine was faster.
            batch = feed.batch(connection, locked, BATCH, interest)
        _heard(connection, name, batch.changes, now)
        feed.advance(connection, name, batch.cursor)
        return len(batch.changes)


def _heard(connection: Connection, name: str, changes: Sequence[Change], now: datetime) -> None:
    """Offer changes all together; if one of them is poison, each by itself.

    A savepoint costs ten times what a station spends on a change that does not concern it.
    """
    station: Hears = load(STATIONS[name])
    read = Reader(connection, STATION)
    try:
        with connection.transaction():
            for change in changes:
                _answer(connection, name, station, change, read, now)
    except _FAULTS as error:
        if _is_passing(error):
            raise
        for change in changes:
            _offer(connection, name, station, change, read, now)


def _offer(
    connection: Connection, name: str, station: Hears, change: Change, read: Reader, now: datetime
) -> None:
    try:
        with connection.transaction():
            _answer(connection, name, station, change, read, now)
    except _FAULTS as error:
        if _is_passing(error):
            raise
        # One poisoned change must not stop the station: it is set aside, named, and shown on the health page.
        reason = (
            str(error) if isinstance(error, OutcomeError) else f"The station failed ({type(error).__name__})."
        )
        # Not the resource's id: a sender may have made it of a number of the patient's.
        log.error(  # noqa: TRY400 - a traceback may hold values
            "change_set_aside", station=name, event_id=change.event_id, error=place_of(error)
        )
        set_aside(connection, name, change, reason)


def _answer(
    connection: Connection, name: str, station: Hears, change: Change, read: Reader, now: datetime
) -> None:
    """Commit what the station returns for a change."""
    returned = station(change, read)
    if not returned:
        return
    if change.depth >= MAX_DEPTH:
        raise OutcomeError(Issue("business-rule", f"{name} was stopped: its cause chain is too deep."))
    _commit(connection, returned, Origin(now, STATION.id, name, change.event_id, change.depth + 1))


def _is_passing(error: BaseException) -> bool:
    """Whether somebody wrote in between: then the whole batch is read and heard again."""
    return is_transient(error) or (
        isinstance(error, OutcomeError) and any(issue.code == "conflict" for issue in error.issues)
    )


def _commit(connection: Connection, resources: list[Resource], origin: Origin) -> list[Committed]:
    issues = [issue for resource in resources for issue in validate(resource) if issue.is_error]
    if issues:
        raise OutcomeError(*issues)
    writes = [Write(resource, if_match=_version_read(resource)) for resource in resources]
    return [done for done in commit(connection, writes, origin) if done.is_changed]


def _version_read(resource: Resource) -> tuple[int, ...] | None:
    # A resource that the station read and changed carries the version it read: a write in between is a conflict.
    version = resource.get("meta", {}).get("versionId")
    return (int(version),) if version else None
