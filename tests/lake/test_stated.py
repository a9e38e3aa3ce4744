"""Every form in which FHIR comes leads from a cell to the place in its message; what does not say so is said to be."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest
from tests.lake.conftest import Shore

from careloom.fhir import xml
from careloom.fhir.resource import dumps
from careloom.flow import Flow
from careloom.flow.interaction import Came
from careloom.lake.lineage import Cell, lineage
from careloom.lake.stated import UNTOLD, Version, stated
from careloom.settings import Settings
from careloom.store import events
from careloom.store.actor import STATION
from careloom.store.database import Database
from careloom.store.event import Arrival, Event

NAMED = {"resourceType": "Patient", "id": "a", "name": [{"family": "A"}]}
BORN = {**NAMED, "birthDate": "1970-01-01"}


def patched(*operations: dict[str, Any]) -> bytes:
    return dumps(list(operations))


def as_binary(body: bytes) -> dict[str, Any]:
    data = b64encode(body).decode()
    return {"resourceType": "Binary", "contentType": "application/json-patch+json", "data": data}


def by_path(kind: str, path: str, **more: Any) -> dict[str, Any]:
    parts = [{"name": "type", "valueCode": kind}, {"name": "path", "valueString": path}]
    parts += [{"name": name, "valueString" if name == "name" else "valueDate": v} for name, v in more.items()]
    return {"name": "operation", "part": parts}


def parameters(*given: dict[str, Any]) -> dict[str, Any]:
    return {"resourceType": "Parameters", "parameter": list(given)}


def entry(resource: dict[str, Any], method: str, url: str) -> dict[str, Any]:
    return {"resource": resource, "request": {"method": method, "url": url}}


def bundle(*entries: dict[str, Any], kind: str = "batch") -> dict[str, Any]:
    return {"resourceType": "Bundle", "type": kind, "entry": list(entries)}


DATE = {"op": "add", "path": "/birthDate", "value": "1970-01-01"}
OTHER = {"op": "add", "path": "/gender", "value": "female"}
ADD = by_path("add", "Patient", name="birthDate", value="1970-01-01")
SAID_BY_PATH = "parameter[0] (add Patient birthDate)"

STATED = [
    ("fhir", "PATCH Patient/a", patched(OTHER, DATE), "patch[1] (add /birthDate)"),
    ("fhir", "PATCH Patient/a", dumps(as_binary(patched(DATE))), "patch[0] (add /birthDate)"),
    (
        "fhir",
        "PATCH Patient?identifier=x",
        patched(DATE | {"value": "1"}, DATE),
        "patch[1] (add /birthDate)",
    ),
    ("fhir", "PATCH Patient/a", dumps(parameters(ADD)), f"Parameters.{SAID_BY_PATH}"),
    ("fhir", "PATCH Patient/a", xml.dumps(parameters(ADD)), f"Parameters.{SAID_BY_PATH}"),
    ("fhir", "PUT Patient/a", xml.dumps(BORN), "Patient.birthDate"),
    ("fhir", "PUT Patient/a", dumps(BORN), "Patient.birthDate"),
    ("import", "", b"\n{no json\n[1]\n" + dumps(BORN) + b"\n", "line 4.birthDate"),
    ("ndjson", "", dumps(bundle(entry(BORN, "PUT", "Patient/a"))), "line 1.entry[0].resource.birthDate"),
    (
        "fhir",
        "POST",
        dumps(
            bundle(
                entry(as_binary(patched(OTHER)), "PATCH", "Patient/b"), entry(parameters(ADD), "PATCH", "Patient/a")
            )
        ),
        f"Bundle.entry[1].resource.{SAID_BY_PATH}",
    ),
    (
        "fhir",
        "POST",
        dumps(bundle(entry(as_binary(patched(DATE)), "PATCH", "Patient?identifier=x"))),
        "Bundle.entry[0].resource.patch[0] (add /birthDate)",
    ),
    (
        "fhir",
        "POST",
        dumps(
            bundle(entry(bundle(entry(BORN, "PUT", "Patient/a")), "POST", "Bundle"), kind="transaction"),
        ),
        "Bundle.entry[0].resource.entry[0].resource.birthDate",
    ),
    (
        "fhir",
        "POST",
        dumps({"resourceType": "Parameters", "parameter": [{"name": "resource", "resource": BORN}]}),
        "Parameters.parameter[0].resource.birthDate",
    ),
]  # fmt: skip


def event(kind: str, request: str, body: bytes) -> Event:
    from datetime import UTC, datetime

    return Event(1, "x", kind, body, "", datetime(2026, 1, 1, tzinfo=UTC), "done", request=request)


@pytest.mark.parametrize(("kind", "request_", "body", "field"), STATED)
def test_the_place_that_states_an_element_is_named(kind: str, request_: str, body: bytes, field: str) -> None:
    after = {**BORN, "gender": "female"} if b"/gender" in body and request_.startswith("PATCH") else BORN
    found = stated(event(kind, request_, body), Version(after, NAMED), "birthDate")
    assert (found.fields, found.how) == ((field,), "element")


ODD = [
    b"", b"[]", b"[1]", b"[null]", b"{}", b"1", b'"x"', b"null", b"<x", b"\xff\xfe\0\0", b'[{"op":"add"}]',
    b'{"resourceType":1}', b'{"resourceType":"Bundle","entry":{}}', b'{"resourceType":"Bundle","entry":[1,null]}',
    b'{"resourceType":"Bundle","entry":[{"resource":{},"request":[]}]}',
    b'{"resourceType":"Bundle","entry":[{"resource":{"resourceType":"Binary"},"request":{"method":"PATCH"}}]}',
    b'{"resourceType":"Parameters","parameter":[{"part":3},4]}',
    b'{"resourceType":"Parameters","parameter":[{"part":[5,{"name":[]}]}]}',
    b'{"resourceType":"Parameters","parameter":{}}', b'{"resourceType":["Patient"],"id":"a"}',
]  # fmt: skip


@pytest.mark.parametrize("body", ODD)
@pytest.mark.parametrize(("kind", "request_"), [("fhir", ""), ("fhir", "PATCH Patient/a"), ("import", "")])
def test_of_what_does_not_say_it_is_said_that_it_cannot_be_told(
    kind: str, request_: str, body: bytes
) -> None:
    assert stated(event(kind, request_, body), Version(BORN, NAMED), "birthDate") == UNTOLD
    assert stated(event(kind, request_, body), Version(BORN, None), "birthDate") == UNTOLD


def test_an_element_that_was_added_to_what_came_leads_to_the_resource() -> None:
    body = dumps(bundle({"resource": BORN}))
    found = stated(event("fhir", "", body), Version({**BORN, "active": True}, None), "active")
    assert (found.fields, found.how) == (("Bundle.entry[0].resource",), "resource")


def test_through_the_store_each_write_leads_to_its_own_place(database: Database, tmp_path: Path) -> None:
    shore = Shore(database, tmp_path / "lake")
    flow = Flow(database, Settings(home=tmp_path))
    client = flow.interact
    client("PUT", "Patient/a", STATION, dumps(NAMED))
    client(
        "PATCH", "Patient/a", STATION, dumps(as_binary(patched(OTHER, DATE))), came=Came(patched(OTHER, DATE))
    )
    client("DELETE", "Patient/a", STATION)
    client("PUT", "Patient/b", STATION, dumps(NAMED | {"id": "b"}))
    client("DELETE", "Patient/b", STATION)
    again = NAMED | {"id": "b", "gender": "male"}
    client("PUT", "Patient/b", STATION, dumps(again), came=Came(xml.dumps(again), "application/fhir+xml"))
    with database.connection() as connection:
        stray = events.keep(connection, Arrival("x", "stray", b"\0?"), shore.now).event_id
    shore.say({"resourceType": "Patient", "id": "c", "gender": "other"}, event_id=stray)
    shore.build()

    def told(id_: str, path: str) -> tuple[tuple[str, ...], str, int]:
        found = lineage(database, shore.lake, STATION, Cell("Patient", id_, path))
        return found.fields, found.how, found.stated

    assert told("b", "gender") == (("Patient.gender",), "element", 3)
    assert told("b", "name[0].family") == (("Patient.name[0].family",), "element", 3)
    assert told("c", "gender") == ((), "untold", 1)
    client("PUT", "Patient/a", STATION, dumps(NAMED))
    client(
        "PATCH", "Patient/a", STATION, dumps(as_binary(patched(OTHER, DATE))), came=Came(patched(OTHER, DATE))
    )
    client("PATCH", "Patient/c", STATION, dumps(parameters(ADD)))
    shore.build()
    assert told("c", "birthDate") == ((f"Parameters.{SAID_BY_PATH}",), "element", 2)
    assert told("a", "birthDate") == (("patch[1] (add /birthDate)",), "element", 5)
    assert told("a", "name[0].family") == (("Patient.name[0].family",), "element", 4)
