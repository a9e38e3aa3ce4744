"""web.pages.sql: the workbench: a statement of SQL on the lake, asked and shown; and the same as an API.

Room: web. One address: a form is answered with a page (or a file), JSON with the rows as JSON, CSV, Parquet or a workbook. The
statement travels in the body, for it may hold values. It runs in a process of its own (web.asked); who sees which row:
lake.sandbox.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import msgspec
from starlette.responses import JSONResponse, Response

from careloom.fhir.outcome import Issue, OutcomeError
from careloom.lake.asking import Form, Request, asks_for
from careloom.settings import lake_root, views_root
from careloom.store.actor import refuse_sql
from careloom.web.asked import Asked, Told
from careloom.web.brief import brief
from careloom.web.call import Call
from careloom.web.errors import noted, outcome, status_of, title_of
from careloom.web.road import Road, deed, page

FORMS = ("json", "csv", "parquet", "xlsx")
_LARGE = 2**63
SHOWN = 1_000
"""Rows of a page; a file may have MOST."""
MOST = 1_000_000
FILE_SECONDS = 300.0
EXAMPLES = (
    ("How many of what", "select status, count(*) as n from Observation group by status order by n desc"),
    ("Patients by year of birth", "select birthDate[1:4] as year, count(*) as patients from Patient group by year order by year"),
    ("Values of one code", "select effectiveDateTime, valueQuantity.value as value, valueQuantity.unit as unit\nfrom Observation\nwhere list_contains(list_transform(code.coding, c -> c.code), $code)\norder by effectiveDateTime"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Wanted:
    """What came in: a statement, the values of its names, the form of the answer."""

    sql: str
    values: Mapping[str, Any]
    form: Form
    """`page`, or a file."""


def show(call: Call) -> Response:
    """The workbench; nothing is asked yet."""
    return listed(call, lambda tables: _page(call, tables))


def columns(call: Call) -> Response:
    """All columns of all tables, for suggestions: they are many, and most pages never show them."""
    return _asked(call, request_for(call, work="tables"), lambda told: JSONResponse(dict(told.end)))


def run(call: Call) -> Response:
    """Ask. Each use leaves a line in the trail, also one that is refused; the statement is not in it."""
    is_api = not call.headers.get("content-type", "").startswith("application/x-www-form-urlencoded")
    call.seen("operation", "sql")
    try:
        wanted = _of_json(call.body) if is_api else _of_form(call)
    except OutcomeError as error:
        return outcome(error.issues) if is_api else _refused(call, "", error)
    is_page = wanted.form == "page"
    values = dict(wanted.values)
    request = request_for(call, sql=wanted.sql, values=values, **limits_of(wanted.form))
    if is_api:
        return Asked(call.site.askers, request, lambda error: outcome(error.issues))
    refused = partial(_refused, call, wanted.sql)
    return Asked(
        call.site.askers, request, refused, (lambda told: _found(call, wanted.sql, told)) if is_page else None
    )


def request_for(call: Call, **more: Any) -> Request:
    """A request in the name of who calls. Raises OutcomeError(forbidden) for who may not ask in SQL."""
    refuse_sql(call.who)
    settings = call.site.settings
    return asks_for(call.who, call.site.database.url, lake_root(settings), views_root(settings), **more)


def limits_of(form: Form) -> dict[str, Any]:
    """How an answer of this form is asked for: few rows soon for a page, many for a file."""
    rows, seconds = (SHOWN, 30.0) if form == "page" else (MOST, FILE_SECONDS)
    return {"form": form, "rows": rows, "seconds": seconds}


def given_in(posted: Mapping[str, str]) -> dict[str, str]:
    """The values of a statement's names in a form."""
    return {name.removeprefix("p."): text for name, text in posted.items() if name.startswith("p.")}


def _of_json(body: bytes) -> Wanted:
    try:
        told = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        told = None
    if not isinstance(told, dict) or not isinstance(told.get("sql"), str):
        raise OutcomeError(
            Issue("structure", 'The body is JSON: {"sql": "select ...", "parameters": {}, "format": "json"}.')
        )
    values = told.get("parameters") or {}
    if not isinstance(values, dict) or not all(
        isinstance(one, str | float | bool | None) or (isinstance(one, int) and abs(one) < _LARGE)
        for one in values.values()
    ):
        raise OutcomeError(
            Issue("structure", "parameters is an object of texts, numbers, booleans and nulls.", "parameters")
        )
    return Wanted(told["sql"], values, form_of(told.get("format", "json")))


def _of_form(call: Call) -> Wanted:
    posted = call.form()
    form = form_of(posted["format"]) if posted.get("format") else "page"
    return Wanted(posted.get("sql", ""), given_in(posted), form)


def form_of(text: object) -> Form:
    """The form of a file. Raises OutcomeError(value) for what is none."""
    if text not in FORMS:
        raise OutcomeError(Issue("value", "format is json, csv, parquet or xlsx.", "format"))
    return text  # pyright: ignore[reportReturnType] - it is one of them


def listed(call: Call, show: Callable[[Mapping[str, Any]], Response]) -> Response:
    """A page that is made of the tables that there are."""
    return _asked(call, request_for(call, work="tables"), lambda told: show(told.end))


def _asked(call: Call, request: Request, show: Callable[[Told], Response]) -> Response:
    return Asked(call.site.askers, request, lambda error: _error(call, error), show)


def _error(call: Call, error: OutcomeError) -> Response:
    status = status_of(error.issues)
    return call.show_as(
        status, "error.html", {"title": title_of(status), "issues": error.issues, "reference": ""}
    )


def _found(call: Call, sql: str, told: Told) -> Response:
    values = answered(call, told)
    if call.is_fragment:
        return call.show_as(200, "sql_found.html", values)
    return listed(call, lambda tables: _page(call, tables, sql, values))


def _refused(call: Call, sql: str, error: OutcomeError) -> Response:
    if call.is_fragment:
        return call.show_as(200, "sql_found.html", NONE | {"issues": error.issues})
    noted(error, "/sql")
    status = status_of(error.issues)
    return listed(call, lambda tables: _page(call, tables, sql, {"issues": error.issues}, status))


NONE: dict[str, Any] = {
    "rows": None,
    "columns": (),
    "is_cut": False,
    "issues": (),
    "most": f"{SHOWN:,}",
    "chart": None,
}
"""What a page shows where nothing was asked."""


def answered(call: Call, told: Told) -> dict[str, Any]:
    """What a page shows of an answer."""
    columns = [(name, kind, _is_number(kind)) for name, kind in told.columns]
    return NONE | {
        "rows": brief(told.rows, [kind for _, kind in told.columns]),
        "columns": columns,
        "is_cut": told.end["isCut"],
        "zone": str(call.site.zone),
    }


def _is_number(kind: str) -> bool:
    return kind.endswith("INT") or kind.startswith("DECIMAL") or kind in {"INTEGER", "DOUBLE", "FLOAT"}


def _page(
    call: Call,
    tables: Mapping[str, Any],
    sql: str = "",
    found: Mapping[str, Any] | None = None,
    status: int = 200,
) -> Response:
    values = NONE | {"sql": sql, "groups": tables["groups"], "examples": EXAMPLES}
    return call.show_as(status, "sql.html", values | dict(found or {}))


ROADS: tuple[Road, ...] = (
    page("/sql", "sql", show),
    page("/sql/columns", "sql", columns),
    deed("/sql", "sql", run),
)
