"""A watched folder takes each file once, when it is complete, and says why it could not."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.waiting import WAIT_S, until

from careloom.connect.folder import take, watch
from careloom.fhir.outcome import Issue, OutcomeError
from careloom.store.event import Arrival, Receipt

ADT = b"MSH|^~\\&|EHR|GHH|||2020||ADT^A01|1|P|2.5\rPID|1\r"
PATIENT = b'{"resourceType":"Patient","id":"7"}'


class Kept(list[Arrival]):
    def __call__(self, arrival: Arrival) -> Receipt:
        self.append(arrival)
        if b"wrong" in arrival.body:
            issue = Issue("required", "PID-3 is empty.", "PID-3")
            return Receipt(len(self), "quarantined", issues=(issue,))
        return Receipt(len(self), "done")


@contextmanager
def watched(folder: Path, accept: Callable[[Arrival], Receipt], settle_s: float = 0.1) -> Iterator[None]:
    stop = threading.Event()
    thread = threading.Thread(target=watch, args=(folder, accept, stop), kwargs={"settle_s": settle_s})
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(WAIT_S)
        assert not thread.is_alive()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*") if path.is_file())


def test_files_that_lie_there_and_files_that_come_are_taken_by_their_content(tmp_path: Path):
    kept = Kept()
    (tmp_path / "first.dat").write_bytes(ADT)
    with watched(tmp_path, kept):
        until(lambda: len(kept) == 1)
        (tmp_path / "second.dat").write_bytes(PATIENT)
        until(lambda: len(names(tmp_path / "done")) == 2)
    assert [(arrival.kind, arrival.source) for arrival in kept] == [("hl7v2", "ehr.ghh"), ("fhir", "files")]
    assert names(tmp_path) == []


def test_a_file_that_still_grows_or_has_a_half_name_waits(tmp_path: Path):
    kept = Kept()
    # Long beside the pauses of the writer, who may have to wait for a processor.
    with watched(tmp_path, kept, settle_s=1.0):
        with (tmp_path / "grows.hl7").open("wb", buffering=0) as file:
            for at in range(0, len(ADT), 6):
                file.write(ADT[at : at + 6])
                time.sleep(0.04)
                assert not kept
        (tmp_path / "late.json.part").write_bytes(PATIENT)
        until(lambda: len(kept) == 1)
        time.sleep(1.2)
        assert names(tmp_path) == ["late.json.part"]
        (tmp_path / "late.json.part").rename(tmp_path / "late.json")
        until(lambda: len(kept) == 2)
    assert [arrival.body for arrival in kept] == [ADT.rstrip(), PATIENT]


def test_a_file_in_quarantine_has_its_reason_beside_it(tmp_path: Path):
    kept = Kept()
    (tmp_path / "a.hl7").write_bytes(ADT + ADT.replace(b"PID|1", b"PID|wrong"))
    (tmp_path / "b.pdf").write_bytes(b"%PDF")
    (tmp_path / "c.json").write_bytes(b"")
    with watched(tmp_path, kept):
        until(lambda: len(names(tmp_path / "quarantine")) == 6)
    assert (tmp_path / "quarantine/a.hl7.reason").read_text() == "Event 2: PID-3: PID-3 is empty.\n"
    assert "neither HL7 v2 nor FHIR" in (tmp_path / "quarantine/b.pdf.reason").read_text()
    assert (tmp_path / "quarantine/c.json.reason").read_text() == "The file is empty.\n"
    assert len(kept) == 2


def test_while_nobody_can_take_it_the_file_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("careloom.connect.folder._RETRY_S", 0.1)
    tries: list[Arrival] = []

    def accept(arrival: Arrival) -> Receipt:
        tries.append(arrival)
        if len(tries) < 3:
            raise ConnectionError
        return Receipt(1, "done")

    (tmp_path / "a.hl7").write_bytes(ADT)
    with watched(tmp_path, accept):
        until(lambda: len(tries) == 3)
        until(lambda: names(tmp_path / "done") == ["a.hl7"])


def test_a_refused_item_is_a_reason(tmp_path: Path):
    def accept(arrival: Arrival) -> Receipt:
        raise OutcomeError(Issue("invalid", "No."))

    (tmp_path / "quarantine").mkdir()
    (tmp_path / "a.hl7").write_bytes(ADT)
    assert take(tmp_path / "a.hl7", accept)
    assert (tmp_path / "quarantine/a.hl7.reason").read_text() == "No.\n"


def test_after_a_crash_before_the_move_the_same_arrival_comes_again(tmp_path: Path):
    kept = Kept()
    (tmp_path / "done").mkdir()
    for _ in range(2):
        (tmp_path / "a.json").write_bytes(PATIENT)
        assert take(tmp_path / "a.json", kept)
    assert kept[0] == kept[1]


def test_two_files_of_one_name_are_both_kept(tmp_path: Path):
    (tmp_path / "done").mkdir()
    for body in (PATIENT, PATIENT.replace(b"7", b"8"), PATIENT.replace(b"7", b"8")):
        (tmp_path / "a.json").write_bytes(body)
        assert take(tmp_path / "a.json", Kept())
    assert len(names(tmp_path / "done")) == 2


def test_a_file_that_cannot_be_moved_stays_and_ends_nothing(tmp_path: Path):
    (tmp_path / "a.json").write_bytes(PATIENT)
    assert not take(tmp_path / "a.json", Kept())
    assert names(tmp_path) == ["a.json"]


def test_a_file_that_is_gone_again_is_passed_over(tmp_path: Path):
    kept = Kept()
    assert take(tmp_path / "gone.json", kept)
    assert not kept


def test_a_folder_that_cannot_be_used_is_one_clear_sentence(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutcomeError, match="cannot be used"):
        watch(tmp_path / "file", Kept(), threading.Event())
