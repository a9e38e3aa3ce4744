"""A chain, a _has or several codes together find the same, however the store goes about it."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from careloom.store import chain, crossing, look, search
from careloom.store.actor import STATION
from careloom.store.commit import Origin, Write, commit
from careloom.store.database import Connection, Database
from careloom.store.read import Reader

NOW = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
LOINC = "http://loinc.org"
SEARCHES: dict[str, tuple[str, list[tuple[str, str]]]] = {
    "chain": ("Observation", [("subject:Patient.gender", "female")]),
    "chain and code": ("Observation", [("subject:Patient.gender", "female"), ("code", f"{LOINC}|c1")]),
    "chain to one": ("Observation", [("subject:Patient.identifier", "urn:mrn|m7")]),
    "chain by an array": ("Observation", [("encounter:Encounter.class", "EMER"), ("_sort", "-date")]),
    "chain of many values": (
        "Observation",
        [("subject:Patient.family", ",".join(f"family{n}" for n in range(30)))],
    ),
    "chain of chains": ("Observation", [("encounter:Encounter.practitioner:Practitioner.gender", "male")]),
    "chain of a code": ("DiagnosticReport", [("result:Observation.code", f"{LOINC}|c2")]),
    "has": ("Patient", [("_has:Observation:patient:code", f"{LOINC}|c1")]),
    "has, not the first coding": ("Patient", [("_has:Observation:patient:code", f"{LOINC}|d3")]),
    "has of several": ("Patient", [("_has:Observation:patient:code", f"{LOINC}|c1,{LOINC}|d3")]),
    "has of a status": ("Patient", [("_has:Observation:patient:status", "amended")]),
    "has and name": ("Patient", [("_has:Observation:patient:code", f"{LOINC}|c1"), ("family", "family1")]),
    "has by an array": ("Encounter", [("_has:Observation:encounter:code", f"{LOINC}|c4")]),
    "has of has": (
        "Practitioner",
        [("_has:Encounter:practitioner:_has:Observation:encounter:status", "amended")],
    ),
    "has in another order": (
        "Patient",
        [("_has:Observation:patient:code", f"{LOINC}|c1"), ("_sort", "family")],
    ),
    "not what a chain leads to": (
        "Observation",
        [("_filter", "not (subject.gender eq female) or code eq c1")],
    ),
    "codes together": ("Observation", [("code", f"{LOINC}|c5"), ("status", "amended"), ("_sort", "-date")]),
    "not the first coding together": ("Observation", [("code", f"{LOINC}|d3"), ("status", "amended")]),
    "codes together that no column holds": ("Encounter", [("class", "EMER"), ("status", "planned")]),
}
WAYS: dict[str, dict[tuple[object, str], float]] = {
    "as it comes": {},
    "nothing is few": {
        (chain, "SOME"): 0,
        (chain, "FEW"): 0,
        (chain, "FEW_ENTRIES"): 0,
        (chain, "SOME_PATIENTS"): 0,
    },
    "everything is few": {(chain, "SOME"): 10**6, (chain, "SOME_PATIENTS"): 10**6, (search, "NARROW"): 10**6},
    "nothing is walked to its end": {(chain, "SOME"): 0, (chain, "FEW"): 0, (look, "HASTE_S"): 0.001},
    "no row is usual": {(crossing, "ENOUGH"): 10**6, (crossing, "FEW"): 10**6},
}


def resources() -> Iterator[dict[str, Any]]:
    chance = random.Random(3)
    for n in range(60):
        gender = "female" if n % 2 else "male"
        yield {"resourceType": "Practitioner", "id": f"d{n}", "gender": gender}
        yield {
            "resourceType": "Patient",
            "id": f"p{n}",
            "identifier": [{"system": "urn:mrn", "value": f"m{n}"}],
            "name": [{"family": f"Family{n}"}],
            "gender": gender,
            "birthDate": f"{1940 + n}-02-03",
        }
    for n in range(150):
        yield {
            "resourceType": "Encounter",
            "id": f"e{n}",
            "status": "planned" if n % 11 == 0 else "finished",
            "class": {
                "system": "http://terminology.hl7.org/CodeSystem/v3-ActCode",
                "code": "EMER" if n % 5 == 0 else "AMB",
            },
            "subject": {"reference": f"Patient/p{n % 60}"},
            "participant": [{"individual": {"reference": f"Practitioner/d{chance.randrange(60)}"}}],
        }
    for n in range(500):
        codes = [f"c{chance.randrange(12)}", *(["d3"] if n % 7 == 0 else [])]
        yield {
            "resourceType": "Observation",
            "id": f"o{n}",
            "status": "amended" if n % 23 == 0 else "final",
            "code": {"coding": [{"system": LOINC, "code": code} for code in codes]},
            "subject": {"reference": f"Patient/p{chance.randrange(60)}"},
            "encounter": {"reference": f"Encounter/e{chance.randrange(150)}"},
            "effectiveDateTime": (NOW - timedelta(hours=chance.randrange(9_000))).isoformat(),
        }
    for n in range(40):
        yield {
            "resourceType": "DiagnosticReport",
            "id": f"r{n}",
            "status": "final",
            "code": {"text": "panel"},
            "result": [{"reference": f"Observation/o{chance.randrange(500)}"} for _ in range(3)],
        }


@pytest.fixture(scope="module")
def filled(module_database: Database) -> Database:
    with module_database.connection() as connection:
        commit(connection, [Write(one) for one in resources()], Origin(NOW, "ehr"))
    with module_database.autocommit() as connection:
        connection.execute("vacuum analyze")
    return module_database


def found(connection: Connection, rtype: str, pairs: list[tuple[str, str]]) -> list[str]:
    """Ids on all pages, each of seven."""
    reader = Reader(connection, STATION)
    ids: list[str] = []
    cursor = ""
    while True:
        asked = [*pairs, ("_count", "7"), *([("_cursor", cursor)] if cursor else [])]
        page = reader.search(reader.asked(rtype, asked, strict=True))
        ids += [one.id for one in page.matches]
        if page.next is None:
            return ids
        cursor = page.next


@pytest.mark.parametrize("name", SEARCHES)
def test_the_same_is_found_in_the_same_order_whatever_is_taken_for_few(
    filled: Database, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rtype, pairs = SEARCHES[name]
    answers: dict[str, list[str]] = {}
    for way, limits in WAYS.items():
        with monkeypatch.context() as patched, filled.connection() as connection:
            for (module, limit), value in limits.items():
                patched.setattr(module, limit, value)
            answers[way] = found(connection, rtype, pairs)
    right = answers["as it comes"]
    assert right
    assert len(set(right)) == len(right)
    assert answers == dict.fromkeys(WAYS, right)
    with filled.connection() as connection:
        reader = Reader(connection, STATION)
        counted = reader.search(reader.asked(rtype, [*pairs, ("_summary", "count")], strict=True))
        assert counted.total == len(right)


def test_what_is_found_by_has_is_what_a_look_at_every_resource_finds(filled: Database) -> None:
    meant = {
        one["subject"]["reference"].removeprefix("Patient/")
        for one in resources()
        if one["resourceType"] == "Observation" and any(c["code"] == "d3" for c in one["code"]["coding"])
    }
    with filled.connection() as connection:
        assert set(found(connection, *SEARCHES["has, not the first coding"])) == meant
