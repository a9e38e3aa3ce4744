"""The guides that the settings name are known, and what they demand is demanded of all that comes in."""

from __future__ import annotations

import inspect
from base64 import b64encode
from pathlib import Path

import pytest

from careloom.fhir.outcome import OutcomeError, status_of
from careloom.fhir.resource import dumps, loads
from careloom.flow import Flow, Guard
from careloom.flow.file import commit_file
from careloom.flow.guides import demand_of, profiles_of
from careloom.flow.interaction import Desk
from careloom.flow.transaction import commit_entries
from careloom.flow.writes import written
from careloom.settings import Settings
from careloom.store.actor import STATION, Actor
from careloom.store.database import Database
from careloom.store.event import Arrival
from careloom.store.read import Reader

URL = "http://example.org/born"
BORN = {
    "resourceType": "StructureDefinition",
    "url": URL,
    "name": "Born",
    "type": "Patient",
    "kind": "resource",
    "snapshot": {
        "element": [
            {"id": "Patient", "path": "Patient", "min": 0, "max": "*"},
            {"id": "Patient.birthDate", "path": "Patient.birthDate", "min": 1, "max": "1"},
        ]
    },
}


def test_the_profiles_of_several_guides_are_known(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(dumps(BORN))
    (tmp_path / "b.json").write_bytes(dumps({**BORN, "url": "urn:b"}))
    settings = Settings(guides=f"{tmp_path / 'a.json'}, {tmp_path / 'b.json'}")
    assert URL in profiles_of(settings)
    assert "urn:b" in profiles_of(settings)
    assert profiles_of(settings) is profiles_of(settings)
    assert URL not in profiles_of(Settings())


def test_a_guide_that_is_not_there_is_named() -> None:
    with pytest.raises(OutcomeError, match=r"nowhere\.tgz"):
        profiles_of(Settings(guides="/nowhere.tgz"))


CLINIC = Actor("clinic", frozenset({"source"}))
PATIENT = {"resourceType": "Patient", "gender": "female"}
ADT = b"MSH|^~\\&|EHR|GHH|CARELOOM|GHH|20260301120000||ADT^A04^ADT_A01|1|P|2.5.1\rPID|1||7^^^GHH^MR||Doe^Jane%b\r"


@pytest.fixture
def flow(database: Database, tmp_path: Path) -> Flow:
    (tmp_path / "born.json").write_bytes(dumps(BORN))
    return Flow(
        database,
        Settings(home=tmp_path, guides=str(tmp_path / "born.json"), required_profiles=f"Patient={URL}"),
    )


def bundle(kind: str, *resources: dict) -> bytes:
    entries = [
        {"resource": one, "request": {"method": "POST", "url": one["resourceType"]}} for one in resources
    ]
    return dumps({"resourceType": "Bundle", "type": kind, "entry": entries})


def test_a_resource_that_does_not_conform_is_refused_and_one_that_does_is_stored(flow: Flow) -> None:
    with pytest.raises(OutcomeError) as caught:
        flow.create("Patient", dumps(PATIENT), CLINIC)
    assert [issue.expression for issue in caught.value.issues] == ["Patient", "Patient.birthDate"]
    assert status_of(caught.value.issues) == 422
    assert flow.create("Patient", dumps({**PATIENT, "birthDate": "1980"}), CLINIC).is_created
    basic = {"resourceType": "Basic", "code": {"text": "x"}}
    assert flow.create("Basic", dumps(basic), CLINIC).is_created


def test_a_bundle_names_the_entry_that_does_not_conform(flow: Flow) -> None:
    good = {**PATIENT, "birthDate": "1980"}
    with pytest.raises(OutcomeError) as caught:
        flow.transact(bundle("transaction", good, PATIENT), CLINIC)
    inside = "Bundle.entry[1].resource"
    assert [issue.expression for issue in caught.value.issues] == [inside, f"{inside}.birthDate"]
    answer = loads(flow.transact(bundle("batch", good, PATIENT), CLINIC))
    assert [entry["response"]["status"][:3] for entry in answer["entry"]] == ["201", "422"]


def test_no_way_of_writing_passes_the_demand_by(flow: Flow) -> None:
    good = {**PATIENT, "id": "a", "birthDate": "1980", "active": True}
    bad = {"resourceType": "Patient", "id": "a", "active": False}
    flow.update("Patient", "a", dumps(good), CLINIC)
    merely_gone = [{"op": "remove", "path": "/birthDate"}]
    by_path = {"resourceType": "Parameters", "parameter": [{"name": "operation", "part": [
        {"name": "type", "valueCode": "delete"}, {"name": "path", "valueString": "Patient.birthDate"},
    ]}]}  # fmt: skip
    patches = [dumps(by_path), _binary(merely_gone)]
    ways = [("POST", "Patient", dumps(bad), ""), ("POST", "Patient", dumps(bad), "identifier=urn:x|1")]
    ways += [("PUT", place, dumps(bad), "") for place in ("Patient/a", "Patient?active=true")]
    ways += [("PATCH", place, body, "") for place in ("Patient/a", "Patient?active=true") for body in patches]
    for method, url, body, condition in ways:
        with pytest.raises(OutcomeError) as caught:
            flow.interact(method, url, CLINIC, body, Guard(if_none_exist=condition))
        assert caught.value.issues[0].code == "business-rule", (method, url)
        assert _status_in_batch(flow, method, url, body, condition) == "422", (method, url)
        with pytest.raises(OutcomeError) as caught:
            flow.transact(_bundled("transaction", method, url, body, condition), CLINIC)
        assert caught.value.issues[0].code == "business-rule", (method, url)
    with flow.database.connection() as connection:
        assert [one.version for one in Reader(connection, STATION).history().versions] == [1]


def test_a_patch_that_leaves_what_is_demanded_is_done(flow: Flow) -> None:
    flow.update("Patient", "a", dumps({**PATIENT, "id": "a", "birthDate": "1980"}), CLINIC)
    done = flow.interact("PATCH", "Patient/a", CLINIC, _binary([{"op": "remove", "path": "/gender"}]))
    assert done
    assert done.version == 2


def test_an_import_names_the_lines_that_do_not_conform(flow: Flow) -> None:
    good, bad = {**PATIENT, "id": "a", "birthDate": "1980"}, {**PATIENT, "id": "b"}
    flow.import_ndjson(CLINIC, "http://x/$import", flow.blobs.put(b"\n".join(map(dumps, (good, bad)))))
    while flow.run_job():
        pass
    with flow.database.connection() as connection:
        read = Reader(connection, STATION)
        assert read.resource("Patient", "a")
        assert read.resource("Patient", "b") is None
        [issues] = connection.execute("select issues from job").fetchone() or []
    assert [issue["text"][:7] for issue in issues] == ["Line 2:"]


def _binary(operations: list[dict]) -> bytes:
    data = b64encode(dumps(operations)).decode()
    return dumps({"resourceType": "Binary", "contentType": "application/json-patch+json", "data": data})


def _bundled(kind: str, method: str, url: str, body: bytes, condition: str) -> bytes:
    request = {"method": method, "url": url} | ({"ifNoneExist": condition} if condition else {})
    entry = {"resource": loads(body), "request": request}
    return dumps({"resourceType": "Bundle", "type": kind, "entry": [entry]})


def _status_in_batch(flow: Flow, *way: str) -> str:
    [entry] = loads(flow.transact(_bundled("batch", *way), CLINIC))["entry"]  # pyright: ignore[reportArgumentType]
    return entry["response"]["status"][:3]


def test_a_door_without_the_demand_cannot_be_made() -> None:
    for door in (written, commit_entries, commit_file, Desk):
        assert inspect.signature(door).parameters["demand"].default is inspect.Parameter.empty, door


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        ("fhir", dumps({**PATIENT, "id": "a", "birthDate": "1980"}), dumps({**PATIENT, "id": "b"})),
        ("hl7v2", ADT % b"||19800101|F", ADT % b"|||F"),
    ],
)
def test_an_arrival_that_states_what_does_not_conform_is_quarantined(
    flow: Flow, kind: str, good: bytes, bad: bytes
) -> None:
    assert flow.accept(Arrival("ehr", kind, good, "1")).status == "done"
    receipt = flow.accept(Arrival("ehr", kind, bad, "2"))
    assert receipt.status == "quarantined"
    assert any("birthDate" in issue.expression for issue in receipt.issues)


def test_of_several_profiles_one_is_enough(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(dumps(BORN))
    named = {**BORN, "url": "urn:named", "snapshot": {"element": [
        {"id": "Patient", "path": "Patient"}, {"id": "Patient.name", "path": "Patient.name", "min": 1, "max": "*"},
    ]}}  # fmt: skip
    (tmp_path / "b.json").write_bytes(dumps(named))
    guides = f"{tmp_path / 'a.json'},{tmp_path / 'b.json'}"
    demand = demand_of(Settings(guides=guides, required_profiles=f"Patient={URL}, Patient=urn:named"))
    assert demand.faults({**PATIENT, "birthDate": "1980"}) == []
    assert demand.faults({**PATIENT, "name": [{"family": "Doe"}]}) == []
    assert len(demand.faults(PATIENT)) == 2


@pytest.mark.parametrize("required", ["Patient", "Patient=urn:none", f"Shoe={URL}"])
def test_a_demand_that_names_nothing_known_is_refused_at_the_start(
    database: Database, tmp_path: Path, required: str
) -> None:
    (tmp_path / "born.json").write_bytes(dumps(BORN))
    with pytest.raises(OutcomeError, match="CARELOOM_REQUIRED_PROFILES"):
        Flow(database, Settings(guides=str(tmp_path / "born.json"), required_profiles=required))
