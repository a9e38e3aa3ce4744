"""Read and vread over HTTP, with their conditions, and HEAD."""

from __future__ import annotations

from base64 import b64encode

import httpx

SEVEN = {"resourceType": "Patient", "id": "seven", "gender": "female"}


def test_a_read_answers_not_modified_to_who_holds_the_version(client: httpx.Client) -> None:
    client.put("/Patient/seven", json=SEVEN)
    whole = client.get("/Patient/seven")
    for name, value in (
        ("if-none-match", 'W/"1"'),
        ("if-none-match", 'W/"9", W/"1"'),
        ("if-none-match", "*"),
        ("if-modified-since", whole.headers["last-modified"]),
    ):
        answer = client.get("/Patient/seven", headers={name: value})
        assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", 'W/"1"')
    for name, value in (
        ("if-none-match", 'W/"2"'),
        ("if-modified-since", "Mon, 01 Jan 2001 00:00:00 GMT"),
        ("if-modified-since", "yesterday"),
    ):
        assert client.get("/Patient/seven", headers={name: value}).status_code == 200


def test_a_head_is_a_read_without_its_body(client: httpx.Client) -> None:
    client.put("/Patient/seven", json=SEVEN)
    answer = client.head("/Patient/seven")
    assert (answer.status_code, answer.content, answer.headers["etag"]) == (200, b"", 'W/"1"')
    assert client.head("/Patient/none").status_code == 404


def test_what_is_not_there_is_not_found(client: httpx.Client) -> None:
    client.put("/Patient/seven", json=SEVEN)
    for path in (
        "/Patient/none",
        "/patient/seven",
        "/Shoe/seven",
        "/Shoe",
        "/Patient/seven/_history/2",
        "/Patient/seven/_history/x",
        "/Patient/seven/_history/99999999999999999999",
        "/Patient/$nothing",
        "/Patient/seven/name/family",
    ):
        answer = client.get(path)
        assert answer.status_code == 404, path
        assert answer.json()["issue"][0]["code"] in {"not-found", "not-supported"}


def test_what_is_not_answered_by_this_method_says_which_are(client: httpx.Client) -> None:
    assert client.get("/metadata").status_code == 200
    for method, path, allowed in (
        ("POST", "/metadata", "GET, HEAD"),
        ("POST", "/Patient/seven", "DELETE, GET, HEAD, PATCH, PUT"),
        ("DELETE", "/Patient/seven/_history/1", "GET, HEAD"),
        ("PUT", "/", "GET, HEAD, POST"),
    ):
        answer = client.request(method, path)
        assert (answer.status_code, answer.headers["allow"]) == (405, allowed), path
        assert answer.json()["resourceType"] == "OperationOutcome"


def test_a_binary_travels_as_fhir_or_as_what_it_is(client: httpx.Client) -> None:
    sent = client.post("/Binary", content=b"%PDF-1", headers={"content-type": "application/pdf"})
    assert sent.status_code == 201
    assert sent.json()["data"] == b64encode(b"%PDF-1").decode()
    path = f"/Binary/{sent.json()['id']}"
    assert (
        client.get(path, headers={"accept": "application/fhir+json"}).json()["contentType"]
        == "application/pdf"
    )
    plain = client.get(path, headers={"accept": "application/pdf"})
    assert (plain.content, plain.headers["content-type"]) == (b"%PDF-1", "application/pdf")
    assert plain.headers["content-disposition"] == "attachment"
