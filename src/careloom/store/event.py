"""store.event: one arrival, byte for byte, kept for ever: the words for it that every room uses.

Room: store. May import: fhir. What keeps them in PostgreSQL is store.events.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from careloom.fhir.outcome import Issue

EventStatus = Literal["received", "done", "quarantined", "superseded"]
"""received: kept, not yet mapped; done: its resources are committed; quarantined: a person must look."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """Bytes at the door: what a listener hands to flow."""

    source: str
    """Which system sent it (`ehr`, `lab` ...)."""
    kind: str
    """How to read it: a key of registry.MAPPERS (`hl7v2`), `fhir` (a bundle or resource), `ndjson`, or `import` (NDJSON
    of any size, taken in by a job)."""
    body: bytes
    key: str = ""
    """The sender's own id of it (MSH-10, a file's hash); a resend has the same source, key and body."""
    received: datetime | None = None
    media: str = ""
    """The media type that it came with; "" where the way of transport has none."""
    request: str = ""
    """Of a request of a FHIR client, its method and address (`PATCH Patient/7`): it was answered when it came."""


@dataclass(frozen=True, slots=True)
class Event:
    """One kept arrival."""

    id: int
    source: str
    kind: str
    body: bytes
    key: str
    received: datetime
    status: EventStatus
    attempts: int = 0
    issues: tuple[Issue, ...] = ()
    media: str = ""
    """The media type that it came with; "" where the way of transport has none."""
    request: str = ""
    """Of a request of a FHIR client, its method and address (`PATCH Patient/7`): it was answered when it came."""
    size: int = 0
    """Of what came, in bytes; where it is too much for the memory, `body` is only its beginning."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What flow answers when an arrival is kept; a listener makes its ACK of it."""

    event_id: int
    status: EventStatus
    is_duplicate: bool = False
    issues: tuple[Issue, ...] = field(default=())
    resources: int = 0
    """How many resources its commit created or changed."""
