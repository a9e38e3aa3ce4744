"""Whatever comes over HTTP, the answer is never a 500, and a refusal is an OperationOutcome with a reason."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from careloom.fhir.facts import resource_types
from careloom.fhir.searchparam import parameters
from careloom.web.rest.operation import operations

TYPES = (
    "Patient",
    "Observation",
    "Encounter",
    "Bundle",
    "Binary",
    "Parameters",
    "Group",
    "Provenance",
    "AuditEvent",
)
MANY = settings(
    max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20)
)
keys = st.sampled_from(
    [
        "resourceType",
        "id",
        "meta",
        "name",
        "status",
        "subject",
        "code",
        "entry",
        "resource",
        "request",
        "type",
        "text",
        "method",
        "url",
        "parameter",
        "valueString",
        "reference",
        "identifier",
        "extension",
        "contained",
        "div",
        "_id",
    ]
) | st.text(max_size=8)
trees = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=12,
)
words = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=24)
segments = (
    st.sampled_from([*TYPES, "_history", "_search", "metadata", "seven", "1", "bulk", "..", "%00", "$x", ""])
    | st.sampled_from([f"${name}" for name in operations()])
    | words
)
media = st.sampled_from(
    [
        "application/fhir+json",
        "application/fhir+xml",
        "application/json-patch+json",
        "application/x-www-form-urlencoded",
        "application/fhir+ndjson",
        "text/plain",
        "",
        ";;",
        "application/fhir+json; charset=latin-1",
    ]
)
names = (
    st.sampled_from(
        [
            "_count",
            "_sort",
            "_include",
            "_revinclude",
            "_elements",
            "_summary",
            "_total",
            "_cursor",
            "_since",
            "_at",
            "_type",
            "_format",
            "_has:Observation:patient:code",
            "_filter",
            "_lastUpdated",
            "patient",
            "code",
            "date",
            "max",
            "profile",
            "name:contains",
            "value-quantity",
            "code-value-quantity",
            "subject:Patient.name",
            "_list",
            "_text",
            "_content",
            "mode",
        ]
    )
    | words
)
values = (
    st.sampled_from(
        [
            "",
            ",",
            "|",
            "||",
            "$",
            "\\",
            "ge2020-13-45",
            "9" * 40,
            "-1",
            "1e999",
            "Patient/",
            "*",
            "a:b:c:d",
            "\x00",
            "٣",
            "true",
        ]
    )
    | words
)


@pytest.fixture
def lenient(client: httpx.Client) -> Iterator[httpx.Client]:
    client.put("/Patient/seven", json={"resourceType": "Patient", "id": "seven"})
    return client


def check(answer: httpx.Response) -> None:
    sent = answer.request
    assert answer.status_code not in {500, 501}, (
        sent.method,
        sent.url,
        sent.headers,
        sent.content[:400],
        answer.text,
    )
    if answer.status_code >= 400 and sent.method != "HEAD" and answer.status_code != 404:
        told: Any = answer.content
        assert b"OperationOutcome" in told, (sent.method, sent.url, answer.status_code, told[:200])


def send(client: httpx.Client, method: str, path: str, **more: Any) -> None:
    try:
        request = client.build_request(method, f"/{path}", **more)
    except (httpx.InvalidURL, UnicodeError, ValueError):
        return  # the client itself cannot send it
    try:
        check(client.send(request))
    except httpx.LocalProtocolError:
        return


@MANY
@given(st.sampled_from(["POST", "PUT", "PATCH"]), st.lists(segments, max_size=3), trees, media)
def test_any_json_anywhere(lenient: httpx.Client, method: str, path: list[str], body: Any, kind: str) -> None:
    send(lenient, method, "/".join(path), content=json.dumps(body), headers={"content-type": kind})


@MANY
@given(st.sampled_from(TYPES), trees, st.sampled_from(["POST", "PUT"]))
def test_any_elements_of_a_type(lenient: httpx.Client, rtype: str, tree: Any, method: str) -> None:
    body = {**(tree if isinstance(tree, dict) else {"text": tree}), "resourceType": rtype, "id": "seven"}
    send(lenient, method, rtype + ("/seven" if method == "PUT" else ""), json=body)


@MANY
@given(
    st.sampled_from(["GET", "HEAD", "DELETE", "OPTIONS"]),
    st.lists(segments, max_size=4),
    st.lists(st.tuples(names, values), max_size=3),
)
def test_any_address(
    lenient: httpx.Client, method: str, path: list[str], pairs: list[tuple[str, str]]
) -> None:
    send(lenient, method, "/".join(path), params=pairs, headers={"prefer": "respond-async"})


@MANY
@given(st.sampled_from(sorted(resource_types())), st.data())
def test_any_search(lenient: httpx.Client, rtype: str, data: st.DataObject) -> None:
    known = st.sampled_from(sorted(parameters(rtype)))
    modifier = st.sampled_from(
        ["", ":missing", ":not", ":exact", ":text", ":in", ":above", ":Patient", ":identifier", ":x"]
    )
    pairs = data.draw(
        st.lists(st.tuples(st.builds(str.__add__, known, modifier) | names, values), min_size=1, max_size=3)
    )
    send(lenient, "GET", rtype, params=pairs)


def references(rtype: str) -> list[str]:
    return sorted(code for code, one in parameters(rtype).items() if one.type == "reference")


@st.composite
def chains(draw: st.DrawFn, rtype: str, depth: int = 2) -> str:
    """The name of a parameter, at the other end of references perhaps, forwards and backwards."""
    others = st.sampled_from(
        ["Patient", "Observation", "Encounter", "Practitioner", "Group", "List", "Basic"]
    )
    if depth and draw(st.booleans()):
        target = draw(others)
        rest = draw(chains(target, depth - 1))
        if draw(st.booleans()):
            by = draw(st.sampled_from(references(target) or ["x"]))
            return f"_has:{target}:{by}:{rest}"
        return f"{draw(st.sampled_from(references(rtype) or ['x']))}:{target}.{rest}"
    return draw(st.sampled_from(sorted(parameters(rtype))))


@MANY
@given(st.sampled_from(["Patient", "Observation", "Encounter", "List"]), st.data())
def test_any_chain(lenient: httpx.Client, rtype: str, data: st.DataObject) -> None:
    usual = st.sampled_from(["seven", "Patient/seven", "final", "ge2020", "5", "female", "a,b,c,d,e", "x|y"])
    extra = st.tuples(
        st.sampled_from(["_sort", "_total", "_summary"]),
        st.sampled_from(["date", "-_id", "count", "accurate"]),
    )
    pairs = data.draw(st.lists(st.tuples(chains(rtype), usual | values) | extra, min_size=1, max_size=3))
    send(lenient, "GET", rtype, params=pairs)


@MANY
@given(
    st.sampled_from(
        [
            "accept",
            "if-match",
            "if-none-match",
            "if-modified-since",
            "if-none-exist",
            "prefer",
            "content-encoding",
        ]
    ),
    st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30),
    st.sampled_from(["GET", "PUT", "POST"]),
)
def test_any_header(lenient: httpx.Client, name: str, value: str, method: str) -> None:
    body = {} if method == "GET" else {"json": {"resourceType": "Patient", "id": "seven"}}
    send(lenient, method, "Patient" if method == "POST" else "Patient/seven", headers={name: value}, **body)


@MANY
@given(
    st.sampled_from(["transaction", "batch"]),
    st.lists(trees, max_size=3),
    st.lists(segments, max_size=3),
    st.sampled_from(["GET", "POST", "PUT", "PATCH", "DELETE", "x"]),
)
def test_any_bundle(
    lenient: httpx.Client, kind: str, bodies: list[Any], path: list[str], method: str
) -> None:
    entries = [{"resource": body, "request": {"method": method, "url": "/".join(path)}} for body in bodies]
    send(lenient, "POST", "", json={"resourceType": "Bundle", "type": kind, "entry": entries})


@MANY
@given(st.binary(max_size=60), media, st.sampled_from(["", "gzip"]))
def test_any_bytes(lenient: httpx.Client, body: bytes, kind: str, packing: str) -> None:
    send(
        lenient, "POST", "Patient", content=body, headers={"content-type": kind, "content-encoding": packing}
    )


@pytest.mark.parametrize("depth", [100, 5_000, 200_000])
@pytest.mark.parametrize(
    ("opening", "closing", "kind"),
    [
        (b'{"a":', b"1}", "application/fhir+json"),
        (b"[", b"]", "application/fhir+json"),
        (b'{"resourceType":"Patient","contained":[', b"]}", "application/fhir+json"),
        (
            b'{"resourceType":"Patient","extension":[{"url":"x","extension":[',
            b"]}]}",
            "application/fhir+json",
        ),
        (
            b'<Patient xmlns="http://hl7.org/fhir"><extension url="x">',
            b"</extension></Patient>",
            "application/fhir+xml",
        ),
    ],
)
def test_deep_nesting_is_refused(
    client: httpx.Client, depth: int, opening: bytes, closing: bytes, kind: str
) -> None:
    body = opening * depth + closing * depth
    answer = client.post("/Patient", content=body, headers={"content-type": kind})
    assert 400 <= answer.status_code < 500
    assert b"OperationOutcome" in answer.content


def test_a_huge_bundle_is_refused_and_not_begun(client: httpx.Client) -> None:
    entry = b'{"request":{"method":"GET","url":"Patient/1"}},'
    body = b'{"resourceType":"Bundle","type":"batch","entry":[' + entry * 100_001
    answer = client.post("/", content=body[:-1] + b"]}")
    assert answer.status_code == 422
    assert answer.json()["issue"][0]["code"] == "too-costly"


def test_many_parameters_are_refused(client: httpx.Client) -> None:
    form = {"content-type": "application/x-www-form-urlencoded"}
    answer = client.post("/Patient/_search", content="&".join(["name=x"] * 2_000), headers=form)
    assert answer.status_code == 400
