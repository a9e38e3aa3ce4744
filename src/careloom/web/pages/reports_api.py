"""web.pages.reports_api: saved reports for programs: the addresses of web.pages.reports, spoken to in JSON.

Room: web. A program sends a Bearer token; a browser's session does as well, with its X-CSRF. Who opens, runs and changes which
report is decided where it is for people (store.reports), and rows are those of who asks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, TypeVar

import msgspec
from starlette.responses import JSONResponse, Response

from careloom.fhir.outcome import Issue, OutcomeError
from careloom.store import accounts, report_runs, reports
from careloom.store.report import Chart, Draft, Parameter, Plan, Report, Schedule, bound, next_due
from careloom.store.report_runs import Result
from careloom.web.asked import Asked, Told
from careloom.web.call import Call
from careloom.web.errors import outcome
from careloom.web.pages.sql import form_of, limits_of, request_for

_RUNS = 50


class _Saved(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    """What is sent to save one."""

    name: str
    sql: str
    description: str = ""
    parameters: list[Parameter] = []
    chart: Chart | None = None
    shared_with: list[str] = []


class _Run(msgspec.Struct, forbid_unknown_fields=True):
    """What is sent to run one."""

    parameters: dict[str, str | int | float | None] = {}
    format: str = "json"


class _Due(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    """What is sent to say when one runs."""

    schedule: Schedule | None = None
    keep_days: int = 30


def speaks_json(call: Call) -> bool:
    """Whether JSON is sent, or nothing is and JSON is wanted rather than a page."""
    if call.method == "POST":
        return call.headers.get("content-type", "").partition(";")[0].strip().lower() == "application/json"
    wanted = [one.partition(";")[0].strip() for one in call.headers.get("accept", "").split(",")]
    return "application/json" in wanted and "text/html" not in wanted


def _outcomes(answer: Callable[[Call], Response]) -> Callable[[Call], Response]:
    """What is wrong as an OperationOutcome, not as a page."""

    def told(call: Call) -> Response:
        try:
            return answer(call)
        except OutcomeError as error:
            return _refused(error)

    return told


@_outcomes
def index(call: Call) -> Response:
    """All reports that one may open."""
    with call.site.database.connection() as connection:
        found = reports.reports(connection, call.who)
    return JSONResponse({"reports": [_told(one) for one in found]})


@_outcomes
def show(call: Call) -> Response:
    """One report with its last runs."""
    found = _found(call)
    with call.site.database.connection() as connection:
        runs = report_runs.runs(connection, found.id)
    own = found.owner == call.who.id
    told = [
        {
            "id": run.id, "status": run.status, "began": _moment(run.began), "ended": _moment(run.ended), "rows": run.rows,
            "isCut": run.is_cut, "isKept": run.is_kept and run.actor == call.who.id, "issues": [one.text for one in run.issues],
        }
        for run in runs[:_RUNS] if own or run.due or run.actor == call.who.id
    ]  # fmt: skip
    return JSONResponse(_told(found) | {"runs": told})


@_outcomes
def save(call: Call) -> Response:
    """Keep a new one, or what is changed in one's own: its statement is judged first."""
    told, id_ = _read(call, _Saved), call.parts.get("id", "")

    def keep(end: Mapping[str, Any]) -> Response:
        draft = Draft(
            told.name, told.description, told.sql, _named(told.parameters, end["parameters"]), told.chart,
            tuple(told.shared_with),
        )  # fmt: skip
        with call.site.database.connection() as connection:
            kept_id = reports.save(connection, call.who, draft, call.now, id_)
            found = reports.report(connection, kept_id, call.who)
        answer = JSONResponse(_told(found), 200 if id_ else 201)
        if not id_:
            answer.headers["location"] = f"/reports/{kept_id}"
        return answer

    request = request_for(call, work="check", sql=told.sql)
    return Asked(call.site.askers, request, _refused, _answered(keep))


@_outcomes
def run(call: Call) -> Response:
    """Run it as who asks; the values travel in the body."""
    found = _found(call)
    told = _read(call, _Run)
    call.seen("operation", f"report/{found.id}")
    unknown = sorted(told.parameters.keys() - {one.name for one in found.parameters})
    if unknown:
        raise OutcomeError(Issue("value", f"The report has no ${unknown[0][:64]}.", "parameters"))
    form = form_of(told.format)
    texts = {name: _text(value) for name, value in told.parameters.items() if value is not None}

    def refused(error: OutcomeError) -> Response:
        _note(call, found, error.issues)
        return _refused(error)

    try:
        values, dates = bound(found.parameters, texts)
    except OutcomeError as error:
        return refused(error)

    def ended(end: Mapping[str, Any]) -> None:
        _note(call, found, Result((), end["count"], end["isCut"], None))

    request = request_for(call, sql=found.sql, values=values, dates=dates, **limits_of(form))
    return Asked(call.site.askers, request, refused, name=f"report-{found.id}", ended=ended)


@_outcomes
def schedule(call: Call) -> Response:
    """Say when it runs by itself; `schedule` null: no longer."""
    found, told = _found(call), _read(call, _Due)
    with call.site.database.connection() as connection:
        if told.schedule is not None:
            if accounts.actor_of(connection, call.who.id, call.now) is None:
                text = "What runs by itself runs as an account: save the report as one, not by a program's token."
                raise OutcomeError(Issue("forbidden", text))
            reports.refuse_schedule(told.schedule, found.parameters)
        due = next_due(told.schedule, call.now, call.site.zone) if told.schedule else None
        reports.schedule(connection, call.who, found.id, Plan(told.schedule, due, told.keep_days), call.now)
        found = reports.report(connection, found.id, call.who)
    return JSONResponse(_told(found))


@_outcomes
def remove(call: Call) -> Response:
    """Remove it with all that was kept."""
    with call.site.database.connection() as connection:
        reports.remove(connection, call.who, call.parts["id"], call.now)
    return Response(status_code=204)


T = TypeVar("T")


def _read(call: Call, shape: type[T]) -> T:
    try:
        return msgspec.json.decode(call.body or b"{}", type=shape)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise OutcomeError(Issue("structure", f"The body is not what is read here: {error}.")) from None


def _named(given: list[Parameter], names: list[str]) -> tuple[Parameter, ...]:
    """A parameter for each name of the statement. Raises OutcomeError for one that it does not have."""
    known = {one.name: one for one in given}
    for one in given:
        if one.name not in names:
            raise OutcomeError(Issue("value", f"The statement has no ${one.name[:64]}.", "parameters"))
    return tuple(known.get(name, Parameter(name)) for name in names)


def _text(value: str | float) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _answered(answer: Callable[[Mapping[str, Any]], Response]) -> Callable[[Told], Response]:
    def told(found: Told) -> Response:
        try:
            return answer(found.end)
        except OutcomeError as error:
            return _refused(error)

    return told


def _refused(error: OutcomeError) -> Response:
    return outcome(error.issues)


def _found(call: Call) -> Report:
    with call.site.database.connection() as connection:
        return reports.report(connection, call.parts["id"], call.who)


def _note(call: Call, found: Report, told: Any) -> None:
    with call.site.database.connection() as connection:
        report_runs.noted(connection, found.id, call.who, call.now, call.site.clock(), told)


def _told(one: Report) -> dict[str, Any]:
    return {
        "id": one.id, "name": one.name, "description": one.description, "sql": one.sql,
        "parameters": msgspec.to_builtins(one.parameters), "chart": msgspec.to_builtins(one.chart),
        "sharedWith": list(one.shared), "owner": one.owner, "schedule": msgspec.to_builtins(one.schedule),
        "nextDue": _moment(one.next_due), "keepDays": one.keep_days, "changed": _moment(one.changed),
    }  # fmt: skip


def _moment(when: datetime | None) -> str | None:
    return when.isoformat() if when else None
