"""web.pages.timeline: what happened to one person, from all sources, the newest first; each entry marked with its own.

Room: web.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from urllib.parse import urlencode

from starlette.responses import Response

from careloom.fhir.resource import Resource
from careloom.store.read import Reader
from careloom.web.call import Call
from careloom.web.choice import Choice
from careloom.web.record import Evidence, Record, Shown, banner_of, record_of
from careloom.web.road import Road, page
from careloom.web.wording import concept, day, instant_of, interpretation, source_name, value_of, value_path

MOST = 120
"""Entries of one page."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of entry: its resource type, how it is asked for, its drawing, its times, what it says."""

    code: str
    title: str
    rtype: str
    pairs: tuple[tuple[str, str], ...]
    date: str
    sign: str
    times: tuple[str, ...]
    path: str
    say: Callable[[Resource], str]


def _code(resource: Resource) -> str:
    return concept(resource.get("code"))


def _medicine(resource: Resource) -> str:
    return concept(resource.get("medicationCodeableConcept")) or "Medicine"


def _visit(resource: Resource) -> str:
    kind = next((concept(one) for one in resource.get("type") or ()), "")
    name = (
        kind
        or (resource.get("class") or {}).get("display")
        or (resource.get("class") or {}).get("code")
        or ""
    )
    return f"Visit: {name}, {resource.get('status', '')}" if name else f"Visit, {resource.get('status', '')}"


def _document(resource: Resource) -> str:
    return resource.get("description") or concept(resource.get("type"))


_OBSERVED = ("effectiveDateTime", "effectiveInstant", "effectivePeriod.start")

KINDS: tuple[Kind, ...] = (
    Kind("visit", "Visits", "Encounter", (), "date", "visit", ("period.start",), "status", _visit),
    Kind(
        "vital",
        "Vital signs",
        "Observation",
        (("category", "vital-signs"),),
        "date",
        "vital",
        _OBSERVED,
        "",
        _code,
    ),
    Kind(
        "result",
        "Results",
        "Observation",
        (("category", "laboratory"),),
        "date",
        "result",
        _OBSERVED,
        "",
        _code,
    ),
    Kind(
        "report",
        "Reports",
        "DiagnosticReport",
        (),
        "date",
        "document",
        _OBSERVED,
        "code",
        lambda r: f"Report: {_code(r)}",
    ),
    Kind(
        "problem",
        "Problems",
        "Condition",
        (),
        "recorded-date",
        "problem",
        ("recordedDate", "onsetDateTime"),
        "code",
        _code,
    ),
    Kind(
        "allergy",
        "Allergies",
        "AllergyIntolerance",
        (),
        "date",
        "allergy",
        ("recordedDate", "onsetDateTime"),
        "code",
        _code,
    ),
    Kind(
        "medicine",
        "Medicines",
        "MedicationRequest",
        (),
        "authoredon",
        "medicine",
        ("authoredOn",),
        "medicationCodeableConcept",
        _medicine,
    ),
    Kind(
        "procedure",
        "Procedures",
        "Procedure",
        (),
        "date",
        "procedure",
        ("performedDateTime", "performedPeriod.start"),
        "code",
        _code,
    ),
    Kind(
        "immunization",
        "Immunizations",
        "Immunization",
        (),
        "date",
        "immunization",
        ("occurrenceDateTime",),
        "vaccineCode",
        lambda r: concept(r.get("vaccineCode")),
    ),
    Kind(
        "document",
        "Documents",
        "DocumentReference",
        (),
        "date",
        "document",
        ("date",),
        "description",
        _document,
    ),
    Kind(
        "task",
        "Tasks",
        "Task",
        (),
        "authored-on",
        "task",
        ("authoredOn",),
        "status",
        lambda r: f"{_code(r)}: {concept(r.get('businessStatus'))}",
    ),
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One line."""

    at: datetime
    key: str
    time: str
    kind: str
    sign: str
    label: str
    value: Shown | None
    note: str
    source: str


@dataclass(frozen=True, slots=True)
class Day:
    """The entries of one day."""

    title: str
    entries: list[Entry]


@dataclass(frozen=True, slots=True)
class Chosen:
    """The filter."""

    source: str
    kind: str
    before: str


def timeline(call: Call) -> Response:
    """The page."""
    chosen = Chosen(call.asked("source"), call.asked("kind"), call.asked("before"))
    with call.reader() as read:
        record = record_of(read, call.parts["id"])
        patient = banner_of(call, read, record)
        entries = _entries(call, read, record, chosen)
    here = f"{record.href}/timeline"
    older = ""
    if len(entries) > MOST:
        entries = entries[:MOST]
        query = {
            "source": chosen.source,
            "kind": chosen.kind,
            "before": entries[-1].at.isoformat(timespec="seconds"),
        }
        older = f"{here}?{urlencode(query)}"
    return call.show(
        "timeline.html",
        tab="Timeline",
        patient=patient,
        days=list(_days(call, entries)),
        sources=[*sorted({source_name(one) for one in record.patients}), "careloom"],
        kinds=[Choice(kind.code, kind.title) for kind in KINDS],
        chosen=chosen,
        older=older,
        here=f"{here}?{urlencode(call.query)}",
    )


def _days(call: Call, entries: Sequence[Entry]) -> Iterator[Day]:
    for date, group in groupby(entries, key=lambda entry: entry.at.astimezone(call.site.zone).date()):
        yield Day(day(date.isoformat()), list(group))


def _entries(call: Call, read: Reader, record: Record, chosen: Chosen) -> list[Entry]:
    evidence = Evidence(read)
    before = instant_of(chosen.before, call.site.zone) if chosen.before else None
    found: list[tuple[datetime, Kind, Resource]] = []
    for kind in KINDS:
        if chosen.kind in {"", kind.code}:
            found += _found(call, evidence, record, kind, before)
    if chosen.source:
        found = [one for one in found if source_name(one[2]) == chosen.source]
    found.sort(key=lambda one: one[0], reverse=True)
    return [_entry(call, evidence, *one) for one in found[: MOST + 1]]


def _found(
    call: Call, evidence: Evidence, record: Record, kind: Kind, before: datetime | None
) -> Iterator[tuple[datetime, Kind, Resource]]:
    whose = record.subjects if kind.rtype == "Task" else record.whose
    pairs = [whose, *kind.pairs]
    if before is not None:
        pairs.append((kind.date, f"lt{(before + timedelta(seconds=1)).isoformat(timespec='seconds')}"))
    for resource in evidence.find(kind.rtype, *pairs, count=MOST * 3, sort=f"-{kind.date}"):
        at = next(
            filter(None, (instant_of(_text(resource, path), call.site.zone) for path in kind.times)), None
        )
        if at is not None and (before is None or at < before):
            yield at, kind, resource


def _text(resource: Resource, path: str) -> str | None:
    name, _, rest = path.partition(".")
    value = resource.get(name)
    return (
        _text(value, rest) if rest and isinstance(value, dict) else value if isinstance(value, str) else None
    )


def _entry(call: Call, evidence: Evidence, at: datetime, kind: Kind, resource: Resource) -> Entry:
    text = value_of(resource) if resource["resourceType"] == "Observation" else ""
    parts = [f"{concept(part.get('code'))} {value_of(part)}" for part in resource.get("component") or ()]
    is_score = source_name(resource) == "careloom"
    label, path = kind.say(resource) or kind.title, kind.path or value_path(resource)
    if kind.path:
        # The words themselves open the message.
        value, label = evidence.shown(resource, path, label), ""
    else:
        first = evidence.shown(
            resource,
            path or "component[0].valueQuantity.value",
            text or ("; ".join(parts) if not is_score else ""),
        )
        value = (
            Shown(first.text, first.href, interpretation(resource) if not is_score else "")
            if first.text
            else None
        )
    has_time = len(next(filter(None, (_text(resource, one) for one in kind.times)), "")) > len("2026-11-25")
    return Entry(
        at=at,
        key=f"{resource['resourceType']}/{resource['id']}",
        time=f"{at.astimezone(call.site.zone):%H:%M}" if has_time else "",
        kind=kind.title,
        sign=kind.sign,
        label=label,
        value=value,
        note="",
        source=source_name(resource),
    )


ROADS: tuple[Road, ...] = (page("/patients/{id}/timeline", "clinical.read", timeline),)
