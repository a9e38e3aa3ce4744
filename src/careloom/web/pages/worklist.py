"""web.pages.worklist: what the care team should do next, the most urgent first, with the reasons; live.

Room: web. Reads Tasks; acts through web.pages.task. However many tasks wait, a page reads those that it shows, and
asks the store as often for thirty as for one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from starlette.responses import Response

from careloom.act.task import ACTOR, OPEN, ROLE, WAITING
from careloom.fhir.resource import Resource
from careloom.store.read import Reader
from careloom.web.call import Call
from careloom.web.choice import Choice
from careloom.web.record import Evidence, Record, records_of
from careloom.web.road import Road, page
from careloom.web.stay import places_of
from careloom.web.tasks import View, counted, evidence_of, names_of, rates_of, view_of
from careloom.web.wording import age, day, moment, person_name, sex

MOST = 30
"""Rows on one page."""

CHOICES = {
    "open": "All open tasks",
    "waiting": "Nobody has acknowledged",
    "mine": "Mine",
    "role": "Waiting for my role",
    "ended": "Closed and dismissed",
}

ENDED = ("completed", "rejected", "cancelled", "failed", "entered-in-error")
URGENT = ("stat", "asap,urgent")
"""Priorities, the most urgent first; all others come after them."""

Pair = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Row:
    """One task with its patient."""

    task: View
    patient: str
    patient_href: str
    born: str
    age: str
    sex: str
    place: str


def worklist(call: Call) -> Response:
    """The page, or only its rows when htmx asks for them."""
    show = call.asked("show", "open")
    show = show if show in CHOICES else "open"
    start = int(call.asked("from")) if call.asked("from").isdecimal() and len(call.asked("from")) < 7 else 0  # noqa: PLR2004
    with call.reader() as read:
        total = counted(read, *_pairs(call, show))
        tasks = _tasks(call, read, show, start)
        rows = _rows(call, read, tasks)
    call.seen("search-type", "Task", number=len(rows))
    values = {
        "rows": rows,
        "show": show,
        "choices": [Choice(value, title) for value, title in CHOICES.items()],
        "nothing": "" if show == "open" else " here",
        "total": f"{start + 1} to {start + len(rows)} of {total}" if len(rows) < total else str(total),
        "here": _href(show, start),
        "earlier": _href(show, max(start - MOST, 0)) if start else "",
        "later": _href(show, start + MOST) if start + len(rows) < total and rows else "",
        "as_of": moment(call.now, call.site.zone),
    }
    return call.show_as(200, "worklist_rows.html" if call.is_fragment else "worklist.html", values)


def _href(show: str, start: int) -> str:
    return "/worklist?" + urlencode({"show": show} | ({"from": start} if start else {}))


def _pairs(call: Call, show: str) -> list[Pair]:
    """What is asked for, as search parameters of Task."""
    match show:
        case "waiting":
            return [("status", _any(WAITING))]
        case "mine":
            return [("status", _any(OPEN)), ("owner:identifier", f"{ACTOR}|{call.who.id}")]
        case "role":
            roles = ",".join(f"{ROLE}|{role}" for role in sorted(call.who.roles))
            return [("status", _any(WAITING)), ("performer", roles)]
        case "ended":
            return [("status", ",".join(ENDED))]
        case _:
            return [("status", _any(OPEN))]


def _any(statuses: frozenset[str]) -> str:
    return ",".join(sorted(statuses))


def _tasks(call: Call, read: Reader, show: str, start: int) -> list[Resource]:
    """One page: what ended, the latest first; else the most urgent first, of these what nobody has, then the oldest.

    The store sorts by time only; so each rank is asked for on its own until the page is full.
    """
    pairs = _pairs(call, show)
    if show == "ended":
        return read.find("Task", *pairs, count=start + MOST, sort="-modified")[start:]
    found: list[Resource] = []
    wanted = start + MOST
    for rank in _ranks():
        if len(found) < wanted:
            found += read.find("Task", *pairs, *rank, count=wanted - len(found), sort="authored-on")
    return found[start:]


def _ranks() -> list[list[Pair]]:
    held = _any(OPEN - WAITING)
    priorities: list[list[Pair]] = [[("priority", one)] for one in URGENT]
    priorities.append([("priority:not", ",".join(URGENT))])
    return [[*one, ("status", status)] for one in priorities for status in (_any(WAITING), held)]


def _rows(call: Call, read: Reader, tasks: Sequence[Resource]) -> list[Row]:
    evidence = Evidence(read)
    evidence_of(evidence, tasks)
    records = records_of(read, [_patient_id(task) for task in tasks])
    places = places_of(read, list(records.values()))
    rates, names = rates_of(read, tasks), names_of(call)
    return [
        _row(call, view_of(call, evidence, task, rates, names), record, places.get(record.id, ""))
        for task in tasks
        if (record := records.get(_patient_id(task)))
    ]


def _patient_id(task: Resource) -> str:
    return (task.get("for") or {}).get("reference", "").removeprefix("Patient/")


def _row(call: Call, view: View, record: Record, place: str) -> Row:
    face = record.face
    return Row(
        task=view,
        patient=person_name(face),
        patient_href=record.href,
        born=day(face.get("birthDate")),
        age=age(face.get("birthDate"), call.now),
        sex=sex(face),
        place=place,
    )


ROADS: tuple[Road, ...] = (page("/worklist", "clinical.read", worklist),)
