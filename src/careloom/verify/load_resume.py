"""verify.load_resume: a load that is killed with -9 half way and run again ends as one that was never broken.

Room: verify. Both go into homes of their own; every content of every resource is compared.
"""

from __future__ import annotations

import hashlib
import subprocess
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from careloom.fhir.outcome import Issue, OutcomeError
from careloom.settings import Settings
from careloom.store.actor import STATION
from careloom.store.body import kept_of_bytes
from careloom.store.events import counts
from careloom.store.read import Reader
from careloom.store.server import ensure
from careloom.store.stored import Stored
from careloom.verify.figure import Figure
from careloom.verify.progress import progress
from careloom.verify.scratch import database_of, kill_all, run, scratch_home

SUITE = Path("patients") / "synthea-r4.tar.zst"
_PAGE = 5000


@dataclass(slots=True)
class _Holding:
    """What a home holds."""

    events: Counter[tuple[str, str]] = field(default_factory=Counter[tuple[str, str]])
    """By source and status."""
    resources: Counter[str] = field(default_factory=Counter[str])
    """By type."""
    versions: Counter[str] = field(default_factory=Counter[str])
    """By type, the history with them; of resources that all files state alike. Files that state one differently are
    taken side by side: who comes first is chance, and with it how often the content changes to and fro."""
    contents: Counter[bytes] = field(default_factory=Counter[bytes])
    """A hash of type, id and body for every content that a resource has or had; each once."""


def check(settings: Settings, *, paths: tuple[Path, ...] = ()) -> list[Figure]:
    """Load `paths` (else the Synthea archive of the public suites) twice, once unbroken and once broken; compare."""
    paths = paths or (settings.conformance / SUITE,)
    if not all(path.exists() for path in paths):
        return [Figure(check="load-resume", note=f"The suite {SUITE} is absent: set CARELOOM_CONFORMANCE.")]
    with progress("load-resume", None) as told:
        told("unbroken", 0)
        with scratch_home("load-unbroken") as home:
            started = time.perf_counter()
            _finished(home, run(home, *_command(paths)))
            seconds = time.perf_counter() - started
            unbroken = _holding(home)
        total = unbroken.events.total()
        told("to be killed", 0)
        with scratch_home("load-broken") as home:
            before = _killed_half_way(home, run(home, *_command(paths)), total // 2)
            told("again", 0)
            _finished(home, run(home, *_command(paths)))
            resumed = _holding(home)
    kinds = ("events", "resources", "versions", "contents")
    return [
        *(
            _compared(f"load-resume.{kind}", getattr(unbroken, kind), getattr(resumed, kind))
            for kind in kinds
        ),
        Figure(check="load-resume.killed-at", value=round(before / total, 3), unit="of all events"),
        Figure(
            check="load-resume.rate", value=round(unbroken.resources.total() / seconds), unit="resources/s"
        ),
    ]


def _compared(check: str, unbroken: Counter[Any], resumed: Counter[Any]) -> Figure:
    both = (unbroken & resumed).total()
    return Figure(check=check, passed=both, failed=(unbroken | resumed).total() - both)


def _command(paths: tuple[Path, ...]) -> list[str]:
    return ["load", *(str(path.resolve()) for path in paths)]


def _finished(home: Path, process: subprocess.Popen[bytes]) -> None:
    status = process.wait()
    if status:
        last = (home / "check.log").read_text(errors="replace").strip().rsplit("\n", 1)[-1]
        raise OutcomeError(Issue("exception", f"`careloom load` ended with status {status}: {last}"))


def _killed_half_way(home: Path, process: subprocess.Popen[bytes], half: int) -> int:
    """Kill the load and its PostgreSQL once half of the events are kept; how many were kept."""
    kept = 0
    while kept < half:
        if process.poll() is not None:
            raise OutcomeError(Issue("exception", "The load ended before it could be killed half way."))
        time.sleep(0.02)
        # The server, or the table, is not there yet.
        with suppress(OutcomeError, psycopg.Error):
            kept = _events(home)
    kill_all(home, process)
    return kept


def _events(home: Path) -> int:
    database = database_of(home)
    try:
        with database.connection() as connection:
            return sum(counts(connection, STATION).values())
    finally:
        database.close()


def _holding(home: Path) -> _Holding:
    server = ensure(Settings(home=home))
    database = database_of(home)
    bodies: dict[tuple[str, str], list[bytes]] = {}
    with database.connection() as connection:
        holding = _Holding(events=Counter(counts(connection, STATION)))
        reader = Reader(connection, STATION)
        cursor: str | None = ""
        while cursor is not None:
            page = reader.history(count=_PAGE, cursor=cursor)
            for stored in page.versions:
                bodies.setdefault((stored.rtype, stored.id), []).append(_digest(stored))
            cursor = page.next
    database.close()
    server.stop()
    for (rtype, _), digests in bodies.items():
        holding.resources[rtype] += 1
        holding.contents.update(set(digests))
        if len(set(digests)) == 1:
            holding.versions[rtype] += len(digests)
    return holding


def _digest(stored: Stored) -> bytes:
    body = b"" if stored.is_deleted else kept_of_bytes(stored.body)
    return hashlib.sha256(f"{stored.rtype}/{stored.id}\n".encode() + body).digest()
