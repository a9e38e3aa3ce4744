"""web.pages.results: laboratory results of one person, grouped by report, each with the values before it.

Room: web.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from starlette.responses import Response

from careloom.fhir.resource import Resource
from careloom.web.banner import banner_of
from careloom.web.call import Call
from careloom.web.happening import latest
from careloom.web.record import Evidence, Record, Shown, record_of
from careloom.web.road import Road, page
from careloom.web.vitals import NOT_RESULTS
from careloom.web.wording import (
    concept,
    instant_of,
    interpretation,
    moment,
    quantity,
    shortened,
    source_name,
    unit,
    value_of,
    value_path,
)

GROUPS = 20
ROWS = 80
"""A page ends with the group in which so many rows are reached: it stays under 100 KB."""

RESULTS = 1000
BEFORE = 2
_NUMBERS = re.compile(r"[<>=\d.,\s-]+").fullmatch
"""A range that says no unit."""


@dataclass(frozen=True, slots=True)
class Row:
    """One result."""

    label: str
    value: Shown
    range: str
    before: list[Earlier]
    when: str


@dataclass(frozen=True, slots=True)
class Earlier:
    """A value before, with its time."""

    value: Shown
    when: str


@dataclass(frozen=True, slots=True)
class Group:
    """One report, or the results of one moment without a report."""

    title: str
    when: str
    source: str
    rows: list[Row]
    at: datetime | None


def results(call: Call) -> Response:
    """The page: the latest groups; `before` (an instant) asks for those before it."""
    before = instant_of(call.asked("before"), call.site.zone) if call.asked("before") else None
    with call.reader() as read:
        record = record_of(read, call.parts["id"])
        patient = banner_of(call, read, record)
        evidence = Evidence(read)
        found, reports, is_cut = _found(call, evidence, record, before)
        groups = _groups(call, evidence, found, reports)
    shown = _page(groups)
    here, last = f"{record.href}/results", shown[-1].at if shown else None
    older = (
        f"{here}?{urlencode({'before': last.isoformat()})}"
        if last and (is_cut or len(shown) < len(groups))
        else ""
    )
    return call.show(
        "results.html",
        tab="Results",
        patient=patient,
        groups=shown,
        older=older,
        is_newest=before is None,
        here=f"{here}?{urlencode(call.query)}",
    )


@dataclass(frozen=True, slots=True)
class Result:
    """One observation at its time."""

    at: datetime
    resource: Resource


def _found(
    call: Call, evidence: Evidence, record: Record, before: datetime | None
) -> tuple[list[Resource], list[Resource], bool]:
    """Results before a moment, the newest first; the reports that may hold them; and if there may be more."""

    def told(resource: Resource) -> Result | None:
        at = instant_of(_when(resource), call.site.zone)
        return None if at is None else Result(at, resource)

    asked = ("Observation", "date", (record.whose, NOT_RESULTS))
    found, is_cut = latest(evidence, asked, told, before, RESULTS)
    pairs = [record.whose]
    if before is not None:
        pairs.append(("date", f"lt{(before + timedelta(days=1)).isoformat(timespec='seconds')}"))
    reports = evidence.find("DiagnosticReport", *pairs, count=GROUPS * 8, sort="-date")
    return [one.resource for one in found], reports, is_cut


def _page(groups: list[Group]) -> list[Group]:
    """The first page; groups of its last moment come whole, since the next page begins before that moment."""
    shown: list[Group] = []
    for group in groups:
        is_full = len(shown) >= GROUPS or sum(len(one.rows) for one in shown) >= ROWS
        if is_full and group.at != shown[-1].at:
            break
        shown.append(group)
    return shown


def _groups(call: Call, evidence: Evidence, found: list[Resource], reports: list[Resource]) -> list[Group]:
    report_of = {
        result.get("reference", ""): report for report in reports for result in report.get("result") or ()
    }
    grouped: dict[tuple[str, str, str], list[int]] = {}
    for at, observation in enumerate(found):
        report = report_of.get(f"Observation/{observation['id']}")
        kind, name = ("report", str(report["id"])) if report else ("day", source_name(observation))
        grouped.setdefault((kind, name, _when(observation)), []).append(at)
    named = {report["id"]: report for report in reports}
    places_of = _places(found)
    groups: list[Group] = []
    rows = 0
    for (kind, key, _), places in grouped.items():
        first = found[places[0]]
        report = named.get(key) if kind == "report" else None
        # Beyond a page only the fact that there is more counts.
        lines = [_row(call, evidence, found, at, places_of) for at in places] if rows < 2 * ROWS else []
        rows += len(places)
        title = concept((report or {}).get("code")) or "Results"
        when, at = moment(_when(first), call.site.zone), instant_of(_when(first), call.site.zone)
        groups.append(Group(title, when, source_name(report or first), lines, at))
    return groups


Code = tuple[str, str]


def _places(found: list[Resource]) -> dict[Code, list[int]]:
    """Where each code stands in the list, the newest first: what was before is found without reading all again."""
    places: dict[Code, list[int]] = {}
    for at, observation in enumerate(found):
        for code in _codes(observation):
            places.setdefault(code, []).append(at)
    return places


def _after(places: list[int], at: int) -> list[int]:
    begin = bisect_right(places, at)
    return places[begin : begin + BEFORE]


def _row(
    call: Call, evidence: Evidence, found: list[Resource], at: int, places_of: dict[Code, list[int]]
) -> Row:
    observation = found[at]
    older = sorted({place for code in _codes(observation) for place in _after(places_of[code], at)})
    before = [found[place] for place in older[:BEFORE]]
    return Row(
        label=shortened(concept(observation.get("code"))) or "Without a name",
        value=_shown(evidence, observation),
        range=_range(observation),
        before=[Earlier(_shown(evidence, one), moment(_when(one), call.site.zone)) for one in before],
        when=moment(_when(observation), call.site.zone),
    )


def _shown(evidence: Evidence, observation: Resource) -> Shown:
    text = value_of(observation) or "no value"
    return evidence.shown(observation, value_path(observation), text, interpretation(observation))


def _codes(observation: Resource) -> set[Code]:
    codings: list[dict[str, Any]] = (observation.get("code") or {}).get("coding") or []
    return {(coding.get("system", ""), coding.get("code", "")) for coding in codings}


def _when(observation: Resource) -> str:
    period = observation.get("effectivePeriod") or {}
    told = (observation.get("effectiveDateTime"), observation.get("effectiveInstant"), period.get("start"))
    return next(
        filter(None, (*told, observation.get("issued"), (observation.get("meta") or {}).get("lastUpdated"))),
        "",
    )


def _range(observation: Resource) -> str:
    """The range with its unit: a text of two numbers alone is of the unit of the value."""
    for one in observation.get("referenceRange") or ():
        if text := one.get("text"):
            measured = unit(observation.get("valueQuantity") or {})
            return f"{text} {measured}" if measured and _NUMBERS(text) else text
        low, high = quantity(one.get("low")), quantity(one.get("high"))
        return (
            f"{low} to {high}" if low and high else f"from {low}" if low else f"up to {high}" if high else ""
        )
    return ""


ROADS: tuple[Road, ...] = (page("/patients/{id}/results", "clinical.read", results),)
