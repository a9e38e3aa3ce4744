"""flow.arrival: an arrival is kept, mapped, validated and committed, all in one transaction.

Room: flow. What cannot be mapped is kept too, and stands in quarantine with its reasons. Messages of one source are
taken one after the other: the later of two about the same person must win.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

import structlog

from careloom.fhir.facts import has_other_choice
from careloom.fhir.outcome import Issue, OutcomeError
from careloom.fhir.resource import Resource
from careloom.flow.bulk import KIND as IMPORT
from careloom.flow.bulk import import_again
from careloom.flow.delivery import destinations_of
from careloom.flow.file import commit_file
from careloom.flow.guides import Demand, demand_of
from careloom.flow.interaction import AGENT
from careloom.flow.retry import retried
from careloom.flow.validity import validate
from careloom.logs import place_of
from careloom.registry import MAPPERS, load
from careloom.settings import Settings
from careloom.store import events, outbox
from careloom.store.actor import STATION, Actor, may
from careloom.store.audit import Access, record
from careloom.store.blobs import Blobs
from careloom.store.commit import Origin, Write, commit
from careloom.store.database import Connection, Database, DatabaseError, is_transient
from careloom.store.event import Arrival, Event, EventStatus, Receipt
from careloom.store.ledger import Conversion, Stated
from careloom.store.read import Reader
from careloom.store.turn import take_turn

log = structlog.get_logger()

ANSWERED = "A request of a FHIR client was answered when it came; to drive it again changes nothing."

FILES = frozenset({"fhir", "ndjson"})
"""Kinds of arrival that are FHIR already."""


def accept(database: Database, settings: Settings, arrival: Arrival, now: datetime) -> Receipt:
    """Keep and take in; return the receipt. Raises OutcomeError only if the arrival could not even be kept."""
    return retried(lambda: _accept(database, settings, arrival, now))


def drive(database: Database, settings: Settings, event_id: int, actor: Actor, now: datetime) -> Receipt:
    """Map a kept event again. Raises OutcomeError(forbidden) without the right `event.drive`."""
    if not may(actor, "event.drive"):
        raise OutcomeError(Issue("forbidden", "Your role may not drive a message again."))
    return retried(lambda: _drive(database, settings, event_id, actor, now))


def _accept(database: Database, settings: Settings, arrival: Arrival, now: datetime) -> Receipt:
    with database.connection() as connection:
        if arrival.kind in MAPPERS:
            take_turn(connection, arrival.source)
        receipt = events.keep(connection, arrival, now, Blobs(settings.home / "blobs"))
        if receipt.is_duplicate:
            log.info("event_resent", event_id=receipt.event_id, source=arrival.source)
            return receipt
        event = Event(
            id=receipt.event_id,
            source=arrival.source,
            kind=arrival.kind,
            body=arrival.body,
            key=arrival.key,
            received=arrival.received or now,
            status="received",
            media=arrival.media,
        )
        taken = _take_in(connection, settings, event, now)
        return replace(taken, issues=receipt.issues + taken.issues)


def _drive(database: Database, settings: Settings, event_id: int, actor: Actor, now: datetime) -> Receipt:
    with database.connection() as connection:
        event = events.event(connection, event_id, actor, Blobs(settings.home / "blobs"))
        take_turn(connection, event.source)
        if event.kind == IMPORT:
            import_again(connection, actor, now, event)
            return Receipt(event.id, "received")
        if event.request:
            # What was asked has been done and answered: done twice, it would create twice, or undo what came later.
            issue = Issue("informational", ANSWERED, severity="information")
            events.settle(connection, event.id, event.status, [issue], agent=AGENT)
            return Receipt(event.id, event.status, issues=(issue,))
        return _take_in(connection, settings, event, now)


def _take_in(connection: Connection, settings: Settings, event: Event, now: datetime) -> Receipt:
    conversion = Conversion(())
    issues: tuple[Issue, ...]
    changed = 0
    try:
        with connection.transaction():
            if event.kind in FILES:
                conversion, changed = commit_file(connection, event, now, demand_of(settings))
            else:
                conversion = _converted(connection, settings, event)
                changed = _committed(connection, conversion, event, now, demand_of(settings))
        issues = conversion.issues
    except OutcomeError as error:
        if is_transient(error):
            raise  # A race was lost: nothing is wrong with the message, it is taken in again.
        issues = conversion.issues + error.issues
    except (ArithmeticError, AttributeError, DatabaseError, LookupError, TypeError, ValueError) as error:
        if is_transient(error):
            raise
        # A slip in a mapper must not stop the feed: the bytes are kept, and a person sees which message it was.
        log.error("event_mapping_failed", event_id=event.id, error=place_of(error))  # noqa: TRY400 - a traceback may hold values
        issues = (Issue("exception", f"The map for {event.kind} failed ({type(error).__name__})."),)
    is_bad = any(issue.is_error for issue in issues)
    status: EventStatus = "quarantined" if is_bad else "done"
    events.settle(connection, event.id, status, issues, conversion.ledger, conversion.agent)
    if not is_bad and event.kind == "hl7v2":
        outbox.post(connection, destinations_of(settings), event.id, now)
    outcome = 4 if is_bad else 0
    record(connection, Access(now, event.source, "operation", outcome, event_id=event.id, number=changed))
    log.info("event_taken_in", event_id=event.id, source=event.source, status=status)
    return Receipt(event.id, status, issues=issues, resources=changed)


def _converted(connection: Connection, settings: Settings, event: Event) -> Conversion:
    target = MAPPERS.get(event.kind)
    if target is None:
        raise OutcomeError(Issue("not-supported", f"No map is registered for messages of kind {event.kind}."))
    conversion: Conversion = load(target)(
        event, Reader(connection, STATION).resource, zone=ZoneInfo(settings.time_zone)
    )
    return conversion


def _committed(
    connection: Connection, conversion: Conversion, event: Event, now: datetime, demand: Demand
) -> int:
    """Commit what a conversion without errors states; return how many versions it made."""
    if any(issue.is_error for issue in conversion.issues):
        return 0
    resources = merged(conversion.stated, Reader(connection, STATION).resource)
    issues = [issue for resource in resources for issue in validate(resource)]
    if not issues:
        issues = [issue for resource in resources for issue in demand.faults(resource)]
    if any(issue.is_error for issue in issues):
        raise OutcomeError(*issues)
    origin = Origin(now, event.source, conversion.agent, event.id)
    done = commit(connection, [Write(resource) for resource in resources], origin)
    return sum(one.is_changed for one in done)


def merged(stated: tuple[Stated, ...], current: Callable[[str, str], Resource | None]) -> list[Resource]:
    """The resources to commit: `whole` replaces, `partial` creates or fills absent elements, never overwrites.

    >>> known = {"resourceType": "Patient", "id": "1", "gender": "female"}
    >>> mention = Stated({"resourceType": "Patient", "id": "1", "gender": "other", "active": True}, "partial")
    >>> merged((mention,), lambda rtype, id: known)
    [{'resourceType': 'Patient', 'id': '1', 'gender': 'female', 'active': True}]
    """
    result: dict[tuple[str, str], Resource] = {}
    for one in stated:
        key = (one.resource["resourceType"], one.resource["id"])
        if one.extent == "whole":
            result[key] = one.resource
            continue
        known = result.get(key) or current(*key)
        result[key] = one.resource if known is None else known | _absent(one.resource, known)
    return list(result.values())


def _absent(mention: Resource, known: Resource) -> Resource:
    # A choice (value[x]) that is known with one type must not gain a second.
    return {
        name: value
        for name, value in mention.items()
        if name not in known and not has_other_choice(known, name)
    }
