"""What was right and is bent a little reaches deeper than what is wrong from the start: that gives no 500 either."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from functools import cache
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from careloom.connect.archive import members
from careloom.fhir import xml
from careloom.settings import settings_from
from careloom.store.event import Arrival
from careloom.verify.r4_examples import ARCHIVE

SOME = settings(
    max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
PATIENT = {
    "resourceType": "Patient",
    "id": "seven",
    "name": [
        {
            "family": "Ada",
            "given": ["B", "C"],
            "_given": [None, {"extension": [{"url": "urn:x", "valueString": "y"}]}],
        }
    ],
    "birthDate": "1815-12-10",
    "text": {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml"><p>A</p></div>'},
    "managingOrganization": {"reference": "Organization/o"},
}
WEIGHT = {
    "resourceType": "Observation",
    "id": "w",
    "status": "final",
    "code": {"coding": [{"system": "http://loinc.org", "code": "29463-7"}]},
    "valueQuantity": {"value": 72.5, "system": "http://unitsofmeasure.org", "code": "kg"},
    "effectivePeriod": {"start": "2020-02-03T04:05:06.789+01:00", "end": "2021"},
}
ODD: list[Any] = [
    "", None, True, 0, -1, 1e308, 10**30, "\x00", "a" * 5_000, [], {}, [[]], [None], "2020-02-30", "#", "Patient/",
    "Patient?identifier=x", "<div>", "1E400", {"resourceType": "Patient"}, {"reference": "Patient/x"}, 2**63, "%s",
    "\\", "|", "$", "(a+)+$", "9999-12-31T23:59:59.999Z", "0001-01-01", "\u202e", ["x"] * 50,
]  # fmt: skip
PATHS = [
    "Patient.name", "Patient.name[0]", "Patient.name.family.matches('(a+)+$')", "repeat($this)", "1/0", "(" * 500,
    "Patient.descendants()", "'a'.replaceMatches('(a|aa)+$','b')", "2.power(100000)", "@2020-13", "{}", "today()",
    "Patient.repeat(name)", "Patient.id", "%resource", "(1|2).repeat($this+1)", "-" * 2_000 + "1", "Patient.text.div",
]  # fmt: skip
POINTERS = [
    "",
    "/",
    "/name",
    "/name/0",
    "/name/-",
    "/name/99",
    "/id",
    "/~2",
    "x",
    "/name/01",
    "/" + "a/" * 500,
]
NUL = [
    ("GET", "Patient?_id=%00"),
    ("GET", "Patient?%00=1"),
    ("GET", "Patient/%00"),
    ("GET", "Patient/seven/_history/%00"),
    ("GET", "%00"),
    ("GET", "MeasureReport?reporter._id=%00"),
    ("GET", "Provenance?target=%00"),
    ("GET", "AuditEvent?entity=%00"),
    ("GET", "_history?_since=%00"),
    ("PUT", "Patient?name=%00"),
    ("DELETE", "Patient?name=%00"),
    ("DELETE", "Patient/%00"),
    ("POST", "$export?_elements=%00"),
]


@pytest.fixture
def holding(client: httpx.Client) -> httpx.Client:
    for one in (PATIENT, WEIGHT):
        assert client.put(f"/{one['resourceType']}/{one['id']}", json=one).status_code == 201
    return client


@cache
def examples() -> list[dict[str, Any]]:
    suite = settings_from().conformance / ARCHIVE
    if not suite.exists():
        return [PATIENT, WEIGHT]
    found = [stream.read() for name, stream in members(suite, lambda _: None) if name.endswith(".json")]
    read = [json.loads(raw) for raw in found[::9] if len(raw) < 40_000]
    return [one for one in read if "resourceType" in one] + [PATIENT, WEIGHT]


def places(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    members = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    for key, inner in members:
        yield (*place, key)
        yield from places(inner, (*place, key))


def bent(resource: Any, chance: random.Random) -> Any:
    """The same with one to four places changed."""
    resource = copy.deepcopy(resource)
    for _ in range(chance.randint(1, 4)):
        found = list(places(resource))
        if not found:
            break
        *above, key = chance.choice(found)
        parent = resource
        for step in above:
            parent = parent[step]
        match chance.randrange(5):
            case 0:
                del parent[key]
            case 1:
                parent[key] = copy.deepcopy(chance.choice(ODD))
            case 2:
                parent[key] = [parent[key]] * chance.choice([1, 2, 40])
            case 3 if isinstance(parent, dict):
                name = chance.choice(
                    [f"_{key}", "extension", "contained", "valueString", "id", "resourceType"]
                )
                parent[name] = copy.deepcopy(chance.choice([*ODD, parent[key]]))
            case _ if isinstance(parent[key], str):
                text = parent[key]
                cut = chance.randint(0, len(text))
                parent[key] = (
                    text[:cut] + chance.choice(["\x00", "\n", "9", "-", "T", "/", "<", "&", "|"]) + text[cut:]
                )
            case _:
                parent[key] = {"x": parent[key]}
    return resource


def check(answer: httpx.Response) -> None:
    told = (
        answer.request.method,
        str(answer.request.url)[:300],
        answer.request.content[:800],
        answer.text[:300],
    )
    assert answer.status_code < 500, told
    assert '"status":"5' not in answer.text, told
    if answer.status_code >= 400:
        assert b"OperationOutcome" in answer.content, told


@SOME
@given(st.randoms(use_true_random=False), st.sampled_from(["json", "xml", "broken"]))
def test_a_bent_resource(holding: httpx.Client, chance: random.Random, form: str) -> None:
    resource = bent(chance.choice(examples()), chance)
    rtype = resource.get("resourceType")
    rtype = rtype if isinstance(rtype, str) and rtype.isalpha() else "Patient"
    body, media = json.dumps(resource).encode(), "application/fhir+json"
    if form != "json":
        try:
            body, media = xml.dumps(resource), "application/fhir+xml"
        except Exception:  # noqa: BLE001 - what cannot be written in XML is sent as it is
            form = "json"
    if form == "broken":
        cut = chance.randrange(len(body))
        more = chance.choice(
            [b"<", b">", b"&", b"&#0;", b"&x;", b"<!--", b"]]>", b"\xff", b"<!DOCTYPE a>", b"/>", b""]
        )
        body = body[:cut] + more + body[cut + chance.choice([0, 1, 40]) :]
    path = chance.choice([f"/{rtype}", f"/{rtype}/$validate"])
    check(holding.post(path, content=body, headers={"content-type": media}))
    entry = {"resource": resource, "request": {"method": "POST", "url": rtype}}
    bundle = {
        "resourceType": "Bundle",
        "type": chance.choice(["batch", "transaction"]),
        "entry": [entry, entry],
    }
    check(holding.post("", content=json.dumps(bent(bundle, chance) if chance.random() < 0.5 else bundle)))


@SOME
@given(st.randoms(use_true_random=False))
def test_a_bent_patch(holding: httpx.Client, chance: random.Random) -> None:
    value = chance.choice([{"valueString": "x"}, {"part": [{"name": "family", "valueString": "x"}]}, {}])
    part = [
        {"name": "type", "valueCode": chance.choice(["add", "insert", "delete", "replace", "move"])},
        {"name": "path", "valueString": chance.choice(PATHS)},
        {"name": "name", "valueString": chance.choice(["name", "birthDate", "value", "resourceType", ""])},
        {"name": "value", **value},
        {"name": "index", "valueInteger": chance.choice([0, -1, 10**9])},
    ]
    operation = {"name": "operation", "part": chance.sample(part, chance.randint(2, 5))}
    parameters: Any = {"resourceType": "Parameters", "parameter": [operation]}
    operations: Any = [
        {
            "op": chance.choice(["add", "remove", "replace", "move", "copy", "test"]),
            "path": chance.choice(POINTERS),
            "from": chance.choice(POINTERS),
            "value": chance.choice(ODD),
        }
    ]
    for media, whole in (("application/fhir+json", parameters), ("application/json-patch+json", operations)):
        body = bent(whole, chance) if chance.random() < 0.3 else whole
        check(holding.patch("/Patient/seven", content=json.dumps(body), headers={"content-type": media}))
    holding.put("/Patient/seven", json=PATIENT)


@pytest.mark.parametrize(
    "place", [b"seven", b"Ada", b"Patient", b"family", b"PUT", b"urn:uuid:1", b"transaction"]
)
@pytest.mark.parametrize("wrong", [b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xf8\x88"])
def test_bytes_that_are_no_utf_8_are_refused_wherever_they_stand(
    client: httpx.Client, served: Any, place: bytes, wrong: bytes
) -> None:
    request = {"method": "PUT", "url": "Patient/seven"}
    entry = {"fullUrl": "urn:uuid:1", "resource": PATIENT, "request": request}
    alone = json.dumps(PATIENT).encode()
    bundle = json.dumps({"resourceType": "Bundle", "type": "transaction", "entry": [entry]}).encode()
    half = place[:3] + wrong + place[3:]
    sent = [("PUT", "/Patient/seven", alone), ("POST", "/Patient", alone), ("POST", "", bundle)]
    for method, path, body in sent:
        if place in body:
            answer = client.request(method, path, content=body.replace(place, half))
            assert answer.status_code == 400, answer.text
            assert answer.json()["issue"][0]["code"] == "structure"
    for kind, body in (("fhir", alone), ("fhir", bundle), ("ndjson", alone)):
        if place in body:
            receipt = served.flow.accept(Arrival("files", kind, body.replace(place, half), ""))
            assert (receipt.status, receipt.issues[0].code) == ("quarantined", "structure")
    assert client.get("/Patient").json().get("entry", []) == []


@pytest.mark.parametrize(("method", "address"), NUL)
def test_a_nul_is_refused_wherever_it_stands(client: httpx.Client, method: str, address: str) -> None:
    body = {} if method in {"GET", "DELETE"} else {"json": PATIENT}
    headers = {"prefer": "respond-async"}
    assert 400 <= client.request(method, f"/{address}", headers=headers, **body).status_code < 500
    entry = {"resource": PATIENT, "request": {"method": method, "url": address}}
    answer = client.post("", json={"resourceType": "Bundle", "type": "batch", "entry": [entry]})
    assert answer.json()["entry"][0]["response"]["status"][0] == "4"


def test_a_nul_in_a_form_or_a_parameter_is_refused(client: httpx.Client) -> None:
    form = {"content-type": "application/x-www-form-urlencoded"}
    assert client.post("/Patient/_search", content="_id=%00", headers=form).status_code == 400
    parameters = {"resourceType": "Parameters", "parameter": [{"name": "_elements", "valueString": "\x00"}]}
    answer = client.post("/$export", json=parameters, headers={"prefer": "respond-async"})
    assert answer.status_code == 400
    weight = WEIGHT | {"subject": {"reference": "Patient?_id=%00"}}
    assert client.put("/Observation/w", json=weight).status_code == 400
    assert (
        client.post(
            "/Patient", json={"resourceType": "Patient"}, headers={"if-none-exist": "_id=%00"}
        ).status_code
        == 400
    )


def test_what_is_wrong_may_bear_a_nul_in_its_name(client: httpx.Client, served: Any) -> None:
    body = json.dumps(PATIENT | {"x\0y": 1, "name": [{"\0": "z"}]}).encode()
    assert client.put("/Patient/seven", content=body).status_code == 400
    receipt = served.flow.accept(Arrival("files", "fhir", body, ""))
    assert (receipt.status, len(receipt.issues)) == ("quarantined", 2)
    ndjson = {"content-type": "application/fhir+ndjson"}
    kicked = client.post("/$import", content=body + b"\n" + json.dumps(WEIGHT).encode(), headers=ndjson)
    while served.flow.run_job():
        pass
    told = client.get(kicked.headers["content-location"]).json()
    assert (told["output"][0]["count"], told["error"][0]["count"]) == (1, 1)
    assert client.get(told["error"][0]["url"]).status_code == 200
