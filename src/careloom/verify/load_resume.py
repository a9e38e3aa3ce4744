"""verify.load_resume: a load that is killed with -9 half way and run again ends as one that was never broken.

Room: verify. Both go into homes of their own; every version of every resource is compared.
"""

from __future__ import annotations

import hashlib
import subprocess
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from careloom.fhir.outcome import Issue, OutcomeError
from careloom.settings import Settings
from careloom.store.actor import STATION
from careloom.store.body import kept_of_bytes
from careloom.store.events import counts
from careloom.store.read import Reader
from careloom.store.server import ensure
from careloom.verify.figure import Figure
from careloom.verify.scratch import database_of, kill_all, run, scratch_home

SUITE = Path("patients") / "synthea-r4.tar.zst"
_PAGE = 5000


@dataclass(slots=True)
class _Holding:
    """What a home holds."""

    types: Counter[str] = field(default_factory=Counter[str])
    versions: int = 0
    digest: int = 0
    """Sum of the hashes of all versions with their ids, whatever their order."""
    events: dict[tuple[str, str], int] = field(default_factory=dict[tuple[str, str], int])


def check(settings: Settings, *, paths: tuple[Path, ...] = ()) -> list[Figure]:
    """Load `paths` (else the Synthea archive of the public suites) twice, once unbroken and once broken; compare."""
    paths = paths or (settings.conformance / SUITE,)
    if not all(path.exists() for path in paths):
        return [Figure(check="load-resume", note=f"{SUITE} is absent.")]
    with scratch_home("load-unbroken") as home:
        started = time.perf_counter()
        _finished(home, run(home, *_command(paths)))
        seconds = time.perf_counter() - started
        unbroken = _holding(home)
    total = sum(unbroken.events.values())
    with scratch_home("load-broken") as home:
        process = run(home, *_command(paths))
        before = _killed_half_way(home, process, total // 2)
        _finished(home, run(home, *_command(paths)))
        resumed = _holding(home)
    equal = sum(resumed.types[rtype] == count for rtype, count in unbroken.types.items())
    same = int(resumed.digest == unbroken.digest and resumed.versions == unbroken.versions)
    return [
        Figure(
            check="load-resume.events",
            passed=sum(resumed.events.values()),
            failed=sum((Counter(unbroken.events) - Counter(resumed.events)).values())
            + sum((Counter(resumed.events) - Counter(unbroken.events)).values()),
        ),
        Figure(
            check="load-resume.types",
            passed=equal,
            failed=len(unbroken.types.keys() | resumed.types.keys()) - equal,
        ),
        Figure(
            check="load-resume.content",
            passed=unbroken.versions * same,
            failed=unbroken.versions * (1 - same),
        ),
        Figure(check="load-resume.killed-at", value=round(before / total, 3), unit="of all events"),
        Figure(check="load-resume.rate", value=round(unbroken.versions / seconds), unit="resources/s"),
    ]


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
        try:
            kept = _events(home)
        except OutcomeError:
            continue
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
    holding = _Holding()
    with database.connection() as connection:
        holding.events = counts(connection, STATION)
        reader = Reader(connection, STATION)
        cursor: str | None = ""
        while cursor is not None:
            page = reader.history(count=_PAGE, cursor=cursor)
            for stored in page.versions:
                holding.types[stored.rtype] += 1
                holding.versions += 1
                body = b"" if stored.is_deleted else kept_of_bytes(stored.body)
                name = f"{stored.rtype}/{stored.id}/{stored.version}\n".encode()
                holding.digest += int.from_bytes(hashlib.sha256(name + body).digest())
            cursor = page.next
    database.close()
    server.stop()
    return holding
