"""web.pages.summary: one person on one screen: vital signs, NEWS2, tasks, who says what, problems, medicines, results.

Room: web.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from starlette.responses import Response

from careloom.act.task import OPEN
from careloom.fhir.resource import Resource
from careloom.store.read import Reader
from careloom.web.banner import banner_of
from careloom.web.call import Call
from careloom.web.happening import element_text, medicine, visit
from careloom.web.news2 import news2_of
from careloom.web.record import Evidence, Record, Shown, record_of
from careloom.web.road import Road, page
from careloom.web.tasks import evidence_of, ranked, view_of
from careloom.web.vitals import NOT_RESULTS, observed, scores
from careloom.web.wording import (
    concept,
    day,
    interpretation,
    moment,
    person_name,
    shortened,
    source_name,
    value_of,
    value_path,
    words_of,
)

MOST = 6
"""Entries of each short list."""

COLUMNS = (("Problems", "Medicines", "Visits"), ("Allergies", "Latest results"))
"""Titles of the short lists, as they stand below the vital signs."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a short list."""

    label: str
    value: Shown
    note: str
    when: str
    source: str


@dataclass(frozen=True, slots=True)
class ShortList:
    """The latest entries of one kind; `more`: how many there are in all, when not all are shown."""

    title: str
    entries: list[Entry]
    none: str
    more: int


@dataclass(frozen=True, slots=True)
class Source:
    """What one source calls this person."""

    source: str
    name: Shown
    born: Shown


def summary(call: Call) -> Response:
    """The page."""
    with call.reader() as read:
        record = record_of(read, call.parts["id"])
        values = _parts(call, read, record)
        has_vitals = bool(observed(Evidence(read), record, None, count=1))
        patient = banner_of(call, read, record)
    values |= {"tab": "Summary", "patient": patient, "has_vitals": has_vitals, "window": "last 24 hours"}
    return call.show_as(200, "summary.html", values)


def _parts(call: Call, read: Reader, record: Record) -> dict[str, object]:
    evidence = Evidence(read)
    is_open = ("status", ",".join(sorted(OPEN)))
    tasks = ranked(evidence.find("Task", record.subjects, is_open))
    evidence_of(evidence, tasks)
    latest, *before = [*scores(evidence, record, None, count=6), None]
    return {
        "tasks": [view_of(call, evidence, task, {}, {}) for task in tasks],
        "news2": news2_of(call, evidence, latest, [one for one in before if one]),
        "patients": _sources(evidence, record),
        "columns": [[_short(call, evidence, record, title) for title in column] for column in COLUMNS],
    }


def _sources(evidence: Evidence, record: Record) -> list[Source]:
    face = record.face
    name, born = person_name(face), face.get("birthDate")
    return [
        Source(
            source_name(patient),
            _differing(
                evidence.shown(patient, "name[0]", person_name(patient)), person_name(patient) != name
            ),
            _differing(
                evidence.shown(patient, "birthDate", day(patient.get("birthDate")) or "not sent"),
                patient.get("birthDate") != born,
            ),
        )
        for patient in record.patients
    ]


def _differing(shown: Shown, differs: bool) -> Shown:  # noqa: FBT001
    return Shown(shown.text, shown.href, shown.flag, differs=differs)


@dataclass(frozen=True, slots=True)
class Kind:
    """One short list: what it asks the store for, and how an entry reads."""

    title: str
    none: str
    rtype: str
    pairs: tuple[tuple[str, str], ...]
    sort: str
    path: str
    say: Callable[[Resource], str]
    note: Callable[[Resource], str]
    when: str
    label: Callable[[Resource], str] = lambda _: ""
    """What the value is of, where the value does not say it."""


def _dosage(resource: Resource) -> str:
    lines = [*(resource.get("dosageInstruction") or ()), *(resource.get("dosage") or ())]
    text = next((line.get("text") or "" for line in lines), "")
    told = text if text != medicine(resource) else ""
    # What somebody says that they take is not what somebody ordered.
    stated = "as stated" if resource["resourceType"] == "MedicationStatement" else ""
    return ", ".join(filter(None, (told, stated)))


def _no_note(_: Resource) -> str:
    return ""


def _condition_note(resource: Resource) -> str:
    status = concept(resource.get("clinicalStatus"))
    return "" if status == "active" else status


def _visit_note(resource: Resource) -> str:
    place = next(
        ((one.get("location") or {}).get("display") or "" for one in resource.get("location") or ()), ""
    )
    return ", ".join(part for part in (place, words_of(resource.get("status", ""))) if part)


def _test(resource: Resource) -> str:
    return shortened(concept(resource.get("code"))) or "Without a name"


def _value(resource: Resource) -> str:
    return value_of(resource) or "no value"


KINDS: tuple[Kind, ...] = (
    Kind(
        "Problems",
        "None recorded.",
        "Condition",
        (),
        "-recorded-date",
        "code",
        lambda r: concept(r.get("code")),
        _condition_note,
        "onsetDateTime",
    ),
    Kind(
        "Allergies",
        "None recorded.",
        "AllergyIntolerance",
        (),
        "-date",
        "code",
        lambda r: concept(r.get("code")),
        lambda r: r.get("criticality", ""),
        "recordedDate",
    ),
    Kind(
        "Medicines",
        "None recorded.",
        "MedicationRequest",
        (("status", "active,on-hold"),),
        "-authoredon",
        "medicationCodeableConcept",
        medicine,
        _dosage,
        "authoredOn",
    ),
    Kind(
        "Medicines",
        "None recorded.",
        "MedicationStatement",
        (("status", "active,on-hold,intended"),),
        "-effective",
        "medicationCodeableConcept",
        medicine,
        _dosage,
        "effectivePeriod.start",
    ),
    Kind(
        "Latest results",
        "None recorded.",
        "Observation",
        (NOT_RESULTS,),
        "-date",
        "",
        _value,
        _no_note,
        "effectiveDateTime",
        _test,
    ),
    Kind("Visits", "None recorded.", "Encounter", (), "-date", "class", visit, _visit_note, "period.start"),
)


def _short(call: Call, evidence: Evidence, record: Record, title: str) -> ShortList:
    """One list, of all the kinds that bear its title: what is ordered and what is said to be taken are both medicines."""
    kinds = [kind for kind in KINDS if kind.title == title]
    found = [
        (kind, one)
        for kind in kinds
        for one in evidence.find(kind.rtype, record.whose, *kind.pairs, count=100, sort=kind.sort)
        if one.get("status") != "entered-in-error"
    ]
    if len(kinds) > 1:
        found.sort(key=_latest, reverse=True)
    entries = [_entry(call, evidence, kind, resource) for kind, resource in found[:MOST]]
    return ShortList(title, entries, kinds[0].none, len(found) if len(found) > MOST else 0)


def _latest(one: tuple[Kind, Resource]) -> str:
    return element_text(one[1], one[0].when)


def _entry(call: Call, evidence: Evidence, kind: Kind, resource: Resource) -> Entry:
    path = kind.path or value_path(resource)
    text = kind.say(resource) or "Without a name"
    return Entry(
        kind.label(resource),
        evidence.shown(resource, path, text, interpretation(resource)),
        kind.note(resource),
        moment(element_text(resource, kind.when), call.site.zone),
        source_name(resource),
    )


ROADS: tuple[Road, ...] = (page("/patients/{id}", "clinical.read", summary),)
