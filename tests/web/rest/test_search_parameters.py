"""Search parameters of a store's own, over HTTP: from the SearchParameter to the search, and out again."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from careloom.fhir.searchparam import FIRST_OWN
from careloom.store import jobs
from careloom.store.hashes import presence_entry

URL = "http://example.org/SearchParameter/"
FISH = "http://example.org/fish"
STRICT = {"prefer": "handling=strict"}


def definition(code: str, expression: str, **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "SearchParameter",
        "id": code,
        "url": URL + code,
        "name": code,
        "description": code,
        "status": "active",
        "code": code,
        "base": ["Patient"],
        "type": "token",
        "expression": expression,
        **more,
    }


NICK = definition("nick", "Patient.name.where(use = 'nickname').given", type="string")
PET = definition("pet", f"Patient.extension.where(url = '{FISH}').value.as(CodeableConcept)")


@pytest.fixture
def work(served: Any) -> Callable[[], None]:
    """Do all jobs there are."""

    def done() -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            # A job waits for transactions of others that began before it: then there is nothing to do yet.
            if not served.flow.run_job():
                with served.database.connection() as connection:
                    if not any(one.is_open for one in jobs.jobs(connection, "search-parameter")):
                        return
                time.sleep(0.01)
        raise AssertionError("the jobs did not end")

    return done


@pytest.fixture(autouse=True)
def people(client: httpx.Client) -> None:
    for id_, nick, pet in (("a", "Ace", "carp"), ("b", "Bee", "eel"), ("c", "", "")):
        client.put(f"/Patient/{id_}", json=person(id_, nick, pet))


def person(id_: str, nick: str, pet: str) -> dict[str, Any]:
    made: dict[str, Any] = {"resourceType": "Patient", "id": id_, "name": [{"family": "Smith"}]}
    if nick:
        made["name"].append({"use": "nickname", "given": [nick]})
    if pet:
        coding = {"system": "http://example.org/pets", "code": pet}
        made["extension"] = [{"url": FISH, "valueCodeableConcept": {"coding": [coding]}}]
    return made


def found(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    entries = answer.json().get("entry", [])
    return sorted(one["resource"]["id"] for one in entries if one["search"]["mode"] == "match")


def put(client: httpx.Client, resource: dict[str, Any]) -> httpx.Response:
    return client.put(f"/SearchParameter/{resource['id']}", json=resource)


def test_until_all_rows_are_indexed_a_search_says_so_and_then_it_finds_them(
    client: httpx.Client, work: Callable[[], None]
) -> None:
    assert put(client, NICK).status_code == 201
    refused = client.get("/Patient?nick=ace", headers=STRICT)
    assert refused.status_code == 503
    assert refused.json()["issue"][0]["code"] == "incomplete"
    lenient = client.get("/Patient?nick=ace")
    assert found(lenient) == ["a", "b", "c"]
    told = lenient.json()["entry"][-1]["resource"]["issue"]
    assert [(one["severity"], one["code"], one["expression"]) for one in told] == [
        ("warning", "incomplete", ["nick"])
    ]
    assert "nick" not in lenient.json()["link"][0]["url"]
    for query in ("_has:Patient:link:nick=ace", "link:Patient.nick=ace", "_sort=nick"):
        assert client.get(f"/Patient?{query}").status_code == 503, query
    assert client.put("/Patient?nick=ace", json=person("", "Ace", "") | {"id": "a"}).status_code == 503
    # Whatever is written meanwhile is indexed at once.
    client.put("/Patient/d", json=person("d", "Acey", ""))
    work()
    assert found(client.get("/Patient?nick=ace", headers=STRICT)) == ["a", "d"]
    assert found(client.get("/Patient?nick:exact=Ace", headers=STRICT)) == ["a"]
    assert found(client.get("/Patient?nick:missing=true", headers=STRICT)) == ["c"]
    assert [
        one["resource"]["id"] for one in client.get("/Patient?nick:missing=false&_sort=-nick").json()["entry"]
    ] == [
        "b",
        "d",
        "a",
    ]
    assert client.put("/Patient?nick=bee", json=person("b", "Bee", "eel")).status_code == 200


def test_a_token_of_an_extension_is_found_by_all_that_a_token_is_found_by(
    client: httpx.Client, work: Callable[[], None]
) -> None:
    put(client, PET)
    work()
    assert found(client.get("/Patient?pet=carp", headers=STRICT)) == ["a"]
    assert found(client.get("/Patient?pet=http://example.org/pets|", headers=STRICT)) == ["a", "b"]
    assert found(client.get("/Patient?pet=http://example.org/pets|eel,carp", headers=STRICT)) == ["a", "b"]
    assert found(client.get("/Patient?pet:not=carp", headers=STRICT)) == ["b", "c"]
    assert found(client.get("/Patient?pet:missing=true", headers=STRICT)) == ["c"]
    assert found(client.get("/Patient?pet=|carp", headers=STRICT)) == []
    seen = {"resourceType": "Observation", "status": "final", "code": {"text": "x"}}
    client.put("/Observation/o", json=seen | {"id": "o", "subject": {"reference": "Patient/a"}})
    assert found(client.get("/Observation?subject:Patient.pet=carp", headers=STRICT)) == ["o"]


def test_a_reference_parameter_is_chained_included_and_asked_in_reverse(
    client: httpx.Client, work: Callable[[], None]
) -> None:
    kin = definition("kin", "Patient.link.other", type="reference", target=["Patient"])
    put(client, kin)
    work()
    link = [{"other": {"reference": "Patient/a"}, "type": "seealso"}]
    client.put("/Patient/k", json=person("k", "Kay", "") | {"link": link})
    assert found(client.get("/Patient?kin=Patient/a", headers=STRICT)) == ["k"]
    assert found(client.get("/Patient?kin.family=smith", headers=STRICT)) == ["k"]
    assert found(client.get("/Patient?_has:Patient:kin:family=smith", headers=STRICT)) == ["a"]
    included = client.get("/Patient?_id=k&_include=Patient:kin").json()["entry"]
    assert [one["search"]["mode"] for one in included] == ["match", "include"]
    reverse = client.get("/Patient?_id=a&_revinclude=Patient:kin").json()["entry"]
    assert [one["resource"]["id"] for one in reverse] == ["a", "k"]


@pytest.mark.parametrize(
    ("expression", "kind", "query", "ids"),
    [
        ("Patient.name.given.count() + 1", "number", "3", ["x"]),
        ("Patient.name.where(family.startsWith('Zo')).given.first()", "string", "ann", ["x"]),
        ("iif(Patient.active, 'in', 'out')", "token", "in", ["x"]),
        ("Patient.birthDate", "date", "gt2019", ["x"]),
        ("Patient.extension('http://example.org/h').value.ofType(Quantity)", "quantity", "gt1.70||m", ["x"]),
        (
            "Patient.contact.where(gender='female').telecom.value | Patient.managingOrganization",
            "token",
            "55",
            ["x"],
        ),
        ("Patient.photo.url", "uri", "http://example.org/p", ["x"]),
    ],
)
def test_any_fhirpath_that_our_compiler_reads_can_be_indexed(
    client: httpx.Client, work: Callable[[], None], expression: str, kind: str, query: str, ids: list[str]
) -> None:
    put(client, definition("own", expression, type=kind))
    client.put(
        "/Patient/x",
        json={
            "resourceType": "Patient",
            "id": "x",
            "active": True,
            "name": [{"family": "Zorn", "given": ["Anna", "Bo"]}],
            "birthDate": "2020",
            "extension": [{"url": "http://example.org/h", "valueQuantity": {"value": 1.8, "unit": "m"}}],
            "contact": [{"gender": "female", "telecom": [{"system": "phone", "value": "55"}]}],
            "photo": [{"url": "http://example.org/p"}],
        },
    )
    work()
    assert found(client.get(f"/Patient?own={query}", headers=STRICT)) == ids
    assert "x" not in found(client.get("/Patient?own:missing=true", headers=STRICT))


def test_a_composite_joins_parameters_of_r4_and_of_ones_own(
    client: httpx.Client, work: Callable[[], None]
) -> None:
    base = {"base": ["Observation"]}
    put(client, definition("rate", "Observation.component.value.as(Quantity)", type="quantity", **base))
    work()
    part = [
        {
            "definition": "http://hl7.org/fhir/SearchParameter/Observation-component-code",
            "expression": "code",
        },
        {"definition": URL + "rate", "expression": "value.as(Quantity)"},
    ]
    pair = definition("code-rate", "Observation.component", type="composite", component=part, **base)
    assert put(client, pair).status_code == 201
    work()
    for id_, values in (("one", (1, 2)), ("two", (2, 1))):
        parts = [
            {"code": {"coding": [{"code": code}]}, "valueQuantity": {"value": value}}
            for code, value in zip("xy", values, strict=True)
        ]
        seen = {"resourceType": "Observation", "id": id_, "status": "final", "code": {"text": "x"}}
        client.put(f"/Observation/{id_}", json=seen | {"component": parts})
    assert found(client.get("/Observation?code-rate=x$1", headers=STRICT)) == ["one"]
    # What it is made of leaves, and so it cannot be asked any more.
    client.delete("/SearchParameter/rate")
    assert client.get("/Observation?code-rate=x$1", headers=STRICT).status_code == 503


@pytest.mark.parametrize(
    ("change", "status", "says"),
    [
        ({"code": "gender", "expression": "Patient.active"}, 422, "R4 has another search parameter gender"),
        ({"expression": "Patient.shoes"}, 400, "no element shoes"),
        ({"expression": "Patient.name.given +"}, 400, "FHIRPath"),
        ({"expression": "Patient.link.other.resolve().name"}, 400, "resolve()"),
        ({"expression": "Patient.birthDate < today()"}, 400, "today()"),
        ({"expression": "Patient.name"}, 400, "finds nothing in HumanName"),
        ({"expression": "Observation.code"}, 400, "leads to nothing in a Patient"),
        ({"type": "special"}, 400, "special"),
        ({"type": "composite"}, 400, "components"),
        ({"code": "a:b"}, 400, "A code has"),
    ],
)
def test_what_cannot_be_searched_by_is_refused_with_its_reason(
    client: httpx.Client, change: dict[str, Any], status: int, says: str
) -> None:
    answer = put(client, definition("odd", "Patient.gender") | change)
    assert answer.status_code == status, answer.text
    issue = answer.json()["issue"][0]
    assert says in issue["diagnostics"]
    assert issue["expression"][0].startswith("SearchParameter.")
    assert client.get("/SearchParameter/odd").status_code == 404
    if change.get("code") == "a:b":
        return
    # What is no more than a draft says nothing yet.
    assert put(client, definition("odd", "Patient.gender") | change | {"status": "draft"}).status_code == 201


def test_what_r4_says_already_needs_no_index_and_a_second_one_of_the_same_code_is_refused(
    client: httpx.Client,
) -> None:
    assert put(client, definition("gender", "Patient.gender | Person.gender")).status_code == 201
    assert client.get("/SearchParameter/$reindex-status").json() == {"resourceType": "Parameters"}
    put(client, PET)
    again = put(client, PET | {"id": "other", "url": URL + "other"})
    assert again.status_code == 422
    assert "another search parameter pet here" in again.json()["issue"][0]["diagnostics"]


def test_a_parameter_that_is_changed_retired_or_deleted_leaves_and_its_values_with_it(
    client: httpx.Client, served: Any, work: Callable[[], None]
) -> None:
    put(client, NICK)
    put(client, PET)
    work()
    assert put(client, NICK | {"expression": "Patient.name.given"}).status_code == 200
    assert client.get("/Patient?nick=ace", headers=STRICT).status_code == 503
    work()
    assert found(client.get("/Patient?nick=ace", headers=STRICT)) == ["a"]
    # What does not change what it says changes nothing.
    assert put(client, NICK | {"expression": "Patient.name.given", "description": "new"}).status_code == 200
    assert found(client.get("/Patient?nick=ace", headers=STRICT)) == ["a"]
    assert put(client, NICK | {"status": "retired"}).status_code == 200
    client.delete("/SearchParameter/pet")
    for query in ("nick=ace", "pet=carp"):
        assert client.get(f"/Patient?{query}", headers=STRICT).status_code == 400, query
    with served.database.connection() as connection:
        before = connection.execute("select count(*) from s_str where sp >= 10000").fetchone()
    assert before == (2,)
    work()
    with served.database.connection() as connection:
        assert connection.execute("select count(*) from s_str where sp >= 10000").fetchone() == (0,)
        assert connection.execute("select count(*) from search_parameter").fetchone() == (0,)
        marks = [presence_entry(number) for number in range(FIRST_OWN, FIRST_OWN + 9)]
        assert connection.execute("select from res where ix && %s::bigint[]", [marks]).rowcount == 0
    client.put("/SearchParameter/pet", json=PET)
    work()
    assert found(client.get("/Patient?pet=carp", headers=STRICT)) == ["a"]


def test_how_far_it_is_and_what_can_be_searched_by_is_told(
    client: httpx.Client, work: Callable[[], None]
) -> None:
    put(client, PET)
    (told,) = client.get("/SearchParameter/$reindex-status").json()["parameter"]
    assert [part.get("valueCode") or part.get("valueUri") for part in told["part"]] == [
        URL + "pet",
        "pet",
        "Patient",
        "building",
    ]
    work()
    (told,) = client.get("/SearchParameter/$reindex-status").json()["parameter"]
    assert told["part"][-1] == {"name": "status", "valueCode": "ready"}
    resources = client.get("/metadata").json()["rest"][0]["resource"]
    (patient,) = (one for one in resources if one["type"] == "Patient")
    assert {"name": "pet", "definition": URL + "pet", "type": "token"} in patient["searchParam"]


def test_several_parameters_that_come_together_are_indexed_in_one_pass(
    client: httpx.Client, work: Callable[[], None]
) -> None:
    entries = [
        {"resource": one, "request": {"method": "PUT", "url": f"SearchParameter/{one['id']}"}}
        for one in (NICK, PET)
    ]
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    assert client.post("/", json=bundle).status_code == 200
    work()
    assert found(client.get("/Patient?nick=ace&pet=carp", headers=STRICT)) == ["a"]
