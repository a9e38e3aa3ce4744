from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from careloom.flow import reindexing
from careloom.flow.job import run_job
from careloom.settings import Settings
from careloom.store import feed, jobs
from careloom.store.actor import STATION
from careloom.store.commit import Origin, Write, commit
from careloom.store.database import Connection, Database
from careloom.store.read import Reader
from careloom.store.reindex import reindexed

NOW = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
TABLES = ("s_str", "s_qty", "s_dat", "s_second")


def patient(id_: str, family: str) -> dict[str, Any]:
    return {
        "resourceType": "Patient",
        "id": id_,
        "name": [{"family": family}],
        "birthDate": "1980-02-03",
        "identifier": [{"system": "urn:mrn", "value": id_}],
    }


def observation(id_: str) -> dict[str, Any]:
    codings = [{"system": "http://x", "code": "a"}, {"system": "http://x", "code": "b"}]
    return {
        "resourceType": "Observation",
        "id": id_,
        "status": "final",
        "code": {"coding": codings},
        "subject": {"reference": "Patient/p1"},
        "issued": "2026-01-01T00:00:00Z",
        "valueQuantity": {"value": 5, "unit": "mg"},
    }


def index_of(connection: Connection) -> dict[str, list[Any]]:
    """Everything that a search looks at."""
    sql = "select rid, pat, code, dlo::text, dhi::text, present, is_restricted, also, array(select unnest(ix) order by 1) from res"
    found = {"res": connection.execute(f"{sql} order by rid").fetchall()}
    for table in TABLES:
        found[table] = sorted(connection.execute(f"select rid, t::text from {table} t").fetchall())
    return found


def lose_index(connection: Connection) -> None:
    """As if another version had written it, by other rules."""
    connection.execute(
        "update res set pat = 7, code = 7, dlo = '-infinity', dhi = null, present = 0, ix = '{1}' where not is_deleted"
    )
    for table in TABLES:
        connection.execute(f"delete from {table}")
    connection.execute("insert into s_str select rid, 1, 'stale' from res where not is_deleted")


@pytest.fixture
def settings() -> Settings:
    return Settings()


def test_after_a_reindex_every_row_is_found_though_it_was_broken_off_and_others_wrote(
    database: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reindexing, "ROWS", 7)
    everything = [
        *(patient(f"p{n}", f"Name{n}") for n in range(20)),
        *(observation(f"o{n}") for n in range(20)),
    ]
    with database.connection() as connection:
        commit(connection, [Write(one) for one in everything], Origin(NOW, "ehr"))
        commit(
            connection, [Write({"resourceType": "Patient", "id": "p19"}, verb="delete")], Origin(NOW, "ehr")
        )
        before, head = index_of(connection), feed.changes(connection, feed.START)
        lose_index(connection)
        id_ = reindexing.start(connection, "careloom", NOW)
        assert reindexing.start(connection, "careloom", NOW) == id_
    for _ in range(3):
        run_job(database, settings, NOW)
    # A step that dies leaves nothing of itself, and its rows come again.
    with suppress(ZeroDivisionError), database.connection() as connection:
        assert reindexed(connection, 0, 1 << 60, 30)[1] == 30
        raise ZeroDivisionError
    with database.connection() as connection:
        job = jobs.job(connection, id_)
        assert job is not None
        assert (job.status, job.done, job.total) == ("running", 14, 40)
        commit(
            connection, [Write(patient("p3", "Changed")), Write(patient("new", "New"))], Origin(NOW, "ehr")
        )
    while run_job(database, settings, NOW + timedelta(minutes=1)):
        pass
    with database.connection() as connection:
        job = jobs.job(connection, id_)
        assert job is not None
        assert job.status == "done"
        assert job.done == job.total
        assert job.done in {39, 40}
        after = index_of(connection)
        # What was replaced is gone on either side; the values of its old versions were stale before.
        same = {row[0] for row in after["res"]} & {row[0] for row in before["res"]}
        assert len(same) == 39
        for table, rows in after.items():
            assert [row for row in rows if row[0] in same] == [
                row for row in before[table] if row[0] in same
            ], table
        reader = Reader(connection, STATION)
        assert len(reader.find("Observation", ("code", "http://x|b"), ("value-quantity", "5||mg"))) == 20
        assert len(reader.find("Patient", ("name", "name"))) == 18
        assert [one["id"] for one in reader.find("Patient", ("family", "changed"))] == ["p3"]
        assert len(reader.find("Observation", ("subject:Patient.birthdate", "1980"))) == 20
        assert feed.changes(connection, feed.START)[: len(head)] == head


def test_a_store_without_resources_is_done_at_once(database: Database, settings: Settings) -> None:
    with database.connection() as connection:
        id_ = reindexing.start(connection, "careloom", NOW)
    run_job(database, settings, NOW)
    with database.connection() as connection:
        job = jobs.job(connection, id_)
        assert job is not None
        assert (job.status, job.done, job.total) == ("done", 0, 0)
