"""The race between a new search parameter and those who write without knowing it; and what a job owes after a fault."""

from __future__ import annotations

import threading
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest

from careloom.fhir.bundle import Entry
from careloom.fhir.outcome import OutcomeError
from careloom.fhir.resource import dumps
from careloom.flow import parameters, reindexing
from careloom.flow.guides import NO_DEMAND
from careloom.flow.job import run_job
from careloom.flow.writes import written
from careloom.settings import Settings
from careloom.store import jobs
from careloom.store.actor import STATION
from careloom.store.catalogue import progress
from careloom.store.commit import Origin, Write, commit
from careloom.store.database import Connection, Database
from careloom.store.ownindex import claim, passed, work_of
from careloom.store.read import Reader

NOW = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
ORIGIN = Origin(NOW, "ehr")


def patient(id_: str, given: str = "Ada") -> dict[str, Any]:
    return {"resourceType": "Patient", "id": id_, "name": [{"given": [given]}], "active": True}


def define(
    connection: Connection, code: str = "own", expression: str = "Patient.name.given", **more: Any
) -> None:
    resource = {
        "resourceType": "SearchParameter",
        "id": code,
        "url": f"http://example.org/{code}",
        "name": code,
        "description": code,
        "status": "active",
        "code": code,
        "base": ["Patient"],
        "type": "string",
        "expression": expression,
        **more,
    }
    entry = Entry(
        0, body=dumps(resource), rtype="SearchParameter", id=code, method="PUT", url=f"SearchParameter/{code}"
    )
    written(connection, [entry], STATION, ORIGIN, NO_DEMAND)


def finish(database: Database) -> None:
    while any(one.is_open for one in _jobs(database)):
        run_job(database, Settings(), NOW)


def _jobs(database: Database) -> list[jobs.Job]:
    with database.connection() as connection:
        return jobs.jobs(connection, parameters.KIND)


def found(database: Database, text: str = "own=ada") -> list[str]:
    name, _, value = text.partition("=")
    with database.connection() as connection:
        read = Reader(connection, STATION)
        ids: list[str] = []
        cursor: str | None = ""
        while cursor is not None:
            asked = [(name, value), ("_count", "1000"), *([("_cursor", cursor)] if cursor else [])]
            page = read.search(read.asked("Patient", asked, strict=True))
            ids += [one.id for one in page.matches]
            cursor = page.next
        return sorted(ids)


@pytest.mark.parametrize("kind", ["string", "token"])
def test_a_writer_who_began_without_knowing_the_parameter_is_waited_for(
    database: Database, kind: str
) -> None:
    expression = "Patient.name.given" if kind == "string" else "Patient.active"
    text = "own=ada" if kind == "string" else "own=true"
    with database.connection() as connection:
        commit(connection, [Write(patient("old"))], ORIGIN)
    with database.connection() as slow:
        # It has written, and has not committed: nobody sees its row yet.
        commit(slow, [Write(patient("slow"))], ORIGIN)
        with database.connection() as connection:
            define(connection, expression=expression, type=kind)
        for _ in range(5):
            run_job(database, Settings(), NOW)
        with pytest.raises(OutcomeError, match="not in use yet"):
            found(database, text)
        with database.connection() as connection:
            commit(connection, [Write(patient("new"))], ORIGIN)
    with pytest.raises(OutcomeError, match="not in use yet"):
        found(database, text)
    finish(database)
    assert found(database, text) == ["new", "old", "slow"]


def test_whoever_writes_after_the_definition_knows_it_on_whatever_connection(database: Database) -> None:
    with database.connection() as one, database.connection() as other:
        for number, connection in enumerate((one, other)):
            commit(connection, [Write(patient(f"before{number}"))], ORIGIN)
    with database.connection() as one, database.connection() as other:
        define(one)
        # Not committed yet, so that the other cannot know; this row is one that stood.
        commit(other, [Write(patient("between"))], ORIGIN)
    with database.connection() as one, database.connection() as other, database.connection() as third:
        for number, connection in enumerate((one, other, third)):
            commit(connection, [Write(patient(f"after{number}"))], ORIGIN)
    with database.connection() as connection:
        values = connection.execute("select count(*) from s_str where sp >= 10000").fetchone()
    assert values == (3,)
    finish(database)
    assert len(found(database)) == 6


def test_while_many_write_and_the_job_is_broken_off_again_and_again_every_row_is_found_once_it_is_done(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parameters, "ROWS", 11)
    with database.connection() as connection:
        commit(connection, [Write(patient(f"a{n}")) for n in range(200)], ORIGIN)
    is_over = threading.Event()

    def write(name: str) -> None:
        turn = 0
        while not is_over.is_set():
            with database.connection() as connection:
                commit(connection, [Write(patient(f"{name}{turn}"))], ORIGIN)
                # Half of those that stood are written anew while the job goes over them.
                again = [Write(patient(f"a{n}", "Adam")) for n in range(turn % 10, 100, 10)]
                commit(connection, again, Origin(NOW, name))
            turn += 1

    writers = [threading.Thread(target=write, args=(name,)) for name in ("b", "c")]
    for writer in writers:
        writer.start()
    try:
        with database.connection() as connection:
            define(connection)
        while any(one.is_open for one in _jobs(database)):
            run_job(database, Settings(), NOW)
            with suppress(ZeroDivisionError), database.connection() as connection:
                _break_off(connection)
        at_once = set(found(database))
    finally:
        is_over.set()
        for writer in writers:
            writer.join()
    assert {f"a{n}" for n in range(200)} <= at_once
    with database.connection() as connection:
        stand = [
            id_
            for (id_,) in connection.execute(
                "select id from res where rtype = 96 or id like any ('{a%,b%,c%}')"
            )
        ]
    assert found(database) == sorted(stand)


def _break_off(connection: Connection) -> None:
    job = jobs.claim(connection, [parameters.KIND])
    if job is not None and "upto" in job.state:
        rows = [one.entry for one in progress(connection)]
        passed(connection, work_of(rows), job.state["after"], job.state["upto"], 11)
        raise ZeroDivisionError


def test_done_and_total_are_true(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parameters, "ROWS", 7)
    others = [{"resourceType": "Basic", "id": f"b{n}", "code": {"text": "x"}} for n in range(30)]
    with database.connection() as connection:
        commit(
            connection, [Write(one) for one in others] + [Write(patient(f"a{n}")) for n in range(20)], ORIGIN
        )
        define(connection)
    for _ in range(4):
        run_job(database, Settings(), NOW)
    with database.connection() as connection:
        (one,) = progress(connection)
        assert (one.done, one.total, one.entry.status) == (7, 20, "building")
    finish(database)
    (job,) = _jobs(database)
    assert (job.status, job.done, job.total) == ("done", 20, 20)


def test_what_a_failed_job_left_undone_is_told_and_taken_on_by_a_reindex(database: Database) -> None:
    with database.connection() as connection:
        commit(connection, [Write(patient("a"))], ORIGIN)
        define(connection)
    run_job(database, Settings(), NOW)
    (job,) = _jobs(database)
    with database.connection() as connection:
        jobs.failed(connection, job.id, [], NOW)
        (one,) = progress(connection)
        assert one.is_stuck
        assert [entry.status for entry in claim(connection, "another")] == ["building"]
        connection.rollback()
        reindexing.start(connection, "careloom", NOW)
    finish(database)
    assert found(database) == ["a"]


def test_a_full_reindex_keeps_the_values_of_own_parameters(database: Database) -> None:
    with database.connection() as connection:
        commit(connection, [Write(patient("a"))], ORIGIN)
        define(connection)
        define(connection, "flag", "Patient.active", type="token")
    finish(database)
    with database.connection() as connection:
        connection.execute("update res set ix = '{}'")
        connection.execute("delete from s_str")
        id_ = reindexing.start(connection, "careloom", NOW)
    while run_job(database, Settings(), NOW):
        pass
    with database.connection() as connection:
        job = jobs.job(connection, id_)
        assert job is not None
        assert job.status == "done"
    assert found(database) == found(database, "flag=true") == ["a"]


def test_gaps_among_the_row_ids_and_rows_of_other_types_are_passed_over_in_short_steps(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("careloom.store.ownindex.STRETCH", 10)
    for name in "abc":
        with database.connection() as connection:
            connection.execute("select nextval('rid_block') from generate_series(1, 1000)")
            others = [
                Write({"resourceType": "Basic", "id": f"{name}{n}", "code": {"text": "x"}}) for n in range(25)
            ]
            commit(connection, [*others, Write(patient(name))], ORIGIN)
    with database.connection() as connection:
        define(connection)
    steps = 0
    while any(one.is_open for one in _jobs(database)):
        run_job(database, Settings(), NOW)
        steps += 1
    assert found(database) == ["a", "b", "c"]
    assert steps < 40
