"""store.ledger: what became of each non-empty field of an Event: mapped, kept raw, or rejected with a reason.

Room: store. May import: fhir.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from careloom.fhir.outcome import Issue
from careloom.fhir.resource import Resource

Fate = Literal["mapped", "kept_raw", "rejected"]


@dataclass(frozen=True, slots=True)
class LedgerLine:
    """The fate of one field. `where` is `PID-5[1].2` (segment, field, repetition, component), with the
    segment's ordinal before it when it repeats: `OBX#3-5`."""

    where: str
    fate: Fate
    target: str = ""
    """For mapped: `Patient/<id>.name[0].given[0]`; for kept_raw and rejected: the reason."""


@dataclass(frozen=True, slots=True)
class Stated:
    """A resource that an Event states, and how much of it the Event knows.

    whole: the sender's full view of it; it replaces what this source said before.
    partial: what a passing mention knows; it creates, or fills elements that are absent, and never overwrites.
    """

    resource: Resource
    extent: Literal["whole", "partial"] = "whole"


@dataclass(frozen=True, slots=True)
class Conversion:
    """What a mapper returns: resources with deterministic ids, the ledger, and issues (errors quarantine it)."""

    stated: tuple[Stated, ...]
    ledger: tuple[LedgerLine, ...] = ()
    issues: tuple[Issue, ...] = field(default=())
    agent: str = ""
    """Name and version of the mapper: `hl7v2/1`."""
