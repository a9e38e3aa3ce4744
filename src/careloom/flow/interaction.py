"""flow.interaction: create, update, patch and delete of one resource, by its address or by a condition.

Room: flow. Standard: https://hl7.org/fhir/R4/http.html
The bytes that came are kept as an Event, so that each version leads back to what brought it. What is refused leaves
nothing behind.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args

import msgspec

from careloom.fhir.bundle import Entry
from careloom.fhir.outcome import Issue, OutcomeError
from careloom.fhir.resource import Head, head_of, minify
from careloom.flow.guides import Demand
from careloom.flow.retry import retried
from careloom.flow.writes import ALONE, require_right, written
from careloom.store import events
from careloom.store.actor import Actor
from careloom.store.audit import Access, Interaction, record
from careloom.store.blobs import Blobs
from careloom.store.commit import Committed, Origin
from careloom.store.database import Database
from careloom.store.event import Arrival

AGENT = "fhir"
Returns = Literal["minimal", "representation", "OperationOutcome"]
"""What the header Prefer may ask for (https://hl7.org/fhir/R4/http.html#return)."""
MOST_MEDIA = 200
"""Characters of a media type that are kept."""


RETURNS: dict[str, Returns] = {one: one for one in get_args(Returns)}


@dataclass(frozen=True, slots=True)
class Desk:
    """What an interaction is done with: the database, the blobs of large Events, who asks, and when."""

    database: Database
    blobs: Blobs
    actor: Actor
    now: datetime
    demand: Demand
    """What the store demands of whatever comes in; a desk without it cannot be made."""
    base: str = ""
    """The address of this server as the client knows it: what lies below it lies here."""
    returns: Returns = "minimal"
    """What of the resources a response to a bundle brings along."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """The headers that an interaction may hang on; "" where there is none."""

    if_match: str = ""
    if_none_match: str = ""
    if_none_exist: str = ""


NO_GUARD = Guard()


@dataclass(frozen=True, slots=True)
class Came:
    """A body as the client sent it (in XML, say: what its Event is to hold), where to, and what is to come back."""

    body: bytes
    media: str = ""
    base: str = ""
    """The address of this server as the client knows it: what lies below it lies here."""
    returns: Returns = "minimal"
    """What of the resources a response to a bundle brings along."""


def interact(
    desk: Desk, method: str, url: str, body: bytes = b"", guard: Guard = NO_GUARD, came: Came | None = None
) -> Committed | None:
    """Do one interaction; `url` is `Type`, `Type/id` or `Type?condition`. None: a delete that matched nothing.

    Raises OutcomeError; then nothing of it is stored.
    """
    rtype = url.partition("?")[0].partition("/")[0]
    require_right(desk.actor, rtype)
    entry = _entry(method, url, body, guard)

    def once() -> Committed | None:
        with desk.database.connection() as connection:
            event_id = None
            if body:
                arrival = arrival_of(desk.actor.id, f"{method} {url}", came or Came(body))
                event_id = events.keep(connection, arrival, desk.now, desk.blobs).event_id
                events.settle(connection, event_id, "done", agent=AGENT)
            origin = Origin(desk.now, desk.actor.id, AGENT, event_id)
            done = written(connection, [entry], desk.actor, origin, desk.demand, desk.base).get(entry.index)
            record(connection, _access(desk, rtype, method, done, event_id))
            return done

    return retried(once)


def arrival_of(source: str, request: str, came: Came) -> Arrival:
    """A request of a FHIR client as what is kept of it."""
    return Arrival(source, AGENT, came.body, media=came.media[:MOST_MEDIA], request=request)


def _entry(method: str, url: str, body: bytes, guard: Guard) -> Entry:
    rtype, _, id_ = url.partition("?")[0].partition("/")
    head = Head()
    if method in {"POST", "PUT"}:
        body = minify(body)
        head = _head_of(body)
        if head.resourceType != rtype:
            text = f"The body must be a {rtype}, as the address says."
            raise OutcomeError(Issue("invalid", text, "resourceType"))
        if method == "PUT" and "?" not in url and head.id != id_:
            raise OutcomeError(
                Issue("invalid", "The id in the body must be the id in the address.", f"{rtype}.id")
            )
    return Entry(
        ALONE,
        body=body or None,
        rtype=rtype,
        id=head.id,
        method=method,
        url=url,
        if_match=guard.if_match,
        if_none_match=guard.if_none_match,
        if_none_exist=guard.if_none_exist,
    )


def _head_of(body: bytes) -> Head:
    try:
        return head_of(body)
    except msgspec.DecodeError:
        text = "The body must be one resource: a JSON object with a resourceType."
        raise OutcomeError(Issue("structure", text)) from None


def _access(desk: Desk, rtype: str, method: str, done: Committed | None, event_id: int | None) -> Access:
    deeds: dict[str, Interaction] = {"DELETE": "delete", "PATCH": "patch"}
    deed = deeds.get(method) or ("create" if done and done.is_created else "update")
    what = f"{done.rtype}/{done.id}" if done else rtype
    number = int(done.is_changed) if done else 0
    return Access(desk.now, desk.actor.id, deed, what=what, event_id=event_id, number=number)
