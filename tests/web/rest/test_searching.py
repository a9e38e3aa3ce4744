"""Search over HTTP: GET and POST, on one type and on all, strict and lenient."""

from __future__ import annotations

import httpx
import pytest


@pytest.fixture(autouse=True)
def stored(client: httpx.Client) -> None:
    client.put("/Patient/seven", json={"resourceType": "Patient", "id": "seven", "name": [{"family": "Ada"}]})
    client.put("/Organization/o", json={"resourceType": "Organization", "id": "o", "name": "Ada House"})


def found(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [
        entry["fullUrl"].rpartition("/fhir/")[2]
        for entry in answer.json().get("entry", [])
        if entry["search"]["mode"] == "match"
    ]


def test_a_search_may_travel_in_the_address_or_in_the_body(client: httpx.Client) -> None:
    form = {"content-type": "application/x-www-form-urlencoded"}
    assert found(client.get("/Patient?family=ada")) == ["Patient/seven"]
    assert found(client.post("/Patient/_search", content="family=ada", headers=form)) == ["Patient/seven"]
    assert found(client.post("/Patient/_search?family=ada", headers=form)) == ["Patient/seven"]
    assert found(client.post("/Patient/_search?family=ada", content="_id=x", headers=form)) == []
    assert client.post("/Patient/_search", content="{}").status_code == 400
    assert client.post("/Patient/_search", content=b"\xff", headers=form).status_code == 400


def test_an_unknown_parameter_is_named_or_with_strict_handling_refused(client: httpx.Client) -> None:
    lenient = client.get("/Patient?shoe=7")
    outcome = lenient.json()["entry"][-1]
    assert outcome["search"]["mode"] == "outcome"
    assert "shoe" in outcome["resource"]["issue"][0]["diagnostics"]
    strict = client.get("/Patient?shoe=7", headers={"prefer": "handling=strict"})
    assert strict.status_code == 400
    assert "shoe" in strict.json()["issue"][0]["diagnostics"]


def test_a_value_that_cannot_be_read_is_a_bad_request(client: httpx.Client) -> None:
    for query in (
        "birthdate=yesterday",
        "_count=x",
        "_sort=shoe",
        "_include=x",
        "gender:shoe=male",
        "_cursor=x",
    ):
        assert client.get(f"/Patient?{query}").status_code == 400, query


def test_a_search_may_stay_within_a_compartment(client: httpx.Client) -> None:
    weight = {"resourceType": "Observation", "status": "final", "code": {"text": "weight"}}
    mine = client.post("/Observation", json=weight | {"subject": {"reference": "Patient/seven"}}).json()["id"]
    client.post("/Observation", json=weight)
    answer = client.get("/Patient/seven/Observation?status=final")
    assert found(answer) == [f"Observation/{mine}"]
    assert answer.json()["link"][0]["url"].endswith("/fhir/Patient/seven/Observation?status=final")
    assert found(client.get("/Patient/seven/Observation?status=amended")) == []
    assert found(client.post("/Patient/seven/Observation/_search")) == [f"Observation/{mine}"]
    assert sorted(found(client.get("/Patient/seven/*"))) == [f"Observation/{mine}", "Patient/seven"]
    assert client.get("/Patient/seven/Shoe").status_code == 404


def test_a_search_of_the_system_finds_any_type(client: httpx.Client) -> None:
    for answer in (client.get("/?_id=seven,o"), client.post("/_search?_id=seven,o")):
        assert sorted(found(answer)) == ["Organization/o", "Patient/seven"]
        link = answer.json()["link"][0]
        assert (link["relation"], link["url"]) == (
            "self",
            f"{str(client.base_url).rstrip('/')}?_id=seven%2Co",
        )
