"""web.pages.browse: the FHIR browser: search any type by any parameter, with hints; page through what is found.

Room: web. What is sought travels in the body of a POST, also the place of a page: values have no place in an address.
Nothing is passed over: a parameter that is not known is refused, and said so. Access is checked by the same Reader as
/fhir. Standard: https://hl7.org/fhir/R4/search.html
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import parse_qsl

from starlette.responses import Response

from careloom.fhir.facts import resource_types
from careloom.fhir.outcome import Issue, OutcomeError
from careloom.fhir.query import Query
from careloom.fhir.resource import Resource
from careloom.store.search import Page
from careloom.store.stored import Stored
from careloom.web.call import Call
from careloom.web.errors import status_of
from careloom.web.hints import CONTROLS, hints
from careloom.web.record import sourced
from careloom.web.road import Road, deed, page
from careloom.web.wording import concept, day, human_name, moment, source_name, value_of

ROWS = 3
"""Lines of the form that are there without asking."""

MOST_ROWS = 12
COUNTS = ("20", "50", "100")
Pair = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Row:
    """One resource found."""

    href: str
    name: str
    rtype: str
    says: str
    version: int
    updated: str
    source: str
    is_included: bool


def form(call: Call) -> Response:
    """The form of one type; nothing is sought yet."""
    rtype = _type(call.asked("type", "Patient"))
    return call.show_as(200, "browse.html", _values(rtype, []) | _nothing())


def found(call: Call) -> Response:
    """What meets the posted parameters."""
    posted = parse_qsl(call.body.decode("utf-8", "replace"), keep_blank_values=True)
    rtype = _type(next((value for name, value in posted if name == "type"), ""))
    pairs = list(_pairs(posted))
    options = {name: value.strip() for name, value in posted if name in {"_count", "_total", "_cursor"}}
    values = (
        _values(rtype, pairs)
        | _nothing()
        | {"count": options.get("_count", ""), "total_asked": "_total" in options}
    )
    status = 200
    try:
        values |= _found(call, rtype, pairs, options)
    except OutcomeError as error:
        if call.actor is None or any(issue.code in {"login", "forbidden"} for issue in error.issues):
            raise
        status = 200 if call.is_fragment else status_of(error.issues)
        values["issues"] = error.issues
    return call.show_as(status, "browse_found.html" if call.is_fragment else "browse.html", values)


def _type(text: str) -> str:
    if text not in resource_types():
        raise OutcomeError(Issue("not-found", "R4 has no such resource type."))
    return text


def _pairs(posted: list[Pair]) -> Iterator[Pair]:
    """The lines of the form: each name with the value beside it."""
    names = [value.strip() for name, value in posted if name == "name"]
    texts = [value.strip() for name, value in posted if name == "value"]
    for name, text in zip(names, texts, strict=False):
        if name or text:
            yield name, text


def _values(rtype: str, pairs: list[Pair]) -> dict[str, object]:
    lines = pairs + [("", "")] * max(ROWS - len(pairs), 1)
    return {
        "rtype": rtype,
        "types": sorted(resource_types()),
        "hints": hints(rtype),
        "controls": CONTROLS,
        "lines": lines[: max(MOST_ROWS, len(pairs))],
        "counts": COUNTS,
        "count": COUNTS[0],
        "total_asked": False,
    }


def _nothing() -> dict[str, object]:
    return {"rows": None, "said": "", "next": "", "is_first": True, "issues": ()}


def _found(call: Call, rtype: str, pairs: list[Pair], options: dict[str, str]) -> dict[str, object]:
    if any(not name for name, _ in pairs):
        raise OutcomeError(Issue("invalid", "A value stands without the name of a parameter beside it."))
    asked = [*pairs, ("_count", options.get("_count") or COUNTS[0])]
    asked += [("_total", "accurate")] if "_total" in options else []
    asked += [("_cursor", options["_cursor"])] if options.get("_cursor") else []
    with call.reader() as read:
        query = read.asked(rtype, asked, strict=True)
        answer = read.search(query)
        rows = [_row(call, one, is_included=False) for one in answer.matches]
        rows += [_row(call, one, is_included=True) for one in answer.included]
    names = ",".join(dict.fromkeys(name for name, _ in pairs))
    call.seen("search-type", rtype, number=len(rows), parameters=names)
    return {
        "rows": rows,
        "said": _said(answer, query),
        "next": answer.next or "",
        "is_first": not query.cursor,
    }


def _said(answer: Page[Stored], query: Query) -> str:
    count = len(answer.matches)
    if answer.total is not None:
        total = f"{answer.total:,} {'match' if answer.total == 1 else 'matches'}"
        said = total if count == answer.total else f"{count:,} of {total}"
    elif answer.next:
        said = f"{count:,} matches, and there are more"
    else:
        said = f"{count:,} more, the last" if query.cursor else f"{count:,} matches"
    return f"{said}; {len(answer.included):,} beside them" if answer.included else said


def _row(call: Call, stored: Stored, *, is_included: bool) -> Row:
    resource = sourced(stored)
    return Row(
        href=f"/browse/{stored.rtype}/{stored.id}",
        name=stored.id,
        rtype=stored.rtype,
        says=says(resource),
        version=stored.version,
        updated=moment(stored.last_updated, call.site.zone, seconds=True),
        source=source_name(resource),
        is_included=is_included,
    )


def says(resource: Resource) -> str:
    """A resource in one line, of whatever type: what it is called, its value, its status, its time.

    >>> says({"resourceType": "Observation", "code": {"text": "Pulse"}, "valueString": "fast", "status": "final"})
    'Pulse, fast, final'
    """
    value = value_of(resource) if resource.get("resourceType") == "Observation" else ""
    parts = [_called(resource), value, _word(resource), _time(resource)]
    return ", ".join(part for part in parts if part)


def _called(resource: Resource) -> str:
    name = resource.get("name")
    if isinstance(name, list) and name and isinstance(name[0], dict):
        return human_name(name[0])
    if isinstance(name, str):
        return name
    for element in ("code", "type", "vaccineCode", "medicationCodeableConcept", "category"):
        value = resource.get(element)
        value = value[0] if isinstance(value, list) and value else value
        if isinstance(value, dict) and (text := concept(value)):
            return text
    told = (resource.get("title"), resource.get("description"))
    return next((text for text in told if isinstance(text, str) and text), "")


def _word(resource: Resource) -> str:
    status = resource.get("status") or resource.get("gender") or resource.get("clinicalStatus")
    return status if isinstance(status, str) else concept(status) if isinstance(status, dict) else ""


def _time(resource: Resource) -> str:
    names = (
        "birthDate",
        "effectiveDateTime",
        "authoredOn",
        "recordedDate",
        "onsetDateTime",
        "date",
        "issued",
    )
    text = next((value for name in names if isinstance(value := resource.get(name), str)), "")
    period = resource.get("period")
    return day((text or (str(period.get("start", "")) if isinstance(period, dict) else ""))[:10])


ROADS: tuple[Road, ...] = (
    page("/browse", "clinical.read", form),
    deed("/browse", "clinical.read", found),
)
