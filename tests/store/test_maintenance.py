"""What a store needs from time to time is done when there is something to do, and changes no answer."""

from __future__ import annotations

from datetime import UTC, datetime

from careloom.fhir.resource import Resource
from careloom.store.actor import STATION
from careloom.store.commit import Origin, Write, commit
from careloom.store.database import Connection, Database
from careloom.store.maintenance import ROWS_TO_TRAIN, Upkeep
from careloom.store.read import Reader

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def say(connection: Connection, *resources: Resource) -> None:
    commit(connection, [Write(resource) for resource in resources], Origin(NOW, "ehr"))


def patient(number: int, family: str) -> Resource:
    return {
        "resourceType": "Patient",
        "id": f"p{number}",
        "name": [{"family": family, "given": ["Ada", "Grace"]}],
        "address": [{"line": [f"{number} Long Road, by the old mill"] * 8, "city": "Springfield"}],
    }


def rows(connection: Connection) -> int:
    return connection.execute("select count(*) from s_str").fetchall()[0][0]


def test_search_values_of_replaced_versions_are_swept_and_answers_stay(database: Database) -> None:
    with database.connection() as connection:
        say(connection, patient(1, "Maiden"))
        fresh = rows(connection)
        say(connection, patient(1, "Married"))
        assert rows(connection) == 2 * fresh
        assert Upkeep().keep(connection, NOW).swept > 0
        assert rows(connection) == fresh
        read = Reader(connection, STATION)
        assert [found["id"] for found in read.find("Patient", ("family", "Married"))] == ["p1"]
        assert not read.find("Patient", ("family", "Maiden"))


def test_a_store_where_nothing_changed_is_left_alone(database: Database) -> None:
    upkeep = Upkeep()
    with database.connection() as connection:
        say(connection, patient(1, "Maiden"))
        upkeep.keep(connection, NOW)
        say(connection, patient(1, "Married"))
        assert upkeep.keep(connection, NOW).swept == 0


def test_a_type_gets_a_dictionary_of_its_own_once_and_its_rows_stay_readable(database: Database) -> None:
    with database.connection() as connection:
        say(connection, *[patient(number, f"Family{number}") for number in range(ROWS_TO_TRAIN)])
        upkeep = Upkeep()
        assert upkeep.keep(connection, NOW).dictionaries == 1
        assert upkeep.keep(connection, NOW).dictionaries == 0
        say(connection, patient(ROWS_TO_TRAIN, "Later"))
        read = Reader(connection, STATION)
        assert read.resource("Patient", "p7") == patient(7, "Family7") | read.resource("Patient", "p7")
