"""ViewDefinitions as resources: kept, found, and refused with place and cause."""

from __future__ import annotations

from typing import Any

import httpx

VIEW: dict[str, Any] = {
    "resourceType": "ViewDefinition",
    "id": "wards",
    "url": "http://example.org/ViewDefinition/wards",
    "name": "wards",
    "status": "active",
    "resource": "Location",
    "select": [{"column": [{"name": "id", "path": "getResourceKey()"}, {"name": "ward", "path": "name"}]}],
}


def column(path: Any, **more: Any) -> dict[str, Any]:
    return {
        **VIEW,
        "select": [{"column": [{"name": "id", "path": "id"}, {"name": "b", "path": path}]}],
        **more,
    }


def told(answer: httpx.Response) -> tuple[int, str, str]:
    issue = answer.json()["issue"][0]
    return answer.status_code, issue["expression"][0], issue["diagnostics"]


def test_a_view_definition_lives_as_any_resource(client: httpx.Client) -> None:
    assert client.put("/ViewDefinition/wards", json=VIEW).status_code == 201
    assert client.put("/ViewDefinition/wards", json=column("status")).status_code == 200
    assert client.get("/ViewDefinition/wards").json()["select"][0]["column"][1]["path"] == "status"
    patch = [{"op": "replace", "path": "/select/0/column/1/path", "value": "description"}]
    as_patch = {"content-type": "application/json-patch+json"}
    assert client.patch("/ViewDefinition/wards", json=patch, headers=as_patch).status_code == 200
    assert client.get("/ViewDefinition/wards/_history").json()["total"] == 3
    for query, count in (
        ("url=http://example.org/ViewDefinition/wards", 1),
        ("name=ward&status=active&resource=Location", 1),
        ("resource=Patient", 0),
    ):
        assert client.get(f"/ViewDefinition?{query}").json()["total"] == count, query
    as_xml = client.get("/ViewDefinition/wards", headers={"accept": "application/fhir+xml"}).text
    assert '<path value="description"/>' in as_xml
    assert client.delete("/ViewDefinition/wards").status_code == 204
    assert client.get("/ViewDefinition/wards").status_code == 410


def test_a_view_that_cannot_be_run_is_refused_with_place_and_cause(client: httpx.Client) -> None:
    place = "ViewDefinition.select[0].column[1].path"
    for path, cause in (
        ("name.where(", "character 12"),
        ("hover()", "hover"),
        ("hoursOfOperation", "has elements"),
    ):
        answer = client.put("/ViewDefinition/wards", json=column(path))
        assert told(answer)[:2] == (422, place), path
        assert cause in told(answer)[2]
    assert told(client.post("/ViewDefinition", json=column("name", resource="Shoe")))[:2] == (
        422,
        "ViewDefinition.resource",
    )
    bundle = {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [{"resource": column("hover()"), "request": {"method": "POST", "url": "ViewDefinition"}}],
    }
    assert (
        told(client.post("/", json=bundle))[1]
        == f"Bundle.entry[0].resource{place.removeprefix('ViewDefinition')}"
    )
    patch = [{"op": "replace", "path": "/select/0/column/1/path", "value": "hover()"}]
    client.put("/ViewDefinition/wards", json=VIEW)
    as_patch = {"content-type": "application/json-patch+json"}
    assert told(client.patch("/ViewDefinition/wards", json=patch, headers=as_patch))[:2] == (422, place)


def test_validate_says_what_the_compiler_of_views_says(client: httpx.Client) -> None:
    def issues(view: dict[str, Any]) -> list[tuple[str, str]]:
        answer = client.post("/ViewDefinition/$validate", json=view).json()["issue"]
        return [(one["severity"], one.get("expression", [""])[0]) for one in answer]

    place = "ViewDefinition.select[0].column[1].path"
    assert issues(column("name.where(")) == [("error", place)]
    assert issues(column("shoe")) == [("warning", place)]
    assert issues(VIEW)[0][0] == "information"


def test_the_capability_statement_names_view_definition(client: httpx.Client) -> None:
    [told] = [
        one
        for one in client.get("/metadata").json()["rest"][0]["resource"]
        if one["type"] == "ViewDefinition"
    ]
    assert {"url", "name", "status", "resource"} <= {one["name"] for one in told["searchParam"]}
    assert {"read", "create", "update", "delete", "search-type"} <= {
        one["code"] for one in told["interaction"]
    }


def test_a_misspelt_element_in_a_path_is_kept_and_warned_of(client: httpx.Client) -> None:
    answer = client.put("/ViewDefinition/wards", json=column("nmae"))
    assert answer.status_code == 201
    assert "ViewDefinition.select[0].column[1].path: " in answer.headers["warning"]
    assert "nmae" in answer.headers["warning"]
    whole = {"prefer": "return=OperationOutcome"}
    answer = client.put("/ViewDefinition/wards", json=column("nmae"), headers=whole)
    (issue,) = answer.json()["issue"]
    assert (issue["severity"], issue["expression"]) == (
        "warning",
        ["ViewDefinition.select[0].column[1].path"],
    )
    assert "warning" not in client.put("/ViewDefinition/wards", json=VIEW).headers
