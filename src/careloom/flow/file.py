"""flow.file: FHIR that comes as a file or message: a bundle of any kind, one resource, or NDJSON.

Room: flow. Standard: https://hl7.org/fhir/R4/bundle.html
"""

from __future__ import annotations

from datetime import datetime

import msgspec

from careloom.fhir import bundle as bundles
from careloom.fhir.bundle import Bundle, Entry
from careloom.fhir.content import as_json
from careloom.fhir.outcome import Issue, OutcomeError
from careloom.fhir.resource import head_of, minify
from careloom.flow.guides import Demand
from careloom.flow.interaction import AGENT
from careloom.flow.transaction import commit_entries
from careloom.store.actor import Actor
from careloom.store.commit import Origin
from careloom.store.database import Connection
from careloom.store.event import Event
from careloom.store.ledger import Conversion


def commit_file(
    connection: Connection, event: Event, now: datetime, demand: Demand
) -> tuple[Conversion, int]:
    """Commit all resources of the event, or none; return how many versions it made. Raises OutcomeError."""
    actor = Actor(event.source, frozenset({"source"}))
    origin = Origin(now, event.source, AGENT, event.id)
    key = event.key or f"event-{event.id}"
    changed = commit_entries(connection, _entries(event), actor, origin, key, demand)
    return Conversion((), agent=AGENT), changed


def _entries(event: Event) -> list[Entry]:
    if event.kind == "ndjson":
        lines = [line for line in event.body.split(b"\n") if line.strip()]
        return [entry_of(index, line) for index, line in enumerate(lines)]
    alone = entry_of(0, as_json(event.body, event.media))
    return _within(bundles.read(alone.body or b"")) if alone.rtype == "Bundle" else [alone]


def _within(bundle: Bundle) -> list[Entry]:
    """What a bundle asks for; one that is none to run (a collection, an answer) merely holds resources."""
    if bundle.type not in {"transaction", "batch"}:
        return [Entry(e.index, e.full_url, e.body, e.rtype, e.id) for e in bundle.entries]
    # A create names no place of its own in a file; what changes or removes must say rightly what.
    issues = [
        issue
        for index, some in bundle.faults.items()
        if bundle.entries[index].method in {"PATCH", "DELETE"}
        for issue in some
    ]
    if issues:
        raise OutcomeError(*issues)
    return list(bundle.entries)


def entry_of(index: int, raw: bytes) -> Entry:
    """One resource as an entry without a request. Raises OutcomeError(structure)."""
    body = minify(raw)
    try:
        head = head_of(body)
    except msgspec.DecodeError:
        raise OutcomeError(
            Issue("structure", f"Item {index + 1} is not a resource, a JSON object.")
        ) from None
    return Entry(index, body=body, rtype=head.resourceType, id=head.id)
