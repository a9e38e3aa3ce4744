"""flow.bulk_export: one step of an export: the next resources of a snapshot, appended to a file for each type.

Room: flow. Touches: `home/exports`. Standard: https://hl7.org/fhir/uv/bulkdata/STU2/export.html

The state holds how long each file is. A step first cuts each file to that length, so that what a killed step had
written already is written once; and it forces the files to disk before its transaction says that they are there.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from careloom.fhir.clause import Criterion
from careloom.fhir.matching import matches
from careloom.fhir.outcome import Issue, OutcomeError
from careloom.fhir.resource import dumps
from careloom.fhir.summary import with_elements
from careloom.flow.references import search_of
from careloom.settings import Settings
from careloom.store import snapshot
from careloom.store.actor import Actor
from careloom.store.database import Connection
from careloom.store.jobs import Job, Step
from careloom.store.provenance import provenance_of
from careloom.store.stored import Stored

STEP = 2_000
"""Resources in one step: about a second of work."""

DELETED = "deleted"
"""The file of deletions: Bundles, as the standard has it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """What was asked for: the request of the job."""

    actor: str
    roles: tuple[str, ...]
    visible: tuple[str, ...] | None
    """The patients that the actor is held to; None: all."""
    url: str
    at: int
    """The place of the snapshot in the feed."""
    time: str
    """transactionTime."""
    types: tuple[str, ...] = ()
    since: datetime | None = None
    elements: tuple[str, ...] = ()
    patients: tuple[str, ...] | None = None
    has_provenance: bool = False
    """Whether the Provenance of each version stands beside it."""
    filters: tuple[str, ...] = ()
    """_typeFilter: `Type?search`; of a type that has some, a resource must meet one."""

    @property
    def scope(self) -> snapshot.Scope:
        """The part of the snapshot."""
        return snapshot.Scope(self.types, self.since, self.patients)


@dataclass(slots=True)
class State:
    """How far it is."""

    after: int = 0
    total: int | None = None
    files: dict[str, list[int]] = field(default_factory=dict[str, list[int]])
    """Name of a file (a type) -> its bytes and its lines."""


def state_of(job: Job) -> State:
    """The state of an export job."""
    return msgspec.convert(job.state, State)


def folder_of(settings: Settings, job_id: str) -> Path:
    """Where the files of an export lie."""
    return settings.home / "exports" / job_id


def folders(settings: Settings) -> list[str]:
    """The jobs that have a folder of files."""
    home = settings.home / "exports"
    return sorted(path.name for path in home.iterdir()) if home.is_dir() else []


def remove(settings: Settings, job_id: str) -> None:
    """Remove the files of an export."""
    shutil.rmtree(folder_of(settings, job_id), ignore_errors=True)


def step(connection: Connection, settings: Settings, job: Job, now: datetime) -> Step:  # noqa: ARG001 - as all steps
    """Write the next resources; the last step finds none."""
    export, state = msgspec.convert(job.request, Export), state_of(job)
    if not snapshot.is_settled(connection, export.at):
        return Step(job.state, job.done, job.total, is_idle=True)
    if state.total is None:
        state.total = snapshot.size(connection, export.at, export.scope)
    actor = Actor(
        export.actor, frozenset(export.roles), None if export.visible is None else frozenset(export.visible)
    )
    found = snapshot.snapshot(connection, actor, export.at, export.scope, state.after, STEP)
    lines: dict[str, list[bytes]] = {}
    filters = filters_of(export.filters)
    for stored in found:
        if not stored.is_deleted and not _passes(filters.get(stored.rtype), stored):
            continue
        name = DELETED if stored.is_deleted else stored.rtype
        lines.setdefault(name, []).append(_line(stored, export.elements))
        if export.has_provenance and not stored.is_deleted:
            lines.setdefault("Provenance", []).append(dumps(provenance_of(stored)))
    _append(folder_of(settings, job.id), state, lines)
    if found:
        state.after = found[-1].seq
    told: dict[str, Any] = msgspec.to_builtins(state)
    return Step(told, job.done + len(found), state.total, is_last=len(found) < STEP)


def filters_of(texts: Sequence[str]) -> dict[str, list[tuple[Criterion, ...]]]:
    """Type -> its filters. Raises OutcomeError for one that is no search, or looks beyond the resource itself."""
    filters: dict[str, list[tuple[Criterion, ...]]] = {}
    for text in texts:
        rtype, _, condition = text.partition("?")
        criteria = search_of(rtype, condition).criteria
        own = tuple(one for one in criteria if isinstance(one, Criterion) and is_own(one))
        if len(own) < len(criteria):
            issue = Issue(
                "not-supported", "A filter asks for elements of the resource itself.", "_typeFilter"
            )
            raise OutcomeError(issue)
        filters.setdefault(rtype, []).append(own)
    return filters


def is_own(criterion: Criterion) -> bool:
    """Whether the resource alone can answer: value sets, hierarchies and what others say of it are asked elsewhere."""
    beyond = {"in", "not-in", "above", "below"}
    return criterion.modifier not in beyond and criterion.parameter.type != "special"


def _passes(filters: list[tuple[Criterion, ...]] | None, stored: Stored) -> bool:
    if not filters:
        return True
    resource = stored.resource()
    return any(all(matches(resource, one) for one in criteria) for criteria in filters)


def _line(stored: Stored, elements: tuple[str, ...]) -> bytes:
    if stored.is_deleted:
        request = {"method": "DELETE", "url": f"{stored.rtype}/{stored.id}"}
        return dumps({"resourceType": "Bundle", "type": "transaction", "entry": [{"request": request}]})
    return dumps(with_elements(stored.resource(), elements)) if elements else stored.body


def _append(folder: Path, state: State, lines: Mapping[str, list[bytes]]) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name, some in lines.items():
        size, count = state.files.get(name, [0, 0])
        written = b"".join(line + b"\n" for line in some)
        with (folder / f"{name}.ndjson").open("ab") as file:
            file.truncate(size)
            file.write(written)
            file.flush()
            os.fsync(file.fileno())
        state.files[name] = [size + len(written), count + len(some)]
