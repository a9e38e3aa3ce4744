"""The comparison with another converter counts what both state, value by value."""

from __future__ import annotations

from careloom.settings import Settings, settings_from
from careloom.verify.v2_agreement import ELEMENTS, check


def test_an_absent_suite_is_said_so(tmp_path) -> None:
    (figure,) = check(Settings(conformance=tmp_path))
    assert "absent" in figure.note


def test_values_are_told_as_texts_that_two_converters_can_share() -> None:
    patient = {
        "resourceType": "Patient",
        "name": [{"family": "LEE", "given": ["Ann", "B"]}],
        "identifier": [{"value": "7"}],
    }
    assert list(ELEMENTS["Patient.name"](patient)) == ["lee|ann b"]
    assert list(ELEMENTS["Patient.identifier"](patient)) == ["7"]
    observation = {
        "valueQuantity": {"value": 6.10},
        "code": {"coding": [{"code": "2345-7"}, {"code": "GLU"}]},
    }
    assert list(ELEMENTS["Observation.value"](observation)) == ["6.1"]
    assert list(ELEMENTS["Observation.code"](observation)) == ["2345-7"]


def test_gender_and_birth_date_agree_in_every_sample() -> None:
    figures = {figure.check: figure for figure in check(settings_from())}
    if "v2-agreement.samples" in figures:
        assert figures["v2-agreement.Patient.gender"].value == 100
        assert figures["v2-agreement.Patient.birthDate"].value == 100
