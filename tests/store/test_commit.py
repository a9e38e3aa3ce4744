from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest

from careloom.fhir.outcome import OutcomeError
from careloom.fhir.resource import minify
from careloom.store.actor import STATION
from careloom.store.commit import Committed, Origin, Write, commit
from careloom.store.database import Database
from careloom.store.read import Reader, Window

NOW = datetime(2026, 3, 1, 9, 30, 0, 123456, tzinfo=UTC)
ORIGIN = Origin(now=NOW, actor_id="ehr", agent="hl7v2/1", event_id=7)


def patient(id_: str = "p1", **more: object) -> dict[str, object]:
    return {"resourceType": "Patient", "id": id_, "name": [{"family": "Aalto", "given": ["Maija"]}], **more}


def put(database: Database, *resources: dict[str, object], origin: Origin = ORIGIN) -> list[Committed]:
    with database.connection() as connection:
        return commit(connection, [Write(resource) for resource in resources], origin)


def test_what_was_put_is_read_with_its_id_version_and_time(database: Database) -> None:
    (committed,) = put(database, patient(gender="female"))
    assert (committed.version, committed.is_created) == (1, True)
    with database.connection() as connection:
        assert Reader(connection, STATION).resource("Patient", "p1") == {
            "resourceType": "Patient",
            "id": "p1",
            "meta": {"versionId": "1", "lastUpdated": "2026-03-01T09:30:00.123Z"},
            "name": [{"family": "Aalto", "given": ["Maija"]}],
            "gender": "female",
        }
        stored = Reader(connection, STATION).stored("Patient", "p1")
    assert stored is not None
    assert (stored.event_id, stored.actor_id, stored.agent) == (7, "ehr", "hl7v2/1")


def test_decimals_keep_their_zeros_and_the_client_its_bytes(database: Database) -> None:
    raw = b'{"resourceType":"Observation", "id":"o", "valueQuantity":{"value": 1.50,"unit":"\\u00b5g"},\n "x":1E2}'
    with database.connection() as connection:
        write = Write({"resourceType": "Observation", "id": "o"}, minify(raw))
        commit(connection, [write], ORIGIN)
        stored = Reader(connection, STATION).stored("Observation", "o")
    assert stored is not None
    assert stored.body.endswith(b'"valueQuantity":{"value":1.50,"unit":"\\u00b5g"},"x":1E2}')


def test_the_same_body_again_makes_no_version(database: Database) -> None:
    put(database, patient())
    (again,) = put(database, patient(meta={"versionId": "9", "lastUpdated": "2020-01-01T00:00:00Z"}))
    assert (again.version, again.is_changed, again.is_created) == (1, False, False)
    (changed,) = put(database, patient(gender="male"))
    assert (changed.version, changed.is_changed, changed.is_created) == (2, True, False)


def test_a_deletion_is_a_version_and_can_be_undone(database: Database) -> None:
    put(database, patient())
    with database.connection() as connection:
        (deleted,) = commit(connection, [Write(patient(), verb="delete")], ORIGIN)
        (again,) = commit(connection, [Write(patient(), verb="delete")], ORIGIN)
        reader = Reader(connection, STATION)
        assert reader.resource("Patient", "p1") is None
        stored = reader.stored("Patient", "p1")
        assert stored is not None
        assert stored.is_deleted
    assert (deleted.version, again.version, again.is_changed) == (2, 2, False)
    (back,) = put(database, patient())
    assert (back.version, back.is_created) == (3, True)


def test_history_gives_every_version_the_newest_first(database: Database) -> None:
    for minute, gender in enumerate(["male", "female", "other"]):
        origin = Origin(NOW + timedelta(minutes=minute), "ehr", event_id=minute)
        put(database, patient(gender=gender), origin=origin)
    with database.connection() as connection:
        reader = Reader(connection, STATION)
        first = reader.history("Patient", "p1", count=2)
        rest = reader.history("Patient", "p1", count=2, cursor=first.next or "")
        versions = [stored.version for stored in (*first.versions, *rest.versions)]
        assert versions == [3, 2, 1]
        assert rest.next is None
        second = reader.version("Patient", "p1", 2)
        assert second is not None
        assert b'"female"' in second.body
        assert len(reader.history("Patient", which=Window(since=NOW + timedelta(seconds=30))).versions) == 2
        assert len(reader.history().versions) == 3


def test_a_version_that_is_not_current_is_a_conflict(database: Database) -> None:
    put(database, patient())
    with pytest.raises(OutcomeError, match="changed meanwhile"), database.connection() as connection:
        commit(connection, [Write(patient(gender="male"), if_match=(2,))], ORIGIN)
    with pytest.raises(OutcomeError, match="stands already"), database.connection() as connection:
        commit(connection, [Write(patient("p0")), Write(patient(), verb="create")], ORIGIN)
    with database.connection() as connection:
        assert Reader(connection, STATION).stored("Patient", "p0") is None


@pytest.mark.parametrize("id_", ["", "a b", "a" * 65, "é", 7])
def test_an_id_that_fhir_does_not_allow_is_refused(database: Database, id_: object) -> None:
    with pytest.raises(OutcomeError, match="An id has"):
        put(database, {"resourceType": "Basic", "id": id_})


@pytest.mark.parametrize("id_", ["a", "A.b-9", "0" * 64])
def test_any_id_that_fhir_allows_is_kept(database: Database, id_: str) -> None:
    put(database, {"resourceType": "Basic", "id": id_})
    with database.connection() as connection:
        assert Reader(connection, STATION).resource("Basic", id_) is not None


def test_one_resource_twice_in_one_commit_is_refused(database: Database) -> None:
    with pytest.raises(OutcomeError, match="twice"):
        put(database, patient(), patient())


def test_two_commits_that_create_the_same_resource_at_once_make_two_versions(database: Database) -> None:
    barrier = threading.Barrier(2)
    answers: list[Committed] = []

    def writer(gender: str) -> None:
        with database.connection() as connection:
            barrier.wait()
            answers.extend(commit(connection, [Write(patient(gender=gender))], ORIGIN))

    threads = [threading.Thread(target=writer, args=[gender]) for gender in ("male", "female")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answer.version for answer in answers) == [1, 2]


def test_of_two_commits_on_the_same_version_one_wins(database: Database) -> None:
    put(database, patient())
    barrier = threading.Barrier(2)
    outcomes: list[str] = []

    def writer(gender: str) -> None:
        try:
            with database.connection() as connection:
                barrier.wait()
                commit(connection, [Write(patient(gender=gender), if_match=(1,))], ORIGIN)
            outcomes.append("won")
        except OutcomeError as error:
            outcomes.append(error.issues[0].code)

    threads = [threading.Thread(target=writer, args=[gender]) for gender in ("male", "female")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["conflict", "won"]


def test_a_commit_is_all_or_nothing(database: Database) -> None:
    with database.connection() as connection:
        commit(connection, [Write(patient(str(n))) for n in range(5)], ORIGIN)
        with pytest.raises(OutcomeError, match="changed meanwhile"):
            commit(connection, [Write(patient("a")), Write(patient("p"), if_match=(4,))], ORIGIN)
        connection.rollback()
    with database.connection() as connection:
        reader = Reader(connection, STATION)
        assert reader.history().versions == []
        assert connection.execute("select count(*) from s_str").fetchone() == (0,)


def test_provenance_names_actor_agent_and_event_of_each_version(database: Database) -> None:
    put(database, patient())
    put(database, patient(gender="male"), origin=Origin(NOW, "anna"))
    with database.connection() as connection:
        newest, oldest = Reader(connection, STATION).provenance("Patient", "p1")
    assert oldest["target"] == [{"reference": "Patient/p1/_history/1"}]
    assert oldest["recorded"] == "2026-03-01T09:30:00.123Z"
    assert [agent["who"]["identifier"]["value"] for agent in oldest["agent"]] == ["ehr", "hl7v2/1"]
    assert oldest["entity"][0]["what"]["identifier"] == {"system": "urn:careloom:event", "value": "7"}
    assert "entity" not in newest
    assert newest["activity"]["coding"][0]["code"] == "UPDATE"
