"""What cannot start says why in one sentence and ends with a status that is not 0; what breaks on the way comes back."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from careloom.connect.mllp_send import Retry, Sender
from careloom.fhir.resource import dumps
from careloom.settings import Settings
from careloom.store.postmaster import Place, halt, living_postmaster
from careloom.store.server import ensure
from careloom.verify.messages import messages
from careloom.verify.scratch import Careloom, free_port, run, scratch_home

ROOT = os.geteuid() == 0
Said = tuple[int, list[str]]


@pytest.fixture
def home() -> Iterator[Path]:
    with scratch_home("bad-input") as folder:
        yield folder


@pytest.fixture(scope="module")
def good() -> Iterator[Path]:
    """The data of a database that was stopped in order; it is copied and broken."""
    with scratch_home("good") as folder:
        ensure(Settings(home=folder)).stop()
        yield folder


def says(home: Path, *arguments: str, **settings: str) -> Said:
    """Exit status and lines of a command; the lines of its progress are left out."""
    process = run(home, *arguments, **settings)
    status = process.wait(60)
    lines = (home / "check.log").read_text().splitlines()
    return status, [line for line in lines if line not in ("Starting the database ...", "Stopped.") and line]


def up(home: Path, *arguments: str, **settings: str) -> Said:
    ports = ["--port", str(free_port())] if "--port" not in arguments else []
    mllp = ["--mllp-port", "0"] if "--mllp-port" not in arguments else []
    return says(home, "up", *ports, *mllp, *arguments, **settings)


@pytest.mark.parametrize("option", ["--port", "--mllp-port"])
def test_a_port_in_use_is_named_with_the_option_that_changes_it(home: Path, option: str) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        status, (line,) = up(home, option, port)
    assert status == 1
    assert (
        line
        == f"careloom: Port {port} on 127.0.0.1 is not free (Address already in use); choose another with {option}."
    )


@pytest.mark.parametrize(
    ("arguments", "settings", "words"),
    [
        (("--port", "8765", "--mllp-port", "8765"), {}, "cannot share port 8765"),
        (("--port", "70000"), {}, "CARELOOM_PORT must be a port from 1 to 65535"),
        (("--host", "203.0.113.7"), {}, "is no address of this machine"),
        ((), {"workers": "many"}, "CARELOOM_WORKERS must be a whole number"),
        ((), {"time_zone": "Mars/Base"}, "CARELOOM_TIME_ZONE must be an IANA zone"),
        ((), {"log_level": "loud"}, "CARELOOM_LOG_LEVEL must be"),
        ((), {"mllp_tls_cert": "/nowhere.pem"}, "TLS certificate"),
        ((), {"watch_folder": "/proc/nowhere"}, "watched folder /proc/nowhere cannot be made"),
        ((), {"database_url": "postgresql://127.0.0.1:1/x"}, "does not answer"),
        ((), {"database_url": "nonsense"}, "CARELOOM_DATABASE_URL cannot be read"),
        ((), {"database_url": "postgresql://u:swordfish/1@db.example/x"}, "cannot be read"),
        ((), {"database_url": "postgresql://u:p@swordfish@db.example/x"}, "cannot be read"),
    ],
)  # fmt: skip
def test_a_wrong_setting_is_one_sentence(
    home: Path, arguments: tuple[str, ...], settings: dict[str, str], words: str
) -> None:
    status, (line,) = up(home, *arguments, **settings)
    assert status == 1
    assert line.startswith("careloom: ")
    assert words in line
    assert "swordfish" not in line
    assert not (home / "careloom.pid").exists()


def test_a_load_without_a_database_is_one_sentence(home: Path) -> None:
    (home / "p.json").write_bytes(dumps({"resourceType": "Patient", "id": "1"}))
    status, (line,) = says(home, "load", str(home / "p.json"), database_url="postgresql://127.0.0.1:1/x")
    assert status == 1
    assert "does not answer" in line


def broken(good: Path, home: Path, how: Callable[[Path], object]) -> Path:
    shutil.copytree(
        good / "database", home / "database", dirs_exist_ok=True, ignore=shutil.ignore_patterns("socket")
    )
    if ROOT:
        owner = (good / "database" / "data").stat()
        for path in [home / "database" / "data", *(home / "database" / "data").rglob("*")]:
            os.chown(path, owner.st_uid, owner.st_gid)
    how(home / "database" / "data")
    return home


@pytest.mark.parametrize(
    ("how", "words"),
    [
        (lambda data: (data / "PG_VERSION").unlink(), "not a valid data directory"),
        (lambda data: (data / "PG_VERSION").write_text("99\n"), "made by PostgreSQL 99"),
        (lambda data: (data / "global" / "pg_control").unlink(), "pg_control"),
        (lambda data: (data / "global" / "pg_control").write_bytes(b"\xff" * 8192), "incompatible"),
        (lambda data: shutil.rmtree(data / "base"), "postgres"),
        (lambda data: shutil.rmtree(data / "pg_wal"), "pg_wal"),
        (lambda data: (data / "postgresql.conf").write_text("nonsense = yes\n"), "nonsense"),
    ],
    ids=[
        "no-version",
        "other-version",
        "no-control",
        "bad-control",
        "no-base",
        "no-wal",
        "bad-configuration",
    ],
)
def test_a_database_that_cannot_start_is_one_sentence(
    good: Path, home: Path, how: Callable[[Path], object], words: str
) -> None:
    broken(good, home, how)
    status, (line,) = up(home)
    assert status == 1
    assert words in line
    assert living_postmaster(Place(home / "database")) is None


def test_ctrl_c_while_the_database_starts_stops_at_once(home: Path) -> None:
    process = run(home, "up", "--port", str(free_port()), "--mllp-port", "0")
    while b"Starting the database" not in (home / "check.log").read_bytes():
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 0
    assert living_postmaster(Place(home / "database")) is None


@pytest.mark.conformance
def test_a_database_that_dies_is_started_again_and_messages_are_taken_again() -> None:
    first, second = messages(2, 9)
    with scratch_home("revived") as home:
        careloom = Careloom(home)
        try:
            with Sender(
                "127.0.0.1", careloom.mllp_port, retry=Retry(attempts=100, first_s=0.1, most_s=0.5)
            ) as sender:
                assert sender.send(first).code == "AA"
                halt(Place(home / "database"))
                assert sender.send(second).code == "AA"
        finally:
            careloom.stop()
