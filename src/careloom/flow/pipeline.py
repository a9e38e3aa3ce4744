"""flow.pipeline: a step of the pipeline is run: alone, recorded, and done only if its gates hold.

Room: flow. Which steps there are stands in registry.STEPS. A command, a scheduler that calls the command, and the
process of the lake (for who pressed a button) run them alike.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime

import structlog

from careloom.fhir.outcome import Issue, OutcomeError
from careloom.flow.steps.work import Made, Work
from careloom.logs import place_of
from careloom.registry import STEPS, load
from careloom.settings import Settings
from careloom.store import runs
from careloom.store.database import Database
from careloom.store.runs import Outcome, Result, Run, result_of
from careloom.store.turn import turn_held

log = structlog.get_logger()

BUSY = frozenset({"lock-error", "throttled"})
"""What these say may be tried again later."""


def run(
    work: Work, step: str, by: str, clock: Callable[[], datetime], id_: int | None = None
) -> tuple[Run, Made]:
    """Run a step. Raises OutcomeError: what kept it from its work; `lock-error` if another runs it, or writes the lake."""
    with turn_held(work.database, f"pipeline {step}") as is_ours:
        if not is_ours:
            raise OutcomeError(
                Issue("lock-error", f"Another process runs the step {step} now: try again later.")
            )
        with work.database.connection() as connection:
            number = runs.begin(connection, step, by, clock(), is_backfill=work.is_backfill, id_=id_)
        try:
            made: Made = load(STEPS[step])(work)
        except OutcomeError as error:
            is_busy = any(issue.code in BUSY for issue in error.issues)
            _ended(work.database, number, "busy" if is_busy else "failed", clock(), str(error))
            raise
        except BaseException as error:
            _ended(
                work.database, number, "failed", clock(), f"This should not have happened: {place_of(error)}."
            )
            raise
        with work.database.connection() as connection:
            ended = runs.end(connection, number, result_of(made.rows, made.cursor, made.gates), clock())
    log.info("step_ended", step=step, outcome=ended.outcome, rows=made.rows)
    return ended, made


def _ended(database: Database, number: int, outcome: Outcome, now: datetime, reason: str) -> None:
    with database.connection() as connection:
        runs.end(connection, number, Result(outcome=outcome, reason=reason), now)


def _bury(database: Database, run: Run, now: datetime) -> None:
    """End a run whose process is gone: nobody has its turn any more."""
    with turn_held(database, f"pipeline {run.step}") as is_ours:
        if is_ours:
            with database.connection() as connection:
                # It may have ended between the look and the turn.
                if any(one.id == run.id for one in runs.running(connection)):
                    runs.end(connection, run.id, Result(outcome="failed", reason=runs.KILLED), now)


class Errands:
    """Runs what was asked for on the board, one after the other, in a thread beside whoever calls."""

    def __init__(self, database: Database, settings: Settings, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._settings = settings
        self._clock = clock
        self._thread: threading.Thread | None = None

    def look(self) -> bool:
        """Begin the next run that was asked for, unless one is going on; whether one began."""
        if self._thread is not None and self._thread.is_alive():
            return False
        with self._database.autocommit() as connection:
            for one in runs.running(connection):
                _bury(self._database, one, self._clock())
            asked = runs.next_asked(connection)
        if asked is None:
            return False
        self._thread = threading.Thread(
            target=self._run, args=(asked,), name=f"step {asked.step}", daemon=True
        )
        self._thread.start()
        return True

    def wait(self, seconds: float) -> None:
        """Until the run that goes on has ended."""
        if self._thread is not None:
            self._thread.join(seconds)

    def _run(self, asked: Run) -> None:
        work = Work(
            database=self._database, settings=self._settings, now=self._clock(), is_backfill=asked.is_backfill
        )
        try:
            run(work, asked.step, asked.asked_by, self._clock, asked.id)
        except OutcomeError as error:
            log.warning("step_failed", step=asked.step, reason=str(error))
        except Exception as error:  # noqa: BLE001 - the lake goes on whatever ails one step
            log.warning("step_failed", step=asked.step, reason=place_of(error))
