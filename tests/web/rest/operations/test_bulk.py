"""Bulk export and import over HTTP: asynchronous, resumable, exact, and for their owner alone."""

from __future__ import annotations

import gzip
import json
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import pytest

from careloom.flow import bulk_export, bulk_import
from careloom.store import events
from careloom.store.accounts import create_token
from careloom.store.actor import Actor
from careloom.web import server

ASYNC = {"prefer": "respond-async", "accept": "application/fhir+json"}
PATIENT = b'{"resourceType":"Patient","id":"p0","gender":"male"}'
MINIMAL = {"Patient": {}, "Observation": {"status": "final", "code": {"text": "x"}}}
NDJSON = {"content-type": "application/fhir+ndjson"}
PACKED = {**NDJSON, "content-encoding": "gzip"}


def run(served: Any) -> int:
    """Carry the jobs on as the engine does; how many steps that took."""
    steps = 0
    while served.flow.run_job():
        steps += 1
    return steps


def manifest(client: httpx.Client, served: Any, kicked: httpx.Response) -> Any:
    assert kicked.status_code == 202, kicked.text
    url = kicked.headers["content-location"]
    early = client.get(url)
    assert (early.status_code, early.headers["retry-after"]) == (202, "1")
    assert early.headers["x-progress"]
    for _ in range(200):
        run(served)
        told = client.get(url)
        if told.status_code != 202:
            break
    assert told.status_code == 200, told.text
    return told.json()


def lines(client: httpx.Client, told: Any, rtype: str, where: str = "output") -> list[Any]:
    found: list[Any] = []
    for one in told[where]:
        if one["type"] == rtype:
            answer = client.get(one["url"])
            assert answer.headers["content-type"].startswith("application/fhir+ndjson")
            found += [json.loads(line) for line in answer.content.splitlines()]
            assert len(answer.content.splitlines()) == one["count"]
    return found


@pytest.fixture(autouse=True)
def stored(client: httpx.Client) -> None:
    for number in range(5):
        me = {"reference": f"Patient/p{number}"}
        client.put(
            f"/Patient/p{number}", json={"resourceType": "Patient", "id": f"p{number}", "gender": "female"}
        )
        body = (
            b'{"resourceType":"Observation","id":"o%d","status":"final","code":{"text":"x"},"subject":%b,'
            % (
                number,
                json.dumps(me).encode(),
            )
        )
        client.put(f"/Observation/o{number}", content=body + b'"valueQuantity":{"value":1.50}}')
    client.put("/Organization/o", json={"resourceType": "Organization", "id": "o", "name": "O"})


def ids(resources: list[Any]) -> list[str]:
    return [one["id"] for one in resources]


def test_a_system_export_holds_every_resource_byte_for_byte(client: httpx.Client, served: Any) -> None:
    told = manifest(client, served, client.get("/$export", headers=ASYNC))
    assert [(one["type"], one["count"]) for one in told["output"]] == [
        ("Observation", 5),
        ("Organization", 1),
        ("Patient", 5),
    ]
    assert told["requiresAccessToken"] is True
    assert told["request"].endswith("/fhir/$export")
    raw = client.get(told["output"][0]["url"]).content.splitlines()[0]
    assert raw == client.get(f"/Observation/{json.loads(raw)['id']}").content
    assert b"1.50" in raw


def test_patients_and_groups_export_their_compartments(client: httpx.Client, served: Any) -> None:
    members = [{"entity": {"reference": f"Patient/p{n}"}, "inactive": n == 3} for n in (1, 2, 3)]
    group = {"resourceType": "Group", "id": "g", "type": "person", "actual": True, "member": members}
    assert client.put("/Group/g", json=group).status_code == 201
    told = manifest(
        client, served, client.get("/Patient/$export?_type=Patient,Observation,Organization", headers=ASYNC)
    )
    assert [one["type"] for one in told["output"]] == ["Observation", "Patient"]
    told = manifest(client, served, client.get("/Group/g/$export?_type=Patient,Observation", headers=ASYNC))
    assert sorted(ids(lines(client, told, "Patient"))) == ["p1", "p2"]
    assert sorted(ids(lines(client, told, "Observation"))) == ["o1", "o2"]
    client.put("/Group/g", json={name: value for name, value in group.items() if name != "member"})
    told = manifest(client, served, client.get("/Group/g/$export?_type=Patient", headers=ASYNC))
    assert told["output"] == []
    assert client.get("/Group/none/$export", headers=ASYNC).status_code == 404


def test_an_export_is_of_the_moment_at_which_it_was_asked_for(client: httpx.Client, served: Any) -> None:
    kicked = client.get("/$export?_type=Patient", headers=ASYNC)
    client.put("/Patient/p1", json={"resourceType": "Patient", "id": "p1", "gender": "male"})
    client.delete("/Patient/p2")
    client.put("/Patient/p9", json={"resourceType": "Patient", "id": "p9"})
    told = manifest(client, served, kicked)
    found = lines(client, told, "Patient")
    assert sorted(ids(found)) == ["p0", "p1", "p2", "p3", "p4"]
    assert {one["gender"] for one in found} == {"female"}


def test_since_tells_what_changed_and_what_was_deleted(client: httpx.Client, served: Any) -> None:
    moment = client.get("/Organization/o").json()["meta"]["lastUpdated"]
    client.delete("/Patient/p2")
    client.put("/Patient/p1", json={"resourceType": "Patient", "id": "p1"})
    told = manifest(client, served, client.get("/$export", params={"_since": moment}, headers=ASYNC))
    assert ids(lines(client, told, "Patient")) == ["p1"]
    (gone,) = lines(client, told, "Bundle", "deleted")
    assert gone["entry"][0]["request"] == {"method": "DELETE", "url": "Patient/p2"}


def test_elements_make_parts(client: httpx.Client, served: Any) -> None:
    told = manifest(client, served, client.get("/$export?_type=Observation&_elements=status", headers=ASYNC))
    first = lines(client, told, "Observation")[0]
    assert set(first) == {"resourceType", "id", "meta", "status", "code"}
    assert first["meta"]["tag"][0]["code"] == "SUBSETTED"


def test_a_killed_step_is_done_again_and_nothing_is_told_twice(
    client: httpx.Client, served: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk_export, "STEP", 2)
    kicked = client.get("/$export", headers=ASYNC)
    served.flow.run_job()
    (folder,) = (served.settings.home / "exports").iterdir()
    for file in folder.iterdir():  # as if a step had written and was killed before its transaction ended
        with file.open("ab") as torn:
            torn.write(b'{"torn":')
    told = manifest(client, served, kicked)
    assert sorted(ids(lines(client, told, "Patient"))) == [f"p{n}" for n in range(5)]
    assert sorted(ids(lines(client, told, "Observation"))) == [f"o{n}" for n in range(5)]


def test_a_job_is_its_owners_and_can_be_ended(client: httpx.Client, served: Any) -> None:
    kicked = client.get("/$export", headers=ASYNC)
    url = kicked.headers["content-location"]
    told = manifest(client, served, kicked)
    with served.database.connection() as connection:
        other = {"authorization": f"Bearer {create_token(connection, 'other', ['source'])}"}
        nurse = {"authorization": f"Bearer {create_token(connection, 'nora', ['nurse'])}"}
    assert client.get(url, headers=other).status_code == 404
    assert client.get(told["output"][0]["url"], headers=other).status_code == 404
    assert client.get("/$export", headers=ASYNC | nurse).status_code == 403
    assert client.get(f"{url}/Basic.ndjson").status_code == 404
    assert client.get(f"{url}/..%2f..%2fx.ndjson").status_code == 404
    assert client.delete(url).status_code == 202
    assert client.get(url).status_code == 404
    assert client.get(told["output"][0]["url"]).status_code == 404
    assert client.delete(url).status_code == 404


def test_what_is_done_is_kept_for_the_time_that_its_manifest_names(client: httpx.Client, served: Any) -> None:
    kicked = [client.get("/$export", headers=ASYNC)]
    files = [one["url"] for one in manifest(client, served, kicked[0])["output"]]
    kicked += [client.post("/$import", content=PATIENT, headers=NDJSON)]
    manifest(client, served, kicked[1])
    folder = bulk_export.folder_of(served.settings, kicked[0].headers["content-location"].rpartition("/")[2])
    addresses = [one.headers["content-location"] for one in kicked]
    hours = served.settings.bulk_kept_hours
    for address in addresses:
        until = parsedate_to_datetime(client.get(address).headers["expires"])
        assert timedelta(0) <= datetime.now(UTC) + timedelta(hours=hours) - until < timedelta(minutes=1)
    assert served.flow.expire() == 0
    assert folder.exists()

    aged(served, hours - 0.1)
    assert [client.get(url).status_code for url in (*addresses, files[0])] == [200, 200, 200]
    aged(served, 0.2)
    assert {client.get(url).status_code for url in (*addresses, *files)} == {404}
    assert folder.exists()
    assert served.flow.expire() == 3  # two jobs, one folder
    assert not folder.exists()
    assert {client.get(url).status_code for url in (*addresses, *files)} == {404}
    assert client.get("/Patient/p1").status_code == 200


def test_files_whose_removal_was_broken_off_are_removed_and_those_of_a_job_at_work_stay(
    client: httpx.Client, served: Any
) -> None:
    kicked = client.get("/$export", headers=ASYNC)
    working = bulk_export.folder_of(served.settings, kicked.headers["content-location"].rpartition("/")[2])
    left = bulk_export.folder_of(served.settings, "left")
    for folder in (working, left):
        folder.mkdir(parents=True)
    aged(served, 1_000)
    assert served.flow.expire() == 1
    assert (working.exists(), left.exists()) == (True, False)
    assert manifest(client, served, kicked)["output"]


def aged(served: Any, hours: float) -> None:
    """So much time goes by."""
    with served.database.connection() as connection:
        connection.execute(
            "update job set created = created - %(by)s, ended = ended - %(by)s",
            {"by": timedelta(hours=hours)},
        )


def test_a_kick_off_that_cannot_be_read_is_refused(client: httpx.Client) -> None:
    assert client.get("/$export").status_code == 400
    for query in ("_type=Shoe", "_outputFormat=csv", "_since=x", "_shoe=7"):
        assert client.get(f"/$export?{query}", headers=ASYNC).status_code == 400, query
    lenient = {"prefer": "respond-async, handling=lenient"}
    assert client.get("/$export?_shoe=7", headers=lenient).status_code == 202
    assert client.post("/$import", content=b"{}").status_code == 400
    assert client.post("/$import", content=b"", headers=NDJSON).status_code == 400


def test_an_import_takes_what_it_can_and_names_what_it_cannot(
    client: httpx.Client, served: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk_import, "STEP", 3)
    body = b"\n".join(
        [
            b'{"resourceType":"Patient","id":"new1","gender":"female"}',
            b'{"resourceType":"Patient","id":"bad","gender":"x"}',
            b"{",
            b"",
            b'{"resourceType":"Patient","id":"new2"}',
            b'{"resourceType":"Patient"}',
            b'{"resourceType":"Patient","id":"new1","gender":"male"}',
            b'{"resourceType":"Patient","id":"new1","gender":"other"}',
        ]
    )
    told = manifest(client, served, client.post("/$import", content=body, headers=NDJSON))
    assert told["output"] == [{"type": "Resource", "count": 4}]
    errors = lines(client, told, "OperationOutcome", "error")
    texts = [error["issue"][0]["diagnostics"].partition(":")[0] for error in errors]
    assert texts == ["Line 2", "Line 3", "Line 6"]
    assert client.get("/Patient/new1").json()["gender"] == "other"
    packed = NDJSON | {"content-encoding": "gzip"}
    again = manifest(client, served, client.post("/$import", content=gzip.compress(body), headers=packed))
    assert again["error"][0]["count"] == 3


def test_an_import_may_be_larger_than_what_is_held_in_memory(
    client: httpx.Client, served: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "MAX_BODY", 1 << 20)
    monkeypatch.setattr(bulk_import, "STEP_BYTES", 1 << 16)
    wanted = 3_000

    def file() -> Iterator[bytes]:
        for number in range(wanted):
            yield b'{"resourceType":"Basic","id":"b%d","code":{"text":"%b"}}\n' % (number, b"x" * 1_000)

    assert client.post("/Basic", content=b"".join(file())).status_code == 413
    client.get("/Basic")  # what is done once is done
    tracemalloc.start()
    kicked = client.post("/$import", content=file(), headers=NDJSON)
    sent, _ = tracemalloc.get_traced_memory()[1], tracemalloc.reset_peak()
    told = manifest(client, served, kicked)
    taken = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert told["output"] == [{"type": "Resource", "count": wanted}]
    assert client.get("/Basic?_summary=count").json()["total"] == wanted
    assert sent < 1.5e6, sent
    assert taken < 2.5e6, taken
    with served.database.autocommit() as connection:
        [(body, size)] = connection.execute("select body, size from event where kind = 'import'").fetchall()
    assert (body, size) == (None, sum(map(len, file())))


def test_what_may_not_be_imported_is_refused_before_its_body_is_read(
    client: httpx.Client, served: Any, serving: Any
) -> None:
    with served.database.connection() as connection:
        reader = create_token(connection, "viewer", ["nurse"])
    stranger = {**NDJSON, "authorization": f"Bearer {reader}"}
    nobody = {**NDJSON, "authorization": "Bearer x"}
    held = set(served.flow.blobs.names())
    tries = [
        client.post("/$import", content=iter([b"x" * 1_000] * 500), headers=headers).status_code
        for headers in (stranger, nobody, {"content-type": "text/plain"})
    ]
    assert tries == [403, 401, 400]
    assert client.post("/$import", content=gzip.compress(b"x" * 99)[:-9], headers=PACKED).status_code == 400
    with serving(served.database, replace(served.settings, import_max_gb=1e-6)) as narrow:
        body = gzip.compress(b"x" * 2_000)
        answer = client.post(f"{narrow.url}/fhir/$import", content=body, headers=PACKED)
    assert answer.status_code == 413
    assert answer.json()["issue"][0]["code"] == "too-long"
    assert set(served.flow.blobs.names()) == held
    assert list(served.flow.blobs.folder.glob(".half-*")) == []


def test_a_line_that_is_too_long_is_named_and_the_others_are_taken(
    client: httpx.Client, served: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk_import, "MOST_LINE", 100)
    long = b'{"resourceType":"Patient","id":"long","language":"%b"}' % (b"x" * 500)
    for ending in (b"", b"\n"):
        body = b"\n".join([PATIENT, long, PATIENT.replace(b"p0", b"p9"), long]) + ending
        told = manifest(client, served, client.post("/$import", content=body, headers=NDJSON))
        issues = [one["issue"][0] for one in lines(client, told, "OperationOutcome", "error")]
        assert [(one["code"], one["diagnostics"][:7]) for one in issues] == [
            ("too-long", "Line 2:"),
            ("too-long", "Line 4:"),
        ]
    assert client.get("/Patient/p9").status_code == 200


def test_to_drive_an_import_again_takes_what_it_refused(client: httpx.Client, served: Any) -> None:
    lines = [PATIENT, b'{"resourceType":"Patient","id":"p9","birthDate":"soon"}']
    manifest(client, served, client.post("/$import", content=b"\n".join(lines), headers=NDJSON))
    engineer = Actor("ina", frozenset({"integration"}))
    with served.database.connection() as connection:
        [event] = [one for one in events.events(connection, engineer) if one.kind == "import"]
    assert event.status == "quarantined"
    client.put("/Patient/p0", json={"resourceType": "Patient", "id": "p0", "gender": "other"})
    assert served.flow.drive(event.id, engineer).status == "received"
    run(served)
    assert client.get("/Patient/p0").json()["gender"] == "male"
    with served.database.connection() as connection:
        assert events.event(connection, event.id, engineer, served.flow.blobs).attempts == 2


def test_an_import_follows_an_export_in_what_was_deleted_too(client: httpx.Client, served: Any) -> None:
    since = client.get("/Patient/p1").json()["meta"]["lastUpdated"]
    client.delete("/Observation/o1")
    client.delete("/Patient/p1")
    told = manifest(client, served, client.get("/$export", params={"_since": since}, headers=ASYNC))
    files = [client.get(one["url"]).content for one in (*told["output"], *told["deleted"])]
    for rtype, name in (("Patient", "p1"), ("Observation", "o1")):
        client.put(f"/{rtype}/{name}", json={"resourceType": rtype, "id": name, **MINIMAL[rtype]})
    twice = b"".join(files) * 2
    answer = manifest(client, served, client.post("/$import", content=b"".join(files), headers=NDJSON))
    assert answer["error"] == []
    assert [
        client.get(f"/{name}").status_code for name in ("Patient/p1", "Observation/o1", "Patient/p2")
    ] == [
        410,
        410,
        200,
    ]
    assert manifest(client, served, client.post("/$import", content=twice, headers=NDJSON))["error"] == []

    other = [{"request": {"method": "DELETE", "url": "Patient?gender=male"}}]
    bundles = [{"resourceType": "Bundle", "type": "transaction", "entry": other}]
    bundles += [
        {
            "resourceType": "Bundle",
            "type": "transaction",
            "entry": [{"request": {"method": "DELETE", "url": "x"}}],
        }
    ]
    body = b"\n".join(json.dumps(one).encode() for one in bundles)
    told = manifest(client, served, client.post("/$import", content=body, headers=NDJSON))
    assert len(lines(client, told, "OperationOutcome", "error")) == 2


def test_an_export_may_hold_who_made_what(client: httpx.Client, served: Any) -> None:
    asked = {"_type": "Patient", "includeAssociatedData": "LatestProvenanceResources"}
    told = manifest(client, served, client.get("/$export", params=asked, headers=ASYNC))
    assert [one["type"] for one in told["output"]] == ["Patient", "Provenance"]
    provenances = lines(client, told, "Provenance")
    targets = {one["target"][0]["reference"].partition("/_history/")[0] for one in provenances}
    assert targets == {f"Patient/p{number}" for number in range(5)}
    read = client.get(f"/Provenance/{provenances[0]['id']}").json()
    assert read == provenances[0]
    asked["includeAssociatedData"] = "RelevantProvenanceResources"
    refused = client.get("/$export", params=asked, headers=ASYNC)
    assert (refused.status_code, refused.json()["issue"][0]["code"]) == (400, "not-supported")
    lenient = {"prefer": "respond-async, handling=lenient"}
    assert client.get("/$export", params=asked, headers=lenient).status_code == 202


def test_a_filter_lets_through_what_it_asks_for(client: httpx.Client, served: Any) -> None:
    filters = "Observation?subject=Patient/p1,Observation?subject=Patient/p2&status=final"
    query = {"_type": "Observation,Patient", "_typeFilter": [filters, "Patient?gender=male"]}
    told = manifest(client, served, client.get("/$export", params=query, headers=ASYNC))
    assert sorted(ids(lines(client, told, "Observation"))) == ["o1", "o2"]
    assert [one["type"] for one in told["output"]] == ["Observation"]
    for bad in ("Observation", "Observation?shoe=7", "Shoe?x=y", "Observation?subject:Patient.gender=male"):
        refused = client.get("/$export", params={"_typeFilter": bad}, headers=ASYNC)
        assert refused.status_code in {400, 404}, bad
