"""connect.load: take files, folders and archives in through several processes; stop, break and go on at will.

Room: connect. May import: fhir, store. Touches: the files that it is given, and what `make_accept` opens.

Keys come from content, so a load that was broken off is resumed by running it again: what is settled is skipped
(`seen`), what was kept but not answered is a duplicate. HL7 messages of one source stay in their order.
"""

from __future__ import annotations

import signal
import threading
import time
import zlib
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from careloom.connect.load_crew import Crew, Job, MakeAccept
from careloom.connect.sources import Item, Plan, items, plan
from careloom.store.event import Receipt

Identity = tuple[str, str, str]
"""Source, kind and key of an arrival."""
Seen = Callable[[Sequence[Identity]], Collection[Identity]]
"""Which of these are settled already and need not be taken again."""

_WINDOW_ITEMS, _WINDOW_BYTES = 256, 4 * 1024 * 1024
_JOB_ITEMS, _JOB_BYTES = 32, 256 * 1024
_TROUBLES = 100
_REPORT_S = 0.2


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that a person should look at. `name` is for the terminal, never for a log: it may name a patient."""

    name: str
    reason: str


@dataclass(slots=True)
class Tally:
    """How far a load is; at its end, what came of it."""

    total_bytes: int = 0
    """Of all files, as they lie on disk."""
    read_bytes: int = 0
    kept: int = 0
    """Events that are new."""
    duplicates: int = 0
    """Events that were kept before, and are the same."""
    skipped: int = 0
    """Items settled by an earlier load, not taken again."""
    quarantined: int = 0
    """Events, new or not, that stand in quarantine."""
    failed: int = 0
    """Items that could not be kept."""
    unread: int = 0
    """Files that are of no kind that careloom reads."""
    resources: int = 0
    """Resources written by the new events."""
    seconds: float = 0.0
    is_complete: bool = False
    """False while it runs, and when it was stopped before its end."""
    troubles: list[Trouble] = field(default_factory=list[Trouble])
    """The first hundred items that were quarantined, failed or not read."""

    def rows(self) -> list[tuple[str, str]]:
        """The summary, as rows of a table.

        >>> Tally(kept=2, resources=3000, seconds=1.5).rows()[-1]
        ('rate', '2,000 resources/s')
        """
        rate = self.resources / self.seconds if self.seconds else 0.0
        counts = {
            "events": self.kept,
            "resources": self.resources,
            "duplicates": self.duplicates,
            "settled before": self.skipped,
            "quarantined": self.quarantined,
            "failed": self.failed,
            "not read": self.unread,
        }
        rows = [(name, f"{count:,}") for name, count in counts.items()]
        return [*rows, ("time", f"{self.seconds:.1f} s"), ("rate", f"{rate:,.0f} resources/s")]


def load(
    paths: Iterable[Path],
    make_accept: MakeAccept,
    *,
    workers: int,
    source: str = "",
    seen: Seen | None = None,
    report: Callable[[Tally], None] | None = None,
) -> Tally:
    """Take in everything under the paths; returns when all is kept, or, after Ctrl-C, when what is under way is.

    `make_accept` is called once in each of the `workers` processes (spawned: it must be picklable, or text
    `module:attribute`). `report` is called about five times a second. Empty `source`: HL7 messages name theirs,
    FHIR files are of `files`. Raises OutcomeError if a path is absent or a worker cannot start.
    """
    started = time.perf_counter()
    planned = plan(paths)
    tally = Tally(total_bytes=planned.total_bytes)
    told = 0.0

    def tell(outcomes: Iterable[tuple[Item, Receipt | str]]) -> None:
        nonlocal told
        for item, outcome in outcomes:
            _count(tally, item, outcome)
        tally.seconds = time.perf_counter() - started
        if report and tally.seconds - told > _REPORT_S:
            told = tally.seconds
            report(tally)

    with _stopping() as stop, Crew(workers, make_accept) as crew:
        for job in _jobs(planned, source, seen, tally, workers):
            while not crew.takes(job):
                tell(crew.outcomes())
            if stop.is_set():
                break
            crew.give(job)
        while crew.is_busy:
            tell(crew.outcomes())
        tally.is_complete = not stop.is_set()
    tally.seconds = time.perf_counter() - started
    if report:
        report(tally)
    return tally


def _jobs(planned: Plan, source: str, seen: Seen | None, tally: Tally, workers: int) -> Iterator[Job]:
    for window in _windows(items(planned, source)):
        tally.read_bytes = max(tally.read_bytes, window[-1].read_bytes)
        wanted = _unread_noted(window, tally)
        known = seen([_identity(item) for item in wanted]) if seen and wanted else ()
        fresh = [item for item in wanted if _identity(item) not in known] if known else wanted
        tally.skipped += len(wanted) - len(fresh)
        yield from _grouped(fresh, workers)


def _windows(found: Iterator[Item]) -> Iterator[list[Item]]:
    """Some items at a time, so that `seen` is asked seldom and the memory is bounded."""
    window: list[Item] = []
    size = 0
    for item in found:
        window.append(item)
        size += _size(item)
        if len(window) >= _WINDOW_ITEMS or size >= _WINDOW_BYTES:
            yield window
            window, size = [], 0
    if window:
        yield window


def _grouped(fresh: Sequence[Item], workers: int) -> Iterator[Job]:
    """Small items travel together; items of one lane go to one worker, in order."""
    group: list[Item] = []
    size, lane = 0, None
    for item in fresh:
        own = _lane(item, workers)
        if group and (own != lane or len(group) >= _JOB_ITEMS or size + _size(item) > _JOB_BYTES):
            yield Job(lane, tuple(group))
            group, size = [], 0
        group.append(item)
        size += _size(item)
        lane = own
    if group:
        yield Job(lane, tuple(group))


def _lane(item: Item, workers: int) -> int | None:
    # An A08 must not overtake the A01 before it; FHIR resources bring their own versions and may go side by side.
    if item.arrival is None or item.arrival.kind != "hl7v2":
        return None
    return zlib.crc32(item.arrival.source.encode()) % workers


def _unread_noted(window: Sequence[Item], tally: Tally) -> list[Item]:
    for item in window:
        if item.issue is not None:
            if item.issue.code == "not-supported":
                tally.unread += 1
            else:
                tally.failed += 1
            _note(tally, item, item.issue.text)
    return [item for item in window if item.arrival is not None]


def _count(tally: Tally, item: Item, outcome: Receipt | str) -> None:
    if isinstance(outcome, str):
        tally.failed += 1
        _note(tally, item, outcome)
        return
    if outcome.is_duplicate:
        tally.duplicates += 1
    else:
        tally.kept += 1
        tally.resources += outcome.resources
    if outcome.status == "quarantined":
        tally.quarantined += 1
        reason = outcome.issues[0].text if outcome.issues else "It stands in quarantine."
        _note(tally, item, f"Event {outcome.event_id}: {reason}")


def _note(tally: Tally, item: Item, reason: str) -> None:
    if len(tally.troubles) < _TROUBLES:
        tally.troubles.append(Trouble(item.name, reason))


def _identity(item: Item) -> Identity:
    return (item.arrival.source, item.arrival.kind, item.arrival.key) if item.arrival else ("", "", "")


def _size(item: Item) -> int:
    return len(item.arrival.body) if item.arrival else 0


@contextmanager
def _stopping() -> Generator[threading.Event]:
    """Set by the first Ctrl-C (or SIGTERM); a second one breaks off at once."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def heard(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - the signature of a handler
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    for number in before:
        signal.signal(number, heard)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
