"""History of a resource, a type and the whole store: whole, windowed and paged."""

from __future__ import annotations

import time
from typing import Any

import httpx
import pytest

from careloom.store.deed import deed

SEVEN = {"resourceType": "Patient", "id": "seven"}


@pytest.fixture
def versions(client: httpx.Client) -> list[str]:
    """Seven is made, changed and deleted, and the times of it; beside it stands an Organization."""
    moments: list[str] = []
    for gender in ("female", "male"):
        answer = client.put("/Patient/seven", json=SEVEN | {"gender": gender})
        moments.append(answer.json()["meta"]["lastUpdated"])
        time.sleep(0.02)
    client.put("/Organization/o", json={"resourceType": "Organization", "id": "o", "name": "O"})
    client.delete("/Patient/seven")
    return moments


def told(answer: httpx.Response) -> list[tuple[str, str, str]]:
    assert answer.status_code == 200, answer.text
    bundle = answer.json()
    assert bundle["type"] == "history"
    return [
        (entry["request"]["method"], entry["fullUrl"].rpartition("/fhir/")[2], entry["response"]["etag"])
        for entry in bundle.get("entry", [])
    ]


SEVENS = [
    ("DELETE", "Patient/seven", 'W/"3"'),
    ("PUT", "Patient/seven", 'W/"2"'),
    ("PUT", "Patient/seven", 'W/"1"'),
]


def test_a_history_tells_every_version_the_newest_first(client: httpx.Client, versions: list[str]) -> None:
    answer = client.get("/Patient/seven/_history")
    assert told(answer) == SEVENS
    bundle = answer.json()
    assert bundle["total"] == 3
    assert [entry["resource"]["gender"] for entry in bundle["entry"][1:]] == ["male", "female"]
    assert "resource" not in bundle["entry"][0]
    assert told(client.get("/Patient/_history")) == SEVENS
    assert len(told(client.get("/_history"))) == 4
    assert told(client.get("/Patient/seven/_history?_sort=_lastUpdated")) == SEVENS[::-1]


def test_a_history_says_by_which_interaction_each_version_was_made(client: httpx.Client) -> None:
    made = client.post("/Patient", json={"resourceType": "Patient", "language": "de"}).json()
    place = f"Patient/{made['id']}"
    patch = {"headers": {"Content-Type": "application/json-patch+json"}}
    client.patch(f"/{place}", content=b'[{"op":"replace","path":"/language","value":"en"}]', **patch)
    client.put("/Patient?_id=" + made["id"], json=made | {"language": "fr"})
    client.delete(f"/{place}")
    client.put(f"/{place}", json=made)
    assert requests(client.get(f"/{place}/_history")) == [
        ("PUT", place, "201"),
        ("DELETE", place, "204"),
        ("PUT", place, "200"),
        ("PATCH", place, "200"),
        ("POST", "Patient", "201"),
    ]
    entries = [
        {"resource": SEVEN, "request": {"method": "PUT", "url": "Patient/seven"}},
        {"resource": {"resourceType": "Patient"}, "request": {"method": "POST", "url": "Patient"}},
        {
            "resource": {"resourceType": "Patient", "gender": "other"},
            "request": {"method": "PUT", "url": "Patient?gender=other"},
        },
    ]
    answer = client.post("", json={"resourceType": "Bundle", "type": "transaction", "entry": entries}).json()
    places = [entry["response"]["location"].partition("/_history")[0] for entry in answer["entry"]]
    told = [requests(client.get(f"/{place}/_history")) for place in places]
    assert told == [[("PUT", places[0], "201")], [("POST", "Patient", "201")], [("PUT", places[2], "201")]]


def test_a_version_of_before_deeds_were_kept_is_told_by_what_is_seen_of_it() -> None:
    versions = [(1, False), (2, False), (3, True)]
    told = [deed(0, version=version, is_deleted=is_deleted) for version, is_deleted in versions]
    assert told == [("POST", 201), ("PUT", 200), ("DELETE", 204)]


def requests(answer: httpx.Response) -> list[tuple[str, str, str]]:
    return [
        (entry["request"]["method"], entry["request"]["url"], entry["response"]["status"])
        for entry in answer.json()["entry"]
    ]


def test_a_history_can_be_told_of_a_window_of_time(client: httpx.Client, versions: list[str]) -> None:
    def at(**params: str) -> list[tuple[str, str, str]]:
        return told(client.get("/Patient/seven/_history", params=params))

    assert at(_since=versions[1]) == SEVENS[:2]
    assert at(_before=versions[1]) == SEVENS[2:]
    assert at(_at=versions[0]) == SEVENS[2:]
    assert at(_at=versions[1]) == SEVENS[1:2]
    assert at(_at="2199") == SEVENS[:1]
    assert at(_at="1999") == []
    assert at(_since="2199-01-01") == []


@pytest.mark.parametrize("order", ["_lastUpdated", "-_lastUpdated"])
def test_the_pages_of_a_history_hold_each_version_once(
    client: httpx.Client, versions: list[str], order: str
) -> None:
    url, seen = f"/_history?_count=1&_sort={order}", []
    while url:
        bundle: dict[str, Any] = client.get(url).json()
        assert len(bundle["entry"]) == 1
        seen += told(client.get(url))
        url = next((link["url"] for link in bundle["link"] if link["relation"] == "next"), "")
    whole = told(client.get(f"/_history?_sort={order}"))
    assert seen == whole
    assert len(seen) == 4


def test_a_history_can_be_counted(client: httpx.Client, versions: list[str]) -> None:
    counted = client.get("/_history?_summary=count").json()
    assert counted["total"] == 4
    assert "entry" not in counted


def test_what_a_history_cannot_read_is_refused(client: httpx.Client, versions: list[str]) -> None:
    for query in (
        "_count=x",
        "_since=yesterday",
        "_at=x",
        "_sort=name",
        "_cursor=x",
        "_count=-1",
        "_count=٣",
    ):
        answer = client.get(f"/Patient/_history?{query}")
        assert answer.status_code == 400, query
    assert client.get("/Patient/none/_history").status_code == 404
    assert client.get("/Shoe/_history").status_code == 404
