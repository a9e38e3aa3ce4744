"""$validate: what it looks at, and what it answers."""

from __future__ import annotations

from typing import Any

import pytest

from careloom.fhir.outcome import OutcomeError
from careloom.fhir.profile import Profiles
from careloom.fhir.profile.operation import validation_outcome
from careloom.fhir.validate import validate

URL = "http://example.org/born"
BORN = {
    "resourceType": "StructureDefinition",
    "url": URL,
    "name": "Born",
    "type": "Patient",
    "kind": "resource",
    "snapshot": {
        "element": [
            {"id": "Patient", "path": "Patient", "min": 0, "max": "*"},
            {"id": "Patient.birthDate", "path": "Patient.birthDate", "min": 1, "max": "1"},
        ]
    },
}
PROFILES = Profiles([BORN])
PATIENT: dict[str, Any] = {"resourceType": "Patient", "id": "p"}
CLAIMS: dict[str, Any] = {**PATIENT, "meta": {"profile": [f"{URL}|1.0"]}}


def answered(resource: dict[str, Any] | None, **asked: str) -> list[tuple[str, str]]:
    outcome = validation_outcome(resource, PROFILES, **asked)
    assert validate(outcome) == []
    return [(issue["severity"], issue.get("expression", [""])[0]) for issue in outcome["issue"]]


def test_it_looks_at_r4_at_the_profile_asked_for_and_at_those_claimed() -> None:
    assert answered(PATIENT) == [("information", "")]
    assert answered({**PATIENT, "shoe": 1}, profile=URL) == [("error", "Patient.shoe")]
    assert answered(PATIENT, profile=URL) == [("error", "Patient.birthDate")]
    assert answered(CLAIMS) == answered(CLAIMS, profile=URL) == [("error", "Patient.birthDate")]
    assert answered({**CLAIMS, "birthDate": "2020"}, profile=URL) == [("information", "")]


def test_an_unknown_claim_is_a_warning() -> None:
    resource = {**PATIENT, "meta": {"profile": ["http://example.org/other"]}}
    assert answered(resource) == [("warning", "Patient.meta.profile")]


def test_the_resources_of_a_bundle_are_held_to_their_claims() -> None:
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": PATIENT}, {"resource": CLAIMS}]}  # fmt: skip
    assert answered(bundle) == [("error", "Bundle.entry[1].resource.birthDate")]


def test_a_modifier_extension_that_nobody_knows_is_a_warning() -> None:
    extension = {"url": "http://example.org/not", "valueBoolean": True}
    resource = {**PATIENT, "contact": [{"name": {"text": "A"}, "modifierExtension": [extension]}]}
    assert answered(resource) == [("warning", "Patient.contact[0].modifierExtension[0]")]


def test_the_mode_says_what_is_looked_at() -> None:
    assert answered({"resourceType": "Patient"}, mode="create") == [("information", "")]
    assert answered({"resourceType": "Patient"}, mode="update") == [("error", "Patient.id")]
    assert answered(None, mode="delete") == [("information", "")]
    assert answered(PATIENT, mode="profile", profile=URL) == [("error", "Patient.birthDate")]


@pytest.mark.parametrize(
    ("resource", "asked"),
    [
        (PATIENT, {"mode": "erase"}),
        (PATIENT, {"profile": "http://example.org/none"}),
        (PATIENT, {"mode": "profile"}),
        (None, {}),
    ],
)
def test_what_cannot_be_answered_is_refused(resource: dict[str, Any] | None, asked: dict[str, str]) -> None:
    with pytest.raises(OutcomeError):
        validation_outcome(resource, PROFILES, **asked)
