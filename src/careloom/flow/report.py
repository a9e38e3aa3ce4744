"""flow.report: runs saved reports when they are due, as their owners, and keeps what came.

Room: flow. May import: store, lake.asking. The statement runs in a process of its own; no transaction is open meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from zoneinfo import ZoneInfo

import structlog

from careloom.fhir.outcome import Issue, OutcomeError
from careloom.lake import asking
from careloom.lake.asking import Answer, Form, asks_for
from careloom.settings import Settings, lake_root, views_root
from careloom.store import accounts, report_runs, reports
from careloom.store.actor import STATION, Actor, may
from careloom.store.audit import Access, record
from careloom.store.database import Database
from careloom.store.report import Report, bound, next_due
from careloom.store.report_runs import Result, Run

log = structlog.get_logger()

ROWS = 100_000
SECONDS = 300.0
BYTES = 64_000_000
"""Of one result, as Parquet."""

Clock = Callable[[], datetime]


def run_reports(database: Database, settings: Settings, clock: Clock) -> int:
    """Post what is due, and run what waits for longest; 1 if something was run."""
    zone = ZoneInfo(settings.time_zone)
    now = clock()
    with database.connection() as connection:
        report_runs.post_due(connection, now, lambda when: next_due(when, now, zone))
    with report_runs.claimed(database, now) as run:
        if run is None:
            return 0
        _run(database, settings, run, clock)
        return 1


def answer_of(
    database: Database,
    settings: Settings,
    found: Report,
    actor: Actor,
    texts: Mapping[str, str],
    form: Form = "parquet",
) -> Answer:
    """Run a report as somebody. Raises OutcomeError."""
    values, dates = bound(found.parameters, texts)
    request = asks_for(
        actor, database.url, lake_root(settings), views_root(settings), sql=found.sql, values=values, dates=dates,
        form=form, rows=ROWS, seconds=SECONDS,
    )  # fmt: skip
    return asking.ask(request, BYTES)


def owner_of(database: Database, found: Report, now: datetime) -> Actor:
    """Who saved it, with the rights of now. Raises OutcomeError(forbidden)."""
    with database.connection() as connection:
        owner = accounts.actor_of(connection, found.owner, now)
    if owner is None or not may(owner, "sql"):
        text = "Who saved the report may not ask in SQL any more: somebody else must save it."
        raise OutcomeError(Issue("forbidden", text))
    return owner


def _run(database: Database, settings: Settings, run: Run, clock: Clock) -> None:
    try:
        with database.connection() as connection:
            found = reports.report(connection, run.report, STATION)
        owner = owner_of(database, found, clock())
        answer = answer_of(database, settings, found, owner, {})
    except OutcomeError as error:
        with database.connection() as connection:
            report_runs.failed(connection, run, error.issues, clock())
        log.warning(
            "report_failed",
            report=run.report,
            codes=[issue.code for issue in error.issues],
            attempt=run.attempts,
        )
        return
    now = clock()
    with database.connection() as connection:
        result = Result(answer.columns, answer.count, answer.is_cut, answer.body)
        if report_runs.done(connection, run.id, owner, result, now):
            access = Access(now, owner.id, "operation", what=f"report/{run.report}", number=answer.count)
            record(connection, access)
    log.info("report_ran", report=run.report, rows=answer.count)
