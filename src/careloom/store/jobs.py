"""store.jobs: work that takes longer than a request, as rows that any process may carry on.

Room: store. Touches: the table job. https://www.postgresql.org/docs/current/sql-select.html (SKIP LOCKED)

A job is claimed for one step: its row is locked until the transaction of the step ends, others skip it, and a step
that was killed is rolled back and done again by whoever comes next. No lease, no heartbeat, no clean-up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from secrets import token_urlsafe
from typing import Any, Literal

import msgspec

from careloom.fhir.outcome import Issue
from careloom.store.database import Connection

CHANNEL = "careloom_job"
"""NOTIFY channel: there is work."""

JobStatus = Literal["queued", "running", "done", "failed", "cancelled"]

COLUMNS = "id, kind, owner, request, state, status, done, total, issues, created, ended"

CLAIM = f"""
select {COLUMNS} from job where status in ('queued', 'running') and kind = any(%s)
order by moved, id limit 1 for update skip locked"""


@dataclass(frozen=True, slots=True)
class Job:
    """One job as it stands."""

    id: str
    kind: str
    owner: str
    request: dict[str, Any]
    state: dict[str, Any]
    status: JobStatus
    done: int
    total: int | None
    issues: tuple[Issue, ...]
    created: datetime
    ended: datetime | None

    @property
    def is_open(self) -> bool:
        """True while there is work left."""
        return self.status in {"queued", "running"}


@dataclass(frozen=True, slots=True)
class Step:
    """What one step of a job came to."""

    state: dict[str, Any]
    done: int = 0
    total: int | None = None
    is_last: bool = False
    is_idle: bool = False
    """True: it could do nothing yet and is to be asked again later."""
    issues: tuple[Issue, ...] = field(default=())


def enqueue(connection: Connection, kind: str, owner: str, request: dict[str, Any], now: datetime) -> str:
    """Add a job; return its id."""
    id_ = token_urlsafe(18)
    connection.execute(
        "insert into job (id, kind, owner, request, created, moved) values (%s, %s, %s, %s, %s, %s)",
        [id_, kind, owner, _json(request), now, now],
    )
    connection.execute("select pg_notify(%s, '')", [CHANNEL])
    return id_


def job(connection: Connection, id_: str) -> Job | None:
    """One job; None if there is none."""
    row = connection.execute(f"select {COLUMNS} from job where id = %s", [id_]).fetchone()
    return _job(row) if row else None


def jobs(connection: Connection, kind: str, limit: int = 100) -> list[Job]:
    """Jobs of a kind, the newest first."""
    sql = f"select {COLUMNS} from job where kind = %s order by created desc, id limit %s"
    return [_job(row) for row in connection.execute(sql, [kind, limit])]


def claim(connection: Connection, kinds: Sequence[str]) -> Job | None:
    """The open job that waited longest and that nobody works on; it is ours until this transaction ends."""
    row = connection.execute(CLAIM, [list(kinds)]).fetchone()
    return _job(row) if row else None


def moved(connection: Connection, id_: str, step: Step, now: datetime) -> None:
    """Write down what a step came to, in the transaction that did it."""
    status: JobStatus = "done" if step.is_last else "running"
    connection.execute(
        "update job set state = %s, status = %s, done = %s, total = %s, issues = issues || %s::jsonb, moved = %s,"
        " ended = %s where id = %s",
        [
            _json(step.state),
            status,
            step.done,
            step.total,
            _json(step.issues),
            now,
            now if step.is_last else None,
            id_,
        ],
    )


def failed(connection: Connection, id_: str, issues: Sequence[Issue], now: datetime) -> None:
    """End a job that cannot go on, with its reasons."""
    sql = (
        "update job set status = 'failed', issues = issues || %s::jsonb, moved = %s, ended = %s where id = %s"
    )
    connection.execute(sql, [_json(issues), now, now, id_])


def cancel(connection: Connection, id_: str, now: datetime) -> bool:
    """End a job because somebody said so, whether it still works or is done; False if it was cancelled before."""
    sql = "update job set status = 'cancelled', ended = %s where id = %s and status <> 'cancelled'"
    return connection.execute(sql, [now, id_]).rowcount > 0


def forget(connection: Connection, kinds: Sequence[str], ended_before: datetime) -> int:
    """Remove jobs that ended at this moment or before; how many."""
    sql = "delete from job where kind = any(%s) and ended <= %s"
    return connection.execute(sql, [list(kinds), ended_before]).rowcount


def ids(connection: Connection, kinds: Sequence[str]) -> frozenset[str]:
    """The ids of all jobs of these kinds."""
    rows = connection.execute("select id from job where kind = any(%s)", [list(kinds)]).fetchall()
    return frozenset(id_ for (id_,) in rows)


def _job(row: tuple[Any, ...]) -> Job:
    id_, kind, owner, request, state, status, done, total, issues, created, ended = row
    told = tuple(msgspec.convert(issues, list[Issue]))
    return Job(id_, kind, owner, request, state, status, done, total, told, created, ended)


def _json(value: Any) -> str:
    # What is wrong may be named by an element of the client's own; jsonb takes every character but U+0000.
    return msgspec.json.encode(value).decode().replace("\\u0000", "\\ufffd")
