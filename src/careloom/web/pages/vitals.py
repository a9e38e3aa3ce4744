"""web.pages.vitals: vital signs of one person: charts, the same in words, and the same as a table.

Room: web.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from starlette.responses import Response

from careloom.fhir.resource import Resource, dumps
from careloom.web.banner import banner_of
from careloom.web.call import Call
from careloom.web.choice import Choice
from careloom.web.record import Evidence, Shown, record_of
from careloom.web.road import Road, page
from careloom.web.vitals import (
    MOST,
    SCORE,
    SIGNS,
    Point,
    awake,
    observed,
    panel,
    points,
    score_points,
    scores,
    summary,
    when_of,
)
from careloom.web.wording import moment, number, source_name, value_of, value_path

SPANS = {
    "24h": ("24 hours", 1),
    "3d": ("3 days", 3),
    "30d": ("30 days", 30),
    "1y": ("1 year", 366),
    "all": ("all", 0),
}
WIDTH = 600
"""Pixels for which charts are thinned."""
ROWS = 60


@dataclass(frozen=True, slots=True)
class Line:
    """One moment of the table."""

    when: str
    cells: list[Shown | None]
    sources: list[str]


@dataclass(frozen=True, slots=True)
class Table:
    """The chart as a table."""

    columns: list[str]
    rows: list[Line]
    total: int


def since_of(call: Call, span: str, newest: datetime | None = None) -> datetime | None:
    """Where a span begins; None: at the beginning."""
    days = SPANS[span][1]
    return (newest or call.now) - timedelta(days=days) if days else None


def vitals(call: Call) -> Response:
    """The page."""
    span = _span(call)
    with call.reader() as read:
        record = record_of(read, call.parts["id"])
        patient = banner_of(call, read, record)
        evidence = Evidence(read)
        observations = observed(evidence, record, since_of(call, span), MOST)
        found = points(observations, call.site.zone)
        words = awake(observations, call.site.zone)
        table = _table(call, evidence, found, words)
    lines = [_awake_line(call, words)] if words else []
    lines += [
        f"{sign.label}: {summary(sign, mine, call.site.zone)}."
        for sign in SIGNS
        if (mine := [point for point in found if point.sign == sign.key])
    ]
    return call.show(
        "vitals.html",
        tab="Vitals",
        patient=patient,
        table=table,
        summary=lines,
        cut=_cut(call, observations),
        spans=[Choice(key, title) for key, (title, _) in SPANS.items()],
        chosen=span,
        here=f"{record.href}/vitals?span={span}",
    )


def numbers(call: Call) -> Response:
    """The charts' numbers, for chart.js."""
    span = _span(call)
    zone = call.site.zone
    since = since_of(call, span)
    with call.reader() as read:
        record = record_of(read, call.parts["id"])
        evidence = Evidence(read)
        found = points(observed(evidence, record, since, MOST), zone)
        totals = score_points(scores(evidence, record, since), zone)
    signs = [(sign, [point for point in found if point.sign == sign.key]) for sign in SIGNS] + [
        (SCORE, totals)
    ]
    panels = [panel(sign, mine, evidence, zone, WIDTH) for sign, mine in signs if mine]
    times = [point.at for _, mine in signs for point in mine]
    begin = since or min(times, default=call.now)
    if times and min(times) - begin > (call.now - begin) / 3:
        # Nothing in the first part of the span: begin where the values begin, so that they can be told apart.
        begin = min(times) - (call.now - min(times)) / 50
    body = {"from": begin.timestamp(), "until": max([call.now, *times]).timestamp(), "panels": panels}
    return Response(dumps(body), media_type="application/json")


def _span(call: Call) -> str:
    span = call.asked("span", "24h")
    return span if span in SPANS else "24h"


def _cut(call: Call, observations: Sequence[Resource]) -> str:
    """Since when the page tells all, where there is more than it looks at."""
    if len(observations) < MOST:
        return ""
    since = moment(when_of(observations[-1], call.site.zone), call.site.zone)
    return f"The latest {MOST:,} measurements are shown, since {since}; older ones stand in the timeline."


def _awake_line(call: Call, words: Mapping[datetime, Resource]) -> str:
    at = max(words)
    return f"Consciousness: latest {value_of(words[at])} on {moment(at, call.site.zone)}."


def _table(
    call: Call, evidence: Evidence, found: Sequence[Point], words: Mapping[datetime, Resource]
) -> Table:
    columns = [(sign.key, at, name) for sign in SIGNS for at, (name, _) in enumerate(sign.series)]
    columns = [one for one in columns if any((point.sign, point.series) == one[:2] for point in found)]
    times: dict[datetime, list[Point]] = {}
    for point in found:
        times.setdefault(point.at, []).append(point)
    moments = sorted({*times, *words}, reverse=True)
    rows: list[Line] = []
    for at in moments[:ROWS]:
        group = times.get(at, [])
        by_place = {(point.sign, point.series): point for point in group}
        cells = [_cell(evidence, by_place.get((key, series))) for key, series, _ in columns]
        resources = [point.resource for point in group]
        if words:
            cells.append(_word(evidence, words.get(at)))
            resources += [words[at]] if at in words else []
        sources = list(dict.fromkeys(source_name(one) for one in resources))
        rows.append(Line(moment(at, call.site.zone), cells, sources))
    units = {sign.key: sign.unit for sign in SIGNS}
    titles = [f"{name} ({units[key]})" for key, _, name in columns]
    return Table([*titles, "Consciousness"] if words else titles, rows, len(moments))


def _word(evidence: Evidence, observation: Resource | None) -> Shown | None:
    if observation is None:
        return None
    return evidence.shown(observation, value_path(observation), value_of(observation) or "no value")


def _cell(evidence: Evidence, point: Point | None) -> Shown | None:
    return None if point is None else evidence.shown(point.resource, point.path, number(point.value))


ROADS: tuple[Road, ...] = (
    page("/patients/{id}/vitals", "clinical.read", vitals),
    page("/patients/{id}/vitals.json", "clinical.read", numbers),
)
