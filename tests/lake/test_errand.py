"""Work in a process of its own: what it gives, how it ends, and that it is left in time."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from careloom.fhir.outcome import Issue, OutcomeError
from careloom.lake import errand

HERE = f"{__name__}"


def counted(told: Mapping[str, Any]) -> Iterator[bytes]:
    for number in range(told["count"]):
        yield b"%d " % number
    if told.get("is_wrong"):
        raise OutcomeError(Issue("processing", "It is wrong.", "here"))
    if told.get("is_slow"):
        time.sleep(60)


@pytest.fixture(autouse=True)
def _path(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    # The process finds this file by its name.
    monkeypatch.setenv(
        "PYTHONPATH", f"{errand.__file__.rsplit('/careloom/', 1)[0]}:{__file__.rsplit('/', 1)[0]}"
    )
    _end_all()
    yield
    _end_all()


def _end_all() -> None:
    """None that was started for other tests, which does not find this file, and none for others."""
    while errand._waiting:  # pyright: ignore[reportPrivateUsage]
        errand._waiting.pop().end()  # pyright: ignore[reportPrivateUsage]


def ran(seconds: float = 60.0, **order: Any) -> bytes:
    with errand.sent("test_errand:counted", order, seconds) as pieces:
        return b"".join(pieces)


def test_one_process_does_one_errand_after_the_other_and_what_is_wrong_is_told() -> None:
    assert ran(count=3) == b"0 1 2 "
    [kept] = errand._waiting  # pyright: ignore[reportPrivateUsage]
    with pytest.raises(OutcomeError) as error:
        ran(count=1, is_wrong=True)
    assert error.value.issues == (Issue("processing", "It is wrong.", "here"),)
    assert ran(count=0) == b""
    assert errand._waiting == [kept]  # pyright: ignore[reportPrivateUsage]
    kept.process.kill()
    kept.process.wait()
    assert ran(count=1) == b"0 "


def test_who_is_too_slow_or_left_is_killed() -> None:
    ran(count=0)
    [kept] = errand._waiting  # pyright: ignore[reportPrivateUsage]
    began = time.monotonic()
    with pytest.raises(OutcomeError) as error:
        ran(0.5, count=1, is_slow=True)
    assert (error.value.issues[0].code, time.monotonic() - began < 30) == ("too-costly", True)
    assert kept.process.poll() is not None
    with errand.sent("test_errand:counted", {"count": 1, "is_slow": True}, 60) as pieces:
        assert next(pieces) == b"0 "
    assert errand._waiting == []  # pyright: ignore[reportPrivateUsage]


def test_no_more_than_a_few_work_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(errand, "WAIT_S", 0.05)
    with (
        errand.sent("test_errand:counted", {"count": 1}, 60),
        errand.sent("test_errand:counted", {"count": 1}, 60),
        pytest.raises(OutcomeError) as error,
        errand.sent("test_errand:counted", {"count": 1}, 60),
    ):
        pass
    assert error.value.issues[0].code == "throttled"
