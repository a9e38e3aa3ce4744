"""In what form a body comes and an answer goes."""

from __future__ import annotations

import gzip

import httpx
import pytest

PATIENT = {
    "resourceType": "Patient",
    "id": "seven",
    "text": {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">Ada</div>'},
    "name": [{"family": "Ada"}],
    "contact": [{"name": {"family": "Bea"}}],
    "photo": [{"contentType": "image/png", "data": "AAAA"}],
    "link": [{"other": {"reference": "Patient/x"}, "type": "seealso"}],
}
JSON = "application/fhir+json; charset=utf-8"
XML = "application/fhir+xml; charset=utf-8"


@pytest.fixture(autouse=True)
def stored(client: httpx.Client) -> None:
    assert client.put("/Patient/seven", json=PATIENT).status_code == 201


@pytest.mark.parametrize(
    ("accept", "media"),
    [
        ("", JSON),
        ("*/*", JSON),
        ("application/fhir+json", JSON),
        ("application/json", JSON),
        ("application/fhir+json; fhirVersion=4.0", JSON),
        ("application/fhir+xml", XML),
        ("application/xml", XML),
        ("text/xml", XML),
        ("application/fhir+json;q=0.5, application/fhir+xml;q=0.9", XML),
        ("application/fhir+xml;q=0, */*;q=0.1", JSON),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", JSON),
        ("application/fhir+json; fhirVersion=3.0", ""),
        ("image/png", ""),
        ("application/fhir+xml;q=x", ""),
    ],
)
def test_the_form_is_the_best_that_accept_names(client: httpx.Client, accept: str, media: str) -> None:
    answer = client.get("/Patient/seven", headers={"accept": accept})
    assert answer.status_code == (200 if media else 406)
    assert answer.headers["content-type"] == (media or JSON)


def test_format_in_the_address_wins_over_accept(client: httpx.Client) -> None:
    for name, media in (("json", JSON), ("xml", XML), ("application/fhir+xml", XML), ("text/json", JSON)):
        answer = client.get(f"/Patient/seven?_format={name}", headers={"accept": "image/png"})
        assert (answer.status_code, answer.headers["content-type"]) == (200, media)
    refused = client.get("/Patient/seven?_format=turtle")
    assert refused.status_code == 406
    assert refused.json()["issue"][0]["code"] == "not-supported"


def test_a_resource_can_come_and_go_as_xml(client: httpx.Client) -> None:
    xml = client.get("/Patient/seven?_format=xml")
    sent = client.post("/Patient", content=xml.content, headers={"content-type": "application/fhir+xml"})
    assert sent.status_code == 201
    assert {key: sent.json()[key] for key in PATIENT if key != "id"} == {
        key: value for key, value in PATIENT.items() if key != "id"
    }
    bundle = client.get("/Patient?_format=xml").content
    assert bundle.startswith(b'<?xml version="1.0" encoding="UTF-8"?><Bundle xmlns="http://hl7.org/fhir">')
    refused = client.post(
        "/Patient",
        content=b'<Patient xmlns="http://hl7.org/fhir"><gender value="x"/></Patient>',
        headers={"content-type": "application/fhir+xml", "accept": "application/fhir+xml"},
    )
    assert refused.status_code == 422
    assert b"<OperationOutcome" in refused.content
    assert client.get("/Patient/none?_format=xml").content.startswith(b"<?xml")
    broken = client.post("/Patient", content=b"<Patient", headers={"content-type": "application/fhir+xml"})
    assert broken.status_code == 400


def test_a_body_of_another_type_is_refused(client: httpx.Client) -> None:
    for media in ("text/plain", "application/pdf", "application/fhir+json; fhirVersion=3.0"):
        answer = client.post("/Patient", content=b"{}", headers={"content-type": media})
        assert answer.status_code == 415, media
        assert answer.json()["resourceType"] == "OperationOutcome"


def test_pretty_is_for_people(client: httpx.Client) -> None:
    plain, pretty = client.get("/Patient/seven"), client.get("/Patient/seven?_pretty=true")
    assert plain.json() == pretty.json()
    assert b"\n" not in plain.content
    assert b'\n  "name"' in pretty.content
    assert b"\n" in client.get("/Patient/seven?_pretty=true&_format=xml").content


@pytest.mark.parametrize(
    ("query", "kept"),
    [
        ("_summary=true", {"name", "link"}),
        ("_summary=text", {"text"}),
        ("_summary=data", {"name", "contact", "photo", "link"}),
        ("_elements=contact,text", {"contact", "text"}),
        ("_elements=Patient.photo", {"photo"}),
        ("_summary=false", {"text", "name", "contact", "photo", "link"}),
    ],
)
def test_a_part_of_a_resource_is_tagged_as_one(client: httpx.Client, query: str, kept: set[str]) -> None:
    resource = client.get(f"/Patient/seven?{query}").json()
    assert set(resource) - {"resourceType", "id", "meta"} == kept
    is_whole = query == "_summary=false"
    tags = [tag["code"] for tag in resource["meta"].get("tag", [])]
    assert tags == ([] if is_whole else ["SUBSETTED"])
    (entry,) = client.get(f"/Patient?{query}").json()["entry"]
    assert entry["resource"] == resource


def test_a_summary_goes_down_into_the_types(client: httpx.Client) -> None:
    media = {
        "resourceType": "Media",
        "status": "completed",
        "content": {"contentType": "image/png", "data": "AAAA"},
    }
    id_ = client.post("/Media", json=media).json()["id"]
    summary = client.get(f"/Media/{id_}?_summary=true").json()
    assert summary["status"] == "completed"
    assert "data" not in str(summary)


def test_a_count_alone_has_no_entries(client: httpx.Client) -> None:
    counted = client.get("/Patient?_summary=count").json()
    assert counted["total"] == 1
    assert "entry" not in counted
    assert client.get("/Patient?_summary=some").status_code == 400


def test_a_body_may_come_packed_and_never_grows_beyond_its_bound(client: httpx.Client) -> None:
    packed = {"content-encoding": "gzip"}
    body = b'{"resourceType":"Basic","code":{"text":"x"}}'
    assert client.post("/Basic", content=gzip.compress(body), headers=packed).status_code == 201
    bomb = gzip.compress(b"[" + b" " * (257 * 1024 * 1024))
    assert len(bomb) < 300_000
    assert client.post("/Basic", content=bomb, headers=packed).status_code == 413
    for broken in (b"no gzip", gzip.compress(body)[:-9]):
        assert client.post("/Basic", content=broken, headers=packed).status_code == 400
    assert client.post("/Basic", content=body, headers={"content-encoding": "br"}).status_code == 415
