"""Whom a ward, a group and a name let one see, and nobody else: as it stands when one asks."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from careloom.fhir.outcome import OutcomeError
from careloom.store import accounts
from careloom.store.actor import Actor
from careloom.store.audit import Lines, accesses
from careloom.store.commit import Origin, Write, commit
from careloom.store.confinement import confine, found, patients_within
from careloom.store.database import Connection, Database

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ADMIN = Actor("lucia", frozenset({"admin"}))
AGO, LATER = "2026-03-01T08:00:00Z", "2026-03-01T18:00:00Z"
OPEN: dict[str, Any] = {"status": "active", "period": {"start": AGO}}


@pytest.fixture
def connection(module_database: Database) -> Iterator[Connection]:
    """What a test says is gone when it ends."""
    with module_database.autocommit() as connection, connection.transaction(force_rollback=True):
        yield connection


def say(connection: Connection, *resources: dict[str, Any]) -> None:
    commit(connection, [Write(one) for one in resources], Origin(NOW, "ehr"))


def place(id_: str, within: str = "", **more: Any) -> dict[str, Any]:
    wider = {"partOf": {"reference": f"Location/{within}"}} if within else {}
    return {"resourceType": "Location", "id": id_, "name": id_.upper(), **wider, **more}


def patient(id_: str) -> dict[str, Any]:
    return {"resourceType": "Patient", "id": id_}


def visit(who: str, *stays: dict[str, Any], status: str = "in-progress", **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Encounter",
        "id": f"of-{who}",
        "status": status,
        "class": {"code": "IMP"},
        "subject": {"reference": f"Patient/{who}"},
        "location": list(stays),
        **more,
    }


def at(where: str, **more: Any) -> dict[str, Any]:
    return {"location": {"reference": f"Location/{where}"}, **(more or OPEN)}


def seen(connection: Connection, *within: str, now: datetime = NOW) -> set[str]:
    return {one.removeprefix("Patient/") for one in patients_within(connection, within, now)}


def test_a_place_names_who_is_there_or_in_a_part_of_it(connection: Connection) -> None:
    say(connection, place("house"), place("w3", "house"), place("room", "w3"), place("bed", "room"))
    say(connection, place("w4", "house"), visit("in-bed", at("bed")), visit("in-ward", at("w3")))
    say(connection, visit("elsewhere", at("w4")), visit("nowhere"))
    assert seen(connection, "Location/w3") == {"in-bed", "in-ward"}
    assert seen(connection, "Location/bed") == {"in-bed"}
    assert seen(connection, "Location/house") == {"in-bed", "in-ward", "elsewhere"}
    assert seen(connection, "Location/w3", "Location/w4") == {"in-bed", "in-ward", "elsewhere"}
    assert seen(connection, "Location/never") == seen(connection) == set()


def test_places_that_are_part_of_one_another_end(connection: Connection) -> None:
    say(connection, place("a", "b"), place("b", "a"), visit("ada", at("b")))
    assert seen(connection, "Location/a") == {"ada"}


@pytest.mark.parametrize(
    ("status", "is_seen"),
    [
        ("planned", False), ("arrived", True), ("triaged", True), ("in-progress", True), ("onleave", True),
        ("finished", False), ("cancelled", False), ("entered-in-error", False), ("unknown", False),
    ],
)  # fmt: skip
def test_who_has_come_and_has_not_gone_is_there(connection: Connection, status: str, is_seen: bool) -> None:
    say(connection, place("w3"), visit("ada", at("w3"), status=status))
    assert (seen(connection, "Location/w3") == {"ada"}) is is_seen


@pytest.mark.parametrize(
    ("stay", "is_seen"),
    [
        ({"status": "active"}, True),
        ({"status": "active", "period": {"start": AGO, "end": LATER}}, True),
        ({"status": "active", "period": {"start": AGO, "end": AGO}}, False),
        ({"status": "active", "period": {"end": "2026-02"}}, False),
        ({"status": "active", "period": {"end": "2026-03"}}, True),
        ({"status": "active", "period": {"start": "2026-03-01T12:00:20Z"}}, True),
        ({"status": "planned", "period": {"start": AGO}}, False),
        ({"status": "reserved"}, False),
        ({"status": "completed", "period": {"start": AGO}}, False),
        ({"period": {"start": AGO}}, True),
        ({"period": {"start": LATER}}, False),
        ({"period": {"start": AGO, "end": AGO}}, False),
    ],
)
def test_a_stay_is_of_now(connection: Connection, stay: dict[str, Any], is_seen: bool) -> None:
    say(connection, place("w3"), visit("ada", at("w3", **stay)))
    assert (seen(connection, "Location/w3") == {"ada"}) is is_seen


def test_a_stay_without_a_word_of_when_is_of_now_until_the_visit_ends(connection: Connection) -> None:
    bare = {"location": {"reference": "Location/w3"}}
    say(connection, place("w3"), visit("ada", bare), visit("bo", bare, period={"start": AGO, "end": AGO}))
    assert seen(connection, "Location/w3") == {"ada"}


def test_a_transfer_and_a_discharge_are_seen_at_once(connection: Connection) -> None:
    say(connection, place("w3"), place("w4"), visit("ada", at("w3")))
    say(connection, visit("ada", at("w4"), at("w3", status="completed", period={"start": AGO, "end": AGO})))
    assert (seen(connection, "Location/w3"), seen(connection, "Location/w4")) == (set(), {"ada"})
    say(connection, visit("ada", at("w4"), status="finished"))
    assert seen(connection, "Location/w4") == set()


def test_a_group_names_its_members_of_now_also_those_of_groups_in_it(connection: Connection) -> None:
    def group(id_: str, *members: dict[str, Any], **more: Any) -> dict[str, Any]:
        return {
            "resourceType": "Group", "id": id_, "type": "person", "actual": True, "member": list(members), **more,
        }  # fmt: skip

    def of(reference: str, **more: Any) -> dict[str, Any]:
        return {"entity": {"reference": reference}, **more}

    say(
        connection,
        *[patient(one) for one in ("ada", "bo", "cy", "dee", "eve")],
        group("inner", of("Patient/eve"), of("Group/study")),
        group(
            "study",
            of("Patient/ada"),
            of("Patient/bo", inactive=True),
            of("Patient/cy", period={"end": AGO}),
            of("Patient/dee", period={"start": LATER}),
            of("Group/inner"),
            of("Practitioner/who"),
        ),
        group("old", of("Patient/ada"), active=False),
    )
    assert seen(connection, "Group/study") == {"ada", "eve"}
    assert seen(connection, "Group/study", now=NOW + timedelta(hours=8)) == {"ada", "eve", "dee"}
    assert seen(connection, "Group/old") == seen(connection, "Group/never") == set()
    assert seen(connection, "Group/study", "Patient/bo") == {"ada", "eve", "bo"}


def test_who_is_the_same_person_is_seen_too(connection: Connection) -> None:
    def person(id_: str, *patients: str, **more: Any) -> dict[str, Any]:
        links = [{"target": {"reference": f"Patient/{one}"}} for one in patients]
        return {"resourceType": "Person", "id": id_, "link": links, **more}

    say(connection, *[patient(one) for one in ("ada", "ada-too", "bo", "bo-once")])
    say(connection, person("p1", "ada", "ada-too"), person("p2", "bo", "bo-once", active=False))
    assert seen(connection, "Patient/ada") == {"ada", "ada-too"}
    assert seen(connection, "Patient/bo") == {"bo"}


def test_an_account_and_a_token_are_confined_and_let_go_at_once_with_a_line_in_the_trail(
    module_database: Database,
) -> None:
    with module_database.connection() as connection:
        accounts.create_account(connection, "amina", "a long password", ["nurse"])
        token = accounts.create_token(connection, "app", ["source"])
        say(connection, place("w3"), patient("ada"), patient("bo"), visit("ada", at("w3")))
    session = accounts.sign_in(module_database, "amina", "a long password", NOW)
    assert session.actor.patients is None

    def now_seen() -> list[frozenset[str] | None]:
        with module_database.autocommit() as connection:
            actors = (
                accounts.actor_of_session(connection, session.token, NOW),
                accounts.actor_of(connection, "amina", NOW),
                accounts.actor_of_token(connection, token, NOW),
            )
            return [actor.patients for actor in actors if actor]

    def confined(*within: str) -> None:
        with module_database.connection() as connection:
            confine(connection, "account", "Amina", within, "lucia", NOW)
            confine(connection, "token", "app", within, "lucia", NOW)

    confined("Location/w3", "Patient/bo")
    both = frozenset({"Patient/ada", "Patient/bo"})
    assert now_seen() == [both] * 3
    assert accounts.sign_in(module_database, "amina", "a long password", NOW).actor.patients == both
    confined()
    assert now_seen() == [frozenset()] * 3
    with module_database.connection() as connection:
        confine(connection, "account", "amina", None, "lucia", NOW)
        confine(connection, "token", "app", None, "lucia", NOW)
        lines = [access for _, access in accesses(connection, ADMIN, Lines(who="lucia"))][::-1]
    assert now_seen() == [None] * 3
    assert [(one.what, one.number) for one in lines] == [("$confine", number) for number in (2, 2, 0, 0, None, None)]  # fmt: skip
    assert lines[0].parameters == "account amina: Location/w3 Patient/bo"
    assert [one.parameters for one in lines[2:5:2]] == ["account amina: nobody", "account amina: everyone"]


def test_who_or_what_is_not_there_is_refused_in_a_sentence(connection: Connection) -> None:
    say(
        connection, place("house", name="West"), place("w3", "house"), place("w3b", name="W3"), patient("ada")
    )
    say(connection, place("w5", identifier=[{"system": "urn:wards", "value": "5, south"}]))
    assert (
        found(connection, "Location", "w3") == found(connection, "Location", "Location/w3") == "Location/w3"
    )
    assert found(connection, "Location", "West") == "Location/house"
    assert found(connection, "Location", "5, south") == "Location/w5"
    assert found(connection, "Patient", "ada") == "Patient/ada"
    with pytest.raises(
        OutcomeError, match=r"by its id: Location/w3 \(part of Location/house\); Location/w3b\."
    ):
        found(connection, "Location", "W3")
    for rtype, text in (("Location", "w9"), ("Patient", "W3"), ("Group", ""), ("Location", "")):
        with pytest.raises(OutcomeError, match=f"no {rtype} of that id"):
            found(connection, rtype, text)
    with pytest.raises(OutcomeError, match="no account nobody"):
        confine(connection, "account", "nobody", [], "lucia", NOW)
    with pytest.raises(OutcomeError, match="no token nobody"):
        confine(connection, "token", "nobody", None, "lucia", NOW)
