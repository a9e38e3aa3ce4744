"""verify.scratch: a careloom of its own for a check: scratch home, free ports, real processes, killed at will.

Room: verify. Touches: the temporary directory, processes that it started, loopback ports.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

import psutil

from careloom.fhir.outcome import Issue, OutcomeError
from careloom.store.database import Database
from careloom.store.postmaster import Place, halt, living_postmaster, workers

_START_S = 120.0


@contextmanager
def scratch_home(name: str) -> Generator[Path]:
    """A home that is gone afterwards, its database server stopped. Others may enter it: PostgreSQL never runs as root."""
    home = Path(tempfile.gettempdir()) / f"careloom-{name}-{uuid4().hex[:8]}"
    home.mkdir(mode=0o755)
    try:
        yield home
    finally:
        place = Place(home / "database")
        if living_postmaster(place):
            halt(place)
        shutil.rmtree(home, ignore_errors=True)


def free_port() -> int:
    """A TCP port of the loopback address that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def run(home: Path, *arguments: str, **settings: str) -> subprocess.Popen[bytes]:
    """Start `careloom ARGUMENTS` with this home, these settings and none of its surroundings; it leads its own group.

    What it and its children say goes to `home/check.log`.
    """
    environment = {name: text for name, text in os.environ.items() if not name.startswith("CARELOOM_")}  # noqa: TID251
    given = {"home": str(home), "log_level": "warning", **settings}
    environment |= {f"CARELOOM_{name.upper()}": text for name, text in given.items()}
    with (home / "check.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "careloom", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=environment,
            start_new_session=True,
        )


def database_of(home: Path) -> Database:
    """The database of a home whose server runs."""
    return Database(Place(home / "database").url())


def kill_all(home: Path, process: subprocess.Popen[bytes]) -> None:
    """Kill -9 of a process, all that came of it, and the PostgreSQL of its home, at the same moment; see them gone."""
    place = Place(home / "database")
    victims: list[psutil.Process] = []
    with suppress(psutil.NoSuchProcess):
        parent = psutil.Process(process.pid)
        victims += [parent, *parent.children(recursive=True)]
    if (postmaster := living_postmaster(place)) is not None:
        victims += [postmaster, *workers(place)]
    for victim in victims:
        with suppress(psutil.NoSuchProcess):
            victim.kill()
    process.wait()
    while any(_is_alive(victim) for victim in victims):
        time.sleep(0.005)


def _is_alive(process: psutil.Process) -> bool:
    # A dead process whose parent died with it may stay a zombie for as long as nobody buries it.
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


class Careloom:
    """`careloom up` in a scratch home, with web and MLLP on free ports."""

    def __init__(self, home: Path, **settings: str) -> None:
        self.home = home
        self.settings = settings
        self.port = free_port()
        self.mllp_port = free_port()
        self._process = self._started()

    def kill_engine(self) -> None:
        """Kill -9 of the engine process; the supervisor starts it again."""
        for child in psutil.Process(self._process.pid).children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                if "engine" in child.cmdline():
                    child.kill()
                    return
        raise OutcomeError(Issue("exception", "No engine process was found under `careloom up`."))

    def kill_all_and_restart(self) -> None:
        """Kill -9 of supervisor, web, engine and PostgreSQL, then `careloom up` again."""
        kill_all(self.home, self._process)
        self._process = self._started()

    def cpu_seconds(self) -> float:
        """CPU time of all processes that live now, PostgreSQL's with them."""
        place = Place(self.home / "database")
        parent = psutil.Process(self._process.pid)
        processes = [parent, *parent.children(recursive=True), *workers(place)]
        total = 0.0
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                total += times.user + times.system
        return total

    def stop(self) -> None:
        """SIGTERM, and wait."""
        self._process.terminate()
        try:
            self._process.wait(60)
        except subprocess.TimeoutExpired:
            kill_all(self.home, self._process)

    def _started(self) -> subprocess.Popen[bytes]:
        ports = ("--port", str(self.port), "--mllp-port", str(self.mllp_port))
        process = run(self.home, "up", *ports, **self.settings)
        deadline = time.monotonic() + _START_S
        while time.monotonic() < deadline and process.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.mllp_port)) == 0:
                    return process
            time.sleep(0.1)
        kill_all(self.home, process)
        last = (self.home / "check.log").read_text(errors="replace").strip().rsplit("\n", 1)[-1]
        raise OutcomeError(Issue("exception", f"`careloom up` did not start: {last}"))
