"""bench_million: loading, reads and searches on a store of 100 thousand and on one of a million resources.

    PYTHONPATH=src python bench/bench_million.py --homes /var/tmp/stores [--sizes 100000,1000000] [--rounds 400] [--rt] [--grow]

A store is made once under `--homes` by `careloom load` of Synthea bundles with new ids, the last tenth by itself, and asked
again in later runs; `--grow` loads another tenth into one that stands, of people it does not know. The rate is resources
a second of CPU time, of all processes: the loader and its workers, PostgreSQL's backends, its log and checkpoint writers,
those that ended too. History, validation, provenance and audit are on. One reader asks at a time, each search for another patient or code; the web process alone runs, so
that the stations do not hear a million changes meanwhile. Wall time is what the client saw; beside it stands the CPU time
of the web process and of PostgreSQL. `--rt` gives these and the client real-time priority (needs root), for machines on
which others work. Each search is also explained, and a sequential scan is named.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import random
import resource
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

import psutil
from bench_service import FHIR, await_port

from careloom.settings import Settings, settings_from
from careloom.store.accounts import create_token, revoke_token
from careloom.store.actor import STATION
from careloom.store.database import Database
from careloom.store.postmaster import Place, living_postmaster, workers
from careloom.store.read import Reader
from careloom.store.server import ensure
from careloom.verify.replicas import replicated
from careloom.verify.scratch import database_of, free_port, run

TOKEN = "bench"


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--homes", type=Path, required=True)
    options.add_argument("--sizes", default="100000,1000000")
    options.add_argument("--rounds", type=int, default=400)
    options.add_argument("--rt", action="store_true")
    options.add_argument("--grow", action="store_true")
    given = options.parse_args()
    archive = settings_from().conformance / "patients/synthea-r4.tar.zst"
    if not archive.is_file():
        print("The Synthea bundles are not here: skipped (see docs/reference/suites.md).")
        return
    costs: dict[str, list[float]] = {}
    for size in map(int, given.sizes.split(",")):
        home = (given.homes / f"s{size}").resolve()
        if not (home / "database").exists():
            loaded(archive, home, size)
        elif given.grow:
            grown(archive, home, size)
        for name, cost in asked(home, given.rounds, is_hurried=given.rt).items():
            costs.setdefault(name, []).append(cost)
    for name, some in costs.items():
        if len(some) > 1:
            print(f"{name}: cost at the largest size is {some[-1] / some[0]:.2f} times that at the smallest")


def loaded(archive: Path, home: Path, size: int) -> None:
    """Make a store: nine tenths of it, then the last tenth, which shows what loading costs at this size."""
    home.mkdir(parents=True, mode=0o755)
    folder = home.parent / f"b{size}"
    if not folder.is_dir():
        replicated(archive, folder, size)
    paths = sorted(folder.iterdir())
    cut = len(paths) * 9 // 10
    fed(home, paths[:cut], "the first nine tenths")
    fed(home, paths[cut:], "the last tenth")


def grown(archive: Path, home: Path, size: int) -> None:
    """Another tenth, of copies that nobody has loaded: each run takes later ones."""
    told = home / "copies"
    first = int(told.read_text()) if told.is_file() else 500
    folder = home / "more"
    shutil.rmtree(folder, ignore_errors=True)
    replicated(archive, folder, size // 10, first=first)
    names = [path.name for path in folder.iterdir()]
    told.write_text(str(1 + max(int(name[:3]) for name in names)))
    fed(home, sorted(folder.iterdir()), "another tenth")
    shutil.rmtree(folder)


def fed(home: Path, paths: Sequence[Path], what: str) -> None:
    """`careloom load` of these bundles; prints what it cost."""
    names = home / "chosen"
    shutil.rmtree(names, ignore_errors=True)
    names.mkdir()
    for path in paths:
        (names / path.name).hardlink_to(path)
    server = ensure(Settings(home=home))
    database = database_of(home)
    try:
        database.migrate()
        before, spent = count_of(database), Loading(home)
        started = time.perf_counter()
        status = run(home, "load", str(names)).wait()
        wall = time.perf_counter() - started
        loader, postgres = spent.since()
        number = count_of(database) - before
    finally:
        database.close()
        server.stop()
        shutil.rmtree(names)
    if status or not number:
        sys.exit((home / "check.log").read_text()[-2000:])
    cpu = loader + postgres
    print(
        f"load, {what}, from {before:,}: {number:,} resources in {wall:.1f} s; {number / cpu:,.0f} a second of CPU;"
        f" CPU us a resource: loader {loader / number * 1e6:.0f}, postgres {postgres / number * 1e6:.0f};"
        f" load {psutil.getloadavg()[0]:.1f}",
        flush=True,
    )


def count_of(database: Database) -> int:
    with database.connection() as connection:
        row = connection.execute("select count(*) from res").fetchone()
    return row[0] if row else 0


class Loading:
    """CPU seconds of a loader that this process waits for, and of a whole PostgreSQL, its dead processes included."""

    def __init__(self, home: Path) -> None:
        self._place = Place(home / "database")
        self._before = self._now()

    def since(self) -> tuple[float, float]:
        loader, postgres = self._now()
        return loader - self._before[0], postgres - self._before[1]

    def _now(self) -> tuple[float, float]:
        # What was waited for is counted with whoever waited for it.
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        postmaster = living_postmaster(self._place)
        postgres = sum(postmaster.cpu_times()[:4]) if postmaster is not None else 0.0
        for one in workers(self._place):
            with suppress(psutil.Error):
                postgres += sum(one.cpu_times()[:2])
        return children.ru_utime + children.ru_stime, postgres


@contextmanager
def serving(home: Path, *, is_hurried: bool) -> Iterator[tuple[int, str]]:
    """PostgreSQL and one web process on this home; its port and a token."""
    server = ensure(Settings(home=home))
    database = database_of(home)
    database.migrate()
    with database.connection() as connection:
        with suppress(Exception), connection.transaction():
            revoke_token(connection, TOKEN)
        token = create_token(connection, TOKEN, ["source", "admin"])
    with database.autocommit() as connection:
        connection.execute("vacuum analyze")
    port = free_port()
    environment = {
        **os.environ,
        "CARELOOM_HOME": str(home),
        "CARELOOM_PORT": str(port),
        "CARELOOM_LOG_LEVEL": "warning",
    }
    web = subprocess.Popen(
        [sys.executable, "-m", "careloom", "worker", "web"], stdin=subprocess.PIPE, env=environment
    )
    try:
        await_port(port)
        if is_hurried:
            for pid in (os.getpid(), web.pid, *(child.pid for child in postgres_of(home))):
                for thread in psutil.Process(pid).threads():
                    os.sched_setscheduler(thread.id, os.SCHED_RR, os.sched_param(10))
        yield port, token
        memory = psutil.Process(web.pid).memory_full_info()
        print(
            f"web process: RSS {memory.rss / 1e6:.0f} MB, PSS {memory.pss / 1e6:.0f} MB, USS {memory.uss / 1e6:.0f} MB"
        )
    finally:
        web.terminate()
        web.wait()
        database.close()
        server.stop()


def postgres_of(home: Path) -> list[psutil.Process]:
    found: list[psutil.Process] = []
    for process in psutil.process_iter(["name"]):
        with suppress(psutil.Error):
            if process.name().startswith("postgres") and str(home) in " ".join(process.cmdline()):
                found += [process, *process.children()]
    return found


class Facts:
    """What can be asked for: ids, patients, codes and names, drawn from all over the store."""

    def __init__(self, home: Path) -> None:
        with database_of(home).connection() as connection:
            connection.execute("select setseed(0.5)")

            def some(rtype: str, number: int = 4_000) -> list[str]:
                from careloom.store.resource_type import number_of

                sql = "select id from res where rtype = %s and rid > %s order by rid limit %s"
                [(low, high)] = connection.execute("select min(rid), max(rid) from res").fetchall()
                found: list[str] = []
                chance = random.Random(7)
                while len(found) < number:
                    begin = chance.randint(low, high)
                    found += [id_ for (id_,) in connection.execute(sql, [number_of(rtype), begin, 40])]
                return found

            self.total = connection.execute("select count(*) from res").fetchone()
            self.observations, self.patients = some("Observation"), some("Patient", 1_000)
            self.encounters = some("Encounter", 1_000)
            reader = Reader(connection, STATION)
            self.identifiers = [
                quote(f"{one['identifier'][0]['system']}|{one['identifier'][0]['value']}", safe="")
                for id_ in self.patients[:300]
                if (one := reader.resource("Patient", id_)) is not None
            ]


def asked(home: Path, rounds: int, *, is_hurried: bool) -> dict[str, float]:
    """Ask each kind of question; kind -> CPU us of web and PostgreSQL together."""
    costs: dict[str, float] = {}
    with serving(home, is_hurried=is_hurried) as (port, token):
        facts, chance = Facts(home), random.Random(11)
        print(f"== {facts.total[0] if facts.total else 0:,} resources; load {psutil.getloadavg()[0]:.1f}")
        link = http.client.HTTPConnection("127.0.0.1", port)
        headers = FHIR | {"Authorization": f"Bearer {token}"}

        def get(path: str) -> bytes:
            link.request("GET", path, headers=headers)
            answer = link.getresponse()
            body = answer.read()
            if answer.status != 200:
                sys.exit(f"{answer.status} {path} {body[:300]!r}")
            return body

        found = [one["resource"] for one in json.loads(get("/fhir/Observation?_count=1000"))["entry"]]
        codes = sorted({one["code"]["coding"][0]["code"] for one in found})
        families = sorted(
            {
                quote(one["resource"]["name"][0]["family"])
                for one in json.loads(get("/fhir/Patient?_count=400"))["entry"]
            }
        )
        for name, path_of in kinds(facts, codes, families, chance).items():
            for _ in range(60):
                get(path_of())
            if is_hurried:
                for process in postgres_of(home):
                    with suppress(ProcessLookupError):
                        os.sched_setscheduler(process.pid, os.SCHED_RR, os.sched_param(10))
            spent = Spent(home)
            times: list[float] = []
            rows = 0
            for _ in range(rounds):
                path = path_of()
                at = time.perf_counter()
                body = get(path)
                times.append((time.perf_counter() - at) * 1e3)
                rows += body.count(b'"fullUrl"')
            web, postgres = spent.since()
            costs[name] = (web + postgres) / rounds * 1e6
            times.sort()
            print(
                f"{name}: p50 {statistics.median(times):.2f} ms, p99 {times[int(rounds * 0.99)]:.2f} ms;"
                f" CPU web {web / rounds * 1e6:.0f} us, postgres {postgres / rounds * 1e6:.0f} us; {rows / rounds:.1f} rows",
                flush=True,
            )
    return costs


def kinds(
    facts: Facts, codes: list[str], families: list[str], chance: random.Random
) -> dict[str, Callable[[], str]]:
    pick = chance.choice
    return {
        "read": lambda: f"/fhir/Observation/{pick(facts.observations)}",
        "compartment": lambda: f"/fhir/Patient/{pick(facts.patients)}/Observation?_count=20",
        "token and sort": lambda: (
            f"/fhir/Observation?code=http://loinc.org|{pick(codes)}&_sort=-date&_count=20"
        ),
        "chained": lambda: (
            f"/fhir/Observation?subject:Patient.identifier={pick(facts.identifiers)}&code=http://loinc.org|{pick(codes)}&_count=20"
        ),
        "_has": lambda: (
            f"/fhir/Patient?identifier={pick(facts.identifiers)}&_has:Observation:patient:code=http://loinc.org|{pick(codes)}"
        ),
        "_has of an id": lambda: (
            f"/fhir/Patient?_id={pick(facts.patients)}&_has:Condition:patient:clinical-status=active"
        ),
        "_include": lambda: (
            f"/fhir/Encounter?patient={pick(facts.patients)}&_include=Encounter:participant&_include=Encounter:patient&_count=20"
        ),
        "_revinclude": lambda: (
            f"/fhir/Encounter?_id={pick(facts.encounters)}&_revinclude=Observation:encounter&_count=20"
        ),
        # What these find grows with the store, and so does their cost.
        "grows: two tokens and sort": lambda: (
            f"/fhir/Observation?category=vital-signs&code=http://loinc.org|{pick(codes)}&_sort=-date&_count=20"
        ),
        "grows: chained by name": lambda: (
            f"/fhir/Observation?subject:Patient.family={pick(families)}&code=http://loinc.org|{pick(codes)}&_count=20"
        ),
        "grows: _has by name": lambda: (
            f"/fhir/Patient?_has:Observation:patient:code=http://loinc.org|{pick(codes)}&family={pick(families)}&_count=20"
        ),
        "grows: _has alone": lambda: (
            f"/fhir/Patient?_has:Observation:patient:code=http://loinc.org|{pick(codes)}&_count=20"
        ),
    }


class Spent:
    """CPU seconds of the web process and of PostgreSQL from here on."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._web = next(one for one in psutil.Process().children(recursive=True) if "web" in one.cmdline())
        self._before = self._now()

    def since(self) -> tuple[float, float]:
        web, postgres = self._now()
        return web - self._before[0], postgres - self._before[1]

    def _now(self) -> tuple[float, float]:
        web = sum(self._web.cpu_times()[:2])
        total = 0.0
        for one in postgres_of(self._home):
            with suppress(psutil.Error):
                total += sum(one.cpu_times()[:2])
        return web, total


if __name__ == "__main__":
    main()
