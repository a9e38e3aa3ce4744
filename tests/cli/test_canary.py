"""A patient with an unmistakable name goes through every door; no line of any process ever says who it was."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Iterator
from contextlib import suppress

import httpx
import psutil
import psycopg
import pytest

from careloom.connect.mllp_frame import frame
from careloom.connect.mllp_send import Retry, Sender
from careloom.fhir.outcome import OutcomeError
from careloom.fhir.resource import dumps
from careloom.store.postmaster import Place, living_postmaster, workers
from careloom.verify.scratch import Careloom, database_of, run, scratch_home

pytestmark = pytest.mark.conformance  # It brings up, breaks and stops a whole careloom: 20 s.

FAMILY, GIVEN, NUMBER, STREET = "Zyxquorth", "Kanarvogela", "CNRY77123988", "Quetzalcoatlstrasse"
PHONE, BORN = "5558675309", "1961-07-23"
TELLTALE = re.compile(
    rb"zyxquorth|kanarvogel|cnry77|quetzalcoatl|555.?867.?5309|1961.?07.?23|23.?07.?1961|19610723",
    re.IGNORECASE,
)

PATIENT = {
    "resourceType": "Patient",
    "identifier": [{"system": "urn:canary", "value": NUMBER}],
    "name": [{"family": FAMILY, "given": [GIVEN]}],
    "gender": "female",
    "birthDate": BORN,
    "telecom": [{"system": "phone", "value": PHONE}],
    "address": [{"line": [f"4711 {STREET}"], "city": "Springfield"}],
}
PID = f"PID|1||{NUMBER}^^^CANARY^MR||{FAMILY}^{GIVEN}||{BORN.replace('-', '')}|F|||4711 {STREET}^^Springfield||{PHONE}"


@pytest.fixture(scope="module")
def careloom() -> Iterator[Careloom]:
    with scratch_home("canary") as home:
        inbox = home / "inbox"
        inbox.mkdir()
        running = Careloom(home, log_level="debug", demo="1", watch_folder=str(inbox))
        yield running
        running.stop()


@pytest.fixture(scope="module")
def lines(careloom: Careloom) -> list[bytes]:
    """Everything that was written while she went through all doors, and the database broke under her."""
    token = _token(careloom)
    _by_mllp(careloom, "1")
    _by_fhir(careloom, token)
    _by_file(careloom)
    _on_pages(careloom)
    _refused_by_the_database(careloom, token)
    _in_the_database(careloom)
    _by_mllp(careloom, "2")
    _on_pages(careloom)
    time.sleep(6)  # the sealer of the audit trail, and stations that were interrupted, have spoken by then
    careloom.stop()
    logs = [careloom.home / "check.log", *(careloom.home / "database").glob("*.log*")]
    return [line for log in logs for line in log.read_bytes().splitlines()]


def test_no_line_of_any_process_holds_a_value_of_the_patient(lines: list[bytes]) -> None:
    assert [line for line in lines if TELLTALE.search(line)] == []


def test_no_line_is_part_of_a_traceback(lines: list[bytes]) -> None:
    """A traceback ends with the words of the error, and those may be anything."""
    assert [line for line in lines if b"Traceback" in line or line.startswith(b"  File ")] == []


def test_the_lines_that_are_read_are_those_of_all_processes(lines: list[bytes]) -> None:
    text = b"\n".join(lines)
    for said in (
        b"event_taken_in",
        b"status='quarantined'",
        b"file_taken",
        b"mllp_message_cut_off",
    ):
        assert said in text, said
    assert b"terminated by signal 9" in text


def _by_mllp(careloom: Careloom, run_: str) -> None:
    head = "MSH|^~\\&|CANARY|GHH|CARELOOM|GHH|20260301120000||{}|{}|P|2.5.1\r"
    visit = f"PV1|1|I|WARD^1^1||||||||||||||||V{NUMBER}\r"
    good = head.format("ADT^A01^ADT_A01", f"{run_}-good") + f"EVN|A01|20260301\r{PID}\r{visit}"
    wrong_date = good.replace(f"{run_}-good", f"{run_}-date").replace(
        BORN.replace("-", ""), f"{BORN}{FAMILY}"
    )
    no_name = head.format("ADT^A99^ADT_A99", f"{run_}-type") + f"EVN|A99|20260301\r{PID}\r"
    nonsense = (
        head.format("ORU^R01^ORU_R01", f"{run_}-obx") + f"{PID}\rOBR|{FAMILY}\rOBX|1|NM|{FAMILY}||{GIVEN}\r"
    )
    with_nul = good.replace(f"{run_}-good", f"{run_}-nul").replace(STREET, f"{STREET}\0x")
    segmentless = f"{PID}\rthis is no segment of {FAMILY}\r"
    answers: dict[str, str] = {}
    with Sender("127.0.0.1", careloom.mllp_port) as sender:
        for name, message in (
            ("good", good), ("date", wrong_date), ("type", no_name), ("obx", nonsense), ("nul", with_nul),
        ):  # fmt: skip
            answer = sender.send(message.encode())
            answers[name] = answer.code if answer else ""
    assert answers["good"] == "AA", answers
    for raw in (
        frame(segmentless.encode()), f"{PID} of {FAMILY}".encode(),
        b"\x0b" + good.replace(f"{run_}-good", f"{run_}-{FAMILY}").encode()[:-20],
        frame(good.encode() + FAMILY.encode() * (11 * 1024 * 1024 // len(FAMILY))),
    ):  # fmt: skip
        with (
            socket.create_connection(("127.0.0.1", careloom.mllp_port), timeout=10) as door,
            suppress(OSError),
        ):
            door.sendall(raw)
            door.shutdown(socket.SHUT_WR)
            while door.recv(65536):
                pass


def _by_fhir(careloom: Careloom, token: str) -> None:
    wrong = PATIENT | {"birthDate": f"{BORN}x", FAMILY: GIVEN, "gender": FAMILY}
    broken = {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [
            {"resource": PATIENT, "request": {"method": "POST", "url": "Patient"}},
            {"resource": wrong, "request": {"method": "PUT", "url": f"Patient/{FAMILY}"}},
        ],
    }
    nul = dumps(PATIENT).replace(STREET.encode(), STREET.encode() + b"\\u0000")
    head = {"authorization": f"Bearer {token}", "content-type": "application/fhir+json"}
    with httpx.Client(base_url=f"http://127.0.0.1:{careloom.port}", headers=head, timeout=60) as client:
        assert client.post("/fhir/Patient", content=dumps(PATIENT)).status_code == 201
        assert client.get("/fhir/Patient", params={"family": FAMILY, "birthdate": BORN}).json()["entry"]
        form = {"content-type": "application/x-www-form-urlencoded"}
        client.post("/fhir/Patient/_search", content=f"name={FAMILY}&phone={PHONE}", headers=form)
        client.get("/fhir/Patient", params={"birthdate": FAMILY, FAMILY: GIVEN, "_sort": FAMILY})
        client.get("/fhir/Patient", params={"name": f"{FAMILY}\0"})
        client.post(
            "/fhir/Patient",
            content=dumps(PATIENT),
            headers={"If-None-Exist": f"identifier=urn:canary|{NUMBER}"},
        )
        for body in (
            dumps(wrong),
            nul,
            dumps(PATIENT)[:-9],
            FAMILY.encode(),
            b'{"family": "' + FAMILY.encode(),
        ):
            client.post("/fhir/Patient", content=body)
            client.put(f"/fhir/Patient/{NUMBER}", content=body)
            client.post("/events", params={"key": f"{FAMILY}-{len(body)}"}, content=body)
            client.post(f"/events?kind=hl7v2&key={FAMILY}", content=body)
        assert client.post("/fhir", content=dumps(broken)).status_code >= 400
        client.put(f"/fhir/Patient/{NUMBER}", content=dumps(PATIENT | {"id": NUMBER}))
        client.delete(f"/fhir/Patient/{NUMBER}")
        client.get(f"/fhir/{FAMILY}/{NUMBER}")
        client.request("BREW", f"/fhir/Patient?name={FAMILY}")
        client.get("/fhir/Patient", headers={"x-name": FAMILY * 30_000})
        client.get("/fhir/Patient", headers={"authorization": f"Bearer {FAMILY}"})
    for raw in (
        f"GET /fhir/Patient?name={FAMILY}\0 HTTP/1.1\r\n\r\n",
        f"GET /fhir/Patient?name={FAMILY * 30_000} HTTP/1.1\r\nhost: x\r\n\r\n",
        f"{FAMILY} / NONSENSE\r\n\r\n",
        f"GET /patients?{FAMILY} HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n",
        f"POST /fhir/Patient HTTP/1.1\r\nhost: x\r\ncontent-length: 99999\r\n\r\n{FAMILY}",
    ):
        with socket.create_connection(("127.0.0.1", careloom.port), timeout=10) as door, suppress(OSError):
            door.sendall(raw.encode())
            door.settimeout(1)
            door.recv(65536)


def _by_file(careloom: Careloom) -> None:
    """By `careloom load`, whose words are not at a terminal here, and by the watched folder."""
    folder = careloom.home / "files"
    folder.mkdir(exist_ok=True)
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": PATIENT | {"id": "c1"}}]}
    wrong = PATIENT | {"id": "c2", "birthDate": FAMILY}
    for name, body in {
        f"{FAMILY}_{GIVEN}.json": dumps(bundle),
        f"{FAMILY}_wrong.json": dumps(wrong),
        f"{FAMILY}_broken.json": dumps(bundle)[:-7],
        f"{FAMILY}.txt": FAMILY.encode(),
        f"{FAMILY}.zip": b"PK\x03\x04" + FAMILY.encode(),
        f"{FAMILY}.hl7": f"MSH|^~\\&|CANARY|GHH|||2026||ADT^A99|{FAMILY}|P|2.5\r{PID}\r".encode(),
    }.items():
        (folder / name).write_bytes(body)
    assert run(careloom.home, "load", str(folder), log_level="debug").wait(120) == 2
    for file in folder.iterdir():
        file.rename(careloom.home / "inbox" / file.name)
    _until(lambda: not [*(careloom.home / "inbox").glob("*.*")])


def _on_pages(careloom: Careloom) -> None:
    with httpx.Client(
        base_url=f"http://127.0.0.1:{careloom.port}", headers={"accept": "text/html"}, timeout=60
    ) as client:
        client.get("/patients", params={"q": FAMILY})
        csrf = _csrf(client.get("/sign-in", params={"next": f"/patients?q={FAMILY}"}).text)
        client.post("/sign-in", data={"csrf": csrf, "name": FAMILY, "password": GIVEN})
        assert client.post("/sign-in/demo", data={"csrf": csrf, "name": "nurse"}).status_code == 303
        page = client.get("/patients")
        found = client.post("/patients", data={"csrf": _csrf(page.text), "q": f"{FAMILY} {BORN}"})
        assert FAMILY in found.text
        (href, *_) = re.findall(r'href="(/patients/[^"]+)"', found.text)
        assert GIVEN in client.get(href).text
        client.get(f"/patients/{FAMILY}")
        client.get("/messages", params={"key": FAMILY, "before": FAMILY, "since": BORN})
        client.post(f"/tasks/{FAMILY}", data={"csrf": _csrf(page.text), "note": FAMILY})


def _refused_by_the_database(careloom: Careloom, token: str) -> None:
    """The database refuses rows with her name, and says so in words that quote them: to all who write."""
    database = database_of(careloom.home)
    folder = careloom.home / "refused"
    folder.mkdir()
    (folder / "r.json").write_bytes(dumps(PATIENT | {"id": "refused", "active": True}))

    def set_to(statement: str) -> None:
        with database.connection() as connection:
            connection.execute(statement.encode())

    # First what stations make of a new number of hers, then all that senders say, then events at all.
    for table, check in (
        ("res", "depth = 0"),
        ("s_str", f"v !~* '{FAMILY}'"),
        ("event", "source = 'nobody'"),
    ):
        set_to(f"ALTER TABLE {table} ADD CONSTRAINT refused CHECK ({check}) NOT VALID")
        body = dumps(PATIENT | {"id": f"of-{table.replace('_', '-')}"})
        head = {"authorization": f"Bearer {token}"}
        with httpx.Client(base_url=f"http://127.0.0.1:{careloom.port}", headers=head, timeout=60) as client:
            client.put(f"/fhir/Patient/of-{table.replace('_', '-')}", content=body)
            client.post("/events", params={"kind": "fhir", "key": table}, content=body)
        with (
            Sender("127.0.0.1", careloom.mllp_port, retry=Retry(attempts=1)) as sender,
            suppress(OutcomeError),
        ):
            sender.send(
                f"MSH|^~\\&|CANARY|GHH|||2026||ADT^A08^ADT_A01|{table}|P|2.5\rEVN|A08|2026\r{PID}\r".encode()
            )
        run(careloom.home, "load", str(folder), "--source", f"load-{table}").wait(120)
        time.sleep(2)
        set_to(f"ALTER TABLE {table} DROP CONSTRAINT refused")
    database.close()


def _in_the_database(careloom: Careloom) -> None:
    """Errors of statements that hold her name, in the very server; then one of its processes is killed at work."""
    database = database_of(careloom.home)
    said = f"'{FAMILY} {NUMBER}'"
    for statement in (
        f"SELECT {said}::date",
        f"SELECT {FAMILY} FROM event",
        f"INSERT INTO migration VALUES ({said}, ''), ({said}, '')",
        f"INSERT INTO event (source, status) VALUES ({said}, NULL)",
        f"DO $$ BEGIN RAISE WARNING '{FAMILY}'; RAISE EXCEPTION USING MESSAGE = {said}, DETAIL = {said}; END $$",
    ):
        with pytest.raises(psycopg.Error), database.connection() as connection:
            connection.execute(statement.encode())
    with psycopg.connect(database.url) as victim:
        process = psutil.Process(victim.info.backend_pid)
        victim.execute(f"SELECT {said}".encode())
        process.kill()
        with pytest.raises(psycopg.OperationalError):
            victim.execute(b"SELECT 1")
    database.close()
    place = Place(careloom.home / "database")
    _until(lambda: living_postmaster(place) is not None and len(workers(place)) > 4)


def _token(careloom: Careloom) -> str:
    log = careloom.home / "check.log"
    before = log.stat().st_size
    assert run(careloom.home, "token", "create", "canary", "--role", "source").wait(60) == 0
    return log.read_bytes()[before:].decode().strip().splitlines()[-1]


def _csrf(text: str) -> str:
    found = re.search(r'name="csrf" value="(\w+)"', text)
    assert found
    return found[1]


def _until(holds: object) -> None:
    deadline = time.monotonic() + 60
    while not holds():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.1)
