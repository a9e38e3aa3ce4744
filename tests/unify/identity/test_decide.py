"""One woman of three systems is linked; her twin, a father and his son, and her husband are not."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from careloom.fhir.resource import Resource
from careloom.unify.identity.decide import Decision, decide
from careloom.unify.identity.record import record
from careloom.unify.identity.score import explain, prior_bits
from careloom.verify.registrations import town

Make = Callable[..., Resource]


def decided(one: Resource, two: Resource) -> Decision:
    return decide(record(one), record(two))


def test_one_woman_in_three_systems_is_linked(people: SimpleNamespace):
    for one, two in ((people.ehr, people.clinic), (people.ehr, people.lab)):
        assert decided(one, two).grade == "link"


def test_the_reasons_of_the_clinics_record_are_told(people: SimpleNamespace):
    why = decided(people.ehr, people.clinic).explanation
    told = {part.field: part.level for part in why.parts}
    assert told["birth"] == "swapped"
    assert told["given"] == "exact"
    assert told["middle"] == "initial"
    assert told["family"] == "differs"
    assert told["phone"] == "exact"


def test_a_maiden_name_on_either_side_is_told(people: SimpleNamespace, make_patient: Make):
    married = make_patient("clinic-9", "Lindqvist", "Adaeze", "1961-04-09", maiden="Okonkwo")
    assert decided(people.lab, married).explanation.level("family") == "previous"
    assert decided(people.lab, married).grade == "link"


@pytest.mark.parametrize(
    ("one", "two", "grade", "rule"),
    [
        ("ehr", "twin", "review", "given-differs"),
        ("father", "son", "review", "generation"),
        ("clinic", "husband", "no", "issued-conflict"),
        ("ehr", "husband", "no", "birth-differs"),
    ],
)
def test_those_who_share_a_household_are_not_linked(
    people: SimpleNamespace, one: str, two: str, grade: str, rule: str
):
    decision = decided(getattr(people, one), getattr(people, two))
    assert (decision.grade, decision.rule) == (grade, rule)


def test_twins_of_different_sex_or_said_to_be_twins_are_two(people: SimpleNamespace):
    brother = people.twin | {"gender": "male", "name": [{"family": "Okonkwo", "given": ["Chidi"]}]}
    assert decided(people.ehr, brother).grade == "no"


def test_twins_in_one_system_under_two_numbers_are_two(people: SimpleNamespace, make_patient: Make):
    twin = make_patient("ehr-2", "Okonkwo", "Chioma", "1961-04-09", phone="206-555-0143")
    assert decided(people.ehr, twin).grade == "no"


def test_no_score_links_what_is_objected_to(people: SimpleNamespace):
    assert decided(people.ehr, people.twin).explanation.probability > 0.999


def test_junior_and_senior_are_two(people: SimpleNamespace):
    father = people.father | {"name": [{"family": "Baker", "given": ["Samuel"], "suffix": ["Sr"]}]}
    son = people.son | {"name": [{"family": "Baker Jr.", "given": ["Samuel"]}]}
    assert decided(father, son).grade == "no"


def test_two_numbers_of_one_issuer_are_never_linked_by_score(people: SimpleNamespace, make_patient: Make):
    again = people.ehr | {"id": "ehr-8", "identifier": make_patient("ehr-8", "x", "y")["identifier"]}
    decision = decided(people.ehr, again)
    assert (decision.grade, decision.rule) == ("review", "issued-conflict")


def test_a_merge_by_the_source_is_obeyed(people: SimpleNamespace, make_patient: Make):
    old = make_patient("ehr-7", "Completely", "Different", "1999-12-31")
    old["link"] = [{"type": "replaced-by", "other": {"reference": "Patient/ehr-1"}}]
    decision = decided(old, people.ehr)
    assert (decision.grade, decision.rule) == ("link", "replaced-by")


def test_a_national_number_links_although_the_name_changed(make_patient: Make):
    one = make_patient("ehr-5", "Reyes", "Marisol", "1970-10-21", ssn="529-41-7703")
    two = make_patient("lab-5", "Hart", "Mary", "1970-10-21", ssn="529417703")
    assert (decided(one, two).grade, decided(one, two).rule) == ("link", "national-id")


def test_two_national_numbers_part_people_of_one_name(make_patient: Make):
    one = make_patient("ehr-5", "Reyes", "Maria", "1970-10-21", ssn="529-41-7703")
    two = make_patient("lab-5", "Reyes", "Maria", "1970-10-21", ssn="318-66-0912")
    assert decided(one, two).grade != "link"
    assert decided(one, two).rule == "national-conflict"


def test_numbers_in_sequence_are_twins_not_a_slip(make_patient: Make):
    one = make_patient("ehr-5", "Reyes", "Lucia", "1970-10-21", ssn="529-41-7703")
    two = make_patient("lab-5", "Reyes", "Ines", "1970-10-21", ssn="529-41-7704")
    assert decided(one, two).grade == "no"


def test_nothing_known_links_nothing():
    empty = {"resourceType": "Patient", "id": "a"}
    assert decided(empty, empty | {"id": "b"}).grade == "no"


def test_name_and_sex_alone_wait_for_a_steward_at_most(make_patient: Make):
    one, two = make_patient("ehr-5", "Quackenbush", "Zelda"), make_patient("lab-5", "Quackenbush", "Zelda")
    assert decided(one, two).grade != "link"


TOWN = [record(registration.patient) for registration in town(60, 5)]


@settings(max_examples=200)
@given(st.sampled_from(TOWN), st.sampled_from(TOWN))
def test_weights_add_up_to_the_score_and_the_order_of_two_does_not_matter(one, two):
    why = explain(one, two)
    assert why.score == sum((part.weight for part in why.parts), Decimal(0))
    assert why.parts == explain(two, one).parts
    odds = 2 ** (float(why.score) + prior_bits())
    assert why.probability == pytest.approx(odds / (1 + odds))
    assert decide(one, two) == decide(two, one)
