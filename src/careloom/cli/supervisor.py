"""cli.supervisor: starts the database and careloom's processes, keeps them alive, and stops them all.

Room: cli. A child is `python -m careloom worker NAME`. It holds a pipe from the supervisor and leaves when the
pipe closes, so that no child outlives a supervisor that was killed.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from types import FrameType

import click
import psutil

from careloom.cli.preflight import make_home, refuse_mistakes, require_startable
from careloom.fhir.outcome import Issue, OutcomeError
from careloom.settings import Settings
from careloom.store.accounts import ensure_demo_accounts
from careloom.store.database import Database
from careloom.store.identity_key import identity_key
from careloom.store.server import Place, Server, ensure, halt, living_postmaster

RESTART_WAIT_S = (0.2, 1.0, 5.0, 15.0)
"""A child that died is started again after these waits; the last one repeats."""

DATABASE_LOOK_S = 1.0


@dataclass
class Child:
    """One of careloom's processes."""

    name: str
    process: subprocess.Popen[bytes]
    deaths: int = 0
    restart_at: float | None = None
    started: float = field(default_factory=time.monotonic)
    has_stood: bool = False
    """It has lived for a while: what ends it now is no mistake in how careloom is set up."""


class Supervisor:
    """Runs one careloom in one home until it is told to stop."""

    def __init__(
        self, settings: Settings, hospital: tuple[int, int, float] | None = None, *, fresh: bool = False
    ) -> None:
        self.settings = settings
        self.hospital = hospital
        self.fresh = fresh
        self.children: dict[str, Child] = {}
        self.server: Server | None = None
        self.look_at_database = 0.0
        self.leaving = threading.Event()

    def run(self) -> None:
        """Start, say where it serves, watch the children, and stop everything on SIGINT or SIGTERM."""
        settings = self.settings
        refuse_mistakes(settings)
        signal.signal(signal.SIGINT, self._leave)
        signal.signal(signal.SIGTERM, self._leave)
        if self.fresh:
            stop_running(settings)
            shutil.rmtree(settings.home, ignore_errors=True)
        make_home(settings.home)
        pid_file = _claim(settings)
        try:
            require_startable(settings)
            self._start_database()
            self._start_children()
            self._watch()
        except KeyboardInterrupt:
            pass  # Told to leave while the database started.
        finally:
            self._stop_children()
            if self.server is not None:
                self.server.stop()
                click.echo("Stopped.")
            pid_file.unlink(missing_ok=True)

    def _start_database(self) -> None:
        click.echo("Starting the database ...")
        self.server = ensure(self.settings)
        database = Database(self.server.url)
        applied = database.migrate()
        if applied:
            click.echo(f"Database ready ({len(applied)} migrations applied).")
        if self.settings.demo:
            ensure_demo_accounts(database)
        database.close()

    def _start_children(self) -> None:
        settings = self.settings
        names = ["web", "engine", *["lake"] * settings.lake, *["flight"] * bool(settings.flight_port)]
        for name in names:
            self.children[name] = Child(name, self._spawn(name))
        _await_web(self.settings, self.children["web"].process, self.leaving)
        if self.leaving.is_set():
            return
        click.echo(f"careloom serves http://{self.settings.host}:{self.settings.port}/")
        if self.settings.mllp_port:
            click.echo(f"HL7 v2 (MLLP) at {self.settings.host}:{self.settings.mllp_port}")
        if self.settings.flight_port:
            click.echo(
                f"The lake for BI (Arrow Flight SQL) at {self.settings.host}:{self.settings.flight_port}"
            )
        if self.hospital is not None:
            click.echo("Open it in a browser and sign in with one click, as a nurse to begin with.")
            self.children["demo"] = Child("demo", self._spawn("demo"))
        click.echo("Ctrl-C stops it.")

    def _spawn(self, name: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "careloom", "worker", name]
        if name == "demo" and self.hospital is not None:
            people, seed, speed = self.hospital
            command += ["--people", str(people), "--seed", str(seed), "--speed", str(speed)]
        # A session of its own: Ctrl-C reaches the supervisor alone, and it stops the children in order.
        return subprocess.Popen(
            command, stdin=subprocess.PIPE, env=environment_of(keyed(self.settings)), start_new_session=True
        )

    def _watch(self) -> None:
        while not self.leaving.wait(0.2):
            self._revive_database()
            for child in self.children.values():
                self._revive(child)

    def _revive_database(self) -> None:
        """Start the embedded database again if it went away; children wait for it."""
        now = time.monotonic()
        if self.server is None or self.server.place is None or now < self.look_at_database:
            return
        self.look_at_database = now + DATABASE_LOOK_S
        if living_postmaster(self.server.place) is not None:
            return
        click.echo("The database went away; starting it again.", err=True)
        try:
            again = ensure(self.settings)
        except OutcomeError as error:
            click.echo(f"careloom: {error}", err=True)
            self.look_at_database = time.monotonic() + RESTART_WAIT_S[-1]
            return
        self.server.stop()
        self.server = again

    def _revive(self, child: Child) -> None:
        now = time.monotonic()
        status = child.process.poll()
        if status is None or (child.name == "demo" and status == 0):
            if now - child.started > RESTART_WAIT_S[-1]:
                child.deaths, child.has_stood = 0, True
            return
        if not child.has_stood and status > 0:
            # A child that was killed is started again; one that gives up at once would give up for ever.
            raise OutcomeError(
                Issue("exception", f"The {child.name} did not start; the lines above say why.")
            )
        if child.restart_at is None:
            wait = RESTART_WAIT_S[min(child.deaths, len(RESTART_WAIT_S) - 1)]
            click.echo(f"{child.name} ended with status {status}; starting it again in {wait:g} s.", err=True)
            child.deaths += 1
            child.restart_at = now + wait
        elif now >= child.restart_at:
            child.process, child.restart_at, child.started = self._spawn(child.name), None, now

    def _stop_children(self) -> None:
        for name in ("demo", "lake", "web", "engine"):
            child = self.children.get(name)
            if child is not None and child.process.poll() is None:
                child.process.terminate()
        for child in self.children.values():
            try:
                child.process.wait(10)
            except subprocess.TimeoutExpired:
                child.process.kill()
                child.process.wait()

    def _leave(self, _signal: int, _frame: FrameType | None) -> None:
        if not self.leaving.is_set():
            click.echo("\nStopping ...")
        self.leaving.set()
        if self.server is None:
            raise KeyboardInterrupt  # The database may take minutes to start; it is let go of at once.


def keyed(settings: Settings) -> Settings:
    """The settings with the identity key of their home, where none is set."""
    if settings.identity_salt:
        return settings
    return replace(settings, identity_salt=identity_key(settings.home))


def environment_of(settings: Settings) -> dict[str, str]:
    """The environment that gives a child process exactly these settings."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CARELOOM_")}  # noqa: TID251
    for setting in fields(Settings):
        environment[f"CARELOOM_{setting.name.upper()}"] = str(getattr(settings, setting.name))
    return environment


def stop_running(settings: Settings) -> list[str]:
    """Stop the supervisor and the embedded database of this home; return what was stopped."""
    stopped: list[str] = []
    pid = running(settings)
    if pid is not None:
        os.kill(pid, signal.SIGTERM)
        gone, alive = psutil.wait_procs([psutil.Process(pid)], timeout=30)
        for process in alive:
            process.kill()
        stopped.append("careloom" if gone else "careloom (killed)")
    place = Place(settings.home / "database")
    if not settings.database_url and living_postmaster(place) is not None:
        halt(place)
        stopped.append("database")
    return stopped


def _pid_file(settings: Settings) -> Path:
    return settings.home / "careloom.pid"


def running(settings: Settings) -> int | None:
    """The process of the careloom that runs in this home; None if none does."""
    try:
        pid, started = _pid_file(settings).read_text().split()
        process = psutil.Process(int(pid))
        # A pid is used again after a reboot: the same start time proves that it is the same process.
        is_same = abs(process.create_time() - float(started)) < 1
    except (OSError, ValueError, psutil.Error):
        return None
    return process.pid if is_same and process.status() != psutil.STATUS_ZOMBIE else None


def _claim(settings: Settings) -> Path:
    pid = running(settings)
    if pid is not None:
        raise OutcomeError(
            Issue(
                "conflict",
                f"careloom already runs in {settings.home} (process {pid}); `careloom stop` stops it.",
            )
        )
    path = _pid_file(settings)
    try:
        path.write_text(f"{os.getpid()} {psutil.Process().create_time()}")
    except OSError as error:
        text = (
            f"The home {settings.home} cannot be written ({error.strerror}): make room, or set CARELOOM_HOME."
        )
        raise OutcomeError(Issue("no-store", text)) from None
    return path


def _await_web(settings: Settings, process: subprocess.Popen[bytes], leaving: threading.Event) -> None:
    deadline = time.monotonic() + 60
    while not leaving.is_set() and time.monotonic() < deadline:
        if process.poll() is not None:
            raise OutcomeError(Issue("exception", "The web server did not start; the lines above say why."))
        with socket.socket() as probe:
            probe.settimeout(0.5)
            if probe.connect_ex((settings.host, settings.port)) == 0:
                return
        time.sleep(0.05)
    if not leaving.is_set():
        raise OutcomeError(
            Issue("timeout", "The web server did not answer within 60 seconds; see the lines above.")
        )
