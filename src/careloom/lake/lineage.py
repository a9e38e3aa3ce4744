"""lake.lineage: from a cell of the lake to the version of the resource, its Event, and the field of it that says so.

Room: lake. May import: lake.lake, store.read, store.events, fhir. Everything is read as an actor.

A version may say what an earlier one said already: the field is looked for from the version in the lake backwards, as
long as the cell has the same value. For a format with a loss ledger (HL7 v2) the ledger knows the field; what came as
FHIR is the same element of the entry, or line, that the resource came in, or the operation of a patch (lake.stated).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from careloom.fhir.outcome import Issue, OutcomeError
from careloom.lake.lake import Lake
from careloom.lake.stated import LINES, UNTOLD, Version, stated
from careloom.lake.trail import Found, How, trail, value_at
from careloom.store import events
from careloom.store.actor import Actor
from careloom.store.blobs import Blobs
from careloom.store.database import Connection, Database
from careloom.store.event import Event
from careloom.store.read import Reader
from careloom.store.stored import Stored

_FHIR = ("fhir", *LINES)


class Cell(NamedTuple):
    """One cell of the lake."""

    rtype: str
    id: str
    path: str
    """As in FHIRPath: `birthDate`, `name[0].family`, `valueQuantity.value`."""


@dataclass(frozen=True, slots=True)
class Lineage:
    """Where a cell comes from."""

    cell: str
    """`Patient/7.name[0].family`."""
    version: int
    """Of the resource, as it stands in the lake."""
    stated: int
    """The version whose Event states it: this one, or one before that said the same."""
    recorded: datetime
    agent: str
    """What made the version that states it: a mapper, a station, a client."""
    event_id: int | None
    """None: it did not come in a message."""
    source: str
    kind: str
    fields: tuple[str, ...]
    """The fields of the message: `PID-5[1].1`, or `Bundle.entry[3].resource.birthDate`; empty: a room of careloom made it."""
    how: How
    """In what way they state it: see lake.trail."""


def lineage(database: Database, lake: Lake, actor: Actor, cell: Cell, blobs: Blobs | None = None) -> Lineage:
    """Where a cell comes from. Raises OutcomeError: not-found (no such table, row, or value in it), forbidden."""
    with lake.connection(actor, types=[cell.rtype]) as duck:
        rows = duck.execute(f'select version_id from "{cell.rtype}" where id = ?', [cell.id]).fetchall()
    if not rows:
        raise OutcomeError(Issue("not-found", f"The table {cell.rtype} has no current row with this id."))
    # A decimal has its digits in a column beside it; both are one element.
    path = cell.path.removesuffix("_text")
    with database.connection() as connection:
        told = list(_versions(Reader(connection, actor), cell, rows[0][0], path))
        if not told:
            raise OutcomeError(Issue("not-found", "This cell is empty, or there is no such column."))
        best = told[-1], _event(connection, told[-1], actor, blobs), Found((), "none")
        for stored in told:
            event = _event(connection, stored, actor, blobs)
            found = _found(connection, event, actor, stored, path) if event else Found((), "none")
            # A message that states the element itself says more than one that speaks of the resource only.
            if not best[2].fields or (found.fields and found.how != "resource"):
                best = stored, event, found
            if found.fields and found.how != "resource":
                break
        return _told(told[0], path, *best)


def _event(connection: Connection, stored: Stored, actor: Actor, blobs: Blobs | None) -> Event | None:
    return None if stored.event_id is None else events.event(connection, stored.event_id, actor, blobs)


def _versions(read: Reader, cell: Cell, newest: int, path: str) -> Iterator[Stored]:
    """The versions that say the same as the newest, one after the other backwards."""
    wanted: Any = None
    for number in range(newest, 0, -1):
        stored = read.version(cell.rtype, cell.id, number)
        if stored is None or stored.is_deleted:
            return
        value = value_at(stored.resource(), path)
        if number == newest:
            wanted = value
        if value is None or value != wanted:
            return
        yield stored


def _told(newest: Stored, path: str, stored: Stored, event: Event | None, found: Found) -> Lineage:
    return Lineage(
        cell=f"{stored.rtype}/{stored.id}.{path}",
        version=newest.version,
        stated=stored.version,
        recorded=stored.last_updated,
        agent=stored.agent or stored.actor_id,
        event_id=stored.event_id,
        source=event.source if event else "",
        kind=event.kind if event else "",
        fields=found.fields,
        how=found.how,
    )


def _found(connection: Connection, event: Event, actor: Actor, stored: Stored, path: str) -> Found:
    if event.kind not in _FHIR:
        lines = events.ledger(connection, event.id, actor)
        # A message without a ledger tells nothing of its fields.
        return trail(lines, stored.resource(), path, Reader(connection, actor)) if lines else UNTOLD
    reader = Reader(connection, actor)
    before = reader.version(stored.rtype, stored.id, stored.version - 1)
    is_there = before is not None and not before.is_deleted
    version = Version(stored.resource(), before.resource() if before is not None and is_there else None)
    return stated(event, version, path)
