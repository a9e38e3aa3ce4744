"""LACE scores as van Walraven and others printed it (CMAJ 2010, doi 10.1503/cmaj.091117)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from careloom.analyze.scores import charlson
from careloom.analyze.scores.lace import Stay, lace

NONE = Stay(days=0, is_acute=False, comorbidity=0, emergency_visits=0)
ICD = "http://hl7.org/fhir/sid/icd-10-cm"


@pytest.mark.parametrize(
    ("days", "points"), [(0, 0), (1, 1), (2, 2), (3, 3), (4, 4), (6, 4), (7, 5), (13, 5), (14, 7), (90, 7)]
)
def test_length_of_stay_scores_0_to_7(days: int, points: int):
    assert lace(replace(NONE, days=days)).total == points


@pytest.mark.parametrize(("comorbidity", "points"), [(0, 0), (1, 1), (2, 2), (3, 3), (4, 5), (12, 5)])
def test_comorbidity_scores_as_it_is_up_to_3_and_5_from_4(comorbidity: int, points: int):
    assert lace(replace(NONE, comorbidity=comorbidity)).total == points


@pytest.mark.parametrize(("visits", "points"), [(0, 0), (1, 1), (2, 2), (3, 3), (4, 4), (9, 4)])
def test_emergency_visits_score_up_to_4(visits: int, points: int):
    assert lace(replace(NONE, emergency_visits=visits)).total == points


def test_an_acute_admission_scores_3():
    assert lace(replace(NONE, is_acute=True)).total == 3


# The ends of the published range, and the two worked examples of the R package cliot (lace_readmission_index).
@pytest.mark.parametrize(
    ("stay", "total", "band"),
    [
        (NONE, 0, "low"),
        (Stay(days=14, is_acute=True, comorbidity=4, emergency_visits=4), 19, "high"),
        (Stay(days=5, is_acute=True, comorbidity=5, emergency_visits=2), 14, "high"),
        (Stay(days=2, is_acute=False, comorbidity=0, emergency_visits=0), 2, "low"),
        (Stay(days=1, is_acute=True, comorbidity=0, emergency_visits=0), 4, "low"),
        (Stay(days=2, is_acute=True, comorbidity=0, emergency_visits=0), 5, "moderate"),
        (Stay(days=3, is_acute=True, comorbidity=3, emergency_visits=0), 9, "moderate"),
        (Stay(days=3, is_acute=True, comorbidity=3, emergency_visits=1), 10, "high"),
    ],
)
def test_published_and_worked_examples_give_the_same_index(stay: Stay, total: int, band: str):
    score = lace(stay)
    assert (score.total, score.band) == (total, band)


def test_a_missing_letter_leaves_a_lower_bound():
    score = lace(replace(NONE, days=7, comorbidity=None))
    assert score.total is None
    assert score.lower_bound == 5


# Wang 2014, table 1 (doi 10.1186/1471-2261-14-97); AIDS as docs/spec-notes.md says.
@pytest.mark.parametrize(
    ("codes", "weight"),
    [
        (["I25.2"], 1),
        (["I63.9"], 1),
        (["I70.2"], 1),
        (["E11.9"], 1),
        (["I50.9"], 2),
        (["E11.22"], 2),
        (["J44.1"], 2),
        (["K74.60"], 2),
        (["N18.2"], 2),
        (["C50.9"], 2),
        (["G30.9"], 3),
        (["M32.9"], 3),
        (["B20"], 4),
        (["N18.6"], 4),
        (["K76.6"], 4),
        (["C78.0"], 6),
        (["E11.9", "E11.22"], 2),
        (["C50.9", "C78.0"], 6),
        (["I25.2", "I50.9", "E11.9", "J44.1"], 6),
        (["I10", "Z00.0"], 0),
    ],
)
def test_each_comorbidity_has_the_weight_of_the_published_table(codes: list[str], weight: int):
    assert charlson.weight(charlson.groups((ICD, code) for code in codes)) == weight


def test_a_snomed_concept_names_a_comorbidity_too():
    assert [group.name for group in charlson.groups([("http://snomed.info/sct", "84114007")])] == [
        "Congestive heart failure"
    ]


def test_no_code_belongs_to_two_comorbidities():
    prefixes = [(prefix, group.name) for group in charlson.GROUPS for prefix in group.icd_10]
    assert not [
        (one, other)
        for one, name in prefixes
        for other, other_name in prefixes
        if name != other_name and other.startswith(one)
    ]


stays = st.builds(
    Stay,
    days=st.none() | st.integers(0, 60),
    is_acute=st.none() | st.booleans(),
    comorbidity=st.none() | st.integers(0, 20),
    emergency_visits=st.none() | st.integers(0, 12),
)


@given(stays, st.sampled_from(["days", "comorbidity", "emergency_visits"]), st.integers(0, 20))
def test_a_graver_stay_never_lowers_the_index(stay: Stay, field: str, more: int):
    value: Any = getattr(stay, field)
    graver = replace(stay, **{field: None if value is None else value + more})
    assert lace(graver).lower_bound >= lace(stay).lower_bound
    assert 0 <= lace(graver).lower_bound <= 19
