"""`careloom send` and `careloom verify` as commands: what they print, and how they end."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from careloom.connect.mllp import listening
from careloom.registry import CHECKS
from careloom.settings import settings_from
from careloom.store.event import Arrival, Receipt
from careloom.verify.messages import messages
from careloom.verify.v2_ledger import ARCHIVE


def careloom(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "careloom", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_send_mends_line_ends_and_says_control_id_and_code(tmp_path: Path) -> None:
    kept: list[Arrival] = []

    def accept(arrival: Arrival) -> Receipt:
        kept.append(arrival)
        return Receipt(len(kept), "quarantined" if arrival.key.endswith("-1") else "done")

    first, second = messages(2, 4)
    file = tmp_path / "two.hl7"
    file.write_bytes((first + second).replace(b"\r", b"\n"))
    with listening("127.0.0.1", 0, accept) as port:
        result = careloom("send", str(file), "--to", f"127.0.0.1:{port}")
        assert result.stdout.splitlines() == ["4-0 AA", "4-1 AE"]
        assert result.returncode == 1
        file.write_bytes(first)
        assert careloom("send", str(file), "--to", f"127.0.0.1:{port}").returncode == 0
    assert [arrival.body.rstrip(b"\r") for arrival in kept] == [
        each.rstrip(b"\r") for each in (first, second, first)
    ]


def test_a_file_of_another_kind_is_not_sent_and_not_read(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("not a message")
    result = careloom("send", str(file), "--to", "127.0.0.1:1")
    assert result.returncode == 1
    assert len(result.stderr.splitlines()) == 1


def test_verify_lists_every_check_of_the_registry() -> None:
    result = careloom("verify", "--list")
    assert (result.returncode, result.stdout.split()) == (0, sorted(CHECKS))


def test_an_unknown_check_is_refused_with_those_that_there_are() -> None:
    result = careloom("verify", "no-such-check")
    assert result.returncode == 1
    assert "There are: " in result.stderr
    assert result.stdout == ""


def test_verify_ends_with_1_and_says_why_where_a_check_cannot_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CARELOOM_CONFORMANCE", str(tmp_path))
    result = careloom("verify", "v2-ledger", "--json")
    assert result.returncode == 1
    (figure,) = [json.loads(line) for line in result.stdout.splitlines()]
    assert not figure["ok"]
    assert "absent" in figure["note"]


@pytest.mark.conformance
def test_verify_prints_one_object_a_line_with_these_keys_and_ends_with_0() -> None:
    if not (settings_from().conformance / ARCHIVE).exists():
        pytest.skip(f"The suite {ARCHIVE} is absent: set CARELOOM_CONFORMANCE.")
    result = careloom("verify", "v2-ledger", "--json")
    figures = [json.loads(line) for line in result.stdout.splitlines()]
    assert result.returncode == 0
    assert {tuple(figure) for figure in figures} == {
        ("check", "passed", "failed", "value", "unit", "floor", "ok", "seconds")
    }
    assert all(figure["check"].startswith("v2-ledger.") and figure["ok"] for figure in figures)
