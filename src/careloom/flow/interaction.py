"""flow.interaction: create, update and delete of one resource, as FHIR has them.

Room: flow. Standard: https://hl7.org/fhir/R4/http.html
The bytes that came are kept as an Event, so that each version leads back to what brought it. What is refused leaves
nothing behind.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime

from careloom.fhir.outcome import Issue, OutcomeError
from careloom.fhir.resource import Resource, dumps, loads
from careloom.fhir.validate import validate
from careloom.flow.retry import retried
from careloom.store import events
from careloom.store.actor import Actor, may
from careloom.store.audit import Access, record
from careloom.store.blobs import Blobs
from careloom.store.commit import Committed, Origin, Write, commit
from careloom.store.database import Connection, Database
from careloom.store.event import Arrival
from careloom.store.read import Reader

Key = tuple[str, str]
"""(resource type, id)"""


@dataclass(frozen=True, slots=True)
class Desk:
    """What an interaction is done with: the database, the blobs of large Events, who asks, and when."""

    database: Database
    blobs: Blobs
    actor: Actor
    now: datetime


def create(desk: Desk, rtype: str, body: bytes) -> Committed:
    """Commit a new resource under an id that careloom assigns. Raises OutcomeError."""
    resource = checked(body, rtype)
    resource["id"] = new_id(desk.now)
    return _committed(desk, Write(resource, body, "create"), body)


def update(desk: Desk, key: Key, body: bytes | Resource, *, if_match: int | None = None) -> Committed:
    """Commit a version of the resource with this type and id, or create it there. Raises OutcomeError."""
    rtype, id_ = key
    raw = body if isinstance(body, bytes) else dumps(body)
    resource = checked(raw, rtype)
    if resource.get("id") != id_:
        raise OutcomeError(
            Issue("invalid", "The id in the body must be the id in the address.", f"{rtype}.id")
        )
    return _committed(desk, Write(resource, raw, "put", if_match), raw)


def delete(desk: Desk, key: Key, *, if_match: int | None = None) -> Committed:
    """Delete a resource; its versions stay in its history. Raises OutcomeError."""
    rtype, id_ = key
    write = Write({"resourceType": rtype, "id": id_}, None, "delete", if_match)
    return _committed(desk, write, b"")


def checked(body: bytes, rtype: str = "") -> Resource:
    """The resource in these bytes, validated. Raises OutcomeError that names element and cause."""
    resource = loads(body)
    if not isinstance(resource, dict):
        raise OutcomeError(Issue("structure", "The body must be one resource, a JSON object."))
    if rtype and resource.get("resourceType") != rtype:
        text = f"The body must be a {rtype}, as the address says."
        raise OutcomeError(Issue("invalid", text, "resourceType"))
    issues = [issue for issue in validate(resource) if issue.is_error]
    if issues:
        raise OutcomeError(*issues)
    return resource


def require_right(actor: Actor, rtype: str) -> None:
    """Raise OutcomeError(forbidden) unless the actor may write this type."""
    if not (may(actor, "clinical.write") or (rtype == "Task" and may(actor, "task.write"))):
        raise OutcomeError(Issue("forbidden", f"Your role may not write a {rtype}."))


def require_visible(connection: Connection, actor: Actor, written: list[Committed]) -> None:
    """Raise OutcomeError(forbidden) if an actor who sees only some patients wrote about another one."""
    if actor.patients is None:
        return
    read = Reader(connection, actor)
    for one in written:
        if read.version(one.rtype, one.id, one.version) is None:
            raise OutcomeError(Issue("forbidden", "This is not about a patient whose record you may change."))


def new_id(now: datetime) -> str:
    """A UUID of version 7 (RFC 9562): ids made one after the other lie side by side in an index."""
    milliseconds = int(now.timestamp() * 1000)
    bits = milliseconds << 80 | 0x7 << 76 | secrets.randbits(12) << 64 | 0b10 << 62 | secrets.randbits(62)
    text = f"{bits:032x}"
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def _committed(desk: Desk, write: Write, body: bytes) -> Committed:
    actor, now = desk.actor, desk.now
    require_right(actor, write.resource["resourceType"])

    def once() -> Committed:
        with desk.database.connection() as connection:
            event_id = None
            if body:
                receipt = events.keep(connection, Arrival(actor.id, "fhir", body), now, desk.blobs)
                event_id = receipt.event_id
                events.settle(connection, event_id, "done", agent="fhir")
            written = commit(connection, [write], Origin(now, actor.id, "fhir", event_id))
            require_visible(connection, actor, written)
            record(connection, _access(write, written[0], actor, now, event_id))
            return written[0]

    return retried(once)


def _access(write: Write, done: Committed, actor: Actor, now: datetime, event_id: int | None) -> Access:
    deed = "delete" if write.verb == "delete" else "create" if done.is_created else "update"
    return Access(
        now, actor.id, deed, what=f"{done.rtype}/{done.id}", event_id=event_id, number=int(done.is_changed)
    )
