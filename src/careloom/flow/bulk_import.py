"""flow.bulk_import: one step of an import: the next lines of an NDJSON file, committed.

Room: flow. Touches: `home/blobs`. Standard: https://hl7.org/fhir/R4/nd-json.html

A line is a resource or, as an export tells deletions, a transaction of them. A resource keeps its id, and one that stands with the same content makes no version: to import a file twice, or to do
a killed step again, changes nothing. A line that cannot be taken is named, and the others are taken all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, BinaryIO

import msgspec
from msgspec import structs

from careloom.fhir import bundle as bundles
from careloom.fhir.bundle import Entry
from careloom.fhir.outcome import Issue, OutcomeError
from careloom.flow.file import entry_of
from careloom.flow.guides import demand_of
from careloom.flow.interaction import AGENT
from careloom.flow.transaction import commit_entries
from careloom.settings import Settings
from careloom.store import events
from careloom.store.actor import Actor
from careloom.store.blobs import Blobs
from careloom.store.commit import Origin
from careloom.store.database import Connection, is_transient
from careloom.store.jobs import Job, Step

STEP = 1_000
"""Lines in one step at most."""
STEP_BYTES = 4 << 20
"""Bytes after which a step takes no further line."""
MOST_LINE = 32 << 20
"""Bytes of one line."""
MOST_TOLD = 1_000
"""Faults that are told of one import; more are counted and not told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """What is to be imported: the request of the job."""

    actor: str
    roles: tuple[str, ...]
    url: str
    blob: str
    size: int
    event_id: int


@dataclass(slots=True)
class State:
    """How far it is."""

    offset: int = 0
    line: int = 0
    changed: int = 0
    """Versions that were made."""
    refused: int = 0


def state_of(job: Job) -> State:
    """The state of an import job."""
    return msgspec.convert(job.state, State)


def step(connection: Connection, settings: Settings, job: Job, now: datetime) -> Step:
    """Commit the next lines; the last step comes to the end of the file."""
    asked, state = msgspec.convert(job.request, Import), state_of(job)
    with Blobs(settings.home / "blobs").path(asked.blob).open("rb") as file:
        file.seek(state.offset)
        lines = _next(file)
        state.offset = file.tell()
    actor = Actor(asked.actor, frozenset(asked.roles))
    origin = Origin(now, asked.actor, AGENT, asked.event_id)

    def take(entries: Sequence[Entry]) -> None:
        with connection.transaction():
            state.changed += commit_entries(connection, entries, actor, origin, "import", demand_of(settings))

    issues = _taken(lines, state, take)
    state.line += len(lines)
    is_last = state.offset >= asked.size
    if is_last:
        status = "quarantined" if state.refused else "done"
        events.settle(connection, asked.event_id, status, [*job.issues, *issues][:MOST_TOLD], agent=AGENT)
    told: dict[str, Any] = msgspec.to_builtins(state)
    room = max(0, MOST_TOLD - len(job.issues))
    return Step(told, state.offset, asked.size, is_last=is_last, issues=tuple(issues[:room]))


def _next(file: BinaryIO) -> list[bytes | None]:
    """The next lines, as many as one step takes; None: a line too long to be read."""
    lines: list[bytes | None] = []
    size = 0
    while len(lines) < STEP and size < STEP_BYTES:
        line = file.readline(MOST_LINE + 1)
        if not line:
            break
        size += len(line)
        lines.append(line if len(line) <= MOST_LINE else None)
        while len(line) > MOST_LINE and not line.endswith(b"\n"):
            line = file.readline(MOST_LINE + 1)
    return lines


def _taken(
    lines: Sequence[bytes | None], state: State, take: Callable[[Sequence[Entry]], None]
) -> list[Issue]:
    """Commit the lines together or, where that cannot be done, one by one; what was wrong with which."""
    numbered = [
        (state.line + index, line) for index, line in enumerate(lines) if line is None or line.strip()
    ]
    try:
        take(_indexed(entry for number, line in numbered for entry in _entries(number, line)))
    except OutcomeError as error:
        if is_transient(error):
            raise
    else:
        return []
    issues: list[Issue] = []
    for number, line in numbered:
        try:
            take(_indexed(_entries(number, line)))
        except OutcomeError as error:
            if is_transient(error):
                raise
            state.refused += 1
            first = error.issues[0]
            place = first.expression.rpartition("].resource.")[2]
            issues.append(Issue(first.code, f"Line {number + 1}: {first.text}", place))
    return issues


def _indexed(entries: Iterable[Entry]) -> list[Entry]:
    return [structs.replace(entry, index=index) for index, entry in enumerate(entries)]


def _entries(number: int, line: bytes | None) -> list[Entry]:
    """The resource of a line, or the deletions of a Bundle, as the `deleted` file of an export has them."""
    if line is None:
        raise OutcomeError(Issue("too-long", f"A line may have {MOST_LINE} bytes."))
    entry = entry_of(number, line)
    if entry.rtype == "Bundle":
        bundle = bundles.read(entry.body or b"")
        if bundle.type == "transaction" and all(_is_deletion(one) for one in bundle.entries):
            return list(bundle.entries)
    if not entry.id:
        raise OutcomeError(Issue("required", "A resource to import needs its id.", f"{entry.rtype}.id"))
    return [entry]


def _is_deletion(entry: Entry) -> bool:
    return entry.method == "DELETE" and "?" not in entry.url
