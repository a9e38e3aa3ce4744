"""flow.parameters: a SearchParameter that is written becomes one by which the store is searched, or leaves.

Room: flow. Standard: https://hl7.org/fhir/R4/searchparameter.html

What a SearchParameter says, the new catalogue and the job that indexes by it are one commit. From then on whoever writes
a resource indexes it by the parameter too. The job first waits for every transaction that may have begun without knowing
so; then it goes through all rows that stand, a few hundred at a step. When none is left, the parameter can be searched by.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from careloom.fhir.outcome import OutcomeError
from careloom.fhir.resource import Resource
from careloom.fhir.searchdefinition import definition_of
from careloom.settings import Settings
from careloom.store import jobs
from careloom.store.catalogue import Entry, added, catalogue_of, changed, entries, restored, retired
from careloom.store.commit import Committed, Write
from careloom.store.database import Connection
from careloom.store.feed import begun, settled
from careloom.store.jobs import Job, Step
from careloom.store.ownindex import claim, extent, finished, passed, work_of

KIND = "search-parameter"
RTYPE = "SearchParameter"
ROWS = 500
"""Rows of one step: some 50 ms."""


def defined(
    connection: Connection, writes: Sequence[Write], done: Sequence[Committed], now: datetime
) -> None:
    """Follow what was just written. Raises OutcomeError for an active SearchParameter that cannot be used here."""
    meant = [write for write, one in zip(writes, done, strict=True) if one.rtype == RTYPE and one.is_changed]
    if not meant:
        return
    changed(connection)
    # What makes room comes before what takes it; composites come after what they are made of.
    wanted = sorted(meant, key=lambda write: (_is_active(write), write.resource.get("type") == "composite"))
    is_work = False
    issues: list[OutcomeError] = []
    for write in wanted:
        try:
            is_work |= _followed(connection, write, now)
        except OutcomeError as error:
            issues.append(error)
    if issues:
        raise OutcomeError(*(issue for error in issues for issue in error.issues))
    if is_work:
        jobs.enqueue(connection, KIND, "careloom", {}, now)


def step(connection: Connection, _settings: Settings, job: Job, _now: datetime) -> Step:
    """One step of indexing by all parameters that came or left before it began."""
    if not job.state:
        rows = claim(connection, job.id)
        return Step({"is_claimed": True}, 0, None if rows else 0, is_last=not rows)
    if "begun" not in job.state:
        # The transaction of this step began after all that was claimed had been committed: a writer who does not know
        # of it has a lower number.
        return Step({"begun": begun(connection)}, 0, None)
    if "upto" not in job.state:
        if not settled(connection, job.state["begun"]):
            return Step(job.state, is_idle=True)
        upto, total = extent(connection, work_of(_claimed(connection, job)))
        return Step({**job.state, "after": 0, "upto": upto}, 0, total)
    work = work_of(_claimed(connection, job))
    come = passed(connection, work, job.state["after"], job.state["upto"], ROWS)
    if come.is_end:
        finished(connection, job.id)
    done = job.done + come.rows
    # Rows that were replaced since the beginning are no longer there, and some were written beside them: what counts
    # is that none is left.
    total = done if come.is_end else max(job.total or 0, done)
    return Step({**job.state, "after": come.last}, done, total, is_last=come.is_end)


def _claimed(connection: Connection, job: Job) -> list[Entry]:
    return entries(connection, "job = %s", [job.id])


def _is_active(write: Write) -> bool:
    return write.verb != "delete" and write.resource.get("status") == "active"


def _followed(connection: Connection, write: Write, now: datetime) -> bool:
    """Whether there is something to index, or to take away."""
    resource: Resource = write.resource
    old = entries(connection, "resource_id = %s and status <> 'retired'", [resource["id"]])
    if not _is_active(write):
        return retired(connection, old)
    # Its own old meaning is no other parameter that it could stand in the way of.
    retired(connection, old)
    definition = definition_of(resource, catalogue_of(connection))
    if old and old[0].definition == definition:
        restored(connection, old[0])
        return False
    if definition.bases:
        added(connection, resource["id"], definition, now)
    return bool(old or definition.bases)
