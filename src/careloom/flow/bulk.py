"""flow.bulk: begins exports and imports; flow.job carries them on.

Room: flow. Standard: https://hl7.org/fhir/uv/bulkdata/STU2/export.html
"""

from __future__ import annotations

import msgspec

from careloom.fhir.instant import instant
from careloom.fhir.outcome import Issue, OutcomeError
from careloom.flow.bulk_export import Export, filters_of
from careloom.flow.bulk_import import Import
from careloom.flow.interaction import Desk
from careloom.store import events, jobs, snapshot
from careloom.store.actor import may
from careloom.store.audit import Access, record
from careloom.store.event import Arrival


def begin_export(
    desk: Desk, url: str, scope: snapshot.Scope, elements: tuple[str, ...], filters: tuple[str, ...]
) -> str:
    """Add the job of an export; what the actor may not see is not exported. Raises OutcomeError(forbidden)."""
    actor = desk.actor
    if not may(actor, "bulk"):
        raise OutcomeError(Issue("forbidden", "Your role may not export."))
    filters_of(filters)
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
            elements=elements,
            filters=filters,
            patients=None if scope.patients is None else tuple(scope.patients),
        )
        record(connection, Access(desk.now, actor.id, "operation", what="$export"))
        return jobs.enqueue(connection, "export", actor.id, msgspec.to_builtins(asked), desk.now)


def begin_import(desk: Desk, url: str, body: bytes) -> str:
    """Keep the file as an Event and add the job of its import. Raises OutcomeError(forbidden)."""
    actor = desk.actor
    if actor.patients is not None or not (may(actor, "bulk") and may(actor, "clinical.write")):
        raise OutcomeError(Issue("forbidden", "Your role may not import."))
    blob = desk.blobs.put(body)
    with desk.database.connection() as connection:
        event_id = events.keep(connection, Arrival(actor.id, "ndjson", body), desk.now, desk.blobs).event_id
        asked = Import(
            actor=actor.id,
            roles=tuple(sorted(actor.roles)),
            url=url,
            blob=blob,
            size=len(body),
            event_id=event_id,
        )
        record(connection, Access(desk.now, actor.id, "operation", what="$import", event_id=event_id))
        return jobs.enqueue(connection, "import", actor.id, msgspec.to_builtins(asked), desk.now)
