"""web.pages.results: laboratory results of one person, grouped by report, each with the values before it.

Room: web.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from starlette.responses import Response

from careloom.fhir.resource import Resource
from careloom.web.call import Call
from careloom.web.record import Evidence, Shown, banner_of, record_of
from careloom.web.road import Road, page
from careloom.web.vitals import NOT_RESULTS
from careloom.web.wording import concept, interpretation, moment, quantity, source_name, value_of, value_path

REPORTS = 20
RESULTS = 1000
BEFORE = 2


@dataclass(frozen=True, slots=True)
class Row:
    """One result."""

    label: str
    value: Shown
    range: str
    before: list[Shown]
    when: str


@dataclass(frozen=True, slots=True)
class Group:
    """One report, or the results of one moment without a report."""

    title: str
    when: str
    source: str
    rows: list[Row]


def results(call: Call) -> Response:
    """The page."""
    with call.reader() as read:
        record = record_of(read, call.parts["id"])
        patient = banner_of(call, read, record)
        evidence = Evidence(read)
        found = evidence.find("Observation", record.whose, NOT_RESULTS, count=RESULTS, sort="-date")
        reports = evidence.find("DiagnosticReport", record.whose, count=REPORTS, sort="-date")
        groups = _groups(call, evidence, found, reports)
    more = (
        f"The latest {REPORTS} groups are shown; all stand in the timeline." if len(groups) > REPORTS else ""
    )
    return call.show(
        "results.html",
        tab="Results",
        patient=patient,
        groups=groups[:REPORTS],
        more=more,
        here=f"{record.href}/results",
    )


def _groups(call: Call, evidence: Evidence, found: list[Resource], reports: list[Resource]) -> list[Group]:
    report_of = {
        result.get("reference", ""): report for report in reports for result in report.get("result") or ()
    }
    grouped: dict[tuple[str, str], list[int]] = defaultdict(list)
    for at, observation in enumerate(found):
        report = report_of.get(f"Observation/{observation['id']}")
        key = (
            ("report", report["id"])
            if report
            else ("day", f"{_when(observation)[:16]} {source_name(observation)}")
        )
        grouped[key].append(at)
    groups: list[Group] = []
    for (kind, key), places in list(grouped.items())[: REPORTS + 1]:
        first = found[places[0]]
        report = next((one for one in reports if kind == "report" and one["id"] == key), None)
        rows = [_row(call, evidence, found, at) for at in places]
        title = concept((report or {}).get("code")) or "Results"
        groups.append(Group(title, moment(_when(first), call.site.zone), source_name(report or first), rows))
    return groups


def _row(call: Call, evidence: Evidence, found: list[Resource], at: int) -> Row:
    observation = found[at]
    same = _codes(observation)
    before = [one for one in found[at + 1 :] if same & _codes(one)][:BEFORE]
    return Row(
        label=concept(observation.get("code")) or "Without a name",
        value=_shown(evidence, observation),
        range=_range(observation),
        before=[_shown(evidence, one) for one in before],
        when=moment(_when(observation), call.site.zone),
    )


def _shown(evidence: Evidence, observation: Resource) -> Shown:
    text = value_of(observation) or "no value"
    return evidence.shown(observation, value_path(observation), text, interpretation(observation))


def _codes(observation: Resource) -> set[tuple[str, str]]:
    codings: list[dict[str, Any]] = (observation.get("code") or {}).get("coding") or []
    return {(coding.get("system", ""), coding.get("code", "")) for coding in codings}


def _when(observation: Resource) -> str:
    return (
        observation.get("effectiveDateTime") or (observation.get("effectivePeriod") or {}).get("start") or ""
    )


def _range(observation: Resource) -> str:
    for one in observation.get("referenceRange") or ():
        if one.get("text"):
            return one["text"]
        low, high = quantity(one.get("low")), quantity(one.get("high"))
        return (
            f"{low} to {high}" if low and high else f"from {low}" if low else f"up to {high}" if high else ""
        )
    return ""


ROADS: tuple[Road, ...] = (page("/patients/{id}/results", "clinical.read", results),)
