"""verify.matching: public sets of patient records with their truth, as Patient resources.

Room: verify. Reads settings.conformance/patient-matching: FEBRL 1, 2, 4 (Australian National University, BSD-3), Splink's
fake_1000 (MIT), OpenCR's Ugandan-style records (MIT).
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from careloom.fhir.resource import Resource

Truth = list[tuple[Resource, str]]
"""Patients, each with the name of the person it is of."""

_SSN = "http://hl7.org/fhir/sid/us-ssn"
_NATIONAL = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "NI"}]}


def febrl(folder: Path, *names: str, has_number: bool = True) -> Truth:
    """FEBRL data sets by name (`dataset4a`), with or without the social security number."""
    rows = (row for name in names for row in _rows(folder / "febrl" / f"{name}.csv"))
    return [(_febrl_patient(row, has_number=has_number), row["rec_id"].split("-")[1]) for row in rows]


def _febrl_patient(row: dict[str, str], *, has_number: bool) -> Resource:
    lines = [f"{row['street_number']} {row['address_1']}".strip(), row["address_2"]]
    patient = _patient(row["rec_id"], row["given_name"], row["surname"], _dashed(row["date_of_birth"]))
    patient["address"] = [{"line": lines, "city": row["suburb"], "postalCode": row["postcode"]}]
    if has_number and row["soc_sec_id"]:
        patient["identifier"] = [{"system": _SSN, "value": row["soc_sec_id"]}]
    return patient


def fake_1000(folder: Path) -> Truth:
    """Splink's fake_1000: name, birth date, town and e-mail of few people, each with many slips."""
    return [(_fake_patient(row), row["cluster"]) for row in _rows(folder / "splink" / "fake_1000.csv")]


def _fake_patient(row: dict[str, str]) -> Resource:
    patient = _patient(row["unique_id"], row["first_name"], row["surname"], row["dob"])
    patient["address"] = [{"city": row["city"]}]
    patient["telecom"] = [{"system": "email", "value": row["email"]}]
    return patient


def opencr(folder: Path) -> Truth:
    """OpenCR's records: name, birth date, sex, telephone, national and clinic numbers."""
    rows = _rows(folder / "opencr" / "tests" / "uganda_data_v21_20201501.csv")
    return [(_opencr_patient(row), row["rec_id"].split("-")[1]) for row in rows]


def _opencr_patient(row: dict[str, str]) -> Resource:
    patient = _patient(row["rec_id"], row["given_name"], row["surname"], _dashed(row["date_of_birth"]))
    patient["gender"] = {"f": "female", "m": "male"}.get(row["sex"], "unknown")
    patient["telecom"] = [{"system": "phone", "value": row["phone_number"]}]
    patient["identifier"] = [{"system": "urn:uganda:nin", "type": _NATIONAL, "value": row["uganda_nin"]}]
    return patient


SETS: dict[str, Callable[[Path], Truth]] = {
    "febrl4": lambda folder: febrl(folder, "dataset4a", "dataset4b"),
    "febrl4-no-number": lambda folder: febrl(folder, "dataset4a", "dataset4b", has_number=False),
    "febrl1": lambda folder: febrl(folder, "dataset1"),
    "febrl2": lambda folder: febrl(folder, "dataset2"),
    "fake-1000": fake_1000,
    "opencr": opencr,
}
"""The sets by name."""


def _patient(key: str, given: str, family: str, birth_date: str) -> Resource:
    name: dict[str, Any] = {"family": family, "given": [given]}
    patient: Resource = {"resourceType": "Patient", "id": key, "name": [name]}
    return patient | ({"birthDate": birth_date} if birth_date else {})


def _dashed(date: str) -> str:
    return f"{date[:4]}-{date[4:6]}-{date[6:]}" if date else ""


def _rows(path: Path) -> Iterator[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file, skipinitialspace=True)
