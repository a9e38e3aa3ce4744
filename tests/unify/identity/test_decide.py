"""One woman of three systems is linked; her twin, a father and his son, and her husband are not."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from careloom.fhir.resource import Resource
from careloom.unify.identity.decide import Decision, decide, objections
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
    assert told["family"] == "changed"
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


def test_two_numbers_of_one_issuer_keep_two_apart_whatever_the_score(
    people: SimpleNamespace, make_patient: Make
):
    numbers = make_patient("ehr-8", "x", "y")["identifier"]
    other_name = [{"family": "Okonkwo", "given": ["Adanna", "Ruth"]}]
    for change in ({"name": other_name}, {"birthDate": "1963-04-09"}, {"address": [], "telecom": []}):
        decision = decided(people.ehr, people.ehr | {"id": "ehr-8", "identifier": numbers} | change)
        assert decision.grade != "link"
        assert "issued-conflict" in objections(
            record(people.ehr), record(people.ehr | {"identifier": numbers} | change), decision.explanation
        )


def test_one_name_one_birth_date_and_one_home_under_two_numbers_were_registered_twice(
    people: SimpleNamespace, make_patient: Make
):
    numbers = make_patient("ehr-8", "x", "y")["identifier"]
    for change in ({}, {"birthDate": "1961-09-04"}, {"address": []}):
        again = people.ehr | {"id": "ehr-8", "identifier": numbers} | change
        assert decided(people.ehr, again).grade == "link"


def test_exchanged_names_and_a_marriage_are_seen_and_a_brother_is_not_taken_for_them(make_patient: Make):
    home = "3 Mill Lane"
    exchanged = make_patient("lab-5", "Ruth", "Okonkwo", "1970-10-21", home=home)
    married = make_patient("clinic-5", "Lindqvist", "Ruth", "1970-10-21", home=home)
    sister = make_patient("clinic-6", "Okonkwo", "Helen", "1970-10-21", home=home)
    assert decided(exchanged, married).grade == "link"
    assert decided(exchanged, married).explanation.level("given") == "crossed"
    assert decided(exchanged, sister).grade != "link"
    assert decided(exchanged, sister).explanation.level("given") == "differs"


def test_a_rare_middle_name_tells_more_than_a_common_one(make_patient: Make):
    def middle_weight(middle: str) -> Decimal:
        one, two = (make_patient(key, "Reyes", f"Ines {middle}", "1970-10-21") for key in ("ehr-5", "lab-5"))
        (part,) = (part for part in decided(one, two).explanation.parts if part.field == "middle")
        return part.weight

    assert middle_weight("Zenobia") > middle_weight("Marie")


def test_a_wrong_number_does_not_part_one_child_of_one_home(make_patient: Make):
    one = make_patient("ehr-5", "Reyes", "Chevonne", "1970-10-21", ssn="529-41-7703", home="3 Mill Lane")
    two = make_patient("lab-5", "Reyes", "Chevodnne", "1970-10-21", ssn="318-66-0912", home="3 Mill Lane")
    twin = make_patient("lab-6", "Reyes", "Ines", "1970-10-21", ssn="318-66-0912", home="3 Mill Lane")
    assert decided(one, two).grade == "link"
    assert decided(one, twin).grade == "no"


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
