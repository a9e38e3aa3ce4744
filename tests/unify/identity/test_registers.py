"""Two registers that hold a person once are linked one to one: a twin's own record takes the twin."""

from __future__ import annotations

from collections.abc import Callable

from careloom.fhir.resource import Resource
from careloom.unify.identity.record import Record, record
from careloom.unify.identity.registers import linked
from careloom.verify.identity import measure_registers
from careloom.verify.registrations import town

Make = Callable[..., Resource]
HOME = "14 Harbour View Rd"


def census(make_patient: Make, *people: tuple[str, str]) -> list[Record]:
    return [record(make_patient(key, "Okonkwo", given, "1961-04-09", home=HOME)) for key, given in people]


def test_each_twin_finds_its_own_record_although_one_is_misspelt(make_patient: Make):
    births = census(make_patient, ("a-1", "Adaeze"), ("a-2", "Chioma"))
    schools = census(make_patient, ("b-1", "Adaeze"), ("b-2", "Xhioma"))
    assert {(match.one, match.two) for match in linked(births, schools)} == {("a-1", "b-1"), ("a-2", "b-2")}


def test_no_record_stands_in_two_matches_and_the_surest_comes_first(make_patient: Make):
    births = census(make_patient, ("a-1", "Adaeze"))
    schools = census(make_patient, ("b-1", "Adaeze"), ("b-2", "Adaese"))
    (match,) = linked(births, schools)
    assert (match.one, match.two) == ("a-1", "b-1")
    assert match.probability > 0.5


def test_rivals_share_the_probability(make_patient: Make):
    births = census(make_patient, ("a-1", "Adaeze"), ("a-2", "Adaeze"))
    (match,) = linked(births, census(make_patient, ("b-1", "Adaeze")), least=0.4)
    assert match.probability < 0.6


def test_nothing_comes_of_empty_registers(make_patient: Make):
    assert linked([], census(make_patient, ("b-1", "Adaeze"))) == []
    assert linked(census(make_patient, ("b-1", "Adaeze")), []) == []


def test_of_the_links_between_registers_that_overlap_in_part_one_in_a_hundred_is_false_at_most():
    told = [(each.patient, str(each.citizen)) for each in town(400, 3)]
    one = list({person: (p, person) for p, person in told if p["id"].startswith("ehr")}.values())
    two = list({person: (p, person) for p, person in told if p["id"].startswith("clinic")}.values())
    precision, recall = measure_registers(one, two)
    assert precision >= 0.99
    assert recall > 0.95
