"""Search over HTTP: GET and POST, on one type and on all, strict and lenient."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import httpx
import pytest

from careloom.store.actor import Actor
from careloom.store.database import SIZE
from careloom.web import call

ADMIN = Actor("root", frozenset({"admin"}))


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


""


def test_a_compartment_is_searched_by_type_or_whole_and_told_page_by_page(client: httpx.Client) -> None:
    for name in ("ada", "bo"):
        client.put(f"/Patient/{name}", json={"resourceType": "Patient", "id": name})
        for number in range(3):
            about = {"code": {"text": "x"}, "subject": {"reference": f"Patient/{name}"}, "status": "final"}
            id_ = f"{name}-{number}"
            client.put(f"/Observation/{id_}", json={"resourceType": "Observation", "id": id_, **about})
    first = client.get("/Patient/ada/Observation?_count=2&status=final").json()
    links = {link["relation"]: link["url"] for link in first["link"]}
    assert links["self"].endswith("/fhir/Patient/ada/Observation?_count=2&status=final")
    assert set(links) == {"self", "first", "next", "last"}
    second = client.get(links["next"]).json()
    ids = [entry["resource"]["id"] for page in (first, second) for entry in page["entry"]]
    assert sorted(ids) == ["ada-0", "ada-1", "ada-2"]
    back = {link["relation"]: link["url"] for link in second["link"]}
    assert client.get(back["previous"]).json()["entry"] == first["entry"]
    assert client.get(links["last"]).status_code == 200
    whole = client.get("/Patient/ada/*").json()
    assert {entry["resource"]["id"] for entry in whole["entry"]} == {"ada", *ids}


def test_what_was_ignored_stands_in_the_answer_and_not_in_its_self_link(client: httpx.Client) -> None:
    bundle = client.get("/Patient?shoe=7&_count=5").json()
    assert "shoe" not in bundle["link"][0]["url"]
    (outcome,) = [entry for entry in bundle["entry"] if entry["search"]["mode"] == "outcome"]
    assert "shoe" in outcome["resource"]["issue"][0]["diagnostics"]


@pytest.mark.parametrize(
    "question", ["family=ada", "family=ada&_total=accurate", "_content=ada", "_id=seven"]
)
def test_what_the_loop_cannot_answer_at_once_a_thread_answers_with_the_same(
    client: httpx.Client, monkeypatch: pytest.MonkeyPatch, question: str
) -> None:
    at_once = client.get(f"/Patient?{question}")
    assert found(at_once) == ["Patient/seven"]
    monkeypatch.setattr(call, "PATIENCE_S", 0.0)
    assert client.get(f"/Patient?{question}").content == at_once.content


def test_a_read_that_finds_no_free_connection_waits_and_keeps_nobody_else_waiting(
    client: httpx.Client, served: Any
) -> None:
    with ThreadPoolExecutor(1) as aside:
        with ExitStack() as all_of_them:
            for _ in range(SIZE):
                all_of_them.enter_context(served.database.autocommit())
            reading = aside.submit(client.get, "/Patient/seven")
            assert httpx.get(f"{served.url}/static/nothing", timeout=30).status_code == 404
            assert not reading.done()
        assert reading.result(20).status_code == 200
