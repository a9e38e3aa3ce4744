"""flow.reindexing: the job that indexes every resource anew, so that searches find by the rules of this version.

Room: flow. A step is a few hundred rows and one transaction: a kill -9 repeats one step, and `done` is what is done.
"""

from __future__ import annotations

from datetime import datetime

from careloom.flow.parameters import KIND as PARAMETER
from careloom.settings import Settings
from careloom.store import jobs
from careloom.store.catalogue import progress
from careloom.store.database import Connection
from careloom.store.jobs import Job, Step
from careloom.store.reindex import extent, reindexed

KIND = "reindex"
ROWS = 500
"""Rows of one step: some 50 ms."""


def start(connection: Connection, owner: str, now: datetime) -> str:
    """Ask for all resources to be indexed anew; the id of the job, which may stand already."""
    for one in progress(connection):
        if one.is_stuck:
            jobs.enqueue(connection, PARAMETER, owner, {}, now)
            break
    for job in jobs.jobs(connection, KIND):
        if job.is_open:
            return job.id
    return jobs.enqueue(connection, KIND, owner, {}, now)


def step(connection: Connection, _settings: Settings, job: Job, _now: datetime) -> Step:
    """One step: the next rows, in the order of their rid."""
    if not job.state:
        upto, total = extent(connection)
        return Step({"after": 0, "upto": upto}, 0, total, is_last=total == 0)
    last, number = reindexed(connection, job.state["after"], job.state["upto"], ROWS)
    state = {"after": last, "upto": job.state["upto"]}
    # Rows that were replaced since the beginning are no longer there: what counts is that none is left.
    total = job.total if number else job.done
    return Step(state, job.done + number, total, is_last=number == 0)
