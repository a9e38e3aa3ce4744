"""flow.engine: the engine process: listeners, folder, stations and timers, until it is told to leave.

Room: flow. Each runs in a thread of its own; they share nothing but the database.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import structlog

from careloom.connect import folder, mllp
from careloom.fhir.outcome import Issue, OutcomeError
from careloom.flow import Flow, delivery
from careloom.flow.delivery import destinations_of
from careloom.flow.station import BATCH, Ears
from careloom.logs import place_of
from careloom.registry import STATIONS, TIMERS
from careloom.settings import Settings
from careloom.store import audit, feed, jobs
from careloom.store.database import DatabaseError
from careloom.store.maintenance import Upkeep

log = structlog.get_logger()

IDLE_WAIT_S = 1.0
"""Stations are woken by the store; this is how long they sleep at most when nothing wakes them."""

STATION_REST_S = 0.1
"""They rest so long after a round that left nothing behind: of a stream of messages they hear several at once, for a round
of all stations costs as much for one change as for twenty."""

TIMER_EVERY_S = 1.0

UPKEEP_EVERY_S = 300.0
"""How often the store is asked whether it needs a sweep or a new dictionary."""


def run(settings: Settings, flow: Flow, leaving: threading.Event) -> None:
    """Run until `leaving` is set. Raises OutcomeError if a listener cannot start."""
    failures: list[BaseException] = []
    threads = [
        _thread("stations", lambda: _stations(flow, leaving), failures, leaving),
        _thread("timers", lambda: _timers(flow, leaving), failures, leaving),
        _thread("upkeep", lambda: _upkeep(flow, leaving), failures, leaving),
        _thread("jobs", lambda: _jobs(flow, leaving), failures, leaving),
        _thread("reports", lambda: _reports(flow, leaving), failures, leaving),
        _thread("audit", lambda: audit.seal_until(flow.database, leaving), failures, leaving),
    ]
    threads += [
        _thread(
            "forward",
            partial(delivery.serve, flow.database, settings, name, leaving, flow.clock),
            failures,
            leaving,
        )
        for name in destinations_of(settings)
    ]
    if settings.mllp_port:
        threads.append(_thread("mllp", lambda: _listen(settings, flow, leaving), failures, leaving))
    if settings.watch_folder:
        watched = Path(settings.watch_folder)
        threads.append(
            _thread("folder", lambda: folder.watch(watched, flow.accept, leaving), failures, leaving)
        )
    leaving.wait()
    for thread in threads:
        thread.join(10)
    if failures:
        raise OutcomeError(Issue("exception", f"The engine stopped: {_said(failures[0])}")) from failures[0]


def _said(error: BaseException) -> str:
    return str(error) if isinstance(error, OutcomeError) else place_of(error)


def _thread(
    name: str, work: Callable[[], None], failures: list[BaseException], leaving: threading.Event
) -> threading.Thread:
    def guarded() -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - a dead thread must end the process, which is then started again
            failures.append(error)
            leaving.set()

    thread = threading.Thread(target=guarded, name=name, daemon=True)
    thread.start()
    return thread


def _listen(settings: Settings, flow: Flow, leaving: threading.Event) -> None:
    tls = mllp.tls_context(Path(settings.mllp_tls_cert)) if settings.mllp_tls_cert else None
    with mllp.listening(settings.host, settings.mllp_port, flow.accept, source=settings.mllp_source, tls=tls):
        leaving.wait()


def _stations(flow: Flow, leaving: threading.Event) -> None:
    ears = Ears()
    with flow.database.listen(feed.CHANNEL) as bell:
        while not leaving.is_set():
            heard = [_guarded(lambda each: flow.run_station(each, ears), name) for name in STATIONS]
            if max(heard) < BATCH and not leaving.wait(STATION_REST_S) and not any(heard):
                bell.wait(IDLE_WAIT_S)


def _jobs(flow: Flow, leaving: threading.Event) -> None:
    with flow.database.listen(jobs.CHANNEL) as bell:
        while not leaving.is_set():
            if not _guarded(lambda _: flow.run_job(), "jobs"):
                bell.wait(IDLE_WAIT_S)


def _timers(flow: Flow, leaving: threading.Event) -> None:
    while not leaving.wait(TIMER_EVERY_S):
        for name in TIMERS:
            _guarded(flow.run_timer, name)


def _reports(flow: Flow, leaving: threading.Event) -> None:
    while not leaving.wait(TIMER_EVERY_S):
        while not leaving.is_set() and _guarded(lambda _: flow.run_reports(), "reports"):
            pass


def _upkeep(flow: Flow, leaving: threading.Event) -> None:
    upkeep = Upkeep()
    while not leaving.wait(UPKEEP_EVERY_S):
        _guarded(lambda _: _kept_up(flow, upkeep), "upkeep")
        _guarded(lambda _: flow.expire(), "expiry")


def _kept_up(flow: Flow, upkeep: Upkeep) -> int:
    with flow.database.connection() as connection:
        done = upkeep.keep(connection, flow.clock())
    if any(done):
        log.info("store_maintained", dictionaries=done.dictionaries, swept=done.swept)
    return sum(done)


def _guarded(step: Callable[[str], int], name: str) -> int:
    """Run one step; a database that is away for a while is waited for, not died of."""
    try:
        return step(name)
    except (OutcomeError, DatabaseError) as error:
        log.warning("step_failed", step=name, reason=_said(error))
        time.sleep(IDLE_WAIT_S)
        return 0
