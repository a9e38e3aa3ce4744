"""What a banner shows of a person: which value survives, who says so, and who disagrees."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest

from careloom.fhir.resource import Resource
from careloom.unify.identity.golden import PersonView, person_view

PERSON: Resource = {"resourceType": "Person", "id": "p"}


def patient(key: str, **elements: Any) -> Resource:
    source = f"urn:careloom:source:{key.partition('-')[0]}"
    return {"resourceType": "Patient", "id": key, "meta": {"source": source}} | elements


def name(family: str, *given: str, **more: Any) -> dict[str, Any]:
    return {"family": family, "given": list(given)} | more


def view(*patients: Resource, trust: tuple[str, ...] = ()) -> PersonView:
    """The view, which no order of the Patients may change."""
    (found,) = {repr(person_view(PERSON, order, trust)) for order in permutations(patients)}
    made = person_view(PERSON, patients, trust)
    assert repr(made) == found
    return made


def test_the_value_that_most_state_is_shown_with_those_who_state_it() -> None:
    made = view(
        patient("ehr-1", birthDate="1961-04-09"),
        patient("lab-1", birthDate="1961-04-09"),
        patient("clinic-1", birthDate="1961-09-04"),
    )
    assert made.birth_date == "1961-04-09"
    (conflict,) = made.conflicts
    assert conflict.element == "birthDate"
    assert [(told.value, set(told.by)) for told in conflict.values] == [
        ("1961-04-09", {"Patient/ehr-1", "Patient/lab-1"}),
        ("1961-09-04", {"Patient/clinic-1"}),
    ]


def test_where_as_many_say_another_thing_the_trusted_source_decides() -> None:
    one, two = patient("ehr-1", gender="female"), patient("lab-1", gender="male")
    assert view(one, two, trust=("lab", "ehr")).sex == "male"
    assert view(one, two, trust=("ehr", "lab")).sex == "female"


@pytest.mark.parametrize(
    ("vague", "full"), [("1961", "1961-04-09"), ("1961-01-01", "1961-04-09"), ("1961", "1961-01-01")]
)
def test_a_full_date_outweighs_more_votes_for_a_vague_one(vague: str, full: str) -> None:
    made = view(
        patient("ehr-1", birthDate=vague),
        patient("lab-1", birthDate=vague),
        patient("clinic-1", birthDate=full),
    )
    assert made.birth_date == full


def test_unknown_is_no_vote_and_no_conflict() -> None:
    made = view(
        patient("ehr-1", gender="unknown"),
        patient("lab-1", gender="unknown"),
        patient("clinic-1", gender="female"),
    )
    assert made.sex == "female"
    assert made.conflicts == ()


def test_a_maiden_name_is_shown_last_although_more_state_it() -> None:
    made = view(
        patient("ehr-1", name=[name("Okonkwo", "Adaeze")]),
        patient("lab-1", name=[name("Okonkwo", "Adaeze")]),
        patient("clinic-1", name=[name("Lindqvist", "Adaeze"), name("Okonkwo", "Adaeze", use="maiden")]),
    )
    assert made.name["family"] == "Lindqvist"
    assert made.names[-1].value["family"] == "Okonkwo"


def test_the_most_complete_of_one_family_name_is_shown_and_a_placeholder_never() -> None:
    made = view(
        patient("ehr-1", name=[name("Okonkwo", "Adaeze", "R")]),
        patient("clinic-1", name=[name("Okonkwo", "Adaeze", "Ruth")]),
        patient("lab-1", name=[name("Okonkwo", "Baby", "Girl")]),
    )
    assert made.name["given"] == ["Adaeze", "Ruth"]


def test_who_is_dead_in_one_source_is_not_alive_for_the_others() -> None:
    alive, dead = patient("ehr-1", deceasedBoolean=False), patient("lab-1", deceasedDateTime="2026-03-01")
    assert view(alive, dead).deceased == "2026-03-01"
    assert view(alive, patient("lab-1", deceasedBoolean=True)).deceased == "true"
    assert view(alive).deceased == ""


def test_what_several_say_is_listed_once_with_all_who_say_it() -> None:
    number = {"system": "http://hl7.org/fhir/sid/us-ssn", "value": "529-41-7703"}
    phone = {"system": "phone", "value": "206-555-0143"}
    made = view(
        patient("ehr-1", identifier=[number | {"use": "official"}], telecom=[phone]),
        patient("lab-1", identifier=[number], telecom=[phone, phone]),
    )
    assert [set(told.by) for told in made.identifiers] == [{"Patient/ehr-1", "Patient/lab-1"}]
    assert [len(told.by) for told in made.telecoms] == [2]


def test_two_family_names_in_use_are_a_conflict_and_two_spellings_of_one_are_not() -> None:
    married = patient("clinic-1", name=[name("Lindqvist", "Ada")])
    conflicts = view(patient("ehr-1", name=[name("Okonkwo", "Ada")]), married).conflicts
    assert [conflict.element for conflict in conflicts] == ["name.family"]
    assert view(married, patient("ehr-1", name=[name("LINDQVIST", "ADA")])).conflicts == ()


def test_nothing_known_shows_nothing() -> None:
    made = view(patient("ehr-1"))
    assert (made.name, made.birth_date, made.sex, made.conflicts) == ({}, "", "", ())
