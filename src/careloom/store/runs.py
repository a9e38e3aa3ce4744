"""store.runs: what the steps of the pipeline did: each run with its begin, end, rows, outcome, reason and gates.

Room: store. Touches: the table pipeline_run. No patient's value is in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import msgspec

from careloom.fhir.outcome import Issue, OutcomeError
from careloom.store.actor import Actor, may
from careloom.store.database import Connection
from careloom.store.feed import START, Cursor

Outcome = Literal["asked", "running", "done", "failed", "busy"]
RIGHT = "pipeline.drive"
KEPT = 200
"""Runs of a step that are remembered."""
KILLED = "Its process ended before it did."

_COLUMNS = "id, step, asked_by, is_backfill, outcome, asked, began, ended, rows, tx, rid, reason, gates"
_LATEST = f"""
select distinct on (step) {_COLUMNS} from pipeline_run where step = any(%(steps)s) and outcome = any(%(outcomes)s)
order by step, id desc"""
_PRUNE = """
delete from pipeline_run where step = %(step)s and outcome not in ('asked', 'running')
  and id <= (select id from pipeline_run where step = %(step)s order by id desc offset %(kept)s limit 1)"""


@dataclass(frozen=True, slots=True)
class Gate:
    """What must hold before a step counts as done."""

    name: str
    is_held: bool
    told: str
    """What was counted, in words."""


@dataclass(frozen=True, slots=True)
class Run:
    """One run of one step."""

    id: int
    step: str
    asked_by: str
    is_backfill: bool
    outcome: Outcome
    asked: datetime
    began: datetime | None
    ended: datetime | None
    rows: int | None
    cursor: Cursor
    """Up to here in the feed it took in the store."""
    reason: str
    gates: tuple[Gate, ...]

    @property
    def seconds(self) -> float | None:
        """How long it took; None while it has not ended."""
        return (self.ended - self.began).total_seconds() if self.began and self.ended else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """How a run ended."""

    outcome: Outcome
    rows: int | None = None
    cursor: Cursor = START
    reason: str = ""
    gates: Sequence[Gate] = ()


def result_of(rows: int, cursor: Cursor, gates: Sequence[Gate]) -> Result:
    """Of work that is done: it counts as done if all gates hold."""
    broken = [f"{gate.name}: {gate.told}" for gate in gates if not gate.is_held]
    reason = f"Does not hold: {'; '.join(broken)}." if broken else ""
    return Result(
        outcome="failed" if broken else "done", rows=rows, cursor=cursor, reason=reason, gates=gates
    )


def ask(connection: Connection, actor: Actor, step: str, now: datetime, *, is_backfill: bool = False) -> bool:
    """Ask for a run; False if one is asked for already. Raises OutcomeError(forbidden) for who may not."""
    if not may(actor, RIGHT):
        raise OutcomeError(Issue("forbidden", "To run a step is for integration and administrators."))
    sql = (
        "insert into pipeline_run (step, asked_by, is_backfill, outcome, asked) select %s, %s, %s, 'asked', %s"
        " where not exists (select from pipeline_run where step = %s and outcome = 'asked')"
    )
    return connection.execute(sql, [step, actor.id, is_backfill, now, step]).rowcount > 0


def next_asked(connection: Connection) -> Run | None:
    """The run that was asked for first and has not begun."""
    sql = f"select {_COLUMNS} from pipeline_run where outcome = 'asked' order by id limit 1"
    row = connection.execute(sql).fetchone()
    return _run(row) if row else None


def running(connection: Connection) -> list[Run]:
    """The runs that have begun and not ended, as far as is known: a process that was killed could not say so."""
    sql = f"select {_COLUMNS} from pipeline_run where outcome = 'running' order by id"
    return [_run(row) for row in connection.execute(sql)]


def begin(
    connection: Connection,
    step: str,
    by: str,
    now: datetime,
    *,
    is_backfill: bool = False,
    id_: int | None = None,
) -> int:
    """A run begins; `id_`: one that was asked for. Who calls this alone runs the step: others that run were killed."""
    connection.execute(
        "update pipeline_run set outcome = 'failed', ended = %s, reason = %s where step = %s and outcome = 'running'",
        [now, KILLED, step],
    )
    if id_ is not None:
        connection.execute(
            "update pipeline_run set outcome = 'running', began = %s where id = %s", [now, id_]
        )
        return id_
    sql = "insert into pipeline_run (step, asked_by, is_backfill, asked, began) values (%s, %s, %s, %s, %s) returning id"
    return connection.execute(sql, [step, by, is_backfill, now, now]).fetchall()[0][0]


def end(connection: Connection, id_: int, result: Result, now: datetime) -> Run:
    """A run has ended; the oldest of its step are forgotten."""
    sql = (
        "update pipeline_run set outcome = %s, ended = %s, rows = %s, tx = %s, rid = %s, reason = %s, gates = %s"
        f" where id = %s returning {_COLUMNS}"
    )
    gates = msgspec.json.encode(result.gates).decode()
    values = [result.outcome, now, result.rows, *result.cursor, result.reason, gates, id_]
    run = _run(connection.execute(sql, values).fetchall()[0])
    connection.execute(_PRUNE, {"step": run.step, "kept": KEPT})
    return run


def told(connection: Connection, step: str, began: datetime, ended: datetime, result: Result) -> Run:
    """Write down what careloom did by itself, when it is over; a run of the step that goes on elsewhere is left alone."""
    sql = (
        "insert into pipeline_run (step, asked_by, asked, began) values (%s, 'careloom', %s, %s) returning id"
    )
    [(id_,)] = connection.execute(sql, [step, began, began]).fetchall()
    return end(connection, id_, result, ended)


def latest(
    connection: Connection,
    steps: Sequence[str],
    outcomes: Sequence[Outcome] = ("running", "done", "failed", "busy"),
) -> dict[str, Run]:
    """The last run of each step that has one with such an outcome."""
    rows = connection.execute(_LATEST, {"steps": list(steps), "outcomes": list(outcomes)})
    return {row[1]: _run(row) for row in rows}


def runs(connection: Connection, step: str, limit: int = 50) -> list[Run]:
    """The runs of a step, the newest first."""
    sql = f"select {_COLUMNS} from pipeline_run where step = %s order by id desc limit %s"
    return [_run(row) for row in connection.execute(sql, [step, limit])]


def failures(connection: Connection, step: str) -> int:
    """How many runs have failed, or found the lake busy, since the last that was done."""
    sql = (
        "select count(*) from pipeline_run where step = %s and outcome in ('failed', 'busy')"
        " and id > coalesce((select max(id) from pipeline_run where step = %s and outcome = 'done'), 0)"
    )
    return connection.execute(sql, [step, step]).fetchall()[0][0]


def _run(row: tuple[Any, ...]) -> Run:
    id_, step, by, is_backfill, outcome, asked, began, ended, rows, tx, rid, reason, gates = row
    held = tuple(msgspec.convert(gates, list[Gate]))
    return Run(id_, step, by, is_backfill, outcome, asked, began, ended, rows, Cursor(tx, rid), reason, held)
