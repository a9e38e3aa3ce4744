"""web.pages.reports: saved statements: opened by an address that holds no value, run with a form, kept and shown.

Room: web. Who runs a report sees what they may see, whoever saved it. What a schedule kept is shown to its owner. Programs
speak to the same addresses in JSON (web.pages.reports_api).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.responses import Response

from careloom.fhir.outcome import Issue, OutcomeError
from careloom.lake.asking import Form
from careloom.store import report_runs, reports
from careloom.store.report import (
    CHARTS,
    KINDS,
    PERIODS,
    WEEKDAYS,
    Chart,
    Draft,
    Parameter,
    Plan,
    Report,
    Schedule,
    bound,
    next_due,
)
from careloom.store.report_runs import Result, Run
from careloom.store.reports import SHARABLE
from careloom.web.asked import Asked, Told
from careloom.web.call import Call
from careloom.web.errors import noted, status_of
from careloom.web.pages import reports_api as api
from careloom.web.pages.sql import MOST, NONE, SHOWN, answered, form_of, given_in, limits_of, request_for
from careloom.web.road import Handler, Road, deed, page
from careloom.web.wording import moment


def index(call: Call) -> Response:
    """All reports that one may open."""
    with call.site.database.connection() as connection:
        found = reports.reports(connection, call.who)
        last = report_runs.latest(connection, [one.id for one in found])
    rows = [
        (one, _due(call, one), _told_run(call, last[one.id]) if one.id in last else None) for one in found
    ]
    return call.show("reports.html", rows=rows)


def show(call: Call) -> Response:
    """One report, not run yet."""
    return _page(call, _found(call), {})


def run(call: Call) -> Response:
    """Run it as who asks; the values travel in the body."""
    found = _found(call)
    posted = call.form()
    call.seen("operation", f"report/{found.id}")
    given = given_in(posted)

    def refused(error: OutcomeError) -> Response:
        _note(call, found, error.issues)
        if call.is_fragment:
            return call.show_as(200, "sql_found.html", NONE | {"issues": error.issues})
        return _page(call, found, given, {"issues": error.issues}, status_of(error.issues))

    try:
        values, dates = bound(found.parameters, given)
        form = _form_of(posted.get("format", ""))
    except OutcomeError as error:
        return refused(error)
    request = request_for(call, sql=found.sql, values=values, dates=dates, **limits_of(form))

    def shown(told: Told) -> Response:
        values = answered(call, told) | {"chart": found.chart}
        if call.is_fragment:
            return call.show_as(200, "sql_found.html", values)
        return _page(call, found, given, values)

    def ended(end: Mapping[str, Any]) -> None:
        _note(call, found, Result((), end["count"], end["isCut"], None))

    return Asked(
        call.site.askers, request, refused, shown if form == "page" else None, name=_file_name(found), ended=ended
    )  # fmt: skip


def kept(call: Call) -> Response:
    """What a schedule kept: a page, or with `?format=` a file. Only for who sees what its owner saw then."""
    found = _found(call)
    with call.site.database.connection() as connection:
        pair = report_runs.kept(connection, found.id, call.parts["run"], call.who)
    if pair is None:
        raise OutcomeError(
            Issue("not-found", "There is no such result: it was kept long enough, or is another's.")
        )
    call.seen("operation", f"report/{found.id}")
    one, raw = pair
    form = _form_of(call.asked("format"))
    rows = SHOWN if form == "page" else MOST
    request = request_for(call, work="kept", kept=raw, columns=one.columns, form=form, rows=rows)

    def refused(error: OutcomeError) -> Response:
        return _page(call, found, {}, {"issues": error.issues}, status_of(error.issues))

    def shown(told: Told) -> Response:
        values = answered(call, told) | {"chart": found.chart, "shown": _told_run(call, one)}
        return _page(call, found, {}, values)

    return Asked(
        call.site.askers, request, refused, shown if form == "page" else None, name=_file_name(found)
    )


def draft(call: Call) -> Response:
    """The form to save a statement of the workbench."""
    posted = call.form()
    one = _draft(posted, ())
    return _checked(
        call,
        one.sql,
        lambda names: _edit(call, _draft(posted, names)),
        lambda issues: _edit(call, one, issues),
    )


def edit(call: Call) -> Response:
    """The form to change a report."""
    found = _found(call)
    return _edit(call, found, id_=found.id)


def save(call: Call) -> Response:
    """Keep it: its statement is judged first, and its parameters are those that it names."""
    posted = call.form()
    id_ = call.parts.get("id", "")

    def keep(names: tuple[str, ...]) -> Response:
        one = _draft(_with_kind(posted), names)
        try:
            with call.site.database.connection() as connection:
                kept_id = reports.save(connection, call.who, one, call.now, id_)
        except OutcomeError as error:
            return _edit(call, one, error.issues, id_)
        return call.go(f"/reports/{kept_id}")

    named = tuple(
        name.split(".")[1] for name in posted if name.startswith("param.") and name.endswith(".type")
    )
    return _checked(
        call, posted.get("sql", ""), keep, lambda issues: _edit(call, _draft(posted, named), issues, id_)
    )


def schedule(call: Call) -> Response:
    """Say when it runs by itself."""
    found = _found(call)
    posted = call.form()
    period = posted.get("period", "")
    when = None
    try:
        if period in PERIODS:
            numbers = {key: int(posted.get(key) or 1) for key in ("minutes", "day")}
            when = Schedule(
                period, at=posted.get("at") or "06:00", weekday=int(posted.get("weekday") or 0), **numbers
            )  # pyright: ignore[reportArgumentType]
        days = int(posted.get("keep_days") or 30)
    except ValueError:
        raise OutcomeError(Issue("value", "Minutes, days and weekdays are whole numbers.")) from None
    try:
        with call.site.database.connection() as connection:
            if when is not None:
                reports.refuse_schedule(when, found.parameters)
            due = next_due(when, call.now, call.site.zone) if when else None
            reports.schedule(connection, call.who, found.id, Plan(when, due, days), call.now)
    except OutcomeError as error:
        # What was chosen stays in the form, and the reason stands there.
        told = {"wish": when, "wished_days": days, "refused": error.issues}
        return _page(call, found, {}, told, status_of(error.issues))
    return call.go(f"/reports/{found.id}")


def remove(call: Call) -> Response:
    """Remove it with all that was kept."""
    with call.site.database.connection() as connection:
        reports.remove(connection, call.who, call.parts["id"], call.now)
    return call.go("/reports")


def _form_of(text: str) -> Form:
    return "page" if text in {"", "page"} else form_of(text)


def _found(call: Call) -> Report:
    with call.site.database.connection() as connection:
        return reports.report(connection, call.parts["id"], call.who)


def _checked(
    call: Call,
    sql: str,
    then: Callable[[tuple[str, ...]], Response],
    refuse: Callable[[Sequence[Issue]], Response],
) -> Response:
    request = request_for(call, work="check", sql=sql)
    return Asked(
        call.site.askers, request, lambda error: refuse(error.issues), lambda told: then(tuple(told.end["parameters"]))
    )  # fmt: skip


def _with_kind(posted: Mapping[str, str]) -> Mapping[str, str]:
    """The form of a report, where columns were named for a chart and its kind was left as offered: bars."""
    is_named = any(posted.get(f"chart.{part}", "").strip() for part in ("x", "y"))
    return {**posted, "chart.kind": "bar"} if is_named and not posted.get("chart.kind") else posted


def _draft(posted: Mapping[str, str], names: tuple[str, ...]) -> Draft:
    def said(name: str, part: str) -> str:
        return posted.get(f"param.{name}.{part}", "").strip()

    parameters = tuple(
        Parameter(
            name,
            kind if (kind := said(name, "type")) in KINDS else "text",  # pyright: ignore[reportArgumentType]
            said(name, "label"),
            # What was typed in the workbench is what it is asked with, until somebody says another.
            said(name, "default") or posted.get(f"p.{name}", "").strip(),
            tuple(filter(None, (each.strip() for each in said(name, "choices").split("\n")))),
        )
        for name in names
    )
    kind = posted.get("chart.kind", "")
    x, y, unit = (posted.get(f"chart.{part}", "").strip()[:200] for part in ("x", "y", "unit"))
    chart = Chart(kind, x, y, unit) if kind in CHARTS else None  # pyright: ignore[reportArgumentType]
    shared = tuple(role for role in SHARABLE if posted.get(f"shared.{role}"))
    return Draft(
        posted.get("name", ""),
        posted.get("description", ""),
        posted.get("sql", ""),
        parameters,
        chart,
        shared,
    )


def _edit(call: Call, one: Draft, issues: Sequence[Issue] = (), id_: str = "") -> Response:
    values = {"one": one, "id": id_, "issues": issues, "kinds": KINDS, "charts": CHARTS, "roles": SHARABLE}
    return call.show_as(status_of(issues) if issues else 200, "report_edit.html", values)


def _page(
    call: Call,
    found: Report,
    given: Mapping[str, str],
    answer: Mapping[str, Any] | None = None,
    status: int = 200,
) -> Response:
    with call.site.database.connection() as connection:
        history = report_runs.runs(connection, found.id)
    if issues := (answer or {}).get("issues"):
        noted(OutcomeError(*issues), "/reports")
    own = found.owner == call.who.id
    start = {
        "shown": None,
        "chart": found.chart,
        "wish": found.schedule,
        "wished_days": found.keep_days,
        "refused": (),
    }
    values = NONE | start | dict(answer or {})
    return call.show_as(
        status,
        "report.html",
        values
        | {
            "one": found,
            "given": given,
            "is_own": own,
            "due": _due(call, found),
            "periods": PERIODS,
            "weekdays": WEEKDAYS,
            # What others asked is theirs; of the schedule everybody may know that it works.
            "runs": [_told_run(call, run) for run in history if own or run.due or run.actor == call.who.id],
        },
    )


@dataclass(frozen=True, slots=True)
class Shown:
    """A run as a row of a page."""

    id: str
    when: str
    why: str
    status: str
    seconds: str
    rows: str
    reason: str
    path: str
    """Of what was kept; empty: nothing, or not for who asks."""


def _told_run(call: Call, run: Run) -> Shown:
    when = run.due or run.began or run.next_try
    seconds = f"{(run.ended - run.began).total_seconds():.1f} s" if run.began and run.ended else ""
    tries = f" after {run.attempts} tries" if run.attempts > 1 else ""
    reason = "; ".join(issue.text for issue in run.issues)
    if run.status == "queued" and run.issues:
        reason += f" Tried again at {moment(run.next_try, call.site.zone)}."
    is_mine = run.is_kept and run.actor == call.who.id
    return Shown(
        run.id,
        moment(when, call.site.zone),
        "schedule" if run.due else run.actor,
        run.status + tries,
        seconds,
        "" if run.rows is None else f"{run.rows:,}{' (cut)' if run.is_cut else ''}",
        reason,
        f"/reports/{run.report}/runs/{run.id}" if is_mine else "",
    )


def _due(call: Call, one: Report) -> str:
    return (
        f"{one.schedule.words}, next {moment(one.next_due, call.site.zone)}"
        if one.schedule and one.next_due
        else ""
    )


def _note(call: Call, found: Report, told: Any) -> None:
    with call.site.database.connection() as connection:
        report_runs.noted(connection, found.id, call.who, call.now, call.site.clock(), told)


def _file_name(found: Report) -> str:
    return (
        "".join(each if each.isascii() and each.isalnum() else "-" for each in found.name.lower()).strip("-")
        or "report"
    )


def _either(of_people: Handler, of_programs: Handler) -> Handler:
    """A page and its forms, or the same in JSON."""
    return lambda call: (of_programs if api.speaks_json(call) else of_people)(call)


ROADS: tuple[Road, ...] = (
    page("/reports", "sql", _either(index, api.index)),
    deed("/reports", "sql", _either(save, api.save)),
    deed("/reports/draft", "sql", draft),
    page("/reports/{id}", "sql", _either(show, api.show)),
    deed("/reports/{id}", "sql", _either(run, api.run)),
    page("/reports/{id}/edit", "sql", edit),
    deed("/reports/{id}/edit", "sql", _either(save, api.save)),
    deed("/reports/{id}/schedule", "sql", _either(schedule, api.schedule)),
    deed("/reports/{id}/remove", "sql", _either(remove, api.remove)),
    page("/reports/{id}/runs/{run}", "sql", kept),
)
