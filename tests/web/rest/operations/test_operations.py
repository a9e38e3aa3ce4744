"""The operations over HTTP: each does what its definition says, at its own places and by its own methods."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

HEART = {"system": "http://loinc.org", "code": "8867-4"}
WEIGHT = {"system": "http://loinc.org", "code": "29463-7"}


@pytest.fixture
def record(client: httpx.Client) -> None:
    """A patient with a visit, seen by a doctor, and another patient."""

    def put(rtype: str, id_: str, **more: Any) -> None:
        answer = client.put(f"/{rtype}/{id_}", json={"resourceType": rtype, "id": id_, **more})
        assert answer.status_code == 201, answer.text

    put("Practitioner", "doctor")
    put("Patient", "other")
    put("Patient", "seven", generalPractitioner=[{"reference": "Practitioner/doctor"}])
    me = {"reference": "Patient/seven"}
    put("Encounter", "visit", status="finished", subject=me, **{"class": {"code": "AMB"}})
    for number, (code, day) in enumerate(((HEART, 1), (HEART, 2), (WEIGHT, 1), (HEART, 3))):
        put(
            "Observation",
            f"o{number}",
            status="final",
            subject=me,
            encounter={"reference": "Encounter/visit"},
            code={"coding": [code]},
            effectiveDateTime=f"2026-01-0{day}",
        )
    put("Observation", "x", status="final", subject={"reference": "Patient/other"}, code={"coding": [HEART]})


def found(answer: httpx.Response, mode: str = "match") -> list[str]:
    assert answer.status_code == 200, answer.text
    return sorted(
        entry["fullUrl"].rpartition("/fhir/")[2]
        for entry in answer.json().get("entry", [])
        if entry["search"]["mode"] == mode
    )


MINE = ["Encounter/visit", *[f"Observation/o{number}" for number in range(4)], "Patient/seven"]


def test_everything_of_a_patient_is_the_compartment_and_what_it_refers_to(
    client: httpx.Client, record: None
) -> None:
    answer = client.get("/Patient/seven/$everything")
    assert found(answer) == MINE
    assert found(answer, "include") == ["Practitioner/doctor"]
    assert answer.json()["total"] == 6
    assert found(client.post("/Patient/seven/$everything", json={"resourceType": "Parameters"})) == MINE
    assert client.get("/Patient/none/$everything").status_code == 404


def test_everything_can_be_narrowed_and_paged(client: httpx.Client, record: None) -> None:
    assert found(client.get("/Patient/seven/$everything?_type=Observation,Encounter")) == MINE[:5]
    assert found(client.get("/Patient/seven/$everything?start=2026-01-03&_type=Observation")) == [
        "Observation/o3"
    ]
    assert found(client.get("/Patient/seven/$everything?_since=2199-01-01")) == []
    url, seen = "/Patient/seven/$everything?_count=2", []
    while url:
        answer = client.get(url)
        assert len(found(answer)) <= 2
        seen += found(answer)
        url = next((link["url"] for link in answer.json()["link"] if link["relation"] == "next"), "")
    assert sorted(seen) == MINE
    for query in ("_type=Shoe", "_count=0", "_count=x", "_since=x", "_cursor=x"):
        assert client.get(f"/Patient/seven/$everything?{query}").status_code == 400


def test_everything_of_an_encounter_holds_its_patient_beside_it(client: httpx.Client, record: None) -> None:
    answer = client.get("/Encounter/visit/$everything")
    assert found(answer) == MINE[:5]
    assert found(answer, "include") == ["Patient/seven"]


def test_lastn_gives_the_newest_of_each_code(client: httpx.Client, record: None) -> None:
    one = client.get("/Observation/$lastn?patient=Patient/seven&code=8867-4,29463-7")
    assert found(one) == ["Observation/o2", "Observation/o3"]
    two = client.get("/Observation/$lastn?patient=Patient/seven&code=8867-4&max=2")
    assert found(two) == ["Observation/o1", "Observation/o3"]
    for query in ("patient=Patient/seven", "code=8867-4", "patient=Patient/seven&code=8867-4&max=0"):
        assert client.get(f"/Observation/$lastn?{query}").status_code == 400


def test_validate_says_what_is_wrong_and_stores_nothing(client: httpx.Client) -> None:
    bad = {"resourceType": "Patient", "gender": "x"}
    for body in (bad, {"resourceType": "Parameters", "parameter": [{"name": "resource", "resource": bad}]}):
        answer = client.post("/Patient/$validate", json=body)
        assert answer.status_code == 200
        (issue,) = answer.json()["issue"]
        assert (issue["severity"], issue["expression"]) == ("error", ["Patient.gender"])
    good = client.post("/Patient/$validate", json={"resourceType": "Patient", "gender": "male"})
    assert good.json()["issue"][0]["severity"] == "information"
    assert client.get("/Patient?_summary=count").json()["total"] == 0
    assert client.post("/Basic/$validate", json=bad).status_code == 400
    assert client.post("/Patient/$validate?profile=urn:none", json=bad).status_code == 404


def test_validate_knows_the_profiles_that_were_stored(client: httpx.Client) -> None:
    def element(path: str, least: int, **more: Any) -> dict[str, Any]:
        base = {"path": path, "min": 0, "max": "*"}
        return {"id": path, "path": path, "definition": "x", "min": least, "max": "*", "base": base, **more}

    profile = {
        "resourceType": "StructureDefinition",
        "id": "named",
        "url": "urn:named",
        "name": "Named",
        "status": "active",
        "kind": "resource",
        "abstract": False,
        "type": "Patient",
        "baseDefinition": "http://hl7.org/fhir/StructureDefinition/Patient",
        "derivation": "constraint",
        "snapshot": {
            "element": [element("Patient", 0), element("Patient.name", 1, type=[{"code": "HumanName"}])]
        },
    }
    patient = {"resourceType": "Patient", "meta": {"profile": ["urn:named"]}}
    before = client.post("/Patient/$validate", json=patient)
    assert before.json()["issue"][0]["severity"] == "warning"
    stored = client.post("/StructureDefinition", json=profile)
    assert stored.status_code == 201, stored.text
    after = client.post("/Patient/$validate", json=patient)
    assert after.json()["issue"][0]["severity"] == "error"


def test_meta_is_read_and_changed(client: httpx.Client, record: None) -> None:
    def meta(answer: httpx.Response) -> Any:
        assert answer.status_code == 200, answer.text
        return answer.json()["parameter"][0]["valueMeta"]

    def parameters(**value: Any) -> Any:
        return {"resourceType": "Parameters", "parameter": [{"name": "meta", "valueMeta": value}]}

    assert meta(client.get("/Patient/seven/$meta"))["versionId"] == "1"
    tag = {"system": "urn:t", "code": "a"}
    added = meta(client.post("/Patient/seven/$meta-add", json=parameters(tag=[tag], profile=["urn:p"])))
    assert (added["tag"], added["profile"], added["versionId"]) == ([tag], ["urn:p"], "2")
    assert meta(client.post("/Patient/seven/$meta-add", json=parameters(tag=[tag])))["versionId"] == "2"
    left = meta(client.post("/Patient/seven/$meta-delete", json=parameters(tag=[tag])))
    assert ("tag" in left, left["profile"]) == (False, ["urn:p"])
    assert client.post("/Patient/seven/$meta-add", json={"resourceType": "Parameters"}).status_code == 400
    assert client.get("/Patient/seven/$meta-add").status_code in {404, 405}
    restricted = {"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}
    hidden = meta(client.post("/Patient/seven/$meta-add", json=parameters(security=[restricted])))
    assert (hidden["security"], hidden["versionId"]) == ([restricted], "4")
    assert client.get("/Patient/seven").status_code == 404


def test_an_operation_can_be_an_entry_of_a_batch(client: httpx.Client, record: None) -> None:
    entries = [
        {"request": {"method": "GET", "url": "Patient/seven/$everything?_type=Patient"}},
        {"resource": {"resourceType": "Basic"}, "request": {"method": "POST", "url": "Basic/$validate"}},
    ]
    answer = client.post("/", json={"resourceType": "Bundle", "type": "batch", "entry": entries}).json()
    assert [entry["response"]["status"] for entry in answer["entry"]] == ["200", "200"]
    assert answer["entry"][0]["resource"]["total"] == 1
    assert answer["entry"][1]["resource"]["issue"][0]["expression"] == ["Basic.code"]


def test_the_capability_statement_says_what_there_is(client: httpx.Client) -> None:
    statement = client.get("/metadata").json()
    (rest,) = statement["rest"]
    assert {one["code"] for one in rest["interaction"]} == {
        "transaction",
        "batch",
        "search-system",
        "history-system",
    }
    patient = next(one for one in rest["resource"] if one["type"] == "Patient")
    assert {one["code"] for one in patient["interaction"]} == {
        *("read", "vread", "update", "patch", "delete", "create"),
        *("history-instance", "history-type", "search-type"),
    }
    assert {"everything", "validate", "meta"} <= {one["name"] for one in patient["operation"]}
    assert "Observation:subject" in patient["searchRevInclude"]
    told = client.post("/CapabilityStatement/$validate", json=statement).json()["issue"]
    assert [issue for issue in told if issue["severity"] == "error"] == []


def test_the_version_of_fhir_is_told(client: httpx.Client) -> None:
    told = client.get("/$versions", headers={"authorization": ""}).json()["parameter"]
    assert {one["name"]: one["valueCode"] for one in told} == {"version": "4.0", "default": "4.0"}
