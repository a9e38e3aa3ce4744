"""cli.worker: the processes that the supervisor starts. Hidden: people use `careloom up`.

Room: cli.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from contextlib import suppress
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from careloom.demo import hospital
from careloom.fhir.outcome import OutcomeError
from careloom.fhir.resource import calm_collector
from careloom.flow import Flow, engine, utc_now
from careloom.logs import configure
from careloom.settings import Settings, lake_root, settings_from, views_root
from careloom.store import accounts, events
from careloom.store.actor import STATION
from careloom.store.database import Database
from careloom.store.server import ensure
from careloom.web import server

STATEMENT_LIMIT_S = 30.0
"""How long PostgreSQL may work at one statement of a request."""
NICENESS = 5
"""How far the lake's process stands back for the others."""
CLINIC = "clinic"
"""The source that speaks FHIR in the demo."""


@click.command(hidden=True)
@click.argument("name", type=click.Choice(["web", "engine", "lake", "flight", "demo"]))
@click.option("--people", default=200)
@click.option("--seed", default=2026)
@click.option("--speed", default=60.0)
def worker(name: str, people: int, seed: int, speed: float) -> None:
    """Run one of careloom's processes until the supervisor's pipe closes."""
    settings = settings_from()
    configure(settings.log_level)
    threading.Thread(target=_leave_with_supervisor, daemon=True).start()
    # Whoever waits for an answer is told that it takes too long; stations and maintenance take their time.
    limit_s = STATEMENT_LIMIT_S if name in {"web", "flight"} else 0.0
    database = Database(ensure(settings).url, statement_limit_s=limit_s)
    if name == "demo":
        _run_hospital(settings, database, people, seed, speed)
        return
    if name == "lake":
        _follow_lake(settings, database)
        return
    if name == "flight":
        _serve_flight(settings, database)
        return
    flow = Flow(database, settings)
    calm_collector()
    if name == "web":
        server.serve(settings, database, flow)
    else:
        _run_engine(settings, flow)


def _run_hospital(settings: Settings, database: Database, people: int, seed: int, speed: float) -> None:
    leaving = told_to_leave()
    with database.connection() as connection:
        # The token lives as long as this process: a restarted demo makes its own.
        with suppress(OutcomeError):
            accounts.revoke_token(connection, CLINIC)
        token = accounts.create_token(connection, CLINIC, ["source"])
        is_known = any(source == CLINIC for source, _ in events.counts(connection, STATION))
    console = Console(stderr=True)
    with Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), console=console
    ) as bar:
        task = bar.add_task("The hospital tells its history", total=None, visible=not is_known)

        def told(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)
            if done == total:
                bar.stop()

        hospital.run(
            settings,
            token=token,
            seed=seed,
            people=people,
            speed=speed,
            has_history=not is_known,
            stop=leaving,
            progress=told,
        )


def told_to_leave() -> threading.Event:
    """Set once the process is told to leave, whichever of its threads the signal met.

    Python runs a handler in the main thread alone, and does not wake it from a lock when another thread was met:
    so a thread of its own hears of the signal through the wakeup descriptor, which is written to at once.
    """
    leaving = threading.Event()
    hears, told = os.pipe()
    os.set_blocking(told, False)
    signal.set_wakeup_fd(told)

    def leave() -> None:
        os.read(hears, 1)
        leaving.set()

    threading.Thread(target=leave, daemon=True).start()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _signal, _frame: None)
    return leaving


def _run_engine(settings: Settings, flow: Flow) -> None:
    leaving = told_to_leave()
    try:
        engine.run(settings, flow, leaving)
    except OutcomeError as error:
        click.echo(f"careloom engine: {error}", err=True)
        sys.exit(1)


def _follow_lake(settings: Settings, database: Database) -> None:
    # Who waits for an answer, or for an acknowledgement, comes first.
    os.nice(NICENESS)
    from careloom.flow.lake import follow

    follow(database, settings, told_to_leave())


def _serve_flight(settings: Settings, database: Database) -> None:
    os.nice(NICENESS)
    from careloom.lake.flight.server import LakeServer
    from careloom.lake.lake import Lake

    leaving = told_to_leave()
    try:
        pem = Path(settings.flight_tls_cert).read_text() if settings.flight_tls_cert else ""
        lake = Lake(lake_root(settings), views_root(settings))
        server = LakeServer(database, lake, settings.host, settings.flight_port, utc_now, pem)
    except OSError as error:
        click.echo(f"careloom flight: It cannot start: {error.strerror or 'the port is taken'}.", err=True)
        sys.exit(1)
    with server:
        leaving.wait()


def _leave_with_supervisor() -> None:
    # The pipe gives end-of-file when the supervisor is gone, however it went.
    # Read below Python's buffers: a thread that waits inside of one would keep the process from ending.
    while os.read(0, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
