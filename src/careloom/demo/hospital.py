"""demo.hospital: the synthetic hospital of Loomford: first it tells its history, then it lives, until it is stopped.

Room: demo. It speaks to careloom only through the front doors: MLLP and POST /fhir. What it says is made by
demo.chronicle and demo.live from a seed and a moment; here is only who waits, and who sends.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime

import structlog

from careloom.demo.chronicle import Message, Pen, chronicle
from careloom.demo.course import town
from careloom.demo.live import Clock, live
from careloom.demo.speak import mouths
from careloom.fhir.outcome import Issue, OutcomeError
from careloom.settings import Settings

_log = structlog.get_logger(__name__)

PEOPLE = 200
SPEED = 60.0


def run(  # noqa: PLR0913 - the settings of one run
    settings: Settings,
    *,
    token: str,
    seed: int = 7,
    people: int = PEOPLE,
    speed: float = SPEED,
    has_history: bool = True,
    stop: threading.Event | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Tell the history (unless careloom knows it already), then live until `stop` is set.

    `token` is the Bearer token of the source `clinic`. `speed` is how much faster than real time the hospital lives
    in its first two minutes, in which the star's vital signs worsen; after that its clock is the real one.
    `progress` is called with messages said and messages in all while the history is told. Raises OutcomeError when
    the MLLP listener is switched off.
    """
    if not settings.mllp_port:
        raise OutcomeError(Issue("processing", "The demo speaks over MLLP: set mllp_port to a port."))
    stop = stop or threading.Event()
    count = _Count(progress)
    with mouths(settings, token, stop, count.said) as speakers:
        began = datetime.now(UTC)
        pen = Pen(began)
        place = town(seed, people, Clock(began, speed).at(0))
        history = chronicle(place, pen) if has_history else []
        count.expect(len(history))
        for message in history:
            speakers[message.system].queue.put(message)
        for speaker in speakers.values():
            _heard(speaker.queue.join, stop)
        _log.info("demo_history_told", messages=len(history))
        clock = Clock(datetime.now(UTC), speed)
        start_s = time.monotonic()
        for offset_s, message in live(place, clock, pen):
            if stop.wait(max(0.0, start_s + offset_s - time.monotonic())):
                break
            speakers[message.system].queue.put(message)
    _log.info("demo_stopped")


class _Count:
    """How much of the history has been said, told to whoever asked."""

    def __init__(self, progress: Callable[[int, int], None] | None) -> None:
        self._progress = progress
        self._lock = threading.Lock()
        self._done = 0
        self._expected = 0

    def expect(self, messages: int) -> None:
        self._expected = messages

    def said(self, _: Message) -> None:
        with self._lock:
            self._done += 1
            if self._progress is not None and self._done <= self._expected:
                self._progress(self._done, self._expected)


def _heard(join: Callable[[], None], stop: threading.Event) -> None:
    """Wait until a queue is empty, or the demo is stopped."""
    waiting = threading.Thread(target=join, daemon=True)
    waiting.start()
    while waiting.is_alive() and not stop.is_set():
        waiting.join(0.2)
