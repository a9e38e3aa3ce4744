"""An Event holds what came, byte for byte and in the form in which it came; what it holds can be driven again."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from careloom.fhir import xml
from careloom.fhir.resource import dumps
from careloom.store import events
from careloom.store.actor import Actor
from careloom.store.event import Event

ENGINEER = Actor("ina", frozenset({"integration"}))
PATIENT = b"""<?xml version="1.0" encoding="UTF-8"?>
<Patient  xmlns="http://hl7.org/fhir"><!-- as it came --><id value='seven'/>
   <gender value="female"/></Patient>
"""
XML = "application/fhir+xml; charset=utf-8"
PATCH = "application/json-patch+json"


def kept(served: Any) -> list[Event]:
    """The events, the first first."""
    with served.database.connection() as connection:
        found = events.events(connection, ENGINEER)
        return [events.event(connection, one.id, ENGINEER, served.flow.blobs) for one in reversed(found)]


def test_what_a_client_sends_is_kept_as_it_came(client: httpx.Client, served: Any) -> None:
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [
        {"resource": {"resourceType": "Basic", "code": {"text": "x"}}, "request": {"method": "POST", "url": "Basic"}},
    ]}  # fmt: skip
    whole = xml.dumps(bundle, pretty=True)
    sent = [
        ("PUT", "/Patient/seven", XML, PATIENT),
        ("POST", "/Patient", "text/xml", PATIENT.replace(b"<id value='seven'/>", b"")),
        ("PATCH", "/Patient/seven", PATCH, b'[ {"op":"remove", "path":"/gender"} ]'),
        ("PUT", "/Binary/b", "application/pdf", b"%PDF-1.7\n\xff\x00"),
        ("POST", "", XML, whole),
        ("POST", "", "application/fhir+json", dumps(bundle | {"type": "batch"})),
        (
            "PUT",
            "/Basic/c",
            "application/fhir+json",
            b'{ "resourceType":"Basic",\n"id":"c","code":{"text":"x"} }',
        ),
    ]
    for method, path, media, body in sent:
        answer = client.request(method, path, content=body, headers={"content-type": media})
        assert answer.status_code in {200, 201}, answer.text
    found = kept(served)
    assert [(event.media, event.body) for event in found] == [(media, body) for _, _, media, body in sent]
    asked = [event.request for event in found]
    assert asked == [
        "PUT Patient/seven",
        "POST Patient",
        "PATCH Patient/seven",
        "PUT Binary/b",
        "POST",
        "POST",
        "PUT Basic/c",
    ]
    assert {event.status for event in found} == {"done"}


def test_a_request_that_was_answered_is_not_done_twice(client: httpx.Client, served: Any) -> None:
    client.put("/Patient/seven", content=PATIENT, headers={"content-type": XML})
    client.patch(
        "/Patient/seven", content=b'[{"op":"remove","path":"/gender"}]', headers={"content-type": PATCH}
    )
    client.post("/Basic", json={"resourceType": "Basic", "code": {"text": "x"}})
    before = client.get("/_history").json()["entry"]
    for event in kept(served):
        receipt = served.flow.drive(event.id, ENGINEER)
        assert (receipt.status, receipt.resources) == ("done", 0)
        assert "answered when it came" in receipt.issues[0].text
    assert client.get("/_history").json()["entry"] == before


@pytest.mark.parametrize("media", ["application/fhir+xml", ""])
def test_an_arrival_in_xml_is_taken_in_and_can_be_driven_again(
    client: httpx.Client, served: Any, media: str
) -> None:
    weight = {
        "resourceType": "Observation",
        "id": "w",
        "status": "final",
        "code": {"text": "weight"},
        "subject": {"reference": "Patient?identifier=urn:x|7"},
    }
    body = xml.dumps(weight, pretty=True)
    url, asked = f"{served.url}/events", {} if media else {"kind": "fhir"}
    answer = client.post(url, params=asked, content=body, headers={"content-type": media or "text/plain"})
    assert (answer.status_code, answer.json()["status"]) == (422, "quarantined")
    patient = {"resourceType": "Patient", "id": "seven", "identifier": [{"system": "urn:x", "value": "7"}]}
    client.put("/Patient/seven", json=patient)
    event = kept(served)[0]
    assert (event.body, event.media) == (body, media or "text/plain")
    assert served.flow.drive(event.id, ENGINEER).status == "done"
    assert client.get("/Observation/w").json()["subject"] == {"reference": "Patient/seven"}


def test_xml_that_cannot_be_read_stands_in_quarantine(client: httpx.Client, served: Any) -> None:
    headers = {"content-type": "application/fhir+xml"}
    for body in (PATIENT[:-20], b"<a/>", b"\xff\xfe<\x00", b'<Patient xmlns="urn:other"/>'):
        answer = client.post(f"{served.url}/events", content=body, headers=headers)
        assert answer.status_code == 422
        assert answer.json()["issues"][0]["code"] in {"structure", "not-supported"}
    assert [event.status for event in kept(served)] == ["quarantined"] * 4
