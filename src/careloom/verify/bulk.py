"""verify.bulk: what is exported and imported into an empty store is equal, resource by resource and byte by byte.

Room: verify. Source: Synthea transaction bundles. Both stores are homes of their own.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from careloom.connect.archive import members
from careloom.fhir.outcome import Issue, OutcomeError
from careloom.flow import Flow, bulk_export
from careloom.settings import Settings
from careloom.store import jobs
from careloom.store.actor import STATION, Actor
from careloom.store.body import kept_of_bytes
from careloom.store.database import Database
from careloom.store.read import Reader
from careloom.store.server import ensure
from careloom.store.snapshot import Scope
from careloom.verify.figure import Figure
from careloom.verify.scratch import scratch_home

SUITE = Path("patients") / "synthea-r4.tar.zst"
BUNDLES = 25
CLIENT = Actor("verify", frozenset({"source"}))
_PAGE = 5_000

Holding = dict[str, bytes]
"""`Type/id` -> its body without version and time."""


def check(settings: Settings, *, bundles: int = BUNDLES) -> list[Figure]:
    """Load bundles, export all, import all into an empty store, and compare."""
    suite = settings.conformance / SUITE
    if not suite.exists():
        return [Figure(check="bulk", note=f"The suite {SUITE} is absent: set CARELOOM_CONFORMANCE.")]
    with scratch_home("bulk-from") as source, scratch_home("bulk-to") as target:
        flow = _opened(source)
        for body in islice(_bodies(suite), bundles):
            flow.transact(body, CLIENT)
        before = holding(flow.database)
        exported, export_s = _exported(flow)
        flow.database.close()
        other = _opened(target)
        import_s = _imported(other, exported)
        after = holding(other.database)
        other.database.close()
    return compared(before, after, export_s, import_s)


def compared(before: Holding, after: Holding, export_s: float, import_s: float) -> list[Figure]:
    """The figures of two stores that should be equal."""
    equal = sum(1 for name, body in before.items() if after.get(name) == body)
    number = len(before)
    return [
        Figure(
            check="bulk.resources", passed=equal, failed=number - equal + len(after.keys() - before.keys())
        ),
        Figure(check="bulk.export", value=round(number / export_s), unit="resources/s"),
        Figure(check="bulk.import", value=round(number / import_s), unit="resources/s"),
    ]


def holding(database: Database) -> Holding:
    """The current resources of a store."""
    found: Holding = {}
    with database.connection() as connection:
        reader = Reader(connection, STATION)
        page = reader.history(count=_PAGE)
        while True:
            for one in page.versions:
                found.setdefault(f"{one.rtype}/{one.id}", kept_of_bytes(one.body) if one.body else b"")
            if page.next is None:
                return {name: body for name, body in found.items() if body}
            page = reader.history(count=_PAGE, cursor=page.next)


def _opened(home: Path) -> Flow:
    settings = Settings(home=home)
    database = Database(ensure(settings).url)
    database.migrate()
    return Flow(database, settings)


def _bodies(suite: Path) -> Iterator[bytes]:
    for name, stream in members(suite, lambda _: None):
        if name.endswith(".json"):
            yield stream.read()


def _exported(flow: Flow) -> tuple[bytes, float]:
    started = time.perf_counter()
    job_id = flow.export(CLIENT, "verify", Scope())
    _carried_on(flow, job_id)
    folder = bulk_export.folder_of(flow.settings, job_id)
    files = [path.read_bytes() for path in sorted(folder.glob("*.ndjson"))]
    return b"".join(files), time.perf_counter() - started


def _imported(flow: Flow, body: bytes) -> float:
    started = time.perf_counter()
    _carried_on(flow, flow.import_ndjson(CLIENT, "verify", flow.blobs.put(body)))
    return time.perf_counter() - started


def _carried_on(flow: Flow, job_id: str) -> None:
    deadline = datetime.now(UTC).timestamp() + 600
    while datetime.now(UTC).timestamp() < deadline:
        flow.run_job()
        with flow.database.connection() as connection:
            job = jobs.job(connection, job_id)
        if job is not None and not job.is_open:
            if job.status != "done" or job.issues:
                raise OutcomeError(*(job.issues or (Issue("exception", f"The {job.kind} {job.status}."),)))
            return
    raise OutcomeError(Issue("timeout", "The job did not end."))
