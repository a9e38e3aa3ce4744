"""A disk that is full: one sentence at the start; on the way nothing is lost, and all goes on when there is room."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from careloom.connect.mllp_send import Retry, Sender
from careloom.fhir.outcome import OutcomeError
from careloom.fhir.resource import dumps
from careloom.settings import Settings
from careloom.store.postmaster import Place, halt, living_postmaster
from careloom.store.server import ensure
from careloom.verify.messages import messages
from careloom.verify.scratch import Careloom, free_port


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A home on a disk of its own with room for little more than a new database."""
    folder = Path("/tmp") / f"careloom-small-{os.getpid()}"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=420m,mode=755", "tmpfs", folder],
        check=False,
        capture_output=True,
    )
    if mounted.returncode:
        folder.rmdir()
        pytest.skip("A small disk can be mounted by root only.")
    yield folder
    halt(Place(folder / "database"))
    subprocess.run(["umount", "-l", folder], check=True)
    folder.rmdir()


def filled(folder: Path, left: int) -> Path:
    """Fill the disk of a folder but for some bytes."""
    filler = folder / "filler"
    free = shutil.disk_usage(folder).free - left
    with filler.open("wb") as stream:
        os.posix_fallocate(stream.fileno(), 0, free)
    return filler


@pytest.mark.parametrize("left", [100_000_000, 0], ids=["little", "nothing"])
def test_a_disk_without_room_is_one_sentence(small_disk: Path, left: int) -> None:
    filled(small_disk, left)
    ports = ("--port", str(free_port()), "--mllp-port", "0")
    result = subprocess.run(
        [sys.executable, "-m", "careloom", "up", "--home", str(small_disk), *ports],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 1
    (line,) = result.stderr.splitlines()
    assert line.startswith("careloom: The ")
    assert "free at least 300 MB" in line or "No space left on device" in line


@pytest.mark.conformance
def test_a_load_that_fills_the_disk_says_so_and_goes_on_when_there_is_room(
    small_disk: Path, tmp_path: Path
) -> None:
    ensure(Settings(home=small_disk)).stop()
    folder = tmp_path / "bundles"
    folder.mkdir()
    for number in range(40):
        (folder / f"{number:02}.json").write_bytes(_bundle(number))
    first, second = tmp_path / "first", tmp_path / "second"
    process = loading(small_disk, folder, first)
    while living_postmaster(Place(small_disk / "database")) is None:
        assert process.poll() is None
        time.sleep(0.01)
    filler = filled(small_disk, 3_000_000)
    status = process.wait(120)
    said = first.read_text()
    assert status == 1, said
    assert "Traceback" not in said
    assert "it goes on where it stopped" in " ".join(said.split()), said
    filler.unlink()
    assert loading(small_disk, folder, second).wait(120) == 0, second.read_text()


def loading(home: Path, folder: Path, log: Path) -> subprocess.Popen[bytes]:
    with log.open("wb") as stream:
        command = [sys.executable, "-m", "careloom", "load", "--home", str(home), str(folder)]
        return subprocess.Popen(command, stdout=stream, stderr=stream)


@pytest.mark.conformance
def test_a_careloom_whose_disk_is_full_refuses_what_it_cannot_keep_and_takes_it_when_there_is_room(
    small_disk: Path,
) -> None:
    careloom = Careloom(small_disk)
    outgoing = messages(4000, 5)
    try:
        filler = filled(small_disk, 2_000_000)
        kept = 0
        sender = Sender("127.0.0.1", careloom.mllp_port, retry=Retry(attempts=1))
        with sender, suppress(OutcomeError):
            for message in outgoing:
                assert sender.send(message).code == "AA"
                kept += 1
        assert kept < len(outgoing)
        filler.unlink()
        with Sender(
            "127.0.0.1", careloom.mllp_port, retry=Retry(attempts=200, first_s=0.2, most_s=0.5)
        ) as sender:
            for message in outgoing[max(0, kept - 3) : kept + 5]:
                assert sender.send(message).code == "AA"
    finally:
        careloom.stop()


def _bundle(number: int) -> bytes:
    entries = [
        {
            "resource": {
                "resourceType": "Basic", "id": f"b{number}-{index}", "code": {"text": f"{os.urandom(600).hex()}"},
            },
            "request": {"method": "PUT", "url": f"Basic/b{number}-{index}"},
        }
        for index in range(60)
    ]  # fmt: skip
    return dumps({"resourceType": "Bundle", "type": "transaction", "entry": entries})
