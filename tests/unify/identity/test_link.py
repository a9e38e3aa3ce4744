"""The station on a real database: three Patients become one Person, whatever comes first; a steward is obeyed."""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable, Iterator
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest

from careloom.fhir.outcome import OutcomeError
from careloom.fhir.resource import Resource, dumps
from careloom.fhir.validate import validate
from careloom.store.database import Database
from careloom.unify.identity.blocking import MOST_KEYS
from careloom.unify.identity.link import _salt
from careloom.unify.identity.person import REVIEW, reasons_of
from careloom.unify.identity.steward import Kind, ruling, ruling_of
from careloom.verify.registrations import town

Make = Callable[..., Resource]
AT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
STEWARD = {"reference": "Practitioner/joan", "display": "Joan Ward"}


class Identity:
    """The station at work: what it holds to be one person, and what waits for a steward."""

    def __init__(self, rooms: Any) -> None:
        self.rooms = rooms
        self.now = AT

    def say(self, *resources: Resource) -> list[Resource]:
        """Take resources in, one commit each; what the station made of them."""
        made: list[Resource] = []
        for each in resources:
            self.now += timedelta(seconds=1)
            self.rooms.say(self.now, deepcopy(each))
            made += self.rooms.run(self.now, "identity")
        return made

    def rule(self, kind: Kind, one: str, two: str) -> None:
        self.say(ruling(kind, (one, two), STEWARD, "looked at both", self.now + timedelta(seconds=1)))

    def delete(self, patient: str) -> None:
        self.now += timedelta(seconds=1)
        self.rooms.delete(self.now, "Patient", patient)
        self.rooms.run(self.now, "identity")

    @property
    def persons(self) -> list[Resource]:
        return [each for each in self.rooms.find("Person") if each["active"]]

    @property
    def people(self) -> list[list[str]]:
        """The partition: ids of Patients."""
        return sorted(
            sorted(link["target"]["reference"].rpartition("/")[2] for link in each["link"])
            for each in self.persons
        )

    @property
    def waiting(self) -> list[tuple[str, str, str]]:
        """Open review items: two Patients and the rule."""
        items = self.rooms.find("Linkage", ("_tag", f"{REVIEW}|open"))
        return sorted((why.patient, why.other, why.rule) for item in items for why in reasons_of(item))


@pytest.fixture
def identity(rooms: Any) -> Identity:
    return Identity(rooms)


@pytest.fixture
def fresh(rooms: Any, postgres_url: str, template: str) -> Iterator[Callable[[], Identity]]:
    """Makes the station on a new database, as often as it is called."""
    made: list[tuple[str, Database]] = []

    def another() -> Identity:
        name = f"test_{uuid.uuid4().hex}"
        with psycopg.connect(postgres_url, autocommit=True) as root:
            root.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"'.encode())
        database = Database(postgres_url.replace("/careloom?", f"/{name}?"))
        made.append((name, database))
        return Identity(type(rooms)(database))

    yield another
    with psycopg.connect(postgres_url, autocommit=True) as root:
        for name, database in made:
            database.close()
            root.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())


def everybody(people: SimpleNamespace) -> list[Resource]:
    return list(vars(people).values())


def test_three_patients_become_one_person_and_her_likes_stay_apart(
    identity: Identity, people: SimpleNamespace
):
    identity.say(*everybody(people))
    assert identity.people == [
        ["clinic-1", "ehr-1", "lab-1"],
        ["clinic-3"],
        ["clinic-4"],
        ["ehr-3"],
        ["lab-2"],
    ]
    assert identity.waiting == [("clinic-3", "ehr-3", "generation"), ("ehr-1", "lab-2", "given-differs")]


def test_each_link_says_why(identity: Identity, people: SimpleNamespace):
    identity.say(people.ehr, people.clinic, people.lab)
    (person,) = identity.persons
    reasons = {why.patient: why for why in reasons_of(person)}
    assert set(reasons) == {"clinic-1", "lab-1"}
    assert all(why.other == "ehr-1" for why in reasons.values())
    levels = {part.field: part.level for part in reasons["clinic-1"].parts}
    assert (levels["birth"], levels["family"], levels["phone"]) == ("swapped", "changed", "exact")
    for why in reasons.values():
        assert sum(part.weight for part in why.parts) == why.score
        assert why.probability > 0.97
    assert person["link"][0]["target"]["reference"] == "Patient/ehr-1"
    assert person["birthDate"] == "1961-04-09"
    assert {name["family"] for name in person["name"]} == {"Okonkwo", "Lindqvist"}


def test_all_that_is_made_is_valid_fhir(identity: Identity, people: SimpleNamespace):
    made = identity.say(*everybody(people))
    assert {each["resourceType"] for each in made} == {"Basic", "Person", "Linkage"}
    assert [issue for each in made for issue in validate(each)] == []


def test_source_patients_are_never_touched(identity: Identity, people: SimpleNamespace):
    identity.say(*everybody(people))
    assert all(each["meta"]["versionId"] == "1" for each in identity.rooms.find("Patient"))


def test_the_order_of_arrival_does_not_matter(fresh: Callable[[], Identity], people: SimpleNamespace):
    outcomes: set[str] = set()
    population = everybody(people) + [each.patient for each in town(8, 3)]
    for seed in range(6):
        shuffled = population.copy()
        random.Random(seed).shuffle(shuffled)
        identity = fresh()
        identity.say(*shuffled)
        outcomes.add(repr((identity.people, identity.waiting)))
    assert len(outcomes) == 1


def test_many_at_once_give_what_one_after_the_other_gives(
    fresh: Callable[[], Identity], people: SimpleNamespace
):
    one_by_one, at_once = fresh(), fresh()
    one_by_one.say(*everybody(people))
    at_once.rooms.say(AT, *everybody(people))
    at_once.rooms.run(AT, "identity")
    assert (one_by_one.people, one_by_one.waiting) == (at_once.people, at_once.waiting)


def test_hearing_everything_again_changes_nothing(identity: Identity, people: SimpleNamespace):
    identity.say(*everybody(people))
    identity.rooms.forget("identity")
    assert identity.rooms.run(identity.now, "identity") == []


def test_a_change_that_tells_nothing_of_identity_changes_nothing(identity: Identity, people: SimpleNamespace):
    identity.say(people.ehr, people.lab)
    assert identity.say(people.ehr | {"maritalStatus": {"text": "married"}}) == []


def test_a_patient_that_no_longer_matches_leaves_and_comes_back(identity: Identity, people: SimpleNamespace):
    identity.say(people.ehr, people.clinic, people.lab)
    (before,) = identity.persons
    other = people.lab | {"name": [{"family": "Ferrante", "given": ["Zita"]}], "birthDate": "1999-12-30"}
    identity.say(other)
    assert identity.people == [["clinic-1", "ehr-1"], ["lab-1"]]
    identity.say(people.lab)
    assert identity.people == [["clinic-1", "ehr-1", "lab-1"]]
    assert identity.persons[0]["id"] == before["id"]


def test_the_person_keeps_its_id_as_records_join(identity: Identity, people: SimpleNamespace):
    identity.say(people.lab)
    (before,) = identity.persons
    identity.say(people.ehr, people.clinic)
    (after,) = identity.persons
    assert after["id"] == before["id"]


def test_a_person_that_is_given_up_leads_to_the_one_that_goes_on(identity: Identity, people: SimpleNamespace):
    identity.say(people.clinic, people.lab)
    assert identity.people == [["clinic-1"], ["lab-1"]]
    identity.say(people.ehr)
    assert identity.people == [["clinic-1", "ehr-1", "lab-1"]]
    (old,) = [each for each in identity.rooms.find("Person") if not each["active"]]
    assert [link["target"]["reference"] for link in old["link"]] == [f"Person/{identity.persons[0]['id']}"]
    assert "name" not in old


def test_a_deleted_patient_is_in_no_person(identity: Identity, people: SimpleNamespace):
    identity.say(people.ehr, people.lab, people.twin)
    identity.delete("ehr-1")
    assert identity.people == [["lab-1"], ["lab-2"]]
    assert identity.waiting == []


def test_a_merge_by_the_source_is_obeyed_and_its_undoing_too(
    identity: Identity, people: SimpleNamespace, make_patient: Make
):
    old = make_patient("ehr-7", "Wrongly", "Typed", "1990-05-06")
    identity.say(people.ehr, people.lab, old)
    assert len(identity.people) == 2
    link = [{"type": "replaced-by", "other": {"reference": "Patient/ehr-1"}}]
    identity.say(old | {"active": False, "link": link})
    assert identity.people == [["ehr-1", "ehr-7", "lab-1"]]
    identity.say(old)
    assert identity.people == [["ehr-1", "lab-1"], ["ehr-7"]]


def test_two_live_numbers_of_one_issuer_keep_two_namesakes_out_of_one_person(
    identity: Identity, people: SimpleNamespace, make_patient: Make
):
    number = make_patient("ehr-8", "x", "y")["identifier"]
    again = people.ehr | {"id": "ehr-8", "identifier": number, "telecom": [], "address": []}
    identity.say(people.lab, people.ehr, again)
    assert ["ehr-1", "ehr-8"] not in [sorted({"ehr-1", "ehr-8"} & set(each)) for each in identity.people]
    assert ("ehr-1", "ehr-8", "issued-conflict") in identity.waiting


def test_never_link_splits_the_person_and_is_remembered(identity: Identity, people: SimpleNamespace):
    identity.say(people.ehr, people.clinic, people.lab)
    identity.rule("never_link", "ehr-1", "clinic-1")
    assert identity.people == [["clinic-1"], ["ehr-1", "lab-1"]]
    identity.say(people.clinic | {"gender": "unknown"}, people.clinic)
    assert identity.people == [["clinic-1"], ["ehr-1", "lab-1"]]
    assert identity.waiting == []


def test_what_was_unmerged_can_be_merged_again_and_every_ruling_is_kept(
    identity: Identity, people: SimpleNamespace
):
    identity.say(people.ehr, people.clinic, people.lab)
    (before,) = identity.persons
    identity.rule("never_link", "ehr-1", "clinic-1")
    identity.rule("withdrawn", "ehr-1", "clinic-1")
    (after,) = identity.persons
    plain = [{key: value for key, value in each.items() if key != "meta"} for each in (before, after)]
    assert dumps(plain[0]) == dumps(plain[1])
    assert len([each for each in identity.rooms.find("Basic") if ruling_of(each)]) == 2


def test_must_link_overrules_an_objection_and_closes_the_review(identity: Identity, people: SimpleNamespace):
    identity.say(people.ehr, people.clinic, people.twin)
    assert identity.waiting == [("ehr-1", "lab-2", "given-differs")]
    identity.rule("must_link", "ehr-1", "lab-2")
    assert identity.people == [["clinic-1", "ehr-1", "lab-2"]]
    assert identity.waiting == []
    (person,) = identity.persons
    assert {why.patient: why.rule for why in reasons_of(person)} == {
        "clinic-1": "score",
        "lab-2": "must-link",
    }
    (item,) = identity.rooms.find("Linkage")
    assert item["active"] is True


def test_must_link_joins_those_that_share_no_key(identity: Identity, people: SimpleNamespace):
    identity.say(people.ehr, people.father)
    identity.rule("must_link", "ehr-1", "ehr-3")
    assert identity.people == [["ehr-1", "ehr-3"]]


def test_a_ruling_that_a_source_sends_is_not_obeyed(identity: Identity, people: SimpleNamespace):
    identity.say(people.ehr, people.father)
    forged = ruling("must_link", ("ehr-1", "ehr-3"), STEWARD, "", AT)
    forged["meta"]["source"] = "urn:careloom:source:clinic"
    identity.say(forged)
    assert len(identity.people) == 2


def test_a_ruling_needs_a_named_person_and_two_patients():
    with pytest.raises(OutcomeError):
        ruling("must_link", ("a", "b"), {"reference": "Practitioner/1"}, "", AT)
    with pytest.raises(OutcomeError):
        ruling("must_link", ("a", "a"), STEWARD, "", AT)


def test_no_name_can_be_read_in_the_keys(identity: Identity, people: SimpleNamespace):
    identity.say(people.ehr)
    (basic,) = identity.rooms.find("Basic")
    text = dumps(basic).decode().lower()
    assert not any(word in text for word in ("okonkwo", "adaeze", "1961", "0143", "harbour", "98101"))
    assert 5 <= len(basic["identifier"]) <= MOST_KEYS + 2


def test_a_crowd_that_shares_a_key_does_not_stop_the_station(identity: Identity, make_patient: Make):
    crowd = [
        make_patient(f"ehr-{number}", "Unknown", "Baby Boy", "2026-02-01", home="1 Clinic Road")
        for number in range(60)
    ]
    identity.rooms.say(AT, *crowd)
    identity.rooms.run(AT, "identity")
    assert len(identity.people) == 60


def test_without_a_secret_no_key_is_made(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("CARELOOM_IDENTITY_SALT")
    with pytest.raises(OutcomeError, match="no secret"):
        _salt.__wrapped__()
