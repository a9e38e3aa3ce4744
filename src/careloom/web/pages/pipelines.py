"""web.pages.pipelines: how every step of the pipeline stands, what it failed at, and a button to run it again.

Room: web. Counts and times, nothing of any patient; what was set aside is named for who may read messages.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from itertools import groupby

from starlette.responses import Response

from careloom.fhir.outcome import Issue, OutcomeError
from careloom.flow.board import Standing, standings
from careloom.registry import STEPS
from careloom.store import outbox, runs
from careloom.store.aside import Aside, asides
from careloom.store.runs import Run
from careloom.web.call import Call
from careloom.web.record import message_path
from careloom.web.road import Road, deed, page
from careloom.web.wording import moment, span

TONES = {"failed": "soon", "behind": "soon", "never run": "soon", "in order": "good"}
SHOWN = 20


@dataclass(frozen=True, slots=True)
class Line:
    """One step as a row."""

    name: str
    href: str
    """Its runs, or its messages; "" if there is no such page."""
    state: str
    tone: str
    behind: str
    since: str
    rows: str
    when: str
    took: str
    gates: list[tuple[str, str, str]]
    """Name, tone, and what was counted."""
    retries: str
    set_aside: str
    aside_href: str
    error: str
    is_runnable: bool


@dataclass(frozen=True, slots=True)
class Reason:
    """Something set aside or refused, and why."""

    where: str
    what: str
    href: str
    reason: str
    when: str


def show(call: Call) -> Response:
    """The board."""
    may_read = call.may("event.read")
    with call.site.database.connection() as connection:
        found = standings(connection, call.site.settings, call.who, call.now)
        reasons = [_aside(call, one) for one in asides(connection, SHOWN)] if may_read else []
        if may_read:
            reasons += [_refused(call, one) for one in outbox.refused(connection, SHOWN)]
    groups = [
        (group, [_line(call, one) for one in rows]) for group, rows in groupby(found, lambda one: one.group)
    ]
    return call.show(
        "pipelines.html",
        groups=groups,
        reasons=reasons,
        may_drive=call.may(runs.RIGHT) and call.site.settings.lake,
        is_fed=call.site.settings.lake,
        as_of=moment(call.now, call.site.zone),
    )


def history(call: Call) -> Response:
    """The runs of one step."""
    step = _step(call)
    with call.site.database.connection() as connection:
        found = runs.runs(connection, step)
    return call.show("pipeline_runs.html", step=step, runs=[_ran(call, run) for run in found])


def drive(call: Call) -> Response:
    """Ask for a run; the process of the lake begins it. Each use leaves a line in the trail."""
    step, is_backfill = _step(call), call.form().get("backfill") == "yes"
    call.seen("operation", f"pipeline-{'backfill' if is_backfill else 'run'} {step}")
    with call.site.database.connection() as connection:
        runs.ask(connection, call.who, step, call.now, is_backfill=is_backfill)
    return call.go("/pipelines")


def _step(call: Call) -> str:
    step = str(call.parts["step"])
    if step not in STEPS:
        raise OutcomeError(Issue("not-found", f"There is no such step; there are: {', '.join(STEPS)}."))
    return step


def _line(call: Call, one: Standing) -> Line:
    is_feed = one.group == "Feed"
    held = f"/messages?status={'quarantined' if is_feed else ''}" if is_feed else "#aside"
    ended = one.run and (one.run.ended or one.run.began)
    return Line(
        name=one.name,
        href=f"/pipelines/{one.name}"
        if one.is_runnable
        else "/messages"
        if is_feed and call.may("event.read")
        else "",
        state=one.state,
        tone=TONES.get(one.state, ""),
        behind="" if one.behind is None else f"{one.behind:,}",
        since=span(timedelta(seconds=one.behind_s)) if one.behind else "",
        rows=("" if one.rows is None else f"{one.rows:,}")
        + (f" ({one.added:,} new)" if one.added is not None else ""),
        when=f"{span(call.now - ended)} ago" if ended else "",
        took=f"{one.run.seconds:.1f} s" if one.run and one.run.seconds is not None else "",
        gates=[(gate.name, "good" if gate.is_held else "soon", gate.told) for gate in one.gates],
        retries=f"{one.retries:,}" if one.retries else "",
        set_aside=f"{one.set_aside:,}" if one.set_aside else "",
        aside_href=held if call.may("event.read") else "",
        error=one.error,
        is_runnable=one.is_runnable,
    )


def _ran(call: Call, run: Run) -> dict[str, object]:
    return {
        "when": moment(run.began or run.asked, call.site.zone, seconds=True),
        "by": run.asked_by,
        "what": "backfill" if run.is_backfill else "run",
        "outcome": run.outcome,
        "tone": {"done": "good", "failed": "soon", "busy": "soon"}.get(run.outcome, ""),
        "took": f"{run.seconds:.1f} s" if run.seconds is not None else "",
        "rows": "" if run.rows is None else f"{run.rows:,}",
        "gates": ", ".join(f"{gate.name}: {gate.told}" for gate in run.gates),
        "reason": run.reason,
    }


def _aside(call: Call, one: Aside) -> Reason:
    what = f"{one.rtype}/{one.id}"
    href = message_path(one.event_id, what, "id") if one.event_id is not None else ""
    return Reason(one.station, what, href, one.reason, moment(one.at, call.site.zone))


def _refused(call: Call, one: outbox.Refused) -> Reason:
    when = moment(one.tried, call.site.zone) if one.tried else ""
    return Reason(one.destination, f"message {one.event_id}", f"/messages/{one.event_id}", one.answer, when)


ROADS: tuple[Road, ...] = (
    page("/pipelines", "page", show),
    page("/pipelines/{step}", "page", history),
    deed("/pipelines/{step}", runs.RIGHT, drive),
)
