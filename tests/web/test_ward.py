"""A user of one ward: every road shows whom the ward has at that moment, from admission over transfer to discharge."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from tests.waiting import until

from careloom.lake.build import writing
from careloom.lake.flight.client import Client
from careloom.lake.flight.server import LakeServer
from careloom.settings import lake_root
from careloom.store.accounts import DEMO_PASSWORD, create_token, set_active
from careloom.store.actor import STATION
from careloom.store.confinement import confine, found
from careloom.store.event import Arrival
from careloom.store.read import Reader
from careloom.web.pages import stream

Enter = Callable[[str], httpx.Client]
FHIR = {"accept": "application/fhir+json"}
ASYNC = {**FHIR, "prefer": "respond-async"}
ADA, BO = "Zyzzyva", "Quillfeather"


class Hospital:
    """Two wards of a hospital whose HIS speaks HL7 v2, and a user who is confined to the first."""

    def __init__(self, served: Any) -> None:
        self.served = served
        self.number = 0
        self.tell("A01", ADA, "WARD1^101^1")
        self.tell("A01", BO, "WARD2^201^1")
        with served.database.connection() as connection:
            read = Reader(connection, STATION)
            self.ada, self.bo = (read.find("Patient", ("family", name))[0]["id"] for name in (ADA, BO))
        for who in (self.ada, self.bo):
            body = {
                "resourceType": "Observation", "id": f"o-{who}", "status": "final", "code": {"text": "x"},
                "subject": {"reference": f"Patient/{who}"},
            }  # fmt: skip
            served.flow.update("Observation", body["id"], json.dumps(body).encode(), STATION)
        self.confine("integration", "WARD1")

    def tell(self, trigger: str, family: str, where: str) -> None:
        """One message by the front door, each a minute after the last."""
        self.number += 1
        at = f"2026030112{self.number:02}00+0000"
        message = (
            f"MSH|^~\\&|HIS|WEST|CARELOOM|HUB|{at}||ADT^{trigger}|MSG-{self.number}|P|2.5\r"
            f"EVN|{trigger}|{at}\r"
            f"PID|1||{len(family)}^^^WEST^MR||{family}^A||19800101|F\r"
            f"PV1|1|I|{where}^WEST||||||||||||||||V-{len(family)}^^^WEST^VN\r"
        )
        receipt = self.served.flow.accept(Arrival("his", "hl7v2", message.encode(), f"MSG-{self.number}"))
        assert receipt.status == "done", receipt

    def confine(self, account: str, *wards: str) -> None:
        with self.served.database.connection() as connection:
            within = [found(connection, "Location", ward) for ward in wards] or None
            confine(connection, "account", account, within, "test", datetime.now(UTC))


@pytest.fixture
def hospital(served: Any) -> Hospital:
    return Hospital(served)


def told(client: httpx.Client, path: str) -> set[str]:
    """The ids of the Patients of a bundle."""
    bundle = client.get(f"/fhir/{path}", headers=FHIR).raise_for_status().json()
    assert bundle["resourceType"] == "Bundle"
    entries = [one.get("resource", {}) for one in bundle.get("entry", ())]
    return {one["id"] for one in entries if one["resourceType"] == "Patient"}


def is_seen(client: httpx.Client, who: str) -> bool:
    """Whether every road that names the patient shows them; no road may say another thing."""
    statuses = {
        path: client.get(path, headers=FHIR if path.startswith("/fhir") else {}).status_code
        for path in (
            f"/fhir/Patient/{who}",
            f"/fhir/Observation/o-{who}",
            f"/fhir/Patient/{who}/_history/1",
            f"/fhir/Patient/{who}/$everything",
            f"/browse/Patient/{who}",
            f"/patients/{who}",
        )
    }
    assert set(statuses.values()) in ({200}, {404}), statuses
    subjects = client.get(f"/fhir/Observation?subject=Patient/{who}", headers=FHIR).json()
    assert bool(subjects.get("entry")) is (statuses[f"/fhir/Patient/{who}"] == 200)
    history = client.get(f"/fhir/Patient/{who}/_history", headers=FHIR)
    assert (history.status_code == 200) is (statuses[f"/fhir/Patient/{who}"] == 200)
    return statuses[f"/fhir/Patient/{who}"] == 200


def test_the_ward_is_seen_and_nobody_else_before_and_after_a_transfer_and_a_discharge(
    hospital: Hospital, signed_in: Enter
) -> None:
    client = signed_in("integration")
    ada, bo = hospital.ada, hospital.bo
    assert (is_seen(client, ada), is_seen(client, bo)) == (True, False)
    assert told(client, "Patient") == told(client, "Patient/_history") == told(client, "_history") == {ada}
    hospital.tell("A02", ADA, "WARD2^202^1")
    assert (is_seen(client, ada), is_seen(client, bo)) == (False, False)
    assert told(client, "Patient") == told(client, "_history") == set()
    hospital.confine("integration", "WARD1", "WARD2")
    assert (is_seen(client, ada), is_seen(client, bo)) == (True, True)
    hospital.confine("integration", "WARD2")
    hospital.tell("A03", BO, "WARD2^201^1")
    assert (is_seen(client, ada), is_seen(client, bo)) == (True, False)
    hospital.confine("integration")
    assert told(client, "Patient") == {ada, bo}
    hospital.confine("integration", "WARD1")
    assert told(client, "Patient") == set()
    with hospital.served.database.connection() as connection:
        set_active(connection, "integration", is_active=False)
    assert client.get("/fhir/Patient", headers=FHIR).status_code == 401


def test_an_export_is_of_the_ward_and_is_given_to_nobody_who_sees_less_by_now(
    hospital: Hospital, signed_in: Enter
) -> None:
    client = signed_in("integration")
    url = client.get("/fhir/$export?_type=Patient,Observation", headers=ASYNC).headers["content-location"]
    until(lambda: not hospital.served.flow.run_job() and client.get(url, headers=FHIR).status_code == 200)
    files = {one["type"]: one["url"] for one in client.get(url, headers=FHIR).json()["output"]}
    text = "".join(client.get(file).raise_for_status().text for file in files.values())
    assert {json.loads(line)["id"] for line in text.splitlines()} == {hospital.ada, f"o-{hospital.ada}"}
    hospital.tell("A02", ADA, "WARD2^202^1")
    refused = client.get(files["Patient"], headers=FHIR)
    assert refused.status_code == 403
    assert "export again" in refused.text


def test_who_is_confined_writes_about_the_ward_but_nothing_that_lets_them_out(hospital: Hospital) -> None:
    served = hospital.served
    with served.database.connection() as connection:
        token = create_token(connection, "app", ["integration"])
        confine(connection, "token", "app", [f"Patient/{hospital.ada}"], "test", datetime.now(UTC))
    headers = {"authorization": f"Bearer {token}", "content-type": "application/fhir+json"}
    ada, bo = ({"reference": f"Patient/{who}"} for who in (hospital.ada, hospital.bo))
    links = [{"target": one} for one in (ada, bo)]
    ways = [
        {"resourceType": "Person", "link": links},
        {"resourceType": "Group", "type": "person", "actual": True, "member": [{"entity": ada}]},
        {"resourceType": "Basic", "code": {"text": "x"}, "subject": ada},
        {"resourceType": "Encounter", "status": "in-progress", "class": {"code": "IMP"}, "subject": ada},
    ]
    note = {"resourceType": "Observation", "status": "final", "code": {"text": "x"}}
    with httpx.Client(base_url=served.url, headers=headers, timeout=60) as client:
        for body in ways:
            refused = client.post(f"/fhir/{body['resourceType']}", json=body)
            assert refused.status_code == 403, body
            assert "may decide which" in refused.text
            entry = {"resource": body, "request": {"method": "POST", "url": body["resourceType"]}}
            bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [entry]}
            assert client.post("/fhir", json=bundle).status_code == 403
        patient = client.get(f"/fhir/Patient/{hospital.ada}").json()
        assert client.put(f"/fhir/Patient/{hospital.ada}", json=patient).status_code == 403
        assert client.post("/fhir/Observation", json={**note, "subject": ada}).status_code == 201
        assert client.post("/fhir/Observation", json={**note, "subject": bo}).status_code == 403
        assert client.post("/events?kind=fhir", json={**note, "subject": ada}).status_code == 403


def test_the_stream_of_who_is_confined_ends_and_is_asked_for_anew(
    hospital: Hospital, signed_in: Enter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "CONFINED_S", 0.1)
    client = signed_in("integration")
    with client.stream("GET", f"/live?topic=patient&of={hospital.ada}") as opened:
        assert "open" in "".join(opened.iter_text())
    hospital.tell("A03", ADA, "WARD1^101^1")
    assert client.get(f"/live?topic=patient&of={hospital.ada}").status_code == 404


@pytest.fixture
def port(hospital: Hospital) -> Iterator[int]:
    served = hospital.served
    root = lake_root(served.settings)
    with writing(served.database, root) as writer:
        while writer.step(1_000):
            pass
    server = LakeServer(served.database, root, "127.0.0.1", 0, lambda: datetime.now(UTC))
    thread = threading.Thread(target=server.serve, daemon=True)
    thread.start()
    yield server.port
    server.shutdown()
    thread.join()


@pytest.mark.conformance
def test_sql_on_the_page_and_over_flight_is_of_the_ward(
    hospital: Hospital, port: int, signed_in: Enter
) -> None:
    page = signed_in("integration")
    csrf = page.get("/sql").text.split('name="csrf" value="')[1].partition('"')[0]
    sql = "select p.id, count(o.id) from Patient p join Observation o on o.subject.reference = 'Patient/' || p.id group by 1"

    def on_page() -> list[list[Any]]:
        return (
            page.post("/sql", json={"sql": sql}, headers={"X-CSRF": csrf}).raise_for_status().json()["rows"]
        )

    with closing(Client(port, "integration", DEMO_PASSWORD)) as flight:
        assert flight.told(sql) == ("rows", [(hospital.ada, 1)])
        assert on_page() == [[hospital.ada, 1]]
        hospital.tell("A02", ADA, "WARD2^202^1")
        assert flight.told(sql) == ("rows", [])
        assert on_page() == []
        hospital.confine("integration")
        kind, rows = flight.told(sql)
        assert (kind, sorted(rows)) == ("rows", sorted([(hospital.ada, 1), (hospital.bo, 1)]))
