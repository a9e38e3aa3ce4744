from __future__ import annotations

import json
from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from careloom.fhir.bundle import (
    Entry,
    conditional_references,
    ordered,
    places,
    read,
    references,
    rewrite,
)
from careloom.fhir.outcome import OutcomeError
from careloom.fhir.resource import loads, minify


def bundle(*entries: dict[str, Any], kind: str = "transaction") -> bytes:
    return json.dumps({"resourceType": "Bundle", "type": kind, "entry": list(entries)}, indent=1).encode()


def put(rtype: str, number: str, **more: Any) -> dict[str, Any]:
    return {
        "resource": {"resourceType": rtype, "id": number, **more},
        "request": {"method": "PUT", "url": f"{rtype}/{number}"},
    }


def post(rtype: str, full_url: str, **more: Any) -> dict[str, Any]:
    return {
        "fullUrl": full_url,
        "resource": {"resourceType": rtype, **more},
        "request": {"method": "POST", "url": rtype},
    }


def test_a_resource_keeps_the_digits_and_the_order_its_sender_gave_it() -> None:
    raw = b'{"resourceType":"Bundle", "type":"transaction", "entry":[{"resource":{ "z" : 1.50, "resourceType":"Basic"}, "request":{"method":"POST","url":"Basic"}}]}'
    assert read(raw).entries[0].body == b'{"z":1.50,"resourceType":"Basic"}'


def test_verbs_are_done_in_the_order_of_the_standard() -> None:
    entries = (
        {"request": {"method": "GET", "url": "Patient/9"}},
        put("Patient", "1"),
        post("Patient", "urn:uuid:1"),
        {"request": {"method": "DELETE", "url": "Patient/2"}},
        {"resource": {"resourceType": "Binary"}, "request": {"method": "PATCH", "url": "Patient/3"}},
    )
    methods = [entry.method for entry in ordered(read(bundle(*entries)).entries)]
    assert methods == ["DELETE", "POST", "PUT", "PATCH", "GET"]


def test_each_entry_gets_its_place_and_references_follow() -> None:
    numbers = count(1)
    entries = read(
        bundle(
            post("Patient", "urn:uuid:a"),
            put("Patient", "p"),
            post("Observation", "urn:uuid:o", subject={"reference": "urn:uuid:a"}),
            {
                **post("Patient", "urn:uuid:c"),
                "request": {"method": "POST", "url": "Patient", "ifNoneExist": "x=1"},
            },
        )
    ).entries
    assert [entry.is_conditional for entry in entries] == [False, False, False, True]
    placed = places(entries, lambda: str(next(numbers)), {3: "Patient/known"})
    assert placed == {0: "Patient/1", 1: "Patient/p", 2: "Observation/2", 3: "Patient/known"}
    targets = references(entries, placed)
    assert entries[2].body is not None
    assert loads(rewrite(entries[2].body, targets))["subject"] == {"reference": "Patient/1"}


def test_a_conditional_update_that_found_nothing_creates() -> None:
    entry = put("Patient", "p")
    entry["request"]["url"] = "Patient?identifier=7"
    entries = read(bundle(entry, {"request": {"method": "DELETE", "url": "Patient?active=false"}})).entries
    assert places(entries, lambda: "new", {}) == {0: "Patient/p"}


def test_only_references_uris_and_links_are_rewritten() -> None:
    body = minify(
        json.dumps(
            {
                "resourceType": "Basic",
                "text": {"status": "generated", "div": '<div><a href="urn:uuid:1">urn:uuid:1</a></div>'},
                "identifier": [{"system": "urn:ietf:rfc:3986", "value": "urn:uuid:1"}],
                "extension": [
                    {"url": "http://x", "valueUri": "urn:uuid:1"},
                    {"url": "http://y", "valueCanonical": "urn:uuid:1"},
                ],
                "subject": {"reference": "urn:uuid:1", "display": "urn:uuid:1"},
                "author": {"reference": "urn:uuid:12"},
            }
        ).encode()
    )
    done = loads(rewrite(body, {"urn:uuid:1": "Patient/7"}))
    assert done["text"]["div"] == '<div><a href="Patient/7">urn:uuid:1</a></div>'
    assert done["identifier"][0]["value"] == "urn:uuid:1"
    assert [e.get("valueUri", e.get("valueCanonical")) for e in done["extension"]] == [
        "Patient/7",
        "urn:uuid:1",
    ]
    assert done["subject"] == {"reference": "Patient/7", "display": "urn:uuid:1"}
    assert done["author"] == {"reference": "urn:uuid:12"}


def test_a_relative_reference_goes_on_from_the_full_url_of_its_entry() -> None:
    entry = Entry(0, full_url="http://a/fhir/Observation/o", rtype="Observation", id="o")
    assert entry.base == "http://a/fhir"
    targets = {"http://a/fhir/Patient/1": "Patient/new"}
    assert rewrite(b'{"reference":"Patient/1"}', targets, entry.base) == b'{"reference":"Patient/new"}'
    assert rewrite(b'{"reference":"Patient/1"}', targets) == b'{"reference":"Patient/1"}'


def test_slashes_that_were_escaped_hide_no_reference() -> None:
    raw = rb'{"resourceType":"Bundle","type":"collection","entry":[{"resource":{"resourceType":"Basic","x":{"reference":"Patient\/7"},"y":"\\\/"}}]}'
    body = read(raw).entries[0].body
    assert body == rb'{"resourceType":"Basic","x":{"reference":"Patient/7"},"y":"\\/"}'


def test_conditional_references_are_reported() -> None:
    body = b'{"a":{"reference":"Patient?identifier=urn:s|7"},"b":{"reference":"Patient/1"}}'
    assert conditional_references(body) == ["Patient?identifier=urn:s|7"]


def wrong(entry: dict[str, Any]) -> str:
    with pytest.raises(OutcomeError) as raised:
        read(bundle(put("Patient", "ok"), entry))
    return raised.value.issues[0].expression


@pytest.mark.parametrize(
    ("entry", "expression"),
    [
        ({"resource": {"resourceType": "Patient"}}, "Bundle.entry[1].request.method"),
        ({"request": {"method": "FETCH", "url": "Patient"}}, "Bundle.entry[1].request.method"),
        ({"request": {"method": "POST", "url": "Patient"}}, "Bundle.entry[1].resource"),
        ({"request": {"method": "DELETE", "url": "Shoe/1"}}, "Bundle.entry[1].request.url"),
        ({"request": {"method": "DELETE", "url": "Patient"}}, "Bundle.entry[1].request.url"),
        (
            {**post("Patient", ""), "request": {"method": "POST", "url": "Basic"}},
            "Bundle.entry[1].request.url",
        ),
        (
            {**post("Patient", ""), "request": {"method": "POST", "url": "Patient/1"}},
            "Bundle.entry[1].request.url",
        ),
        (
            {**put("Patient", "1"), "request": {"method": "PUT", "url": "Patient/2"}},
            "Bundle.entry[1].resource.id",
        ),
        (put("Patient", "ok"), "Bundle.entry[1].request.url"),
        (
            {"resource": {"resourceType": 7}, "request": {"method": "GET", "url": "x"}},
            "Bundle.entry[1].resource",
        ),
        ({"fullUrl": 7}, "Bundle.entry[1].fullUrl"),
    ],
)
def test_a_fault_in_an_entry_is_named_by_its_place(entry: dict[str, Any], expression: str) -> None:
    assert wrong(entry) == expression


@pytest.mark.parametrize(
    "raw", [b"", b"[]", b"null", b'{"resourceType":"Patient"}', b'{"resourceType":"Bundle","entry":7}']
)
def test_what_is_no_bundle_is_refused(raw: bytes) -> None:
    with pytest.raises(OutcomeError):
        read(raw)


@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_reading_raises_nothing_but_an_outcome(raw: bytes) -> None:
    with pytest.raises(OutcomeError):
        read(raw)
