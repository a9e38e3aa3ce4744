"""web.pages.worklist: what the care team should do next, the most urgent first, with the reasons; live.

Room: web. Reads Tasks; acts through web.pages.task.
"""

from __future__ import annotations

from dataclasses import dataclass

from starlette.responses import Response

from careloom.act.task import OPEN, WAITING, role_of
from careloom.fhir.resource import Resource
from careloom.store.read import Reader
from careloom.web.call import Call
from careloom.web.choice import Choice
from careloom.web.record import Evidence, record_of
from careloom.web.road import Road, page
from careloom.web.tasks import View, ranked, rates_of, view_of
from careloom.web.wording import age, day, moment, person_name, sex

MOST = 60
"""Rows on one page: more than a team can look at; the most urgent are shown."""

CHOICES = {
    "open": "All open tasks",
    "waiting": "Nobody has acknowledged",
    "mine": "Mine",
    "role": "Waiting for my role",
    "ended": "Closed and dismissed",
}


@dataclass(frozen=True, slots=True)
class Row:
    """One task with its patient."""

    task: View
    patient: str
    patient_href: str
    born: str
    age: str
    sex: str


def worklist(call: Call) -> Response:
    """The page, or only its rows when htmx asks for them."""
    show = call.asked("show", "open")
    show = show if show in CHOICES else "open"
    with call.reader() as read:
        rows, total = _rows(call, read, show)
    call.seen("search-type", "Task", number=len(rows))
    values = {
        "rows": rows,
        "show": show,
        "choices": [Choice(value, title) for value, title in CHOICES.items()],
        "nothing": "" if show == "open" else " here",
        "total": f"{len(rows)} of {total}" if total > len(rows) else total,
        "as_of": moment(call.now, call.site.zone),
    }
    return call.show_as(200, "worklist_rows.html" if call.is_fragment else "worklist.html", values)


def _rows(call: Call, read: Reader, show: str) -> tuple[list[Row], int]:
    tasks = read.find("Task", count=1000, sort="-_lastUpdated")
    rates, evidence = rates_of(tasks), Evidence(read)
    chosen = [task for task in ranked(tasks) if _is_chosen(call, task, show)]
    return [_row(call, read, evidence, task, rates) for task in chosen[:MOST]], len(chosen)


def _is_chosen(call: Call, task: Resource, show: str) -> bool:
    status = task.get("status")
    match show:
        case "waiting":
            return status in WAITING
        case "mine":
            owner = (task.get("owner") or {}).get("identifier") or {}
            return status in OPEN and owner.get("value") == call.who.id
        case "role":
            return status in WAITING and role_of(task) in call.who.roles
        case "ended":
            return status not in OPEN
        case _:
            return status in OPEN


def _row(call: Call, read: Reader, evidence: Evidence, task: Resource, rates: dict[str, str]) -> Row:
    patient_id = (task.get("for") or {}).get("reference", "").rpartition("/")[2]
    record = record_of(read, patient_id)
    return Row(
        task=view_of(call, evidence, task, rates),
        patient=person_name(record.face),
        patient_href=record.href,
        born=day(record.face.get("birthDate")),
        age=age(record.face.get("birthDate"), call.now),
        sex=sex(record.face),
    )


ROADS: tuple[Road, ...] = (page("/worklist", "clinical.read", worklist),)
