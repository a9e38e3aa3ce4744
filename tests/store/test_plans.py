"""PostgreSQL answers each kind of search from an index, on a store with enough rows; what takes too long is given up."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from careloom.fhir.outcome import OutcomeError
from careloom.fhir.query import parse
from careloom.store import rows as rows_module
from careloom.store.actor import STATION
from careloom.store.commit import Origin, Write, commit
from careloom.store.database import Connection, Database
from careloom.store.read import Reader

NOW = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
PATIENTS = 400
OBSERVATIONS = 16_000


def resources() -> Iterator[dict[str, Any]]:
    chance = random.Random(5)
    for n in range(PATIENTS):
        yield {
            "resourceType": "Patient",
            "id": f"p{n}",
            "identifier": [{"system": "urn:mrn", "value": f"m{n}"}],
            "name": [{"family": f"Family{n}", "given": [f"Given{n % 50}"]}],
            "birthDate": f"{1930 + n % 80}-05-06",
        }
    for n in range(OBSERVATIONS):
        code = {"coding": [{"system": "http://loinc.org", "code": f"c{chance.randrange(800)}"}]}
        measured = {
            "value": chance.randrange(1000),
            "unit": "mg",
            "system": "http://unitsofmeasure.org",
            "code": "mg",
        }
        at = NOW - timedelta(hours=chance.randrange(50_000))
        yield {
            "resourceType": "Observation",
            "id": f"o{n}",
            "status": "final",
            "code": code,
            "subject": {"reference": f"Patient/p{chance.randrange(PATIENTS)}"},
            "effectiveDateTime": at.isoformat(),
            "issued": at.isoformat(),
            "valueQuantity": measured,
            "component": [{"code": code, "valueQuantity": measured}] if n % 4 == 0 else [],
        }


@pytest.fixture(scope="module")
def plenty(module_database: Database) -> Database:
    with module_database.connection() as connection:
        everything = list(resources())
        for start in range(0, len(everything), 1000):
            chunk = everything[start : start + 1000]
            commit(connection, [Write(one) for one in chunk], Origin(NOW, "ehr"))
    with module_database.autocommit() as connection:
        connection.execute("vacuum analyze")
    return module_database


KINDS: dict[str, tuple[str, list[tuple[str, str]]]] = {
    "id": ("Patient", [("_id", "p7")]),
    "token": ("Observation", [("code", "http://loinc.org|c7")]),
    "token without system": ("Observation", [("code", "c7")]),
    "token and order": ("Observation", [("code", "http://loinc.org|c7"), ("_sort", "-date")]),
    "identifier": ("Patient", [("identifier", "urn:mrn|m7")]),
    "reference": ("Observation", [("subject", "Patient/p7")]),
    "string": ("Patient", [("family", "family77")]),
    "exact": ("Patient", [("family:exact", "Family77")]),
    "contains": ("Patient", [("family:contains", "ily77")]),
    "date": ("Observation", [("date", "ge2026-02-20")]),
    "date ascending": ("Observation", [("_sort", "date")]),
    "other date": ("Patient", [("birthdate", "1950-05")]),
    "lastUpdated": ("Observation", [("_lastUpdated", "gt2027")]),
    "quantity": ("Observation", [("value-quantity", "77||mg")]),
    "quantity in another unit": ("Observation", [("value-quantity", "0.077|http://unitsofmeasure.org|g")]),
    "composite": ("Observation", [("code-value-quantity", "c7$gt100")]),
    "composites": ("Observation", [("code-value-quantity", "c7$gt100,c8$lt900,c9$500")]),
    "composite of a component": ("Observation", [("component-code-value-quantity", "c7$gt100")]),
    "chain": ("Observation", [("subject:Patient.family", "family77")]),
    "has": ("Patient", [("_has:Observation:subject:code", "http://loinc.org|c7")]),
    "has of a common status": ("Patient", [("_has:Observation:subject:status", "final")]),
    "chain to many": ("Observation", [("subject:Patient.given", "given7")]),
    "two tokens": ("Observation", [("code", "http://loinc.org|c7"), ("status", "final"), ("_sort", "-date")]),
    "two tokens that never meet": ("Observation", [("code", "http://loinc.org|c7"), ("status", "amended")]),
    "compartment": ("Observation", [("subject", "Patient/p7"), ("status", "final")]),
}


@pytest.mark.parametrize("kind", KINDS)
def test_no_search_reads_the_whole_table(
    plenty: Database, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rtype, pairs = KINDS[kind]
    with plenty.connection() as connection:
        plans = plans_of(connection, rtype, pairs, monkeypatch)
        large = {row[0] for row in connection.execute("select relname from pg_class where reltuples > 300")}
    assert plans
    scanned = [node for plan in plans for node in nodes(plan) if node["Node Type"] == "Seq Scan"]
    assert [node["Relation Name"] for node in scanned if node["Relation Name"] in large] == []


def plans_of(
    connection: Connection, rtype: str, pairs: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> list[dict[str, Any]]:
    """The plan of each statement by which a search finds its rows; the search runs as it always does."""
    plans: list[dict[str, Any]] = []
    fetch = rows_module.fetch

    def explained(at: Connection, sql: bytes, values: Any) -> Any:
        row = at.execute(b"explain (format json) " + sql, values).fetchone()
        assert row is not None
        plans.append(row[0][0]["Plan"])
        return fetch(at, sql, values)

    monkeypatch.setattr(rows_module, "fetch", explained)
    assert (
        Reader(connection, STATION).search(parse(rtype, pairs, strict=True)).matches
        or "gt2027" in pairs[0][1]
        or ("status", "amended") in pairs
    )
    return plans


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from nodes(child)


def test_a_search_that_takes_too_long_is_given_up_with_an_outcome(plenty: Database) -> None:
    hurried = Database(plenty.url, statement_limit_s=0.002)
    # Every observation of every patient, again and again: there is no short way to count these.
    slow = [
        ("subject:Patient._has:Observation:subject:subject:Patient._has:Observation:subject:status", "final"),
        ("_total", "accurate"),
    ]
    try:
        with hurried.connection() as connection, pytest.raises(OutcomeError) as raised:
            Reader(connection, STATION).search(parse("Observation", slow, strict=True))
        assert raised.value.issues[0].code == "timeout"
        with hurried.connection() as connection:
            # The same connection, and time enough for a slow machine.
            connection.execute("set local statement_timeout = 0")
            assert Reader(connection, STATION).stored("Patient", "p7") is not None
    finally:
        hurried.close()


def test_a_search_that_must_look_at_too_much_is_given_up_with_an_outcome(
    plenty: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("careloom.store.search.TIME_LIMIT_S", 0.0)
    with plenty.connection() as connection, pytest.raises(OutcomeError) as raised:
        Reader(connection, STATION).search(parse("Observation", [("_content", "nowhere")], strict=True))
    assert raised.value.issues[0].code == "too-costly"


def test_who_is_referred_to_is_looked_up_from_the_few_patients_that_are_meant(
    plenty: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    # All observations are final, and those of one patient are found by an index.
    with plenty.connection() as connection:
        asked = [("identifier", "urn:mrn|m7"), ("_has:Observation:subject:status", "final")]
        (plan,) = plans_of(connection, "Patient", asked, monkeypatch)
    indexes = {node["Index Name"] for node in nodes(plan) if "Index Name" in node}
    assert "res_pat" in indexes


def test_codes_that_never_meet_are_not_sought_in_all_rows_that_have_one(
    plenty: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    with plenty.connection() as connection:
        asked = [("status", "amended"), ("category", "nowhere")]
        (plan,) = plans_of(connection, "Observation", asked, monkeypatch)
    assert "res_date" not in {node["Index Name"] for node in nodes(plan) if "Index Name" in node}


def test_a_page_of_whom_many_refer_to_is_cut_off_rather_than_gathered(
    plenty: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    with plenty.connection() as connection:
        asked = [("_has:Observation:subject:status", "final"), ("_count", "5")]
        (plan,) = plans_of(connection, "Patient", asked, monkeypatch)
    kinds = {node["Node Type"] for node in nodes(plan)}
    assert kinds.isdisjoint({"Sort", "Hash Join", "Aggregate"})


def test_of_composites_none_is_gathered_from_all_rows(
    plenty: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = [("code-value-quantity", ",".join(f"c{n}$gt{n}" for n in range(40))), ("_count", "5")]
    with plenty.connection() as connection:
        (plan,) = plans_of(connection, "Observation", asked, monkeypatch)
    scans = [node for node in nodes(plan) if node.get("Relation Name") == "s_qty"]
    assert {node["Index Name"] for node in scans} == {"s_qty_rid"}
