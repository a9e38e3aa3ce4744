"""act.escalation: an unacknowledged Task climbs nurse -> physician -> charge by the clock; a snoozed one wakes.

Room: act. Reads Tasks, returns changed Tasks. Where a Task stands and since when is in the Task itself
(performerType, restriction.period), so that a restart neither repeats a step nor skips one.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from careloom.act.task import ROLE, WAITING, changed, concept, noted, role_of, step_of
from careloom.fhir.instant import instant, interval
from careloom.fhir.resource import Resource
from careloom.store.read import Reader

LADDER: tuple[str, ...] = ("nurse", "physician", "charge")
"""Who is waited for, in order."""

PACE: dict[str, float] = {"stat": 0.5}
"""Share of the waiting time by priority: RCP gives an emergency half the time of an urgent review. Others: 1."""


def tick(now: datetime, read: Reader, *, escalate_after_minutes: float = 10.0) -> list[Resource]:
    """The Tasks whose time has come: one step up the ladder, or awake again."""
    waiting = read.find(
        "Task", ("status", ",".join(sorted(WAITING | {"on-hold"}))), count=1000, sort="_lastUpdated"
    )
    steps = (stepped(task, now, escalate_after_minutes) for task in waiting)
    return [task for task in steps if task is not None]


def due(task: Resource, escalate_after_minutes: float) -> datetime | None:
    """When the Task climbs or wakes if nobody acts; None: never."""
    period = task.get("restriction", {}).get("period", {})
    if task.get("status") == "on-hold":
        return interval(period["end"])[0] if "end" in period else None
    is_waiting = task.get("status") in WAITING and role_of(task) in LADDER and step_of(task) != "overdue"
    if not is_waiting or "start" not in period:
        return None
    wait = timedelta(minutes=escalate_after_minutes * PACE.get(str(task.get("priority")), 1.0))
    return interval(period["start"])[0] + wait


def stepped(task: Resource, now: datetime, escalate_after_minutes: float) -> Resource | None:
    """The Task one step further, or None while its time has not come."""
    when = due(task, escalate_after_minutes)
    if when is None or now < when:
        return None
    if task["status"] == "on-hold":
        return noted(waiting_for(task, role_of(task) or LADDER[0], now), "Snooze is over.", now)
    rung = LADDER.index(role_of(task)) + 1
    if rung == len(LADDER):
        return noted(changed(task, "requested", "overdue", now), "Not acknowledged by anybody.", now)
    role = LADDER[rung]
    return noted(
        waiting_for(task, role, now), f"Not acknowledged by the {LADDER[rung - 1]}: now with the {role}.", now
    )


def waiting_for(task: Resource, role: str, now: datetime) -> Resource:
    """The Task as it waits for a role, its clock started."""
    after = changed(task, "requested", role, now)
    after.pop("owner", None)
    after["performerType"] = [concept(ROLE, role, role.capitalize())]
    after["restriction"] = {"period": {"start": instant(now)}}
    return after
