"""Search parameters on the official examples of R4: hand-read rows, and the whole package without a failure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from careloom.fhir.facts import facts
from careloom.fhir.resource import Resource, loads
from careloom.fhir.searchparam import Indexed, extract, parameters

LISTS = ("tokens", "strings", "dates", "references", "quantities", "uris")
UCUM = "http://unitsofmeasure.org"
LOINC = "http://loinc.org"


def rows(indexed: Indexed) -> Iterator[tuple[int, Any]]:
    for name in LISTS:
        for number, *value in getattr(indexed, name):
            # A token of nothing says only that the element is there.
            if value != [None, None]:
                yield number, tuple(value) if len(value) > 1 else value[0]


def found(raw: bytes) -> dict[str, set[Any]]:
    resource = loads(raw)
    codes = {parameter.id: code for code, parameter in parameters(resource["resourceType"]).items()}
    by_code: dict[str, set[Any]] = {}
    for number, value in rows(extract(resource)):
        by_code.setdefault(codes[number], set()).add(value)
    return by_code


def day(year: int, month: int, number: int, days: int = 1) -> tuple[datetime, datetime]:
    start = datetime(year, month, number, tzinfo=UTC)
    return start, start + timedelta(days=days)


def test_a_patient_is_found_by_what_it_says(r4_examples: dict[str, bytes]) -> None:
    numbers = {"work": "(03) 5555 6473", "mobile": "(03) 3410 5613", "old": "(03) 5555 8834"}
    phones = {*numbers.items(), *(("phone", number) for number in numbers.values())}
    address = {
        "534 erewhon st peasantville, rainbow, vic 3999",
        "534 erewhon st",
        "pleasantville",
        "rainbow",
        "vic",
        "3999",
    }
    assert found(r4_examples["Patient-example.json"]) == {
        "identifier": {("urn:oid:1.2.36.146.595.217.0.1", "12345")},
        "active": {(None, "true")},
        "name": {"chalmers", "peter", "james", "jim", "windsor"},
        "phonetic": {"chalmers", "peter", "james", "jim", "windsor"},
        "family": {"chalmers", "windsor"},
        "given": {"peter", "james", "jim"},
        "telecom": phones | {("home", None)},
        "phone": phones,
        "gender": {(None, "male")},
        "birthdate": {day(1974, 12, 25)},
        "deceased": {(None, "false")},
        "address": address,
        "address-city": {"pleasantville"},
        "address-state": {"vic"},
        "address-postalcode": {"3999"},
        "address-use": {(None, "home")},
        "organization": {"Organization/1"},
    }  # fmt: skip


def test_a_blood_pressure_is_found_by_its_panel_and_by_its_parts(r4_examples: dict[str, bytes]) -> None:
    panel, diastolic = (LOINC, "85354-9"), (LOINC, "8462-4")
    systolic = {
        (LOINC, "8480-6"),
        ("http://snomed.info/sct", "271649006"),
        ("http://acme.org/devices/clinical-codes", "bp-s"),
    }
    amounts = {
        (system, unit, value, value)
        for system, unit in ((UCUM, "mm[Hg]"), (None, "mmHg"))
        for value in (107.0, 60.0)
    }
    assert found(r4_examples["Observation-blood-pressure.json"]) == {
        "_profile": {"http://hl7.org/fhir/StructureDefinition/vitalsigns"},
        "identifier": {("urn:ietf:rfc:3986", "urn:uuid:187e0c12-8dd2-67e2-99b2-bf273c878281")},
        "based-on": {("https://acme.org/identifiers", "1234")},
        "status": {(None, "final")},
        "category": {("http://terminology.hl7.org/CodeSystem/observation-category", "vital-signs")},
        "code": {panel},
        "combo-code": {panel, diastolic, *systolic},
        "component-code": {diastolic, *systolic},
        "component-value-quantity": amounts,
        "combo-value-quantity": amounts,
        "subject": {"Patient/example"},
        "patient": {"Patient/example"},
        "performer": {"Practitioner/example"},
        "date": {day(2012, 9, 17)},
    }  # fmt: skip


def test_an_encounter_is_found_by_its_period_and_its_people(r4_examples: dict[str, bytes]) -> None:
    encounter = found(r4_examples["Encounter-f203.json"])
    assert encounter["date"] == {day(2013, 3, 11, days=10)}
    assert encounter["class"] == {("http://terminology.hl7.org/CodeSystem/v3-ActCode", "IMP")}
    assert encounter["participant"] == encounter["practitioner"] == {"Practitioner/f201"}
    assert encounter["diagnosis"] == {"Condition/stroke", "Condition/f201"}
    assert encounter["part-of"] == {"Encounter/f203"}


def test_a_task_is_found_by_its_focus_and_its_moments(r4_examples: dict[str, bytes]) -> None:
    task = found(r4_examples["Task-example1.json"])
    moment = datetime(2016, 10, 30, 22, 25, 5, tzinfo=UTC)
    assert task["authored-on"] == {(moment, moment + timedelta(seconds=1))}
    assert task["focus"] == {"ServiceRequest/lipid"}
    assert task["patient"] == task["subject"] == {"Patient/example"}
    assert "code" not in task


def test_every_example_is_indexed(r4_examples: dict[str, bytes]) -> None:
    known = {number for base in facts().search for number in ids_of(base)}
    seen: set[int] = set()
    for raw in r4_examples.values():
        resource: Resource = loads(raw)
        for number, value in rows(extract(resource)):
            assert value not in {None, "", (None, None)}
            seen.add(number)
    assert seen <= known
    # The examples do not use every element; this many of the parameters find something in them.
    assert len(seen) > 1_000


def ids_of(base: str) -> set[int]:
    if base == "DomainResource":
        return set()
    return {parameter.id for parameter in parameters(base).values()}
