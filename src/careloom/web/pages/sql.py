"""web.pages.sql: the workbench: a statement of SQL on the lake, asked and shown; and the same as an API.

Room: web. One address: a form is answered with a page (or a file), JSON with the rows as JSON, CSV or Parquet. The
statement travels in the body, for it may hold values. Who sees which row: lake.sandbox.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
from starlette.responses import Response, StreamingResponse

from careloom.fhir.outcome import Issue, OutcomeError
from careloom.settings import lake_root
from careloom.web.call import Call
from careloom.web.errors import noted, outcome, status_of
from careloom.web.road import Road, deed, page

if TYPE_CHECKING:
    from careloom.lake.delivery import Form
    from careloom.lake.sandbox import Rows

FORMS = ("json", "csv", "parquet")
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
class Asked:
    """What came in: a statement, the values of its names, the form of the answer."""

    sql: str
    values: Mapping[str, Any]
    form: Form | None
    """None: a page."""


def show(call: Call) -> Response:
    """The workbench; nothing is asked yet."""
    return call.show_as(200, "sql.html", _page(call, ""))


def run(call: Call) -> Response:
    """Ask. Each use leaves a line in the trail, also one that is refused; the statement is not in it."""
    is_api = not call.headers.get("content-type", "").startswith("application/x-www-form-urlencoded")
    call.seen("operation", "sql")
    asked: Asked | None = None
    try:
        asked = _of_json(call.body) if is_api else _of_form(call)
        return _streamed(call, asked, asked.form) if asked.form else _shown(call, asked)
    except OutcomeError as error:
        noted(error, "/sql")
        if is_api:
            return outcome(error.issues)
        status = 200 if call.is_fragment else status_of(error.issues)
        values = _page(call, asked.sql if asked else "") | {"issues": error.issues}
        return call.show_as(status, "sql_found.html" if call.is_fragment else "sql.html", values)


def _of_json(body: bytes) -> Asked:
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
        isinstance(one, str | int | float | bool | None) for one in values.values()
    ):
        raise OutcomeError(
            Issue("structure", "parameters is an object of texts, numbers, booleans and nulls.", "parameters")
        )
    return Asked(told["sql"], values, _form(told.get("format", "json")))


def _of_form(call: Call) -> Asked:
    posted = call.form()
    values = {name.removeprefix("p."): text for name, text in posted.items() if name.startswith("p.")}
    return Asked(posted.get("sql", ""), values, _form(posted["format"]) if posted.get("format") else None)


def _form(text: object) -> Form:
    if text not in FORMS:
        raise OutcomeError(Issue("value", "format is json, csv or parquet.", "format"))
    return text  # pyright: ignore[reportReturnType] - it is one of them


@contextmanager
def _asked(call: Call, asked: Asked, rows: int, seconds: float) -> Generator[Rows]:
    # The engines of analysis cost half a second: they are imported when somebody asks.
    from careloom.lake.sandbox import Limits
    from careloom.lake.sandbox import asked as ask

    root = lake_root(call.site.settings)
    with ask(call.site.database, root, call.who, asked.sql, asked.values, Limits(rows, seconds)) as found:
        yield found


def _streamed(call: Call, asked: Asked, form: Form) -> Response:
    from careloom.lake.delivery import MEDIA, delivered

    with ExitStack() as stack:
        found = stack.enter_context(_asked(call, asked, MOST, FILE_SECONDS))
        pieces = delivered(found, form)
        # What is wrong with the first rows is told as such; later only the break tells it.
        first = next(pieces)
        second = next(pieces, b"")
        kept = stack.pop_all()
    headers = {"Content-Disposition": f'attachment; filename="careloom.{form}"'}
    body = _piecewise(kept, first + second, pieces)
    return StreamingResponse(body, 200, headers, MEDIA[form])


def _piecewise(kept: AbstractContextManager[Any], first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    with kept:
        yield first
        yield from rest


def _shown(call: Call, asked: Asked) -> Response:
    from careloom.lake.delivery import text_of

    with _asked(call, asked, SHOWN, 30.0) as found:
        rows = [[text_of(value) for value in row] for row in found.rows()]
        columns = [(name, kind, _is_number(kind)) for name, kind in found.columns]
        is_cut = found.is_cut
    values = _page(call, asked.sql) | {"rows": rows, "columns": columns, "is_cut": is_cut}
    return call.show_as(200, "sql_found.html" if call.is_fragment else "sql.html", values)


def _is_number(kind: str) -> bool:
    return kind.endswith("INT") or kind.startswith("DECIMAL") or kind in {"INTEGER", "DOUBLE", "FLOAT"}


def _page(call: Call, sql: str) -> dict[str, object]:
    from careloom.lake.lake import Lake
    from careloom.lake.sandbox import refuse
    from careloom.lake.sight import columns_of, common_columns

    refuse(call.who)
    common = common_columns()
    try:
        types = Lake(lake_root(call.site.settings)).types
    except OutcomeError:
        types = []
    return {
        "sql": sql,
        "tables": [(rtype, _told(one for one in columns_of(rtype) if one not in common)) for rtype in types],
        "common": _told(common),
        "examples": EXAMPLES,
        "rows": None,
        "columns": (),
        "is_cut": False,
        "issues": (),
        "most": f"{SHOWN:,}",
    }


def _told(columns: Iterable[tuple[str, str]]) -> str:
    return " ".join(map(":".join, columns))


ROADS: tuple[Road, ...] = (page("/sql", "sql", show), deed("/sql", "sql", run))
