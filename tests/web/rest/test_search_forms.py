"""What a search brings beside its matches, in which order, how much of it, and with which total."""

from __future__ import annotations

from typing import Any

import httpx
import pytest


@pytest.fixture(autouse=True)
def stored(client: httpx.Client) -> None:
    """A department in a hospital (each part of the other, by mistake), a patient there, and three weights."""

    def put(rtype: str, id_: str, **more: Any) -> None:
        answer = client.put(f"/{rtype}/{id_}", json={"resourceType": rtype, "id": id_, **more})
        assert answer.status_code == 201, answer.text

    put("Organization", "hospital", name="Hospital", partOf={"reference": "Organization/ward"})
    put("Organization", "ward", name="Ward", partOf={"reference": "Organization/hospital"})
    put("Patient", "seven", managingOrganization={"reference": "Organization/ward"})
    for number, focus in enumerate(("Patient/seven", "Patient/nowhere", "Patient/seven"), 1):
        put(
            "Observation",
            f"o{number}",
            status="final",
            code={"text": "weight"},
            subject={"reference": focus},
            effectiveDateTime=f"2026-01-0{number}",
        )


def told(answer: httpx.Response, mode: str = "match") -> list[str]:
    assert answer.status_code == 200, answer.text
    entries = answer.json().get("entry", [])
    return [one["fullUrl"].rpartition("/fhir/")[2] for one in entries if one["search"]["mode"] == mode]


def test_what_matches_refer_to_and_who_refers_to_them_comes_beside_them(client: httpx.Client) -> None:
    for include in ("Observation:subject", "Observation:subject:Patient", "Observation:patient"):
        answer = client.get(f"/Observation?_id=o1&_include={include}")
        assert (told(answer), told(answer, "include")) == (["Observation/o1"], ["Patient/seven"])
    assert told(client.get("/Observation?_id=o1&_include=Observation:subject:Group"), "include") == []
    back = client.get("/Patient?_id=seven&_revinclude=Observation:subject")
    assert sorted(told(back, "include")) == ["Observation/o1", "Observation/o3"]


def test_an_include_may_go_on_from_what_it_found(client: httpx.Client) -> None:
    query = "_id=o1&_include=Observation:subject&_include:iterate=Patient:organization"
    assert sorted(told(client.get(f"/Observation?{query}"), "include")) == [
        "Organization/ward",
        "Patient/seven",
    ]
    circle = f"{query}&_include:iterate=Organization:partof"
    found = sorted(told(client.get(f"/Observation?{circle}"), "include"))
    assert found == ["Organization/hospital", "Organization/ward", "Patient/seven"]


def test_an_include_may_take_every_reference(client: httpx.Client) -> None:
    assert told(client.get("/Patient?_include=*"), "include") == ["Organization/ward"]
    assert told(client.get("/Patient?_include=Patient:*"), "include") == ["Organization/ward"]


def test_includes_go_with_order_pages_and_parts(client: httpx.Client) -> None:
    query = "_sort=-date&_count=1&_include=Observation:subject"
    first = client.get(f"/Observation?{query}")
    assert (told(first), told(first, "include")) == (["Observation/o3"], ["Patient/seven"])
    following = next(link["url"] for link in first.json()["link"] if link["relation"] == "next")
    second = client.get(following)
    assert (told(second), told(second, "include")) == (["Observation/o2"], [])
    part = client.get(f"/Observation?{query}&_summary=true").json()["entry"]
    assert {tag["code"] for one in part for tag in one["resource"]["meta"]["tag"]} == {"SUBSETTED"}
    counted = client.get(f"/Observation?{query}&_summary=count").json()
    assert (counted["total"], "entry" in counted) == (3, False)


def test_a_reference_that_leads_nowhere_adds_nothing(client: httpx.Client) -> None:
    answer = client.get("/Observation?_id=o2&_include=Observation:subject")
    assert (told(answer), told(answer, "include")) == (["Observation/o2"], [])


def test_a_total_is_told_as_it_was_asked_for(client: httpx.Client) -> None:
    assert client.get("/Observation?_count=1&_total=accurate").json()["total"] == 3
    assert "total" not in client.get("/Observation?_count=1&_total=none").json()
    assert client.get("/Observation?_count=0").json()["total"] == 3
    assert len(told(client.get("/Observation?_count=999999999"))) == 3
