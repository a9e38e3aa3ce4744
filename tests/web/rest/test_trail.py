"""Provenance and AuditEvent over HTTP: what the store says of itself, to who may hear it."""

from __future__ import annotations

import time
from typing import Any

import httpx
import pytest

from careloom.store.accounts import create_token

SEVEN = {"resourceType": "Patient", "id": "seven"}


def entries(answer: httpx.Response) -> list[Any]:
    assert answer.status_code == 200, answer.text
    return [entry["resource"] for entry in answer.json().get("entry", [])]


def targets(answer: httpx.Response) -> list[str]:
    return [one["target"][0]["reference"] for one in entries(answer)]


@pytest.fixture
def stored(client: httpx.Client) -> None:
    client.put("/Patient/seven", json=SEVEN)
    client.put("/Patient/seven", json=SEVEN | {"active": True})
    observation = {"resourceType": "Observation", "id": "o", "status": "final", "code": {"text": "x"}}
    client.put("/Observation/o", json=observation | {"subject": {"reference": "Patient/seven"}})
    client.put("/Organization/o", json={"resourceType": "Organization", "id": "o", "name": "O"})


def test_every_version_has_its_provenance(client: httpx.Client, stored: None) -> None:
    answer = client.get("/Provenance?target=Patient/seven")
    assert targets(answer) == ["Patient/seven/_history/2", "Patient/seven/_history/1"]
    newest = entries(answer)[0]
    assert client.get(f"/Provenance/{newest['id']}").json() == newest
    assert newest["agent"][0]["who"]["identifier"]["value"] == "clinic"
    assert targets(client.get("/Provenance?patient=seven"))[0] == "Observation/o/_history/1"
    assert len(targets(client.get("/Provenance?patient=Patient/seven"))) == 3
    assert len(targets(client.get("/Provenance?agent=clinic"))) == 4
    assert targets(client.get("/Provenance?agent=nobody")) == []
    assert targets(client.get("/Provenance?recorded=ge2199")) == []
    assert len(targets(client.get("/Provenance?recorded=lt2199&recorded=ge2000"))) == 4
    assert client.get("/Provenance/0123456789abcdef.1").status_code == 404
    assert client.get("/Provenance?recorded=x").status_code == 400


@pytest.mark.parametrize("target", ["seven", "1e999", "Patient/", "Patient/none", "#x", "Shoe/7"])
def test_a_target_that_names_nothing_finds_nothing(client: httpx.Client, stored: None, target: str) -> None:
    answer = client.get("/Provenance", params={"target": target})
    assert answer.status_code in {200, 400, 404}
    if answer.status_code == 200:
        assert entries(answer) == []


def test_provenance_of_clients_comes_before_ours_and_each_once_on_all_pages(
    client: httpx.Client, stored: None
) -> None:
    sent = {
        "resourceType": "Provenance",
        "id": "theirs",
        "target": [{"reference": "Patient/seven"}],
        "recorded": "2026-01-01T00:00:00Z",
        "agent": [{"who": {"display": "A clerk"}}],
    }
    assert client.put("/Provenance/theirs", json=sent).status_code == 201
    assert client.get("/Provenance/theirs").json()["id"] == "theirs"
    url, seen = "/Provenance?target=Patient/seven&_count=1", []
    while url:
        answer = client.get(url)
        seen += [one["id"] for one in entries(answer)]
        url = next((link["url"] for link in answer.json()["link"] if link["relation"] == "next"), "")
    assert seen[0] == "theirs"
    assert len(seen) == len(set(seen)) == 3


def test_the_trail_is_read_by_who_may_and_told_what_was_done(
    client: httpx.Client, served: Any, stored: None
) -> None:
    client.get("/Patient/seven")
    served.flow.clock()
    with served.database.connection() as connection:
        admin = {"authorization": f"Bearer {create_token(connection, 'alma', ['admin'])}"}
    client.get("/Patient/none")
    for _ in range(100):
        lines = entries(client.get("/AuditEvent?agent=clinic&_count=50", headers=admin))
        told = [
            (one["subtype"][0]["code"], one["entity"][0].get("what", {}).get("reference")) for one in lines
        ]
        if ("read", "Patient/seven") in told:
            break
        # The line of a read is written within 200 ms, beside the answer.
        time.sleep(0.05)
    assert ("read", "Patient/seven") in told
    assert ("create", "Observation/o") in told
    assert ("update", "Patient/seven") in told
    one = lines[0]
    assert client.get(f"/AuditEvent/{one['id']}", headers=admin).json() == one
    assert client.get(f"/AuditEvent?_id={one['id']}", headers=admin).json()["entry"][0]["resource"] == one
    assert {
        line["entity"][0]["what"]["reference"]
        for line in entries(client.get("/AuditEvent?patient=seven", headers=admin))
    } == {"Patient/seven"}
    assert entries(client.get("/AuditEvent?date=gt2199", headers=admin)) == []
    assert client.get("/AuditEvent?entity=x", headers=admin).status_code == 400
    assert client.get("/AuditEvent/x", headers=admin).status_code == 404
    assert entries(client.get("/AuditEvent")) == []
    assert client.get(f"/AuditEvent/{one['id']}").status_code == 404
    assert client.get("/Patient/seven", headers=admin).status_code == 403


def test_the_pages_of_the_trail_hold_each_line_once(client: httpx.Client, served: Any, stored: None) -> None:
    with served.database.connection() as connection:
        admin = {"authorization": f"Bearer {create_token(connection, 'alma', ['admin'])}"}
    url, seen = "/AuditEvent?agent=clinic&_count=1", []
    while url:
        answer = client.get(url, headers=admin)
        seen += [one["id"] for one in entries(answer)]
        url = next((link["url"] for link in answer.json()["link"] if link["relation"] == "next"), "")
    assert len(seen) == len(set(seen)) == 4
