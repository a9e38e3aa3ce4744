"""The whole check on bundles made here: a load that is killed and run again equals one that was not."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from careloom.fhir.resource import dumps
from careloom.settings import Settings
from careloom.verify import load_resume

BUNDLES, RESOURCES = 40, 120


def bundle(number: int) -> bytes:
    patient = {"resourceType": "Patient", "id": f"p{number}", "name": [{"family": f"Load{number}"}]}
    observations = [
        {
            "resourceType": "Observation",
            "id": f"o{number}-{index}",
            "status": "final",
            "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4"}]},
            "subject": {"reference": f"Patient/p{number}"},
            "valueQuantity": {"value": index, "unit": "/min"},
        }
        for index in range(RESOURCES - 1)
    ]
    entries = [
        {"resource": one, "request": {"method": "PUT", "url": f"{one['resourceType']}/{one['id']}"}}
        for one in (patient, *observations)
    ]
    return dumps({"resourceType": "Bundle", "type": "transaction", "entry": entries})


@pytest.mark.conformance
def test_a_load_that_was_killed_and_run_again_ends_as_one_that_was_not(tmp_path: Path) -> None:
    for number in range(BUNDLES):
        (tmp_path / f"{number:03}.json").write_bytes(bundle(number))
    figures = {
        figure.check.partition(".")[2]: figure for figure in load_resume.check(Settings(), paths=(tmp_path,))
    }
    assert (figures["events"].passed, figures["events"].failed) == (BUNDLES, 0)
    for kind in ("resources", "versions", "contents"):
        assert (figures[kind].passed, figures[kind].failed) == (BUNDLES * RESOURCES, 0)
    assert 0 < (figures["killed-at"].value or 0) < 1


def test_what_only_one_of_two_homes_holds_is_counted_as_failed() -> None:
    figure = load_resume._compared("x", Counter({"a": 2, "b": 1}), Counter({"a": 1, "c": 1}))
    assert (figure.passed, figure.failed) == (1, 3)


def test_an_absent_suite_is_named(tmp_path: Path) -> None:
    (figure,) = load_resume.check(Settings(conformance=tmp_path))
    assert "absent" in figure.note
