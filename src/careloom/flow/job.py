"""flow.job: carries jobs on, one step and one transaction at a time.

Room: flow. What kinds there are stands in registry.JOBS.
"""

from __future__ import annotations

from datetime import datetime

import structlog

from careloom.fhir.outcome import Issue, OutcomeError
from careloom.logs import place_of
from careloom.registry import JOBS, load
from careloom.settings import Settings
from careloom.store import jobs
from careloom.store.database import Connection, Database, is_transient
from careloom.store.jobs import Job, Step

log = structlog.get_logger()


def run_job(database: Database, settings: Settings, now: datetime) -> int:
    """Do one step of the job that waited longest; 1 if it got on, 0 if there was nothing to do."""
    with database.connection() as connection:
        job = jobs.claim(connection, list(JOBS))
        if job is None:
            return 0
        step = _stepped(connection, settings, job, now)
        if step is None:
            return 1
        jobs.moved(connection, job.id, step, now)
        if step.is_last:
            log.info("job_done", job=job.kind, done=step.done)
        return int(not step.is_idle)


def _stepped(connection: Connection, settings: Settings, job: Job, now: datetime) -> Step | None:
    """What the step came to; None if the job had to be ended."""
    try:
        with connection.transaction():
            return load(JOBS[job.kind])(connection, settings, job, now)
    except Exception as error:
        if is_transient(error):
            raise
        # One job that cannot go on must not stop the others: it ends, and says why.
        issues = error.issues if isinstance(error, OutcomeError) else (_slip(error),)
        log.error("job_failed", job=job.kind, error=place_of(error))  # noqa: TRY400 - a traceback may hold values
        jobs.failed(connection, job.id, issues, now)
        return None


def _slip(error: Exception) -> Issue:
    return Issue("exception", f"The job failed ({type(error).__name__}).")
