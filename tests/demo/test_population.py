"""The people of the synthetic hospital: reproducible, and written down with a realistic error mix."""

from __future__ import annotations

from collections import Counter

from careloom.demo.names import NICKNAMES
from careloom.demo.population import MIDDLE_DIFFERS, people, registrations

SEED = 7
PEOPLE = people(SEED, 200)
WRITTEN = {person.number: registrations(SEED, person) for person in PEOPLE}


def test_the_same_seed_gives_the_same_people_and_another_seed_others():
    assert people(SEED, 200) == PEOPLE
    assert [registrations(SEED, person) for person in PEOPLE] == list(WRITTEN.values())
    assert people(8, 200)[20:] != PEOPLE[20:]


def test_the_star_is_three_patients_and_no_two_of_them_agree():
    star = WRITTEN[1]
    ehr, clinic, lab = star["ehr"].details, star["clinic"].details, star["lab"].details
    assert (ehr.family, ehr.middle) == ("Whitfield", "")
    assert (clinic.family, clinic.middle) == ("Hardcastle", "Grace")
    assert ehr.born == clinic.born
    assert (lab.born.day, lab.born.month) == (ehr.born.month, ehr.born.day)
    assert lab.born != ehr.born


def test_no_number_is_shared_between_people_or_systems():
    numbers = [registration.number for known in WRITTEN.values() for registration in known.values()]
    assert len(set(numbers)) == len(numbers)


def test_the_middle_name_differs_as_often_as_in_the_published_duplicates():
    many = people(SEED, 3000)
    pairs = [
        (known["ehr"].details.middle, known[other].details.middle)
        for person in many
        for known in [registrations(SEED, person)]
        for other in ("clinic", "lab")
        if "ehr" in known and other in known
    ]
    share = sum(one != two for one, two in pairs) / len(pairs)
    # Some of the hospital's own forms lack it too, so that it differs a little more often than one system alone errs.
    assert MIDDLE_DIFFERS - 0.04 < share < MIDDLE_DIFFERS + 0.08


def test_half_of_the_given_names_that_differ_are_misspelt():
    many = people(SEED, 3000)
    differ = [
        (person.truth, registration.details.given)
        for person in many
        for registration in registrations(SEED, person).values()
        if registration.details.given != person.truth.given
    ]
    other_names = sum(given in {truth.middle, *NICKNAMES.get(truth.given, ())} for truth, given in differ)
    assert 0.42 < other_names / len(differ) < 0.58


def test_there_are_twins_namesakes_and_spouses_who_are_not_one():
    kinds = Counter(person.kind for person in PEOPLE)
    assert (kinds["star"], kinds["twin"], kinds["namesake"], kinds["spouse"]) == (1, 4, 4, 6)
    twins = [person.truth for person in PEOPLE if person.kind == "twin"][:2]
    assert twins[0].born == twins[1].born
    assert twins[0].given != twins[1].given
    father, son = [person.truth for person in PEOPLE if person.kind == "namesake"][:2]
    assert (father.family, father.given) == (son.family, son.given)
    assert (son.born.year - father.born.year) > 15
