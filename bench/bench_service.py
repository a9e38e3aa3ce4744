"""bench_service: what a site gets: `careloom load`, FHIR transactions over HTTP, and reads and searches over HTTP.

    PYTHONPATH=src python bench/bench_service.py [--bundles 493] [--posts 200] [--senders 2]

Real processes in a scratch home. Prints resources a second and, because machines are noisy, the CPU time of each
kind of process beside it. History, validation, provenance, audit and the stations are on, as they always are.
"""

from __future__ import annotations

import argparse
import http.client
import itertools
import json
import random
import socket
import statistics
import subprocess
import sys
import tarfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
from bench_store import TABLES

from careloom.settings import settings_from
from careloom.store.accounts import create_token
from careloom.verify.scratch import Careloom, database_of, run, scratch_home

FHIR = {"Content-Type": "application/fhir+json", "Accept": "application/fhir+json"}
ROUNDS = 2_400
READERS = (1, 2, 8)
"""Connections that read at the same time: a server with one reader sleeps and wakes more than it works."""
SERVERS = ("web", "postgres")
"""Who answers a reader; the engine and the lake may have something of their own to do meanwhile."""


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--bundles", type=int, default=493, help="for `careloom load`")
    options.add_argument("--posts", type=int, default=200, help="bundles posted over HTTP")
    options.add_argument("--senders", type=int, default=2, help="connections that post at the same time")
    given = options.parse_args()
    archive = settings_from().conformance / "patients/synthea-r4.tar.zst"
    if not archive.is_file():
        print("The Synthea bundles are not here: skipped (see docs/reference/suites.md).")
        return
    with scratch_home("bench") as home:
        folder = home / "bundles"
        paths = unpacked(archive, folder)
        loaded(home, paths[: given.bundles])
    with scratch_home("bench") as home:
        careloom = Careloom(home)
        try:
            await_port(careloom.port)
            token = token_of(home)
            posted(careloom, token, paths_of(archive, home)[: given.posts], given.senders)
            asked(careloom, token)
        finally:
            careloom.stop()


def unpacked(archive: Path, folder: Path) -> list[Path]:
    folder.mkdir()
    with (
        subprocess.Popen(["zstd", "-dc", str(archive)], stdout=subprocess.PIPE) as plain,
        tarfile.open(fileobj=plain.stdout, mode="r|") as tar,
    ):
        tar.extractall(folder, filter="data")
    return sorted(folder.rglob("*.json"))


def paths_of(archive: Path, home: Path) -> list[Path]:
    return unpacked(archive, home / "bundles")


def await_port(port: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.1)
    sys.exit("The web server did not start.")


def token_of(home: Path) -> str:
    with database_of(home).connection() as connection:
        return create_token(connection, "bench", ["source", "admin", "physician"])


class Meter:
    """CPU seconds of the processes of a home, by kind; a process that ends is remembered."""

    def __init__(self, home: Path) -> None:
        self._home = str(home)
        self._kinds: dict[int, str] = {}
        self._spent: dict[int, float] = {}
        self._leaving = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    @contextmanager
    def running(self) -> Iterator[None]:
        self._look()
        before = dict(self._spent)
        self._thread.start()
        yield
        self._leaving.set()
        self._thread.join()
        self._look()
        for pid, spent in before.items():
            self._spent[pid] -= spent

    def kinds(self) -> Counter[str]:
        total: Counter[str] = Counter()
        for pid, spent in self._spent.items():
            total[self._kinds[pid]] += spent
        return total

    def _watch(self) -> None:
        while not self._leaving.wait(0.1):
            self._look()

    def _look(self) -> None:
        for process in psutil.process_iter(["pid", "name"]):
            with suppress(psutil.Error):
                if process.pid not in self._kinds:
                    kind = self._kind(process)
                    if not kind:
                        continue
                    self._kinds[process.pid] = kind
                self._spent[process.pid] = sum(process.cpu_times()[:2])

    def _kind(self, process: psutil.Process) -> str:
        if process.name().startswith("postgres"):
            parent = process if "-D" in process.cmdline() else process.parent()
            return "postgres" if parent and self._home in " ".join(parent.cmdline()) else ""
        if not process.name().startswith("python") or process.environ().get("CARELOOM_HOME") != self._home:
            return ""
        line = process.cmdline()
        return next((name for name in ("web", "engine", "lake", "load", "up") if name in line), "load worker")


def say(what: str, count: int, wall: float, kinds: Counter[str]) -> None:
    each = ", ".join(f"{name} {spent / count * 1e6:.0f}" for name, spent in kinds.most_common())
    print(
        f"{what}: {count:,} resources in {wall:.1f} s: {count / wall:,.0f}/s;"
        f" CPU us a resource: {sum(kinds.values()) / count * 1e6:.0f} ({each}); load {psutil.getloadavg()[0]:.1f}",
        flush=True,
    )


def loaded(home: Path, paths: list[Path]) -> None:
    names = home / "chosen"
    names.mkdir()
    for path in paths:
        (names / path.name).hardlink_to(path)
    keeper = run(home, "up", "--help")
    keeper.wait()
    meter = Meter(home)
    started = time.perf_counter()
    with meter.running():
        loading = run(home, "load", str(names))
        status = loading.wait()
    wall = time.perf_counter() - started
    if status:
        sys.exit((home / "check.log").read_text()[-2000:])
    careloom = Careloom(home)
    try:
        with database_of(home).autocommit() as connection:
            [(count,)] = connection.execute("select count(*) from res").fetchall()
            say("careloom load, start and stop of the server in it", count, wall, meter.kinds())
            connection.execute("vacuum analyze")
            [(size,)] = connection.execute(
                "select sum(pg_total_relation_size(name::regclass)) from unnest(%s::text[]) name",
                [[*TABLES, "dictionary", "maker"]],
            ).fetchall()
            [(events,)] = connection.execute("select pg_total_relation_size('event')").fetchall()
            [(audit,)] = connection.execute("select pg_total_relation_size('audit')").fetchall()
            print(
                f"disk: {size / count:.0f} bytes a resource, indexes included;"
                f" kept events {events / count:.0f} more, audit {audit / count:.0f} more"
            )
    finally:
        careloom.stop()


def posted(careloom: Careloom, token: str, paths: list[Path], senders: int) -> None:
    bodies = [path.read_bytes() for path in paths]
    queue = itertools.count()
    done: Counter[str] = Counter()

    def send() -> None:
        link = http.client.HTTPConnection("127.0.0.1", careloom.port)
        while (number := next(queue)) < len(bodies):
            link.request("POST", "/fhir", bodies[number], FHIR | {"Authorization": f"Bearer {token}"})
            answer = link.getresponse()
            body = answer.read()
            if answer.status != 200:
                done["refused"] += 1
                print(answer.status, body[:300])
            else:
                done["resources"] += body.count(b'"response":')

    meter = Meter(careloom.home)
    started = time.perf_counter()
    threads = [threading.Thread(target=send) for _ in range(senders)]
    with meter.running():
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        wall = time.perf_counter() - started
    say(
        f"HTTP transactions, {senders} senders, {done['refused']} refused",
        done["resources"],
        wall,
        meter.kinds(),
    )
    behind = time.perf_counter()
    while not is_idle(careloom):
        time.sleep(0.5)
    print(f"the stations had heard all {time.perf_counter() - behind:.1f} s later")


def is_idle(careloom: Careloom) -> bool:
    def is_engine(process: psutil.Process) -> bool:
        with suppress(psutil.Error):  # somebody else's, or one that just ended
            return "engine" in process.cmdline() and process.environ().get("CARELOOM_HOME") == str(
                careloom.home
            )
        return False

    return next(filter(is_engine, psutil.process_iter())).cpu_percent(1.0) < 10


def asked(careloom: Careloom, token: str) -> None:
    def opened() -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", careloom.port)

    headers = FHIR | {"Authorization": f"Bearer {token}"}
    chance = random.Random(7)

    def get(path: str, link: http.client.HTTPConnection) -> bytes:
        link.request("GET", path, headers=headers)
        answer = link.getresponse()
        body = answer.read()
        if answer.status != 200:
            sys.exit(f"{answer.status} {body[:300]!r}")
        return body

    found = [
        entry["resource"] for entry in json.loads(get("/fhir/Observation?_count=400", opened()))["entry"]
    ]
    ids = [each["id"] for each in found]
    patients = sorted({each["subject"]["reference"] for each in found})
    codes = sorted({each["code"]["coding"][0]["code"] for each in found})
    kinds: dict[str, Callable[[], str]] = {
        "read": lambda: f"/fhir/Observation/{chance.choice(ids)}",
        "search, 20 rows of a patient": lambda: (
            f"/fhir/Observation?patient={chance.choice(patients)}&_count=20"
        ),
        "search, 20 rows by code, newest first": lambda: (
            f"/fhir/Observation?code=http://loinc.org|{chance.choice(codes)}&_sort=-date&_count=20"
        ),
    }

    def ask(
        link: http.client.HTTPConnection, rounds: int, path_of: Callable[[], str], times: list[float]
    ) -> None:
        for _ in range(rounds):
            at = time.perf_counter()
            get(path_of(), link)
            times.append(time.perf_counter() - at)

    for (name, path_of), readers in itertools.product(kinds.items(), READERS):
        # Opened now: the server leaves who is silent for five seconds.
        links = [opened() for _ in range(readers)]
        for link in links:
            ask(link, 100, path_of, [])
        times: list[float] = []
        meter = Meter(careloom.home)
        threads = [
            threading.Thread(target=ask, args=(link, ROUNDS // readers, path_of, times)) for link in links
        ]
        with meter.running():
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        for link in links:
            link.close()
        spent = {kind: meter.kinds()[kind] / len(times) * 1e6 for kind in SERVERS}
        print(
            f"{name}, {readers} readers: server CPU {sum(spent.values()):.0f} us"
            f" ({', '.join(f'{kind} {each:.0f}' for kind, each in spent.items())});"
            f" p50 {statistics.median(times) * 1e3:.1f} ms,"
            f" p95 {sorted(times)[int(len(times) * 0.95)] * 1e3:.1f} ms",
            flush=True,
        )


if __name__ == "__main__":
    main()
