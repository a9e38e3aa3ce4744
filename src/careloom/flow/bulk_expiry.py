"""flow.bulk_expiry: exports and imports are kept for the time of a setting, then their jobs and files go.

Room: flow. Touches: `home/exports`. Standard: https://hl7.org/fhir/uv/bulkdata/STU2/export.html#response---complete-status
"""

from __future__ import annotations

from datetime import datetime, timedelta

from careloom.flow.bulk_export import folders, remove
from careloom.settings import Settings
from careloom.store import jobs
from careloom.store.blobs import Blobs
from careloom.store.database import Database
from careloom.store.jobs import Job

KINDS = ("export", "import")
STALE = timedelta(days=1)
"""Nobody sends one file for so long without a pause that ends the connection."""


def kept_until(settings: Settings, job: Job) -> datetime | None:
    """When the outcome of a job goes; None while it works."""
    return None if job.ended is None else job.ended + timedelta(hours=settings.bulk_kept_hours)


def is_expired(settings: Settings, job: Job, now: datetime) -> bool:
    """Whether the time is over: from then on the job is not there, whether it was removed yet or not."""
    until = kept_until(settings, job)
    return until is not None and until <= now


def expire(database: Database, settings: Settings, now: datetime) -> int:
    """Remove what is kept no longer; how many jobs, folders and halves of files went.

    A folder is made by a step of a job whose row was there before it. So a folder that was seen before the rows were
    read, and has none, belongs to nothing: a removal that was broken off leaves none behind for ever.
    """
    seen = folders(settings)
    with database.connection() as connection:
        gone = jobs.forget(connection, KINDS, now - timedelta(hours=settings.bulk_kept_hours))
    with database.connection() as connection:
        kept = jobs.ids(connection, KINDS)
    orphans = [job_id for job_id in seen if job_id not in kept]
    for job_id in orphans:
        remove(settings, job_id)
    swept = Blobs(settings.home / "blobs").sweep(now - STALE)
    return gone + len(orphans) + swept
