"""verify.lake_incremental: one changed resource is one changed row, and a kill -9 at any moment costs nothing.

Room: verify. Touches: a scratch home, processes of its own that are killed.

A writer tells its phases. Places are drawn among all phases of a clean build, each kind of phase at least once; the process
that is to die kills itself with signal 9 at the next place. The one after it goes on from there, with what the dead left
behind, to the place after: so one build is killed some twenty times on its way, and looked at as readers do after each.
Compaction has no phases: it is killed from outside after some milliseconds.
"""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from careloom.fhir.outcome import Issue, OutcomeError
from careloom.fhir.resource import dumps
from careloom.lake.build import writing
from careloom.lake.kept.keeper import wish
from careloom.lake.lake import Lake
from careloom.lake.ready import ready_view
from careloom.lake.table import Table, tables_of
from careloom.lake.view.statement import compile_view
from careloom.settings import Settings
from careloom.store.feed import Cursor
from careloom.verify.figure import Figure
from careloom.verify.lake_store import CLINIC, Shore, hl7, shore, synthea
from careloom.verify.lake_victim import ROWS
from careloom.verify.progress import Told, progress

NAME = "lake-incremental"
SEED = 9
CHANGED = 20
KEPT = ("condition", "observation", "patient")
"""Views whose rows are kept meanwhile."""
PASSES = 3
"""So many builds, each from nothing, share the kills."""

Place = tuple[Cursor, str]
"""Where a batch begins, and a phase of it."""


def check(
    settings: Settings, *, bundles: int = 40, messages: int = 200, kills: int = 60, torn: int = 12
) -> list[Figure]:
    """Figures: rows for changes, tables that differ after kills of the writer, and after kills of compaction."""
    chance = random.Random(SEED)  # noqa: S311 - reproducible, not secret
    with progress(NAME, None) as told, shore(NAME) as store:
        told("filling a store", 0)
        store.accept(synthea(settings, bundles), hl7(messages))
        store.change(300, chance)
        wish(store.root, KEPT)
        phases = _phases(store)
        clean = store.rows()
        told("killing writers", 0)
        died, untrue = _killed(store, phases, kills, chance, told)
        broken = store.rows(_broken(store))
        torn_apart = _torn(store, torn, chance)
        compacted = store.rows(_broken(store))
        agree = sum(_agrees(root, name) for root in (store.root, _broken(store)) for name in KEPT)
        rows, others = _one_by_one(store, chance)
        view_rows, ran = _kept_one_by_one(store)
        agree += sum(_agrees(store.root, name) for name in KEPT)
    views = 3 * len(KEPT)
    same = sum(clean[rtype] == broken.get(rtype) for rtype in clean)
    still = sum(clean[rtype] == compacted.get(rtype) for rtype in clean)
    return [
        Figure(check=f"{NAME}.one-row-a-change", passed=min(rows, CHANGED), failed=abs(rows - CHANGED)),
        Figure(check=f"{NAME}.other-files-touched", value=others, unit="files"),
        Figure(check=f"{NAME}.kills", passed=died, failed=kills - died),
        Figure(check=f"{NAME}.half-batches-seen", value=untrue, unit="times"),
        Figure(check=f"{NAME}.tables-after-kills", passed=same, failed=len(clean) - same),
        Figure(check=f"{NAME}.compactions-killed", value=torn_apart, unit="kills"),
        Figure(check=f"{NAME}.tables-after-compaction", passed=still, failed=len(clean) - still),
        Figure(
            check=f"{NAME}.view-rows-a-change",
            passed=min(view_rows, CHANGED),
            failed=abs(view_rows - CHANGED),
        ),
        Figure(check=f"{NAME}.view-resources-run", passed=min(ran, CHANGED), failed=abs(ran - CHANGED)),
        Figure(check=f"{NAME}.kept-views", passed=agree, failed=views - agree),
    ]


def _broken(store: Shore) -> Path:
    return store.root.with_name("broken")


def _phases(store: Shore) -> list[Place]:
    """Build the clean lake; all phases that it went through, each with the place where its batch began."""
    heard: list[Place] = []
    with writing(
        store.database, store.root, lambda said, _done: heard.append((writer.published.cursor, said))
    ) as writer:
        while writer.step(ROWS):
            pass
    # The last step finds nothing: it has no batch to die in.
    return [place for place in heard if place[0] < writer.published.cursor]


def _drawn(phases: Sequence[Place], kills: int, chance: random.Random) -> list[list[int]]:
    """Places of `phases` to die in, in their order: some for each pass, and each kind of phase at least once."""
    of_kind: dict[str, list[int]] = defaultdict(list)
    for number, (_, phase) in enumerate(phases):
        of_kind[phase].append(number)
    kinds = chance.sample(sorted(of_kind), min(len(of_kind), kills))
    drawn = [chance.choice(of_kind[kind]) for kind in kinds]
    drawn += chance.choices(range(len(phases)), k=kills - len(drawn))
    chance.shuffle(drawn)
    return [sorted(drawn[number::PASSES]) for number in range(PASSES)]


def _killed(
    store: Shore, phases: Sequence[Place], kills: int, chance: random.Random, told: Told
) -> tuple[int, int]:
    """Kill writers in each kind of phase; how many died by it, and how often readers saw half of a batch."""
    root = _broken(store)
    feed = [(place, (one.rtype, one.id, one.version)) for place, one in store.feed()]
    died = untrue = 0
    for drawn in _drawn(phases, kills, chance):
        _forget_lake(root)
        for number in drawn:
            told(f"killing writers ({died} of {kills})", died)
            died += _dies(store, root, phases[number])
            untrue += not _is_whole(feed, root)
    with writing(store.database, root) as writer:
        while writer.step(ROWS):
            pass
    return died, untrue


def _dies(store: Shore, root: Path, place: Place) -> bool:
    """Whether a writer was killed there. A lake that is past it goes through it no more: it is begun anew."""
    began, phase = place
    for _ in range(2):
        call = f"feeds({store.database.url!r}, {str(root)!r}, {tuple(began)!r}, {phase!r})"
        with _run(call) as process:
            if process.wait(600) == -signal.SIGKILL:
                return True
        _forget_lake(root)
    return False


def _forget_lake(root: Path) -> None:
    for path in sorted(root.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    wish(root, KEPT)


def _is_whole(feed: Sequence[tuple[Cursor, tuple[str, str, int]]], root: Path) -> bool:
    """Whether what readers see is the feed up to one place: nothing of what is behind it, all of what is before."""
    try:
        lake = Lake(root)
        cursor = lake.published.cursor
    except OutcomeError:
        return True  # Nothing was published yet.
    with lake.connection(versions=True) as duck:
        seen = {
            (rtype, *row)
            for rtype in lake.types
            for row in duck.execute(f'select id, version_id from "{rtype}_versions"').fetchall()
        }
    return seen == {version for place, version in feed if place <= cursor}


def _torn(store: Shore, count: int, chance: random.Random) -> int:
    """Kill compactions after some milliseconds; let the last one end. How many were killed."""
    killed = 0
    call = f"compacts({store.database.url!r}, {str(_broken(store))!r})"
    for _ in range(count):
        with _run(call) as process:
            if process.stdout is not None:
                process.stdout.readline()
            time.sleep(chance.random() * 0.5)
            process.kill()
            killed += process.wait(60) == -signal.SIGKILL
    with _run(call) as process:
        process.communicate()
        if process.returncode:
            raise OutcomeError(Issue("exception", "The last compaction did not end well."))
    return killed


def _one_by_one(store: Shore, chance: random.Random) -> tuple[int, int]:
    """Change resources one by one: how many rows came of it, and how many files went that had been there."""
    rows = gone = 0
    for _ in range(CHANGED):
        before = _files(store.root)
        while not store.build():
            store.change(1, chance)
        after = _files(store.root)
        rows += sum(count for name, count in after.items() if name not in before)
        gone += len(before.keys() - after.keys())
    return rows, gone


def _files(root: Path) -> dict[str, int]:
    return {
        f"{rtype}/{part.name}": part.rows for rtype in tables_of(root) for part in Table(root, rtype).parts()
    }


def _run(call: str) -> subprocess.Popen[bytes]:
    program = f"import careloom.verify.lake_victim as victim; victim.{call}"
    return subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )


def _agrees(root: Path, name: str) -> bool:
    """Whether the rows that are kept of a view are those of a fresh run."""
    lake = Lake(root)
    statement = compile_view(ready_view(name))
    with lake.connection(types=[statement.resource], may_lack=True) as duck:
        kept = duck.execute(f"select * from ({lake.kept_rows(name).current()}) order by all").fetchall()
        return kept == duck.execute(f"select * from ({statement.sql()}) order by all").fetchall()


def _kept_one_by_one(store: Shore) -> tuple[int, int]:
    """Change patients one by one: how many rows of the view came of it, and on how many resources it was run."""
    rows = ran = 0
    for number in range(CHANGED):
        before = {file.name for file in Lake(store.root).kept_rows("patient").files()}
        body = {
            "resourceType": "Patient",
            "id": f"kept-{number % 2}",
            "gender": "female",
            "birthDate": f"19{number + 10}",
        }
        store.flow.update("Patient", str(body["id"]), dumps(body), CLINIC)
        with writing(store.database, store.root) as writer:
            while writer.step():
                pass
            ran += writer.kept.ran
        after = Lake(store.root).kept_rows("patient").files()
        rows += sum(file.rows for file in after if file.name not in before)
    return rows, ran
