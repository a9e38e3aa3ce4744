"""Values that mean the same are spelt the same, placeholders are nothing, and no text breaks it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from careloom.unify.identity import normalise
from careloom.unify.identity.normalise import Birth, Name


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("O'Brien", "OBRIEN"),
        ("Núñez", "Nunez"),
        ("Smith-Jones", "SMITH JONES"),
        ("Łukasz", "lukasz"),
        ("Straße", "strasse"),
    ],
)
def test_a_name_is_spelt_one_way(one: str, two: str):
    assert normalise.words(one) == normalise.words(two)


@pytest.mark.parametrize("family", ["Baker Jr", "Baker, Jr.", "BAKER JUNIOR"])
def test_a_suffix_typed_into_the_family_name_is_a_suffix(family: str):
    assert normalise.name(["John"], family, []) == Name(("john",), "baker", "jr")


@pytest.mark.parametrize(
    ("given_names", "family"),
    [(["Baby Boy"], "Unknown"), (["TEST"], "ZZTEST"), (["Jane"], "Doe"), (["NFN"], "NLN")],
)
def test_placeholders_are_no_name(given_names: list[str], family: str):
    assert normalise.name(given_names, family, []) is None


def test_a_newborn_keeps_the_family_name_only():
    assert normalise.name(["Babygirl"], "Okafor", []) == Name((), "okafor")


@pytest.mark.parametrize("text", ["1900-01-01", "9999-12-31", "", "unknown", "0001-01-01"])
def test_a_placeholder_is_no_birth_date(text: str):
    assert normalise.birth(text) is None


def test_a_date_knows_how_much_it_knows():
    assert normalise.birth("1960-03-07T10:00:00Z") == Birth(1960, 3, 7)
    assert not Birth(1960, 3).is_full
    assert Birth(1960, 1, 1).is_january_first


@pytest.mark.parametrize("text", ["000-00-0000", "111111111", "123-45-6789", "078-05-1120", "--"])
def test_a_placeholder_is_no_identifier(text: str):
    assert normalise.identifier(text) == ""


def test_a_telephone_number_is_one_number_however_it_is_written():
    forms = ["(206) 555-0143", "+1 206 555 0143", "206.555.0143 ext 7", "0012065550143"]
    assert len({normalise.phone(form) for form in forms}) == 1
    assert normalise.phone("+44 20 7946 0018") == normalise.phone("020 7946 0018")


def test_street_types_and_units_are_evened_out():
    assert normalise.address(["12 N. Elm St", "Apt 4B"], "98101", "") == normalise.address(
        ["12 North Elm Street", "#4B"], "98101-0001", ""
    )


TEXT = st.text(max_size=40)


@settings(max_examples=200)
@given(TEXT)
def test_words_are_idempotent_and_take_any_text(text: str):
    once = normalise.words(text)
    assert normalise.words(" ".join(once)) == once


@settings(max_examples=200)
@given(TEXT, TEXT, TEXT)
def test_any_text_can_be_normalised(one: str, two: str, three: str):
    normalise.name([one], two, [three])
    normalise.birth(one)
    normalise.address([one, two], three, one)
    for value in (normalise.identifier(one), normalise.phone(two), normalise.email(three)):
        assert isinstance(value, str)
    assert normalise.phone(normalise.phone(one)) == normalise.phone(one)
