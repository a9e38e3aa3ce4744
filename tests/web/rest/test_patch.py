"""PATCH over HTTP: JSON Patch and FHIRPath Patch, by address, by condition and within a bundle."""

from __future__ import annotations

from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

SEVEN = {
    "resourceType": "Patient",
    "id": "seven",
    "identifier": [{"system": "urn:x", "value": "7"}],
    "gender": "female",
    "extension": [{"url": "urn:x", "valueDecimal": 1.50}],
}
JSON_PATCH = {"content-type": "application/json-patch+json"}


@pytest.fixture(autouse=True)
def stored(client: httpx.Client) -> None:
    raw = client.build_request("PUT", "/Patient/seven", json=SEVEN).content.replace(b"1.5", b"1.50")
    assert client.put("/Patient/seven", content=raw).status_code == 201


def replace(path: str, value: Any, op: str = "replace") -> list[dict[str, Any]]:
    return [{"op": op, "path": path, "value": value}]


def fhirpath(kind: str, path: str, **value: Any) -> dict[str, Any]:
    parts = [{"name": "type", "valueCode": kind}, {"name": "path", "valueString": path}]
    parts += [{"name": "value", **value}] if value else []
    return {"resourceType": "Parameters", "parameter": [{"name": "operation", "part": parts}]}


def test_a_patch_makes_a_version_and_keeps_every_digit(client: httpx.Client) -> None:
    answer = client.patch("/Patient/seven", json=replace("/gender", "male"), headers=JSON_PATCH)
    assert (answer.status_code, answer.headers["etag"]) == (200, 'W/"2"')
    assert answer.json()["gender"] == "male"
    assert b'"valueDecimal":1.50' in client.get("/Patient/seven").content
    again = client.patch("/Patient/seven", json=fhirpath("replace", "Patient.gender", valueCode="other"))
    assert (again.json()["gender"], again.headers["etag"]) == ("other", 'W/"3"')
    same = client.patch("/Patient/seven", json=replace("/gender", "other"), headers=JSON_PATCH)
    assert same.headers["etag"] == 'W/"3"'


def test_a_patch_that_does_not_fit_changes_nothing(client: httpx.Client) -> None:
    for patch, status in (
        (replace("/gender", "male", "test"), 422),
        (replace("/name/0/family", "x"), 422),
        (replace("/gender", "shoe"), 422),
        (replace("/id", "eight"), 422),
        ([{"op": "dance", "path": "/gender"}], 400),
        ({"resourceType": "Basic"}, 400),
        (7, 400),
    ):
        answer = client.patch("/Patient/seven", json=patch, headers=JSON_PATCH)
        assert answer.status_code == status, (patch, answer.text)
    assert client.get("/Patient/seven").headers["etag"] == 'W/"1"'
    assert (
        client.patch("/Patient/none", json=replace("/gender", "male"), headers=JSON_PATCH).status_code == 404
    )
    client.delete("/Patient/seven")
    assert (
        client.patch("/Patient/seven", json=replace("/gender", "male"), headers=JSON_PATCH).status_code == 410
    )


def test_if_match_guards_a_patch(client: httpx.Client) -> None:
    late = client.patch(
        "/Patient/seven", json=replace("/gender", "male"), headers=JSON_PATCH | {"if-match": 'W/"9"'}
    )
    right = client.patch(
        "/Patient/seven", json=replace("/gender", "male"), headers=JSON_PATCH | {"if-match": 'W/"1"'}
    )
    assert [late.status_code, right.status_code] == [412, 200]


def test_of_patches_at_once_none_is_lost(client: httpx.Client) -> None:
    def add(number: int) -> int:
        patch = replace("/identifier/-", {"value": str(number)}, "add")
        return client.patch("/Patient/seven", json=patch, headers=JSON_PATCH).status_code

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(add, range(8))) == {200}
    assert len(client.get("/Patient/seven").json()["identifier"]) == 9


def test_a_conditional_patch_finds_its_resource(client: httpx.Client) -> None:
    patch = replace("/gender", "male")
    for condition, status in (("identifier=urn:x|7", 200), ("identifier=none", 404), ("_count=1", 400)):
        assert client.patch(f"/Patient?{condition}", json=patch, headers=JSON_PATCH).status_code == status


def test_a_bundle_may_patch_by_a_binary_or_by_parameters(client: httpx.Client) -> None:
    data = b64encode(b'[{"op":"replace","path":"/gender","value":"male"}]').decode()
    binary = {"resourceType": "Binary", "contentType": "application/json-patch+json", "data": data}
    for kind, resource, gender in (
        ("transaction", binary, "male"),
        ("batch", fhirpath("replace", "Patient.gender", valueCode="other"), "other"),
    ):
        entry = {"resource": resource, "request": {"method": "PATCH", "url": "Patient/seven"}}
        answer = client.post("/", json={"resourceType": "Bundle", "type": kind, "entry": [entry]})
        assert answer.json()["entry"][0]["response"]["status"] == "200 OK", answer.text
        assert client.get("/Patient/seven").json()["gender"] == gender
