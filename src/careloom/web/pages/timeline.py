"""web.pages.timeline: what happened to one person, from all sources, the newest first; each entry marked with its own.

Room: web. What was measured or reported together stands on one line.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from urllib.parse import urlencode

from starlette.responses import Response

from careloom.fhir.resource import Resource, reference_to
from careloom.store.read import Reader
from careloom.web.call import Call
from careloom.web.choice import Choice
from careloom.web.happening import KINDS, Happening, Item, happened, items_of
from careloom.web.record import Evidence, Record, banner_of, record_of
from careloom.web.road import Road, page
from careloom.web.vitals import place_of
from careloom.web.wording import concept, day, instant_of, source_name

MOST = 100
"""Lines of one page, more only where several stand at the same moment."""

LOOKED_AT = 600
"""Resources of one kind that one page looks at."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line."""

    at: datetime
    key: str
    time: str
    kind: str
    sign: str
    label: str
    items: list[Item]
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
    here, older = f"{record.href}/timeline", ""
    shown = _whole_moments(entries)
    if len(shown) < len(entries):
        query = {"source": chosen.source, "kind": chosen.kind, "before": shown[-1].at.isoformat()}
        older = f"{here}?{urlencode(query)}"
    return call.show(
        "timeline.html",
        tab="Timeline",
        patient=patient,
        days=list(_days(call, shown)),
        sources=[*sorted({source_name(one) for one in record.patients}), "careloom"],
        kinds=[Choice(kind.code, kind.title) for kind in KINDS],
        chosen=chosen,
        older=older,
        here=f"{here}?{urlencode(call.query)}",
    )


def _whole_moments(entries: Sequence[Entry]) -> list[Entry]:
    """The first page; what stands at its last moment comes whole, since the next page begins before that moment."""
    return [entry for at, entry in enumerate(entries) if at < MOST or entry.at == entries[MOST - 1].at]


def _days(call: Call, entries: Sequence[Entry]) -> Iterator[Day]:
    for date, group in groupby(entries, key=lambda entry: entry.at.astimezone(call.site.zone).date()):
        yield Day(day(date.isoformat()), list(group))


def _entries(call: Call, read: Reader, record: Record, chosen: Chosen) -> list[Entry]:
    evidence, zone = Evidence(read), call.site.zone
    before = instant_of(chosen.before, zone) if chosen.before else None
    found = [
        one
        for kind in KINDS
        if chosen.kind in {"", kind.code}
        for one in happened(evidence, record, kind, zone, before, LOOKED_AT)
        if chosen.source in {"", source_name(one.resource)}
    ]
    found.sort(key=lambda one: one.at, reverse=True)
    return [_entry(call, evidence, group, report) for group, report in _together(found)]


def _together(found: Sequence[Happening]) -> Iterator[tuple[list[Happening], Resource | None]]:
    """What belongs on one line: the results of a report, or values of one kind, moment and source."""
    there = {reference_to(one.resource) for one in found}
    report_of: dict[str, Resource] = {}
    for one in found:
        if one.kind.code == "report":
            results = [result.get("reference", "") for result in one.resource.get("result") or ()]
            report_of |= {reference: one.resource for reference in results if reference in there}
    told = {reference_to(report) for report in report_of.values()}
    groups: dict[tuple[object, ...], list[Happening]] = {}
    for one in found:
        reference = reference_to(one.resource)
        if reference in told:
            continue
        key: tuple[object, ...] = (reference,)
        if reference in report_of:
            key = ("report", report_of[reference]["id"], one.at)
        elif one.kind.code in {"vital", "result"}:
            key = (one.kind.code, one.at, source_name(one.resource))
        groups.setdefault(key, []).append(one)
    for group in groups.values():
        yield group, report_of.get(reference_to(group[0].resource))


def _entry(call: Call, evidence: Evidence, group: Sequence[Happening], report: Resource | None) -> Entry:
    first = group[0]
    return Entry(
        at=first.at,
        key=reference_to(first.resource),
        time=f"{first.at.astimezone(call.site.zone):%H:%M}" if first.has_hour else "",
        kind=first.kind.title,
        sign=first.kind.sign,
        label=concept(report.get("code")) if report else "",
        items=[item for one in sorted(group, key=_place) for item in items_of(evidence, one)],
        source=source_name(first.resource),
    )


def _place(one: Happening) -> int:
    return place_of(one.resource)


ROADS: tuple[Road, ...] = (page("/patients/{id}/timeline", "clinical.read", timeline),)
