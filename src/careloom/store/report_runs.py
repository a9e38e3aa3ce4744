"""store.report_runs: the runs of reports: what is due, who works at it, what came of it, and how long that is kept.

Room: store. Touches: the tables report, report_run.

A due time is a row, and each is there once. Who works at one holds a lock of the session, not a transaction: a statement
may take minutes, and whoever waits for all transactions would wait for it. A run whose worker was killed is free again.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import blake2b
from secrets import token_urlsafe
from typing import Any

import msgspec

from careloom.fhir.outcome import Issue
from careloom.store.actor import Actor
from careloom.store.database import Connection, Database
from careloom.store.report import Schedule

TRIES = 3
PAUSES = (timedelta(minutes=1), timedelta(minutes=10))
"""Between tries."""

COLUMNS = "id, report, due, actor, status, attempts, next_try, began, ended, rows, is_cut, issues, columns, result is not null"
HISTORY = 50


@dataclass(frozen=True, slots=True)
class Run:
    """One run."""

    id: str
    report: str
    due: datetime | None
    """None: somebody asked."""
    actor: str
    status: str
    attempts: int
    next_try: datetime
    began: datetime | None
    ended: datetime | None
    rows: int | None
    is_cut: bool
    issues: tuple[Issue, ...]
    columns: tuple[tuple[str, str], ...]
    is_kept: bool


@dataclass(frozen=True, slots=True)
class Result:
    """What a run gave."""

    columns: Sequence[tuple[str, str]]
    rows: int
    is_cut: bool
    parquet: bytes | None


def scope_of(actor: Actor) -> bytes:
    """The same for whoever may see the same; a result is shown to nobody else."""
    patients = "all" if actor.patients is None else " ".join(sorted(actor.patients))
    return blake2b(f"{actor.id}|{' '.join(sorted(actor.roles))}|{patients}".encode(), digest_size=16).digest()


def post_due(connection: Connection, now: datetime, following: Callable[[Schedule], datetime]) -> int:
    """Post what is due, each due time once; `following` tells the next one. Times that were missed are one run."""
    sql = (
        "select id, owner, next_due, schedule from report where next_due <= %s order by next_due"
        " for update skip locked limit 100"
    )
    rows = connection.execute(sql, [now]).fetchall()
    for id_, owner, due, when in rows:
        connection.execute(
            "insert into report_run (id, report, due, actor, scope, status, next_try) values (%s, %s, %s, %s, '', 'queued', %s)"
            " on conflict (report, due) do nothing",
            [token_urlsafe(12), id_, due, owner, now],
        )
        connection.execute(
            "update report set next_due = %s where id = %s", [following(msgspec.convert(when, Schedule)), id_]
        )
    return len(rows)


@contextmanager
def claimed(database: Database, now: datetime) -> Generator[Run | None]:
    """The run that is due for longest and that nobody works at; it is ours for the length of the block."""
    with database.autocommit() as connection:
        run = _claim(connection, now)
        try:
            yield run
        finally:
            if run is not None:
                connection.execute(
                    "select pg_advisory_unlock(hashtextextended('report_run ' || %s, 0))", [run.id]
                )


def _claim(connection: Connection, now: datetime) -> Run | None:
    sql = "select id from report_run where status in ('queued', 'running') and next_try <= %s order by next_try, id limit 20"
    for (id_,) in connection.execute(sql, [now]).fetchall():
        key = "hashtextextended('report_run ' || %s, 0)"
        if not connection.execute(f"select pg_try_advisory_lock({key})".encode(), [id_]).fetchall()[0][0]:
            continue
        row = connection.execute(
            "update report_run set status = 'running', attempts = attempts + 1, began = %s"
            f" where id = %s and status in ('queued', 'running') returning {COLUMNS}".encode(),
            [now, id_],
        ).fetchone()
        if row:
            return _run(row)
        connection.execute(f"select pg_advisory_unlock({key})".encode(), [id_])
    return None


def done(connection: Connection, id_: str, actor: Actor, result: Result, now: datetime) -> bool:
    """Keep what a run gave; False if it was kept before."""
    sql = (
        "update report_run set status = 'done', ended = %s, rows = %s, is_cut = %s, columns = %s, result = %s, scope = %s,"
        " issues = '[]' where id = %s and status = 'running'"
    )
    columns = msgspec.json.encode(list(result.columns)).decode()
    given = [now, result.rows, result.is_cut, columns, result.parquet, scope_of(actor), id_]
    return connection.execute(sql, given).rowcount > 0


def failed(connection: Connection, run: Run, issues: Sequence[Issue], now: datetime) -> None:
    """Say why; it is tried again some times."""
    is_over = run.attempts >= TRIES
    again = now if is_over else now + PAUSES[min(run.attempts, len(PAUSES)) - 1]
    connection.execute(
        "update report_run set status = %s, ended = %s, next_try = %s, issues = %s where id = %s and status = 'running'",
        ["failed" if is_over else "queued", now, again, msgspec.json.encode(list(issues)).decode(), run.id],
    )


def noted(
    connection: Connection,
    report: str,
    actor: Actor,
    began: datetime,
    ended: datetime,
    told: Result | Sequence[Issue],
) -> None:
    """Put a run that somebody asked for into the history; its rows and its values are not kept."""
    is_done = isinstance(told, Result)
    connection.execute(
        "insert into report_run (id, report, actor, scope, status, attempts, next_try, began, ended, rows, is_cut, issues)"
        " values (%s, %s, %s, %s, %s, 1, %s, %s, %s, %s, %s, %s)",
        [
            token_urlsafe(12), report, actor.id, scope_of(actor), "done" if is_done else "failed", began, began, ended,
            told.rows if is_done else None, told.is_cut if is_done else False,
            "[]" if is_done else msgspec.json.encode(list(told)).decode(),
        ],
    )  # fmt: skip


def runs(connection: Connection, report: str, limit: int = HISTORY) -> list[Run]:
    """The runs of a report, the newest first."""
    sql = f"select {COLUMNS} from report_run where report = %s order by next_try desc, id limit %s"
    return [_run(row) for row in connection.execute(sql.encode(), [report, limit]).fetchall()]


def latest(connection: Connection, reports: Sequence[str]) -> dict[str, Run]:
    """The newest run of each report that has one."""
    sql = f"select distinct on (report) {COLUMNS} from report_run where report = any(%s) order by report, next_try desc, id"
    rows = connection.execute(sql.encode(), [list(reports)]).fetchall()
    return {run.report: run for run in map(_run, rows)}


def kept(connection: Connection, report: str, id_: str, actor: Actor) -> tuple[Run, bytes] | None:
    """A run with the rows that were kept; None if there are none, or the actor may not see all that its asker saw then."""
    sql = f"select {COLUMNS}, result, scope from report_run where report = %s and id = %s and result is not null"
    row = connection.execute(sql.encode(), [report, id_]).fetchone()
    if row is None or bytes(row[-1]) != scope_of(actor):
        return None
    return _run(row[:-2]), bytes(row[-2])


def forget(connection: Connection, now: datetime) -> int:
    """Drop results, and runs that somebody asked for, that were kept long enough; how many."""
    late = "r.ended <= %s - make_interval(days => p.keep_days)"
    gone = connection.execute(
        f"delete from report_run r using report p where p.id = r.report and r.status in ('done', 'failed') and {late}".encode(),
        [now],
    )
    return gone.rowcount


def _run(row: Sequence[Any]) -> Run:
    id_, report, due, actor, status, attempts, again, began, ended, rows, is_cut, issues, columns, is_kept = (
        row
    )
    pairs = tuple((str(name), str(kind)) for name, kind in columns or ())
    told = tuple(msgspec.convert(issues, list[Issue]))
    return Run(
        id_, report, due, actor, status, attempts, again, began, ended, rows, is_cut, told, pairs, is_kept
    )
