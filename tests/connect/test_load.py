"""A load takes everything once, whatever ends it on the way."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from tests.waiting import WAIT_S

from careloom.connect.load import Identity, Tally, load
from careloom.fhir.outcome import OutcomeError

ACCEPTING = """
    from __future__ import annotations
    import hashlib, os, time
    from contextlib import contextmanager
    from pathlib import Path
    from careloom.fhir.outcome import Issue, OutcomeError
    from careloom.store.event import Receipt

    FOLDER = Path(__file__).parent / "kept"

    @contextmanager
    def opened():
        FOLDER.mkdir(exist_ok=True)
        yield accept

    @contextmanager
    def slow():
        FOLDER.mkdir(exist_ok=True)
        def accept_slowly(arrival):
            time.sleep(0.05)
            return accept(arrival)
        yield accept_slowly

    @contextmanager
    def broken():
        raise OutcomeError(Issue("no-store", "There is no database."))
        yield

    def accept(arrival):
        if b"kills" in arrival.body:
            os._exit(9)
        if b"raises" in arrival.body:
            raise OutcomeError(Issue("invalid", "The item is refused."))
        if b"passes" in arrival.body and not (FOLDER / "passed").exists():
            (FOLDER / "passed").touch()
            raise RuntimeError
        status = "quarantined" if b"wrong" in arrival.body else "done"
        issues = (Issue("value", "The item is wrong."),) if status == "quarantined" else ()
        place = FOLDER / arrival.key.replace(":", "-")
        if place.exists():
            return Receipt(1, status, is_duplicate=True, issues=issues)
        (FOLDER / f".{os.getpid()}").write_bytes(arrival.body)
        (FOLDER / f".{os.getpid()}").rename(place)
        with (FOLDER / "order").open("a") as order:
            order.write(f"{arrival.source} {arrival.body[-8:].decode()}\\n")
        return Receipt(1, status, issues=issues, resources=3)
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "accepting.py").write_text(textwrap.dedent(ACCEPTING))
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "in").mkdir()
    return tmp_path


def _patients(place: Path, count: int) -> None:
    for number in range(count):
        (place / "in" / f"{number:04}.json").write_text(f'{{"resourceType":"Patient","id":"{number}"}}')


def _load(place: Path, **options) -> Tally:
    return load([place / "in"], options.pop("make_accept", "accepting:opened"), workers=2, **options)


def _kept(place: Path) -> list[str]:
    return sorted(path.name for path in (place / "kept").glob("sha256-*"))


def test_everything_is_kept_once_and_counted(place: Path):
    _patients(place, 300)
    (place / "in" / "readme.txt").write_text("not clinical")
    reports: list[int] = []
    tally = _load(place, report=lambda tally: reports.append(tally.kept))
    assert len(_kept(place)) == 300
    assert (tally.kept, tally.resources, tally.duplicates, tally.unread) == (300, 900, 0, 1)
    assert tally.is_complete
    assert tally.read_bytes == tally.total_bytes
    assert reports[-1] == 300
    again = _load(place)
    assert (again.kept, again.duplicates, again.resources) == (0, 300, 0)


def test_what_is_settled_is_skipped_before_it_is_taken(place: Path):
    _patients(place, 100)
    _load(place)
    settled: set[Identity] = {("files", "fhir", name.replace("-", ":")) for name in _kept(place)[:60]}
    again = _load(place, seen=settled.intersection)
    assert (again.skipped, again.duplicates, again.kept) == (60, 40, 0)


def test_an_item_that_fails_is_named_and_stops_nothing(place: Path):
    _patients(place, 20)
    for word in ("wrong", "raises", "passes"):
        (place / "in" / f"{word}.json").write_text(f'{{"resourceType":"Patient","id":"{word}"}}')
    tally = _load(place)
    assert (tally.kept, tally.quarantined, tally.failed) == (22, 1, 1)
    assert {(trouble.name, trouble.reason) for trouble in tally.troubles} == {
        ("wrong.json", "Event 1: The item is wrong."),
        ("raises.json", "The item is refused."),
    }


def test_an_item_that_kills_its_worker_is_found_and_the_rest_is_kept(place: Path):
    _patients(place, 50)
    (place / "in" / "0025kills.json").write_text('{"resourceType":"Patient","id":"kills"}')
    tally = _load(place)
    assert (tally.kept + tally.duplicates, tally.failed) == (50, 1)
    assert len(_kept(place)) == 50
    assert "ended twice" in tally.troubles[0].reason


def test_messages_of_one_source_stay_in_order(place: Path):
    for name in ("a", "b", "c", "d"):
        stream = "".join(f"MSH|^~\\&|{name}||||2020||ADT^A08|{n}|P|2.5\rPID|{n:08}\r" for n in range(100))
        (place / "in" / f"{name}.hl7").write_text(stream)
    assert _load(place).kept == 400
    order = [line.split() for line in (place / "kept" / "order").read_text().splitlines()]
    for name in ("a", "b", "c", "d"):
        assert [int(number) for source, number in order if source == name] == list(range(100))


def test_a_worker_that_cannot_start_is_one_clear_sentence(place: Path):
    _patients(place, 1)
    with pytest.raises(OutcomeError, match="cannot start: There is no database"):
        _load(place, make_accept="accepting:broken")


def test_an_empty_folder_is_a_complete_load(place: Path):
    assert _load(place).is_complete


SCRIPT = """
    import sys
    from pathlib import Path
    from careloom.connect.load import load
    if __name__ == "__main__":
        tally = load([Path(sys.argv[1])], "accepting:slow", workers=2)
        print(tally.kept, tally.is_complete)
"""


def _started(place: Path) -> subprocess.Popen[str]:
    (place / "script.py").write_text(textwrap.dedent(SCRIPT))
    path = os.pathsep.join([str(place), *sys.path])
    command = [sys.executable, str(place / "script.py"), str(place / "in")]
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
        start_new_session=True,
    )


def _wait_for(place: Path, count: int) -> None:
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline and len(_kept(place)) < count:
        time.sleep(0.02)


def test_ctrl_c_finishes_what_is_under_way_and_a_second_run_the_rest(place: Path):
    _patients(place, 200)
    process = _started(place)
    _wait_for(place, 10)
    os.killpg(process.pid, signal.SIGINT)
    output, _ = process.communicate(timeout=WAIT_S)
    kept = len(_kept(place))
    assert output.split() == [str(kept), "False"]
    assert 10 <= kept < 200
    again = _load(place)
    assert (again.kept, again.duplicates) == (200 - kept, kept)


def test_after_kill_9_no_worker_lives_on_and_a_second_run_takes_the_rest(place: Path):
    _patients(place, 200)
    process = _started(place)
    _wait_for(place, 10)
    process.kill()
    process.communicate(timeout=WAIT_S)
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline and _group_lives(process.pid):
        time.sleep(0.05)
    assert not _group_lives(process.pid)
    kept = len(_kept(place))
    again = _load(place)
    assert (again.kept, again.duplicates) == (200 - kept, kept)


def _group_lives(group: int) -> bool:
    living = 0
    for process in psutil.process_iter(["status"]):
        with suppress(ProcessLookupError, psutil.NoSuchProcess):
            living += os.getpgid(process.pid) == group and process.info["status"] != psutil.STATUS_ZOMBIE
    return living > 0


def test_a_load_runs_outside_the_main_thread_too(place: Path):
    _patients(place, 5)
    tallies: list[Tally] = []
    thread = threading.Thread(target=lambda: tallies.append(_load(place)))
    thread.start()
    thread.join(30)
    assert [tally.kept for tally in tallies] == [5]
