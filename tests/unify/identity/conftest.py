"""Patients of these tests: one woman in three systems, and those who look like her."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from types import SimpleNamespace
from typing import Any

import pytest

from careloom.fhir.resource import Resource

MRN_TYPE = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "MR"}]}


def patient(key: str, family: str, given: str, birth: str = "", **more: Any) -> Resource:
    """A Patient of source `key`'s part before the dash, with a number of that source."""
    source = key.partition("-")[0]
    made: Resource = {
        "resourceType": "Patient",
        "id": key,
        "meta": {"source": f"urn:careloom:source:{source}"},
        "identifier": [{"type": MRN_TYPE, "system": f"urn:careloom:mrn:{source}", "value": f"{key}-no"}],
        "name": [{"use": "official", "family": family, "given": given.split()}],
        "gender": more.pop("gender", "female"),
    }
    if birth:
        made["birthDate"] = birth
    if phone := more.pop("phone", ""):
        made["telecom"] = [{"system": "phone", "value": phone}]
    if home := more.pop("home", ""):
        made["address"] = [{"line": [home], "city": "Northport", "postalCode": "98101"}]
    if ssn := more.pop("ssn", ""):
        made["identifier"].append({"system": "http://hl7.org/fhir/sid/us-ssn", "value": ssn})
    if maiden := more.pop("maiden", ""):
        made["name"].append({"use": "maiden", "family": maiden, "given": given.split()})
    return made | more


HOME = "14 Harbour View Rd"

# The spine's woman: a maiden name and all that is known; married, day and month exchanged; few fields, no middle name.
EHR = patient("ehr-1", "Okonkwo", "Adaeze Ruth", "1961-04-09", phone="206-555-0143", home=HOME)
CLINIC = patient(
    "clinic-1", "Lindqvist", "Adaeze R", "1961-09-04", phone="+1 206 555 0143", home="14 Harbour View Road"
)
LAB = patient("lab-1", "Okonkwo", "Adaeze", "1961-04-09")

TWIN = patient("lab-2", "Okonkwo", "Chioma", "1961-04-09", phone="206-555-0143", home=HOME)
FATHER = patient(
    "ehr-3", "Baker", "Samuel", "1938-02-11", gender="male", phone="206-555-0199", home="3 Mill Lane"
)
SON = patient(
    "clinic-3", "Baker", "Samuel", "1966-08-23", gender="male", phone="206-555-0199", home="3 Mill Lane"
)
HUSBAND = patient(
    "clinic-4", "Lindqvist", "Anders", "1958-12-01", gender="male", phone="206-555-0143", home=HOME
)


@pytest.fixture
def people() -> SimpleNamespace:
    """Fresh copies of them all, by name."""
    named = {
        "ehr": EHR,
        "clinic": CLINIC,
        "lab": LAB,
        "twin": TWIN,
        "father": FATHER,
        "son": SON,
        "husband": HUSBAND,
    }
    return SimpleNamespace(**deepcopy(named))


@pytest.fixture
def make_patient() -> Callable[..., Resource]:
    """`make_patient(key, family, given, birth, **more)`."""
    return patient
