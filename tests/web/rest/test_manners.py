"""Smaller things that the standard says of requests and answers, one line for each."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from careloom.fhir.resource import dumps, loads
from careloom.settings import Settings
from careloom.store.accounts import create_token

PATIENT = {"resourceType": "Patient", "id": "p"}
FORM = {"content-type": "application/x-www-form-urlencoded"}


@pytest.fixture(scope="module")
def client(
    module_database: Any, serving: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[httpx.Client]:
    """A program that may read and write, at one server for all of these."""
    with module_database.connection() as connection:
        token = create_token(connection, "clinic", ["source"])
    headers = {"authorization": f"Bearer {token}", "content-type": "application/fhir+json"}
    with (
        serving(module_database, Settings(home=tmp_path_factory.mktemp("home"), port=0)) as opened,
        httpx.Client(base_url=f"{opened.url}/fhir", headers=headers, timeout=60) as reached,
    ):
        yield reached


def bundle(*entries: dict[str, Any], kind: str = "transaction") -> bytes:
    return dumps({"resourceType": "Bundle", "type": kind, "entry": list(entries)})


def test_if_match_names_one_version_or_several_or_any(client: httpx.Client) -> None:
    def put(tag: str) -> int:
        return client.put(
            "/Patient/guarded", content=dumps(PATIENT | {"id": "guarded"}), headers={"if-match": tag}
        ).status_code

    assert put("*") == 412
    assert client.put("/Patient/guarded", content=dumps(PATIENT | {"id": "guarded"})).status_code == 201
    for tag, status in (("*", 200), ('W/"7", W/"1"', 200), ('W/"7", W/"8"', 412), ("seven", 400)):
        assert put(tag) == status, tag


def test_a_form_that_is_refused_is_no_answer_to_anything(client: httpx.Client) -> None:
    client.put("/Patient/p", content=dumps(PATIENT))
    for accept, kind in (
        ("application/fhir+json;q=0, */*", "xml"),
        ("application/fhir+xml;q=0, */*;q=0.1", "json"),
        ("*/*", "json"),
    ):
        media = client.get("/Patient/p", headers={"accept": accept}).headers["content-type"]
        assert kind in media, accept


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("PURGE /fhir/Patient HTTP/1.1", 405),
        ("NO-SUCH /fhir/Patient HTTP/1.1", 405),
        ("TRACE /fhir/Patient HTTP/1.1", 405),
        ("GET /fhir/Patient HTTP/x", 400),
    ],
)
def test_what_is_no_request_is_told_by_an_outcome(client: httpx.Client, line: str, status: int) -> None:
    port = client.base_url.port
    with socket.create_connection(("127.0.0.1", port), timeout=60) as link:
        link.sendall(f"{line}\r\nHost: here\r\nConnection: close\r\n\r\n".encode())
        head, _, body = b"".join(iter(lambda: link.recv(65536), b"")).partition(b"\r\n\r\n")
    assert int(head.split()[1]) == status
    assert loads(body)["resourceType"] == "OperationOutcome"
    assert (b"\r\nallow: " in head.lower()) == (status == 405)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/Patient/$no-such", 404),
        ("GET", "/Patient/$no-such", 404),
        ("POST", "/$no-such", 404),
        ("GET", "/Patient/p/$no-such", 404),
        ("GET", "/Patient/p/$meta-add", 405),
        ("DELETE", "/Patient/p/$everything", 405),
        ("GET", "/Patient/p/nothing", 404),
    ],
)
def test_an_operation_that_is_not_here_is_not_found(
    client: httpx.Client, method: str, path: str, status: int
) -> None:
    answer = client.request(method, path, content=dumps(PATIENT) if method == "POST" else None)
    assert (answer.status_code, answer.json()["resourceType"]) == (status, "OperationOutcome")


def test_a_binary_comes_and_goes_with_what_it_belongs_to(client: httpx.Client) -> None:
    sent = {"content-type": "application/pdf", "x-security-context": "Patient/p"}
    client.put("/Binary/b", content=b"%PDF one", headers=sent)
    client.put("/Binary/b", content=b"%PDF two", headers=sent)
    assert client.get("/Binary/b").json()["securityContext"] == {"reference": "Patient/p"}
    for path, content, version in (
        ("/Binary/b", b"%PDF two", "2"),
        ("/Binary/b/_history/1", b"%PDF one", "1"),
    ):
        answer = client.get(path, headers={"accept": "application/pdf"})
        assert (answer.content, answer.headers["etag"]) == (content, f'W/"{version}"')
        assert answer.headers["x-security-context"] == "Patient/p"
        assert "last-modified" in answer.headers
    held = client.get("/Binary/b", headers={"accept": "application/pdf", "if-none-match": 'W/"2"'})
    assert (held.status_code, held.content) == (304, b"")


def test_a_response_to_a_bundle_brings_what_is_preferred(client: httpx.Client) -> None:
    entry = {"resource": PATIENT, "request": {"method": "PUT", "url": "Patient/p"}}
    for wanted, kind in (
        ("representation", "Patient"),
        ("OperationOutcome", "OperationOutcome"),
        ("minimal", ""),
    ):
        answer = client.post("", content=bundle(entry), headers={"prefer": f"return={wanted}"})
        [told] = answer.json()["entry"]
        found = told.get("resource") or told["response"].get("outcome") or {}
        assert found.get("resourceType", "") == kind
    assert "entry" not in client.post("", content=bundle(kind="batch")).json()


def test_what_lies_below_our_own_address_lies_here(client: httpx.Client) -> None:
    base = str(client.base_url).rstrip("/")
    client.put("/Patient/p", content=dumps(PATIENT))
    observation = {"resourceType": "Observation", "id": "o", "status": "final", "code": {"text": "x"}}
    observation |= {"subject": {"reference": f"{base}/Patient/p"}}
    client.put("/Observation/o", content=dumps(observation))
    entry = {
        "resource": observation | {"id": "q"},
        "request": {"method": "PUT", "url": f"{base}/Observation/q"},
    }
    assert client.post("", content=bundle(entry)).json()["entry"][0]["response"]["status"] == "201 Created"
    get = {"request": {"method": "GET", "url": f"{base}/Patient/p"}}
    assert (
        client.post("", content=bundle(get, kind="batch")).json()["entry"][0]["response"]["status"] == "200"
    )
    for path in ("/Observation?subject=Patient/p", "/Patient/p/Observation", "/Observation?patient._id=p"):
        assert [one["resource"]["id"] for one in client.get(path).json()["entry"]] in (
            ["o", "q"],
            ["q", "o"],
        ), path
    assert client.get("/Observation?_id=o&_include=Observation:subject").text.count('"include"') == 1
    assert client.get("/Observation/o").json()["subject"] == {"reference": "Patient/p"}


def test_a_form_of_a_search_by_post_says_how_it_is_answered(client: httpx.Client) -> None:
    client.put("/Patient/p", content=dumps(PATIENT | {"gender": "male", "birthDate": "2000"}))

    def search(form: str) -> httpx.Response:
        return client.post("/Patient/_search", content=form, headers=FORM)

    assert "<Bundle" in search("_id=p&_format=xml").text
    assert "\n" in search("_id=p&_pretty=true").text
    [found] = search("_id=p&_elements=gender").json()["entry"]
    assert set(found["resource"]) == {"resourceType", "id", "meta", "gender"}
    assert client.post("/Patient/_search", content=dumps(PATIENT)).status_code == 400


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("birthdate=lt2030-01-01T00:00:00+01:00", "p"),
        ("active=http://terminology.hl7.org/CodeSystem/special-values|true", "p"),
        ("active=http://hl7.org/fhir/special-values|true", "p"),
        ("active=urn:other|true", ""),
        ("telecom=555", "p"),
        ("telecom=phone|555", "p"),
        ("telecom=home|555", "p"),
        ("telecom=email|555", ""),
        ("phone=phone|555", "p"),
        ("telecom=|555", ""),
        ("_profile=http://a.example/P", "p"),
        ("_profile=http://a.example/P|1.0", "p"),
        ("_profile=http://a.example/P|2.0", ""),
        ("_profile:below=http://a.example/", "p"),
        ("_contained=false&_id=p", "p"),
    ],
)
def test_a_search_finds(client: httpx.Client, query: str, found: str) -> None:
    patient = PATIENT | {"active": True, "birthDate": "2000"}
    patient |= {"telecom": [{"system": "phone", "use": "home", "value": "555"}]}
    client.put("/Patient/p", content=dumps(patient | {"meta": {"profile": ["http://a.example/P|1.0"]}}))
    answer = client.get(f"/Patient?{query}", headers={"prefer": "handling=strict"})
    assert answer.status_code == 200, answer.text
    assert [one["resource"]["id"] for one in answer.json().get("entry", [])] == ([found] if found else [])


@pytest.mark.parametrize(
    "query",
    ["_has=1", "_has.x=1", "_list.x=1", "_list:not=1", "_include=Patient:_has", "link._has=1", "_sort=_has", "_contained=true",
     "_has:Observation:patient:_has=1", "_has:Observation:_list:code=1", "link._list.x=1", "_include=Patient:_list"],
)  # fmt: skip
def test_half_a_parameter_is_refused(client: httpx.Client, query: str) -> None:
    assert client.get(f"/Patient?{query}", headers={"prefer": "handling=strict"}).status_code == 400


@pytest.mark.parametrize(
    ("mode", "resource", "is_good"),
    [
        ("update", PATIENT, True),
        ("update", PATIENT | {"id": "q"}, False),
        ("delete", None, True),
    ],
)
def test_validate_says_whether_an_update_or_delete_could_be(
    client: httpx.Client, mode: str, resource: Any, *, is_good: bool
) -> None:
    client.put("/Patient/p", content=dumps(PATIENT))
    parameter = [{"name": "mode", "valueCode": mode}]
    parameter += [{"name": "resource", "resource": resource}] if resource else []
    sent = dumps({"resourceType": "Parameters", "parameter": parameter})

    def severity(id_: str) -> str:
        return client.post(f"/Patient/{id_}/$validate", content=sent).json()["issue"][0]["severity"]

    assert severity("p") == ("information" if is_good else "error")
    assert severity("nobody") == "error"


def test_a_member_that_stands_twice_is_refused_and_a_mark_of_byte_order_overlooked(
    client: httpx.Client,
) -> None:
    twice = b'{"resourceType":"Patient", "id":"twice", "active":true, "active":false}'
    for method, path in (("PUT", "/Patient/twice"), ("POST", "/Patient"), ("POST", "/Patient/$validate")):
        assert client.request(method, path, content=twice).status_code == 400, path
    entry = b'{"resourceType":"Bundle","type":"transaction","entry":[{"resource":%b,"request":{"method":"PUT","url":"Patient/twice"}}]}'
    assert client.post("", content=entry % twice).status_code == 400
    marked = b"\xef\xbb\xbf" + dumps(PATIENT | {"id": "marked", "name": [{"text": '":":'}]})
    assert client.put("/Patient/marked", content=marked).status_code == 201


def test_a_create_that_says_a_condition_in_its_address_is_refused(client: httpx.Client) -> None:
    assert client.post("/Patient?identifier=urn:x|7", content=dumps(PATIENT)).status_code == 400
    assert client.post("/Patient?_format=json&_pretty=true", content=dumps(PATIENT)).status_code == 201


def test_lists_that_nobody_keeps_are_asked_of_the_resources(client: httpx.Client) -> None:
    def coded(system: str, code: str) -> dict[str, Any]:
        return {"coding": [{"system": f"http://terminology.hl7.org/CodeSystem/{system}", "code": code}]}

    def put(id_: str, clinical: str, verification: str) -> None:
        condition = {"resourceType": "Condition", "id": id_, "subject": {"reference": "Patient/ill"}}
        condition["clinicalStatus"] = coded("condition-clinical", clinical)
        condition["verificationStatus"] = coded("condition-ver-status", verification)
        assert client.put(f"/Condition/{id_}", content=dumps(condition)).status_code == 201

    for id_, clinical, verification in (
        ("ill-a", "active", "confirmed"),
        ("ill-b", "relapse", "provisional"),
        ("ill-c", "resolved", "confirmed"),
        ("ill-d", "active", "refuted"),
    ):
        put(id_, clinical, verification)
    found = client.get("/Condition?patient=ill&_list=$current-problems").json()["entry"]
    assert {one["resource"]["id"] for one in found} == {"ill-a", "ill-b"}
    for path in ("/Patient?_list=$current-problems", "/Condition?_list=$current-wishes"):
        assert client.get(path).status_code == 400, path
