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
from careloom.web.banner import banner_of
from careloom.web.call import Call
from careloom.web.choice import Choice
from careloom.web.happening import KINDS, Happening, Item, happened, items_of
from careloom.web.record import Evidence, Record, record_of
from careloom.web.road import Road, page
from careloom.web.vitals import place_of
from careloom.web.wording import concept, day, instant_of, source_name

MOST = 80
"""Lines of one page, more only where several stand at the same moment."""

LOOKED_AT = 400
"""Resources of one kind that one page looks at. Where a kind has more, the page ends with the last that was seen."""


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
        entries, is_cut = _entries(call, read, record, chosen)
    here, older, before = f"{record.href}/timeline", "", chosen.before
    shown = _whole_moments(entries)
    if shown and (is_cut or len(shown) < len(entries)):
        query = {"source": chosen.source, "kind": chosen.kind, "before": shown[-1].at.isoformat()}
        older = f"{here}?{urlencode(query)}"
    return call.show(
        "timeline.html",
        tab="Timeline",
        patient=patient,
        days=list(_days(call, shown)),
        sources=[*sorted({source_name(one) for one in record.patients}), "careloom"],
        kinds=[Choice(*kind) for kind in dict.fromkeys((one.code, one.title) for one in KINDS)],
        chosen=chosen,
        older=older,
        newest=f"{here}?{urlencode({'source': chosen.source, 'kind': chosen.kind})}" if before else "",
        here=f"{here}?{urlencode(call.query)}",
    )


def _whole_moments(entries: Sequence[Entry]) -> list[Entry]:
    """The first page; what stands at its last moment comes whole, since the next page begins before that moment."""
    return [entry for at, entry in enumerate(entries) if at < MOST or entry.at == entries[MOST - 1].at]


def _days(call: Call, entries: Sequence[Entry]) -> Iterator[Day]:
    for date, group in groupby(entries, key=lambda entry: entry.at.astimezone(call.site.zone).date()):
        yield Day(day(date.isoformat()), list(group))


def _entries(call: Call, read: Reader, record: Record, chosen: Chosen) -> tuple[list[Entry], bool]:
    """Lines, the newest first, and whether there may be older ones that were not looked at."""
    evidence, zone = Evidence(read), call.site.zone
    before = instant_of(chosen.before, zone) if chosen.before else None
    found: list[Happening] = []
    seen_until: list[datetime] = []
    for kind in KINDS:
        if chosen.kind not in {"", kind.code}:
            continue
        mine, is_cut = happened(evidence, record, kind, zone, before, LOOKED_AT)
        if is_cut and mine:
            seen_until.append(min(one.at for one in mine))
        found += mine
    # Of a kind with more than was looked at nothing is known before its last: the page ends there, for every kind.
    horizon = max(seen_until, default=None)
    newest = max((one.at for one in found), default=None)
    if horizon is not None and horizon != newest:
        found = [one for one in found if one.at > horizon]
    found = [one for one in found if chosen.source in {"", source_name(one.resource)}]
    found.sort(key=lambda one: one.at, reverse=True)
    entries = [_entry(call, evidence, group, report) for group, report in _together(found)]
    return entries, horizon is not None


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
        label=_label(first, report),
        items=[item for one in sorted(group, key=_place) for item in items_of(evidence, one)],
        source=source_name(first.resource),
    )


def _label(first: Happening, report: Resource | None) -> str:
    """What the line is headed with: a round of vital signs by two words, not by the full name of the panel."""
    if report is None:
        return ""
    return "Vital signs" if first.kind.code == "vital" else concept(report.get("code"))


def _place(one: Happening) -> int:
    return place_of(one.resource)


ROADS: tuple[Road, ...] = (page("/patients/{id}/timeline", "clinical.read", timeline),)
