"""A job goes on where it stood, whoever carries it on, and nobody works on it twice at once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from careloom.fhir.outcome import Issue
from careloom.store import jobs
from careloom.store.database import Database
from careloom.store.jobs import Step

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_a_claimed_job_is_skipped_by_others_until_the_step_ends(database: Database) -> None:
    with database.connection() as connection:
        id_ = jobs.enqueue(connection, "export", "ida", {"types": ["Patient"]}, NOW)
    with database.connection() as one, database.connection() as other:
        claimed = jobs.claim(one, ["export"])
        assert claimed is not None
        assert claimed.id == id_
        assert claimed.request == {"types": ["Patient"]}
        assert jobs.claim(other, ["export"]) is None
        jobs.moved(one, id_, Step({"at": 5}, done=5, total=9), NOW)
    with database.connection() as connection:
        again = jobs.claim(connection, ["export"])
        assert again is not None
        assert (again.state, again.status, again.done, again.total) == ({"at": 5}, "running", 5, 9)


def test_a_step_that_is_rolled_back_leaves_the_job_where_it_stood(database: Database) -> None:
    with database.connection() as connection:
        id_ = jobs.enqueue(connection, "export", "ida", {}, NOW)
    with database.connection() as connection:
        assert jobs.claim(connection, ["export"])
        jobs.moved(connection, id_, Step({"at": 5}), NOW)
        connection.rollback()
    with database.connection() as connection:
        stands = jobs.claim(connection, ["export"])
        assert stands is not None
        assert (stands.state, stands.status) == ({}, "queued")


def test_the_job_that_waited_longest_comes_next_and_an_ended_one_never(database: Database) -> None:
    with database.connection() as connection:
        first = jobs.enqueue(connection, "export", "ida", {}, NOW)
        second = jobs.enqueue(connection, "export", "ida", {}, NOW + timedelta(seconds=1))
        jobs.moved(connection, first, Step({}), NOW + timedelta(seconds=2))
        claimed = jobs.claim(connection, ["export"])
        assert claimed is not None
        assert claimed.id == second
        jobs.failed(connection, first, [Issue("not-found", "Gone.")], NOW)
        jobs.cancel(connection, second, NOW)
        assert jobs.claim(connection, ["export"]) is None
        assert jobs.claim(connection, ["import"]) is None
        told = jobs.job(connection, first)
        assert told is not None
        assert [issue.text for issue in told.issues] == ["Gone."]
        assert not told.is_open
        assert [job.status for job in jobs.jobs(connection, "export")] == ["cancelled", "failed"]
