"""Transactions and batches over HTTP: whatever the server does, an entry may ask for."""

from __future__ import annotations

from typing import Any

import httpx

PATIENT = {"resourceType": "Patient", "identifier": [{"system": "urn:x", "value": "7"}]}
SEVEN = PATIENT | {"id": "seven"}


def entry(method: str, url: str, resource: Any = None, **more: Any) -> dict[str, Any]:
    names = {"fullUrl": more.pop("full_url")} if "full_url" in more else {}
    body = {} if resource is None else {"resource": resource}
    return names | body | {"request": {"method": method, "url": url, **more}}


def post(client: httpx.Client, kind: str, *entries: Any) -> httpx.Response:
    return client.post("/", json={"resourceType": "Bundle", "type": kind, "entry": list(entries)})


def statuses(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [one["response"]["status"][:3] for one in answer.json()["entry"]]


def test_verbs_are_done_in_the_order_of_the_standard_and_answered_in_the_order_they_came(
    client: httpx.Client,
) -> None:
    client.put("/Patient/old", json=PATIENT | {"id": "old"})
    answer = post(
        client,
        "transaction",
        entry("GET", "Patient/seven"),
        entry("GET", "Patient?identifier=urn:x|7&_summary=count"),
        entry("PUT", "Patient/seven", SEVEN),
        entry("POST", "Patient", PATIENT),
        entry("DELETE", "Patient/old"),
    )
    assert statuses(answer) == ["200", "200", "201", "201", "204"]
    first, second, *_ = answer.json()["entry"]
    assert first["resource"]["id"] == "seven"
    assert first["response"]["etag"] == 'W/"1"'
    assert second["resource"]["total"] == 2


def test_one_failing_entry_undoes_the_whole_transaction(client: httpx.Client) -> None:
    client.put("/Patient/seven", json=SEVEN)
    for bad, status in (
        (entry("GET", "Patient/none"), 404),
        (entry("PUT", "Patient/seven", SEVEN | {"active": True}, ifMatch='W/"9"'), 412),
        (entry("POST", "Patient", PATIENT | {"gender": "x"}), 422),
        (entry("GET", "Patient?_sort=shoe"), 400),
        (entry("DELETE", "Shoe/7"), 400),
        (entry("POST", "Observation", {"resourceType": "Observation"}), 400),
    ):
        answer = post(client, "transaction", entry("POST", "Patient", PATIENT), bad)
        assert answer.status_code == status, (bad, answer.text)
        assert answer.json()["resourceType"] == "OperationOutcome"
    assert client.get("/Patient?_summary=count").json()["total"] == 1


def test_a_batch_does_what_it_can_and_says_what_it_cannot(client: httpx.Client) -> None:
    answer = post(
        client,
        "batch",
        entry("PUT", "Patient/seven", SEVEN),
        entry("GET", "Patient/none"),
        entry("GET", "Patient/seven/_history"),
        entry("GET", "metadata"),
        entry("POST", "Patient", {"resourceType": "Patient", "shoe": 7}),
        entry("DANCE", "Patient"),
        entry("PUT", "Patient/eight", SEVEN),
        entry("DELETE", "Patient/none"),
        entry("GET", "Patient/seven", ifNoneMatch='W/"1"'),
        entry("GET", "nowhere/at/all"),
    )
    assert statuses(answer) == ["201", "404", "200", "200", "400", "400", "400", "204", "304", "404"]
    entries = answer.json()["entry"]
    assert entries[1]["response"]["outcome"]["issue"][0]["code"] == "not-found"
    assert entries[2]["resource"]["type"] == "history"


def test_every_form_of_reference_leads_to_what_the_transaction_made(client: httpx.Client) -> None:
    client.post("/Organization", json={"resourceType": "Organization", "identifier": [{"value": "org"}]})
    urn = "urn:uuid:7c0a5f0e-5a0a-4c1e-9d55-0d6b1f0b8f11"
    weight = {
        "resourceType": "Observation",
        "status": "final",
        "code": {"text": "x"},
        "subject": {"reference": urn},
        "performer": [{"reference": "Organization?identifier=org"}],
        "focus": [
            {"reference": "http://old.example/fhir/Practitioner/3"},
            {"reference": "Patient/elsewhere"},
        ],
        "encounter": {"reference": "urn:oid:1.2.3"},
    }
    answer = post(
        client,
        "transaction",
        entry("POST", "Observation", weight),
        entry("POST", "Patient", PATIENT, full_url=urn),
        entry(
            "POST",
            "Practitioner",
            {"resourceType": "Practitioner", "id": "3"},
            full_url="http://old.example/fhir/Practitioner/3",
        ),
        entry(
            "POST",
            "Encounter",
            {"resourceType": "Encounter", "status": "planned", "class": {"code": "AMB"}},
            full_url="urn:oid:1.2.3",
        ),
    )
    assert statuses(answer) == ["201"] * 4
    places = [one["response"]["location"].partition("/_history")[0] for one in answer.json()["entry"]]
    observation = client.get(f"/{places[0]}").json()
    assert observation["subject"]["reference"] == places[1]
    assert observation["focus"][0]["reference"] == places[2]
    assert observation["focus"][1]["reference"] == "Patient/elsewhere"
    assert observation["encounter"]["reference"] == places[3]
    assert observation["performer"][0]["reference"].startswith("Organization/")


def test_conditions_hold_within_a_transaction(client: httpx.Client) -> None:
    client.put("/Patient/seven", json=SEVEN)
    answer = post(
        client,
        "transaction",
        entry("POST", "Patient", PATIENT, ifNoneExist="identifier=urn:x|7", full_url="urn:uuid:a"),
        entry(
            "PUT",
            "Organization?identifier=org",
            {"resourceType": "Organization", "identifier": [{"value": "org"}]},
        ),
        entry("DELETE", "Practitioner?identifier=nobody"),
        entry(
            "POST",
            "Basic",
            {"resourceType": "Basic", "code": {"text": "x"}, "subject": {"reference": "urn:uuid:a"}},
        ),
    )
    assert statuses(answer) == ["200", "201", "204", "201"]
    basic = client.get("/" + answer.json()["entry"][3]["response"]["location"]).json()
    assert basic["subject"]["reference"] == "Patient/seven"
    client.post("/Patient", json=PATIENT)
    many = post(client, "transaction", entry("PUT", "Patient?identifier=urn:x|7", PATIENT))
    assert many.status_code == 412


def test_what_is_no_bundle_to_run_is_refused(client: httpx.Client) -> None:
    for body in (
        PATIENT,
        {"resourceType": "Bundle", "type": "collection"},
        {"resourceType": "Bundle"},
        {"resourceType": "Bundle", "type": "transaction", "entry": [{}]},
        {"resourceType": "Bundle", "type": "transaction", "entry": {}},
        {"resourceType": "Bundle", "type": "batch", "entry": [7]},
    ):
        answer = client.post("/", json=body)
        assert answer.status_code == 400, body
    assert post(client, "transaction").json()["type"] == "transaction-response"
    nested = entry("POST", "", {"resourceType": "Bundle", "type": "batch"})
    assert statuses(post(client, "batch", nested)) == ["400"]


def test_the_same_resource_twice_is_refused_in_a_transaction(client: httpx.Client) -> None:
    answer = post(
        client, "transaction", entry("PUT", "Patient/seven", SEVEN), entry("DELETE", "Patient/seven")
    )
    assert answer.status_code == 409


def test_an_operation_that_changes_something_is_not_run_within_a_bundle(client: httpx.Client) -> None:
    place = client.post("/Patient", json=PATIENT).headers["location"].split("/fhir/")[1].split("/_history")[0]
    meta = {"name": "meta", "valueMeta": {"tag": [{"system": "urn:x", "code": "kept"}]}}
    adding = entry("POST", f"{place}/$meta-add", {"resourceType": "Parameters", "parameter": [meta]})
    refused = post(client, "transaction", adding, entry("GET", place))
    assert refused.status_code in {400, 422}
    assert "called by itself" in refused.text
    assert "kept" not in client.get(f"/{place}").text
    assert client.post(
        f"/{place}/$meta-add", json={"resourceType": "Parameters", "parameter": [meta]}
    ).is_success
    assert "kept" in client.get(f"/{place}").text
