"""verify.new_parameter: search parameters that come to a full store; everything is killed half way; then every row is found.

Room: verify. Reads the Synthea bundles of the public suites, over and over under new ids. A scratch home of its own, real
processes: a loader writes while the parameters come, so that there are writers who began without knowing them.
What must be found is worked out here from the JSON, by code that shares nothing with the index but the hash.
"""

from __future__ import annotations

import subprocess
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from careloom.fhir.indexvalue import normalised
from careloom.fhir.outcome import Issue, OutcomeError
from careloom.fhir.resource import Resource, dumps
from careloom.flow import Flow
from careloom.settings import Settings
from careloom.store import feed
from careloom.store.actor import STATION
from careloom.store.catalogue import Progress, progress
from careloom.store.database import Connection, Database
from careloom.store.hashes import code_entry, hash64, salt
from careloom.store.read import Reader
from careloom.store.row import STRING_LIMIT
from careloom.store.server import database_served
from careloom.verify.figure import Figure
from careloom.verify.progress import Told
from careloom.verify.progress import progress as bar
from careloom.verify.replicas import replicated
from careloom.verify.scratch import kill_all, run, scratch_home
from careloom.verify.search_oracle import SYNTHEA
from careloom.verify.shape_value import escaped

NAME = "new-parameter"
LATE = 20
"""Of so many bundles one is loaded while the parameters come."""
SAMPLED = 64
"""Of so many values one is searched for."""
_PATIENCE_S = 7_200.0


class Own(NamedTuple):
    """A search parameter that R4 does not have, and what it must find, in plain Python."""

    code: str
    type: str
    types: tuple[str, ...]
    expression: str
    values: Callable[[Resource], Sequence[Any]]


def _visit(resource: Resource) -> list[str]:
    found = resource.get("encounter", {}).get("reference")
    return [found] if found else []


def _said(resource: Resource) -> list[str]:
    found = resource.get("code", {}).get("text")
    return [found] if found else []


def _measure(resource: Resource) -> list[str]:
    found = resource.get("valueQuantity", {}).get("unit")
    return [found] if found else []


def _lines(resource: Resource) -> list[int]:
    return [len(resource.get("item", ()))]


_EVENTS = ("Observation", "Condition", "Procedure", "DiagnosticReport")
OWN = (
    Own("visit", "reference", _EVENTS, " | ".join(f"{one}.encounter" for one in _EVENTS), _visit),
    Own("said", "string", _EVENTS[:3], " | ".join(f"{one}.code.text" for one in _EVENTS[:3]), _said),
    Own("measure", "token", ("Observation",), "Observation.value.ofType(Quantity).unit", _measure),
    Own("lines", "number", ("Claim",), "Claim.item.count()", _lines),
)
"""One for each place that an index holds values in, the last by an expression that must be evaluated."""


def check(settings: Settings) -> list[Figure]:
    """Figures: rows, rows that are not indexed as they must be, wrong searches, answers before it was done, false progress."""
    archive = settings.conformance / SYNTHEA
    if not archive.exists():
        return [Figure(check=NAME, note=f"The suite {SYNTHEA} is absent: set CARELOOM_CONFORMANCE.")]
    with scratch_home(NAME) as home, bar(NAME, settings.verify_rows) as told:
        told("bundles are written", 0)
        replicated(archive, home / "bundles", settings.verify_rows)
        late = home / "late"
        late.mkdir()
        for path in sorted((home / "bundles").iterdir())[::LATE]:
            path.rename(late / path.name)
        told("bundles are loaded", 0)
        if run(home, "load", str(home / "bundles")).wait() != 0:
            raise OutcomeError(Issue("exception", "`careloom load` did not end well."))
        return figures(home, late, told)


def figures(home: Path, late: Path, told: Told) -> list[Figure]:
    """The figures of a home that is filled, while what lies in `late` is loaded."""
    lied: list[str] = []
    with database_served(Settings(home=home)) as database:
        loader = run(home, "load", str(late), "--workers", "1")
        time.sleep(2.0)
        started = time.monotonic()
        _define(Flow(database, Settings(home=home)))
        _kill_half_way(home, database, (loader, lied), told)
    before_kill_s = time.monotonic() - started
    started = time.monotonic()
    told("all was killed; rows are indexed on", 0)
    loader = run(home, "load", str(late), "--workers", "1")
    if run(home, "reindex", "--parameters").wait(_PATIENCE_S) != 0 or loader.wait(_PATIENCE_S) != 0:
        raise OutcomeError(Issue("exception", "Indexing or loading did not end well after the kill."))
    seconds = before_kill_s + time.monotonic() - started
    with database_served(Settings(home=home)) as database:
        rows, lost, wrong = _compared(database, told)
        with database.connection() as connection:
            ended = connection.execute(
                "select done, total from job where kind = 'search-parameter' and done > 0"
            ).fetchall()
    return [
        Figure(check=f"{NAME}.rows", value=rows, unit="rows"),
        Figure(check=f"{NAME}.lost", value=lost, unit="rows"),
        Figure(check=f"{NAME}.searches", passed=wrong[0], failed=wrong[1]),
        Figure(check=f"{NAME}.lied", value=len(lied), unit="answers"),
        Figure(
            check=f"{NAME}.untrue", value=sum(abs(done - (total or 0)) for done, total in ended), unit="rows"
        ),
        # While a loader wrote.
        Figure(check=f"{NAME}.rate", value=round(rows / seconds), unit="rows/s"),
    ]


def _define(flow: Flow) -> None:
    entries = [
        {
            "resource": {
                "resourceType": "SearchParameter",
                "id": one.code,
                "url": f"http://example.org/SearchParameter/{one.code}",
                "name": one.code,
                "description": one.code,
                "status": "active",
                "code": one.code,
                "base": list(one.types),
                "type": one.type,
                "expression": one.expression,
            },
            "request": {"method": "PUT", "url": f"SearchParameter/{one.code}"},
        }
        for one in OWN
    ]
    flow.transact(dumps({"resourceType": "Bundle", "type": "transaction", "entry": entries}), STATION)


def _kill_half_way(
    home: Path, database: Database, meanwhile: tuple[subprocess.Popen[bytes], list[str]], told: Told
) -> None:
    """Begin, and kill -9 everything, the loader and the database too, when a third is done."""
    loader, lied = meanwhile
    process = run(home, "reindex", "--parameters")
    deadline = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline and process.poll() is None:
        with database.connection() as connection:
            lied += _answered(connection)
            done = progress(connection)
        told("rows are indexed", max((one.done for one in done), default=0))
        if _is_past_a_third(done):
            database.close()
            kill_all(home, loader)
            kill_all(home, process)
            return
        time.sleep(0.2)
    raise OutcomeError(Issue("exception", "Indexing could not be killed half way: ask for more rows."))


def _is_past_a_third(told: Sequence[Progress]) -> bool:
    return any(one.total and one.done * 3 > one.total for one in told)


def _answered(connection: Connection) -> Iterator[str]:
    """Parameters by which a search was answered although the job had not done all; none is right."""
    reader = Reader(connection, STATION)
    for own in OWN:
        try:
            reader.search(reader.asked(own.types[0], [(own.code, "1")], strict=True))
        except OutcomeError as error:
            if error.issues[0].code == "incomplete":
                continue
        if any(
            one.entry.definition.code == own.code and one.entry.status != "ready"
            for one in progress(connection)
        ):
            yield own.code


def _compared(database: Database, told: Told) -> tuple[int, int, tuple[int, int]]:
    """Rows, rows that are not indexed as they must be, and searches that were right and wrong."""
    rows = lost = 0
    sought = Sought()
    after = feed.START
    with database.connection() as connection:
        numbers = {
            one.entry.definition.code: one.entry.id
            for one in progress(connection)
            if one.entry.status == "ready"
        }
        if set(numbers) != {own.code for own in OWN}:
            raise OutcomeError(Issue("exception", "Not every parameter is ready, though all jobs are done."))
        while True:
            batch = feed.batch(connection, after, 1_000)
            stand = {change.cursor.rid: change.resource for change in batch.changes if not change.is_deleted}
            rows += len(stand)
            told("rows are compared", rows)
            lost += _lost(connection, numbers, stand)
            for resource in stand.values():
                sought.note(resource)
            if not batch.changes:
                break
            after = batch.cursor
        told("searches are tried", rows)
        right = list(sought.tried(Reader(connection, STATION)))
    return rows, lost, (sum(right), len(right) - sum(right))


def _lost(connection: Connection, numbers: dict[str, int], stand: dict[int, Resource]) -> int:
    """How many of these rows are not indexed by exactly what they must be indexed by."""
    rids = list(stand)
    hashed = {
        rid: set(ix) for rid, ix in connection.execute("select rid, ix from res where rid = any(%s)", [rids])
    }
    beside: dict[int, set[tuple[int, Any]]] = defaultdict(set)
    for table, column in (("s_str", "v"), ("s_qty", "lo")):
        sql = f"select rid, sp, {column} from {table} where rid = any(%s) and sp = any(%s)"
        for rid, number, value in connection.execute(sql.encode(), [rids, list(numbers.values())]):
            beside[rid].add((number, value))
    wrong = 0
    for rid, resource in stand.items():
        if rid not in hashed:
            # Replaced since the feed told of it: its successor is told of later.
            continue
        entries: set[int] = set()
        values: set[tuple[int, Any]] = set()
        for own in OWN:
            for value in own.values(resource) if resource["resourceType"] in own.types else ():
                number = numbers[own.code]
                if own.type == "reference":
                    entries.add(hash64(value) ^ salt(number))
                elif own.type == "token":
                    entries.add(code_entry(number, value))
                elif own.type == "string":
                    values.add((number, normalised(value)[:STRING_LIMIT]))
                else:
                    values.add((number, float(value)))
        wrong += not entries <= hashed[rid] or values != beside[rid]
    return wrong


class Sought:
    """What searches must find: for some values all ids, for the others how many there are."""

    def __init__(self) -> None:
        self.ids: dict[tuple[str, str, Any], set[str]] = defaultdict(set)
        self.counts: Counter[tuple[str, str, Any]] = Counter()

    def note(self, resource: Resource) -> None:
        """Remember one resource."""
        rtype = resource["resourceType"]
        for own in OWN:
            for value in own.values(resource) if rtype in own.types else ():
                if own.type != "reference":
                    self.counts[own.code, rtype, value] += 1
                elif hash64(value) % SAMPLED == 0:
                    self.ids[own.code, rtype, value].add(resource["id"])

    def tried(self, reader: Reader) -> Iterator[bool]:
        """Search for each; whether the answer is right."""
        for (code, rtype, value), ids in self.ids.items():
            page = reader.search(reader.asked(rtype, [(code, value), ("_count", "1000")], strict=True))
            yield {one.id for one in page.matches} == ids and page.next is None
        for (code, rtype, value), count in self.counts.items():
            exactly = code if code != "said" else f"{code}:exact"
            if code == "said" and hash64(value) % 8:
                continue
            asked = [(exactly, escaped(str(value))), ("_summary", "count"), ("_total", "accurate")]
            yield reader.search(reader.asked(rtype, asked, strict=True)).total == count
