"""store.reports: saved reports: who may open one, and what is changed in them.

Room: store. Touches: the tables report, audit. An owner changes; who has a role that it is shared with opens and runs it,
as themselves. Every change leaves a line in the audit trail, without the statement.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from secrets import token_urlsafe
from typing import Any

import msgspec

from careloom.fhir.outcome import Issue, OutcomeError
from careloom.store.actor import ROLES, STATION, Actor, refuse_sql
from careloom.store.audit import Access, Interaction, record
from careloom.store.database import Connection
from careloom.store.report import (
    Chart,
    Draft,
    Parameter,
    Plan,
    Report,
    Schedule,
    refuse_draft,
    refuse_schedule,
)

COLUMNS = (
    "id, name, description, sql, parameters, chart, owner, shared, schedule, next_due, keep_days, changed"
)
SHARABLE = tuple(sorted(role for role, rights in ROLES.items() if {"sql", "page"} <= rights))
"""Roles that a report may be shared with."""
LONGEST_KEPT = 3_650


def reports(connection: Connection, actor: Actor) -> list[Report]:
    """Those that an actor may open, by name."""
    refuse_sql(actor)
    sql = f"select {COLUMNS} from report where %s or owner = %s or shared && %s::text[] order by lower(name), id"
    rows = connection.execute(sql.encode(), [actor == STATION, actor.id, list(actor.roles)]).fetchall()
    return [_report(row) for row in rows]


def report(connection: Connection, id_: str, actor: Actor) -> Report:
    """One report. Raises OutcomeError(not-found) also for one that the actor may not open."""
    refuse_sql(actor)
    row = connection.execute(f"select {COLUMNS} from report where id = %s".encode(), [id_]).fetchone()
    found = _report(row) if row else None
    if found is None or not may_open(found, actor):
        raise OutcomeError(Issue("not-found", "There is no such report, or it is not shared with your role."))
    return found


def may_open(found: Report, actor: Actor) -> bool:
    """Whether it is the actor's own, or shared with one of their roles."""
    return actor == STATION or found.owner == actor.id or not actor.roles.isdisjoint(found.shared)


def save(connection: Connection, actor: Actor, draft: Draft, now: datetime, id_: str = "") -> str:
    """Keep a report, or what was changed in one's own; its id. Raises OutcomeError: required, value, forbidden, not-found."""
    refuse_sql(actor)
    refuse_draft(draft, SHARABLE)
    told = [draft.name.strip(), draft.description.strip(), draft.sql, _json(draft.parameters), _json(draft.chart), list(draft.shared), now]  # fmt: skip
    if id_:
        own = _own(connection, id_, actor)
        if own.schedule is not None:
            refuse_schedule(own.schedule, draft.parameters)
        sql = "update report set name = %s, description = %s, sql = %s, parameters = %s, chart = %s, shared = %s, changed = %s where id = %s"
        connection.execute(sql, [*told, id_])
        _note(connection, actor, "update", id_, now)
        return id_
    id_ = token_urlsafe(12)
    sql = (
        "insert into report (name, description, sql, parameters, chart, shared, changed, id, owner, keep_days, created)"
        " values (%s, %s, %s, %s, %s, %s, %s, %s, %s, 30, %s)"
    )
    connection.execute(sql, [*told, id_, actor.id, now])
    _note(connection, actor, "create", id_, now)
    return id_


def schedule(connection: Connection, actor: Actor, id_: str, plan: Plan, now: datetime) -> None:
    """Say when it is due next, and for how long results are kept. Raises OutcomeError."""
    own = _own(connection, id_, actor)
    if plan.schedule is not None:
        refuse_schedule(plan.schedule, own.parameters)
    if not 1 <= plan.keep_days <= LONGEST_KEPT:
        raise OutcomeError(Issue("value", f"Results are kept for 1 to {LONGEST_KEPT} days.", "keep_days"))
    sql = "update report set schedule = %s, next_due = %s, keep_days = %s, changed = %s where id = %s"
    due = plan.due if plan.schedule else None
    connection.execute(sql, [_json(plan.schedule), due, plan.keep_days, now, id_])
    _note(connection, actor, "update", id_, now)


def remove(connection: Connection, actor: Actor, id_: str, now: datetime) -> None:
    """Remove one's own report with all that was kept of it."""
    _own(connection, id_, actor)
    connection.execute("delete from report where id = %s", [id_])
    _note(connection, actor, "delete", id_, now)


def _own(connection: Connection, id_: str, actor: Actor) -> Report:
    found = report(connection, id_, actor)
    if actor != STATION and actor.id != found.owner:
        raise OutcomeError(
            Issue("forbidden", "Only who saved a report changes it: save it under a name of your own.")
        )
    return found


def _note(connection: Connection, actor: Actor, deed: Interaction, id_: str, now: datetime) -> None:
    record(connection, Access(now, actor.id, deed, what=f"report/{id_}"))


def _report(row: Sequence[Any]) -> Report:
    id_, name, description, sql, parameters, chart, owner, shared, when, due, keep_days, changed = row
    return Report(
        name, description, sql, tuple(msgspec.convert(parameters, list[Parameter])),
        msgspec.convert(chart, Chart) if chart else None, tuple(shared), id_, owner,
        msgspec.convert(when, Schedule) if when else None, due, keep_days, changed,
    )  # fmt: skip


def _json(value: Any) -> str | None:
    return None if value is None else msgspec.json.encode(value).decode()
