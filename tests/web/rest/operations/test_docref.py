"""$docref of US Core finds the documents of a patient."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from careloom.fhir.resource import dumps


def document(id_: str, month: int, code: str, status: str = "current") -> dict[str, Any]:
    return {
        "resourceType": "DocumentReference", "id": id_, "status": status, "date": f"2020-{month:02}-20T00:00:00Z",
        "subject": {"reference": "Patient/p"}, "type": {"coding": [{"system": "http://loinc.org", "code": code}]},
        "content": [{"attachment": {"url": "http://a.example/x", "contentType": "text/plain"}}],
        "context": {"period": {"start": f"2020-{month:02}-01", "end": f"2020-{month:02}-10"}},
    }  # fmt: skip


def ids(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [one["resource"]["id"] for one in answer.json().get("entry", [])]


def test_documents_are_found_by_patient_type_and_the_time_of_care(client: httpx.Client) -> None:
    client.put("/Patient/p", content=dumps({"resourceType": "Patient", "id": "p"}))
    for one in (
        document("a", 1, "34133-9"),
        document("b", 2, "11488-4"),
        document("c", 3, "34133-9"),
        document("gone", 4, "34133-9", "superseded"),
    ):
        assert client.put(f"/DocumentReference/{one['id']}", content=dumps(one)).status_code == 201
    for query, found in (
        ("patient=p", ["c"]),
        ("patient=Patient/p&start=2020-02-01", ["c", "b"]),
        ("patient=p&start=2020-01-15&end=2020-02-28", ["b"]),
        ("patient=p&end=2020-12-31&type=http://loinc.org|34133-9", ["c", "a"]),
        ("patient=p&type=http://loinc.org|11488-4", ["b"]),
        ("patient=q", []),
    ):
        assert ids(client.get(f"/DocumentReference/$docref?{query}")) == found, query
    concept = {"coding": [{"system": "http://loinc.org", "code": "11488-4"}]}
    parameter = [{"name": "patient", "valueId": "p"}, {"name": "type", "valueCodeableConcept": concept}]
    sent = dumps({"resourceType": "Parameters", "parameter": parameter})
    assert ids(client.post("/DocumentReference/$docref", content=sent)) == ["b"]


@pytest.mark.parametrize("query", ["", "start=2020", "patient=p&start=soon", "patient=p&shoe=7"])
def test_what_cannot_be_answered_is_refused(client: httpx.Client, query: str) -> None:
    assert client.get(f"/DocumentReference/$docref?{query}").status_code == 400
