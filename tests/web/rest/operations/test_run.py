"""$run of views, over a real socket: forms, filters, who sees what, and what is wrong."""

from __future__ import annotations

import csv
import io
import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pyarrow.parquet as pq
import pytest

from careloom.fhir.resource import Resource, dumps
from careloom.lake.build import writing
from careloom.settings import Settings, lake_root
from careloom.store.accounts import create_token
from careloom.store.actor import Actor
from careloom.store.database import Database

CLINIC = Actor("clinic", frozenset({"source"}))
BIRTHS: dict[str, Any] = {
    "resourceType": "ViewDefinition",
    "id": "births",
    "url": "http://example.org/ViewDefinition/births",
    "version": "2",
    "name": "births",
    "status": "active",
    "resource": "Patient",
    "select": [
        {
            "column": [
                {"name": "id", "path": "getResourceKey()"},
                {"name": "born", "path": "birthDate"},
                {"name": "given", "path": "name.given", "collection": True},
            ]
        }
    ],
}
RESTRICTED = {
    "security": [{"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}]
}


def patient(number: int, **more: Any) -> Resource:
    return {
        "resourceType": "Patient",
        "id": f"p{number}",
        "birthDate": f"19{number}0",
        "name": [{"given": ["Zebedee, the", "third"]}],
        **more,
    }


def observation(number: int) -> Resource:
    return {
        "resourceType": "Observation",
        "id": f"o{number}",
        "status": "final",
        "code": {"text": "pulse"},
        "subject": {"reference": f"Patient/p{number}"},
    }


@pytest.fixture(scope="module")
def site(
    module_database: Database, serving: Callable[..., Iterator[Any]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Any]:
    settings = Settings(home=tmp_path_factory.mktemp("home"), port=0)
    with serving(module_database, settings) as served:
        members = [
            {"entity": {"reference": "Patient/p1"}},
            {"entity": {"reference": "Patient/p2"}, "inactive": True},
        ]
        group = {"resourceType": "Group", "id": "g", "type": "person", "actual": True, "member": members}
        found = [
            patient(1),
            patient(2),
            patient(3, meta=RESTRICTED),
            observation(1),
            observation(2),
            BIRTHS,
            group,
        ]
        for one in found:
            served.flow.update(one["resourceType"], one["id"], dumps(one), CLINIC)
        with writing(module_database, lake_root(settings)) as writer:
            while writer.step(1_000):
                pass
        yield served


def client_of(site: Any, role: str) -> httpx.Client:
    with site.database.connection() as connection:
        token = create_token(connection, f"{role}-{datetime.now(UTC).timestamp()}", [role])
    headers = {"authorization": f"Bearer {token}", "content-type": "application/fhir+json"}
    return httpx.Client(base_url=f"{site.url}/fhir", headers=headers, timeout=60)


@pytest.fixture(scope="module")
def physician(site: Any) -> Iterator[httpx.Client]:
    with client_of(site, "physician") as client:
        yield client


def ids(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return sorted(json.loads(line)["id"] for line in answer.text.splitlines())


def wrong(answer: httpx.Response) -> tuple[int, str, str]:
    issue = answer.json()["issue"][0]
    return answer.status_code, issue["code"], issue.get("expression", [""])[0]


def parameters(*given: tuple[str, Any]) -> dict[str, Any]:
    def one(name: str, value: Any) -> dict[str, Any]:
        if isinstance(value, dict):
            return {"name": name, "resource": value}
        kind = "valueReference" if name in {"viewReference", "patient", "group"} else "valueString"
        return {"name": name, kind: {"reference": value} if kind == "valueReference" else value}

    return {"resourceType": "Parameters", "parameter": [one(*each) for each in given]}


def test_a_stored_view_is_run_in_four_forms(physician: httpx.Client) -> None:
    path = "/ViewDefinition/births/$run"
    first = {"id": "p1", "born": "1910", "given": ["Zebedee, the", "third"]}
    answer = physician.get(path)
    assert (answer.headers["content-type"], json.loads(answer.text.splitlines()[0])) == (
        "application/x-ndjson",
        first,
    )
    as_json = physician.get(path, headers={"accept": "application/json"})
    assert (as_json.headers["content-type"], as_json.json()[0]) == ("application/json", first)
    as_csv = physician.get(path, params={"_format": "csv", "_limit": 1}).text
    row = ["p1", "1910", '["Zebedee, the","third"]']
    assert list(csv.reader(io.StringIO(as_csv))) == [["id", "born", "given"], row]
    assert list(csv.reader(io.StringIO(physician.get(f"{path}?_format=csv&header=false&_limit=1").text))) == [
        row
    ]
    table = pq.read_table(
        io.BytesIO(physician.get(path, headers={"accept": "application/vnd.apache.parquet"}).content)
    )
    assert table.to_pylist()[0] == first
    assert physician.get(f"{path}?_limit=0&_format=json").json() == []


@pytest.mark.parametrize("name", ["$run", "$viewdefinition-run"])
@pytest.mark.parametrize(
    "given",
    [
        ("viewReference", "ViewDefinition/births"),
        ("viewReference", "births"),
        ("viewCanonical", "http://example.org/ViewDefinition/births"),
        ("viewCanonical", "http://example.org/ViewDefinition/births|2"),
        ("viewResource", {name: value for name, value in BIRTHS.items() if name not in {"id", "status"}}),
    ],
)
def test_a_view_is_named_in_three_ways_by_both_names(
    physician: httpx.Client, name: str, given: tuple[str, Any]
) -> None:
    assert ids(physician.post(f"/ViewDefinition/{name}", json=parameters(given))) == ["p1", "p2", "p3"]


def test_the_longer_name_is_answered_without_a_type_and_xml_is_read(physician: httpx.Client) -> None:
    body = (
        '<Parameters xmlns="http://hl7.org/fhir"><parameter><name value="viewReference"/><valueReference>'
        '<reference value="ViewDefinition/births"/></valueReference></parameter></Parameters>'
    )
    headers = {"content-type": "application/fhir+xml"}
    assert len(ids(physician.post("/$viewdefinition-run", content=body, headers=headers))) == 3
    assert len(ids(physician.get("/$viewdefinition-run?viewReference=patient"))) == 3
    assert len(ids(physician.get("/ViewDefinition/patient/$run"))) == 3
    assert ids(physician.get("/ViewDefinition/medication-request/$run")) == []


def test_patient_group_and_since_choose(physician: httpx.Client, site: Any) -> None:
    run = "/ViewDefinition/births/$run"
    assert ids(physician.get(f"{run}?patient=Patient/p2&patient=Patient/p1")) == ["p1", "p2"]
    assert ids(physician.get(f"{run}?group=Group/g")) == ["p1"]
    assert ids(physician.get(f"{run}?group=Group/g&patient=Patient/p2")) == []
    assert ids(physician.get("/ViewDefinition/observation/$run?patient=Patient/p2")) == ["o2"]
    asked = parameters(
        ("viewReference", "ViewDefinition/births"), ("patient", f"{physician.base_url}Patient/p1")
    )
    assert ids(physician.post("/ViewDefinition/$run", json=asked)) == ["p1"]
    assert len(ids(physician.get(f"{run}?_since=2020-01-01T00:00:00Z"))) == 3
    assert ids(physician.get(f"{run}?_since=2999-01-01T00:00:00Z")) == []


def test_resources_that_are_sent_are_run_instead_of_the_lake(physician: httpx.Client) -> None:
    bundle = {
        "resourceType": "Bundle",
        "type": "collection",
        "entry": [{"resource": patient(8)}, {"resource": observation(8)}],
    }
    asked = parameters(("viewResource", BIRTHS), ("resource", patient(7)), ("resource", bundle))
    assert ids(physician.post("/ViewDefinition/$run", json=asked)) == ["p7", "p8"]
    changed = {"meta": {"lastUpdated": "2020-01-01T00:00:00Z"}}
    asked = parameters(
        ("resource", patient(6, **changed)), ("resource", patient(7)), ("_since", "2021-01-01")
    )
    assert ids(physician.post("/ViewDefinition/births/$run", json=asked)) == ["p7"]
    asked = parameters(("resource", patient(6)), ("patient", "Patient/p1"))
    assert wrong(physician.post("/ViewDefinition/births/$run", json=asked)) == (
        400,
        "not-supported",
        "patient",
    )


def test_who_may_not_see_a_row_does_not_get_it(site: Any) -> None:
    with client_of(site, "integration") as client:
        assert ids(client.get("/ViewDefinition/births/$run")) == ["p1", "p2"]
        assert wrong(client.get("/ViewDefinition/births/$run?patient=Patient/p3")) == (
            400,
            "value",
            "patient",
        )
    for role in ("nurse", "source", "admin"):
        with client_of(site, role) as client:
            assert client.get("/ViewDefinition/births/$run").status_code == 403, role
            assert (
                client.post("/ViewDefinition/$run", json=parameters(("viewResource", BIRTHS))).status_code
                == 403
            )


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("source=s3://somewhere", (400, "not-supported", "source")),
        ("_format=xml", (400, "not-supported", "_format")),
        ("_count=3", (400, "not-supported", "_count")),
        ("_limit=-1", (400, "value", "_limit")),
        ("_since=yesterday", (400, "value", "_since")),
        ("header=maybe", (400, "value", "header")),
        ("patient=Patient/none", (400, "value", "patient")),
        ("group=Patient/p1", (400, "value", "group")),
        ("viewReference=births", (400, "invalid", "viewReference")),
    ],
)
def test_what_cannot_be_done_is_refused_with_its_reason(
    physician: httpx.Client, query: str, told: tuple[int, str, str]
) -> None:
    assert wrong(physician.get(f"/ViewDefinition/births/$run?{query}")) == told


def test_a_view_that_is_not_there_or_not_right_is_told_so(physician: httpx.Client) -> None:
    run = "/ViewDefinition/$run"
    assert wrong(physician.get("/ViewDefinition/none/$run"))[:2] == (404, "not-found")
    assert wrong(physician.post(run, json=parameters()))[:2] == (400, "required")
    both = parameters(("viewReference", "births"), ("viewResource", BIRTHS))
    assert wrong(physician.post(run, json=both))[:2] == (400, "invalid")
    accept = {"accept": "application/fhir+json"}
    assert physician.get("/ViewDefinition/births/$run", headers=accept).status_code == 406
    place = "ViewDefinition.select[0].column[0].path"
    for path in ("name.where(", "hover()"):
        view = {**BIRTHS, "select": [{"column": [{"name": "a", "path": path}]}]}
        assert wrong(physician.post(run, json=parameters(("viewResource", view)))) == (
            422,
            "processing",
            place,
        )
    several = {**BIRTHS, "select": [{"column": [{"name": "a", "path": "name.given"}]}]}
    answer = physician.post(run, json=parameters(("viewResource", several)))
    assert wrong(answer) == (422, "processing", place)
    assert "Zebedee" not in answer.text


def test_each_use_leaves_a_line_without_values(physician: httpx.Client, site: Any) -> None:
    physician.post(
        "/ViewDefinition/$run", json=parameters(("viewResource", BIRTHS), ("resource", patient(5)))
    )
    for _ in range(600):
        with site.database.connection() as connection:
            found = connection.execute(
                "select distinct parameters from audit where what = 'ViewDefinition/$run'"
            ).fetchall()
        if found:
            break
        time.sleep(0.1)
    assert found == [("",)]


def test_a_view_of_the_sites_folder_is_run_by_its_name_and_a_broken_one_says_where(
    site: Any, physician: httpx.Client
) -> None:
    folder = site.settings.home / "views"
    folder.mkdir()
    told = {"resource": "Patient", "select": [{"column": [{"name": "id", "path": "id"}]}]}
    (folder / "own_one.json").write_text(json.dumps(told))
    assert ids(physician.get("/ViewDefinition/own-one/$run")) == ["p1", "p2", "p3"]
    (folder / "odd.json").write_text('{"resource": "Patient",\n oops}')
    answer = physician.get("/ViewDefinition/$run", params={"viewReference": "odd"})
    assert wrong(answer)[:2] == (400, "structure")
    assert "odd.json is left out: The file is not JSON" in answer.text
    assert "line 2" in answer.text


def test_a_view_that_stops_names_the_resource_at_which_it_did(physician: httpx.Client) -> None:
    told = {
        "resourceType": "ViewDefinition", "status": "active", "resource": "Patient",
        "select": [{"column": [{"name": "given", "path": "name.given.where($this != 'x')"}]}],
        "where": [{"path": "id = 'p2'"}],
    }  # fmt: skip
    answer = physician.post("/ViewDefinition/$run", json=told)
    assert wrong(answer)[:2] == (422, "processing")
    assert "So it is in Patient/p2." in answer.text
    assert "Zebedee" not in answer.text
