"""bench_store: what the store costs: Synthea bundles through parse, validate, index and commit, and then searches.

    PYTHONPATH=src python bench/bench_store.py [--bundles 493] [--folder DIR] [--home DIR]

Prints, for one process: resources a second, CPU a resource of Python and of PostgreSQL, bytes a resource on disk, and
the median time and CPU of each kind of search. Without --folder the archive under the setting `conformance` is used.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import statistics
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import psutil

from careloom.fhir import bundle
from careloom.fhir.query import parse
from careloom.fhir.resource import loads
from careloom.settings import settings_from
from careloom.store import feed
from careloom.store.actor import STATION
from careloom.store.commit import Origin, Write, commit
from careloom.store.database import Connection, Database
from careloom.store.read import Reader
from careloom.store.server import ensure
from careloom.verify.archive import files

TABLES = ("res", "hist", "s_str", "s_qty", "s_dat", "s_second")
ROUNDS = 200


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--bundles", type=int, default=493)
    options.add_argument("--folder", type=Path)
    options.add_argument("--home", type=Path)
    options.add_argument("--warm", type=int, default=5, help="bundles before the clock starts")
    given = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="careloom-bench-") as fresh:
        Path(fresh).chmod(0o755)
        server = ensure(settings_from({}, home=given.home or Path(fresh)))
        database = Database(server.url)
        try:
            database.migrate()
            with database.connection() as connection:
                load(connection, list(bodies(given)), given.warm)
            with database.autocommit() as connection:
                connection.execute("vacuum analyze")
                sizes(connection)
                searches(connection)
        finally:
            database.close()
            server.stop()


def bodies(given: argparse.Namespace) -> Iterator[bytes]:
    if given.folder:
        for path in sorted(given.folder.glob("*.json"))[: given.bundles]:
            yield path.read_bytes()
        return
    archive = settings_from().conformance / "patients/synthea-r4.tar.zst"
    yield from (raw for _, raw in sorted(files(archive))[: given.bundles])


def load(connection: Connection, raws: list[bytes], warm: int) -> None:
    backend = psutil.Process(connection.info.backend_pid)
    others = [p for p in psutil.process_iter() if p.name().startswith("postgres") and p.pid != backend.pid]
    before, spent = cpu(backend), cpu(*others)
    started, python, count = time.perf_counter(), time.process_time(), 0
    for number, raw in enumerate(raws):
        if number == warm:
            started, python, count = time.perf_counter(), time.process_time(), 0
            before, spent = cpu(backend), cpu(*others)
        count += transact(connection, raw, number)
    wall, python = time.perf_counter() - started, time.process_time() - python
    database, beside = cpu(backend) - before, cpu(*others) - spent
    print(
        f"load: {count} resources in {wall:.1f} s: {count / wall:.0f}/s, one process, loadavg {psutil.getloadavg()[0]:.1f}"
    )
    print(
        f"CPU a resource: python {python / count * 1e6:.0f} us, its backend {database / count * 1e6:.0f} us,"
        f" rest of PostgreSQL {beside / count * 1e6:.0f} us,"
        f" all {(python + database + beside) / count * 1e6:.0f} us"
    )


def transact(connection: Connection, raw: bytes, number: int) -> int:
    entries = bundle.read(raw).entries
    places = bundle.places(entries, lambda: str(uuid.uuid4()), {})
    targets = bundle.references(entries, places)
    writes: list[Write] = []
    for entry in entries:
        assert entry.body is not None
        body = bundle.rewrite(entry.body, targets, entry.base)
        resource = loads(body)
        resource["id"] = places[entry.index].partition("/")[2]
        writes.append(Write(resource, body, "create"))
    commit(connection, writes, Origin(datetime.now(UTC), "bench", "fhir/1", event_id=number))
    connection.commit()
    return len(writes)


def sizes(connection: Connection) -> None:
    total = connection.execute("select count(*) from res").fetchone()[0]
    for table in TABLES:
        rows, heap, index = connection.execute(
            f"select (select count(*) from {table}), pg_table_size('{table}'), pg_indexes_size('{table}')"
        ).fetchone()
        print(
            f"  {table:9} {rows / total:6.2f} rows, heap {heap / total:6.1f} B, indexes {index / total:6.1f} B"
        )
    indexes = connection.execute(
        "select indexrelid::regclass::text, pg_relation_size(indexrelid) from pg_index"
        " where indrelid in ('res'::regclass, 's_str'::regclass, 's_qty'::regclass, 's_dat'::regclass)"
        " order by 2 desc"
    ).fetchall()
    print("  " + ", ".join(f"{name} {size / total:.0f}" for name, size in indexes))
    whole = sum(
        connection.execute("select pg_total_relation_size(%s::regclass)", [table]).fetchone()[0]
        for table in [*TABLES, "dictionary", "maker"]
    )
    row = connection.execute("select avg(length(body)), avg(cardinality(ix)) from res").fetchone()
    print(f"disk: {whole / total:.0f} bytes a resource, all in; body {row[0]:.0f} B, ix {row[1]:.1f} entries")


def searches(connection: Connection) -> None:
    chance = random.Random(7)
    reader = Reader(connection, STATION)
    patients = [
        row[0] for row in connection.execute("select id from res where rtype = 103 limit 400").fetchall()
    ]
    some = connection.execute("select id from res where rtype = 96 order by key limit 400").fetchall()
    observations = [row[0] for row in some]
    codes = [reader.resource("Observation", id_)["code"]["coding"][0]["code"] for id_ in observations]
    families = [reader.resource("Patient", id_)["name"][0]["family"] for id_ in patients]
    loinc = "http://loinc.org"

    def day() -> str:
        return f"{chance.randrange(2005, 2018)}-{chance.randrange(1, 13):02}"

    kinds: dict[str, Callable[[], object]] = {
        "read": lambda: reader.stored("Observation", chance.choice(observations)),
        "compartment": lambda: find(("patient", f"Patient/{chance.choice(patients)}")),
        "patient+code, -date": lambda: find(
            ("patient", chance.choice(patients)),
            ("code", f"{loinc}|{chance.choice(codes)}"),
            ("_sort", "-date"),
        ),
        "token+sort": lambda: find(("code", f"{loinc}|{chance.choice(codes)}"), ("_sort", "-date")),
        "code without system": lambda: find(("code", chance.choice(codes))),
        "status+category+code": lambda: find(
            ("status", "final"), ("category", "vital-signs"), ("code", f"{loinc}|{chance.choice(codes)}")
        ),
        "status alone": lambda: find(("status", "final")),
        "date month": lambda: find(("date", day())),
        "date ge le": lambda: find(("date", f"ge{day()}"), ("date", f"le{day()}")),
        "quantity+code": lambda: find(("code", f"{loinc}|8302-2"), ("value-quantity", "gt170||cm")),
        "quantity alone": lambda: find(
            ("value-quantity", f"{chance.randrange(100, 190)}|http://unitsofmeasure.org|cm")
        ),
        "string": lambda: find(("name", chance.choice(families)), rtype="Patient"),
        "string sort": lambda: find(("_sort", "family"), rtype="Patient"),
        "identifier": lambda: find(("identifier", "nothing"), rtype="Patient"),
        "chain": lambda: find(
            ("patient.name", chance.choice(families)), ("code", f"{loinc}|{chance.choice(codes)}")
        ),
        "include": lambda: find(
            ("patient", chance.choice(patients)), ("_include", "Encounter:participant"), rtype="Encounter"
        ),
        "revinclude": lambda: find(
            ("patient", chance.choice(patients)), ("_revinclude", "Observation:encounter"), rtype="Encounter"
        ),
        "total accurate": lambda: find(("code", f"{loinc}|{chance.choice(codes)}"), ("_total", "accurate")),
        "_lastUpdated": lambda: find(("_lastUpdated", "ge2020"), ("_sort", "-_lastUpdated")),
        "history": lambda: reader.history("Observation", chance.choice(observations)),
        "feed 500": lambda: feed.changes(connection, feed.START),
    }

    def find(*pairs: tuple[str, str], rtype: str = "Observation") -> object:
        return reader.search(parse(rtype, pairs, strict=True))

    backend = psutil.Process(connection.info.backend_pid)
    print(f"{'':24} p50 us  p95 us  python us  postgres us")
    for name, kind in kinds.items():
        for _ in range(10):
            kind()
        times: list[float] = []
        before, python = cpu(backend), time.process_time()
        for _ in range(ROUNDS):
            at = time.perf_counter()
            kind()
            times.append(time.perf_counter() - at)
        python, spent = (time.process_time() - python) / ROUNDS, (cpu(backend) - before) / ROUNDS
        middle, late = statistics.median(times), sorted(times)[int(ROUNDS * 0.95)]
        print(f"{name:24} {middle * 1e6:6.0f}  {late * 1e6:6.0f}  {python * 1e6:9.0f}  {spent * 1e6:11.0f}")


def cpu(*processes: psutil.Process) -> float:
    total = 0.0
    for process in processes:
        with contextlib.suppress(psutil.Error):
            total += sum(process.cpu_times()[:2])
    return total


if __name__ == "__main__":
    main()
