"""flow.bulk: begins exports and imports; flow.job carries them on.

Room: flow. Standard: https://hl7.org/fhir/uv/bulkdata/STU2/export.html
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import msgspec

from careloom.fhir.instant import instant
from careloom.fhir.outcome import Issue, OutcomeError
from careloom.flow.bulk_export import Export, filters_of
from careloom.flow.bulk_import import Import
from careloom.flow.interaction import Desk
from careloom.store import events, jobs, snapshot
from careloom.store.actor import Actor, may
from careloom.store.audit import Access, record
from careloom.store.blobs import Blob
from careloom.store.database import Connection
from careloom.store.event import Arrival, Event

NDJSON = "application/fhir+ndjson"
KIND = "import"
"""Of the Event of an import: its bytes may be more than a mapper could hold."""


@dataclass(frozen=True, slots=True)
class Shape:
    """In what shape the resources of an export are told, and which of them."""

    elements: tuple[str, ...] = ()
    filters: tuple[str, ...] = ()
    has_provenance: bool = False


WHOLE = Shape()


def begin_export(desk: Desk, url: str, scope: snapshot.Scope, shape: Shape = WHOLE) -> str:
    """Add the job of an export; what the actor may not see is not exported. Raises OutcomeError(forbidden)."""
    actor = desk.actor
    if not may(actor, "bulk"):
        raise OutcomeError(Issue("forbidden", "Your role may not export."))
    filters_of(shape.filters)
    with desk.database.connection() as connection:
        asked = Export(
            actor=actor.id,
            roles=tuple(sorted(actor.roles)),
            visible=None if actor.patients is None else tuple(sorted(actor.patients)),
            url=url,
            at=snapshot.place(connection),
            time=instant(desk.now),
            types=tuple(sorted(scope.types)),
            since=scope.since,
            elements=shape.elements,
            filters=shape.filters,
            has_provenance=shape.has_provenance,
            patients=None if scope.patients is None else tuple(scope.patients),
        )
        record(connection, Access(desk.now, actor.id, "operation", what="$export"))
        return jobs.enqueue(connection, "export", actor.id, msgspec.to_builtins(asked), desk.now)


def begin_import(desk: Desk, url: str, blob: Blob) -> str:
    """Keep the file as an Event and add the job of its import. Raises OutcomeError(forbidden)."""
    require_import(desk.actor)
    with desk.database.connection() as connection:
        event_id = events.keep_blob(
            connection, Arrival(desk.actor.id, KIND, b"", media=NDJSON), blob, desk.now
        )
        return _import(connection, desk.actor, desk.now, url, blob, event_id)


def import_again(connection: Connection, actor: Actor, now: datetime, event: Event) -> str:
    """Add the job of an import once more: what it refused may be taken now. Raises OutcomeError(forbidden)."""
    require_import(actor)
    digest = events.digest(connection, event.id)
    return _import(connection, actor, now, f"Event/{event.id}", Blob(digest, event.size), event.id)


def require_import(actor: Actor) -> None:
    """Raise OutcomeError(forbidden) unless the actor may import: before the file is sent, and again when it is there."""
    if actor.patients is not None or not (may(actor, "bulk") and may(actor, "clinical.write")):
        raise OutcomeError(Issue("forbidden", "Your role may not import."))


def _import(connection: Connection, actor: Actor, now: datetime, url: str, blob: Blob, event_id: int) -> str:
    asked = Import(
        actor=actor.id,
        roles=tuple(sorted(actor.roles)),
        url=url,
        blob=blob.name,
        size=blob.size,
        event_id=event_id,
    )
    record(connection, Access(now, actor.id, "operation", what="$import", event_id=event_id))
    return jobs.enqueue(connection, "import", actor.id, msgspec.to_builtins(asked), now)
