"""web.vitals: vital signs as charts and tables need them: by parameter, in time order, thinned for the screen.

Room: web. May import: store. Codes: LOINC; the bands are those that score nothing in NEWS2 (Royal College of
Physicians, London 2017, chart 1), for the blood pressure with the usual upper end.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from careloom.fhir.resource import Resource
from careloom.store.score import NEWS2, is_score, reading
from careloom.web.record import Evidence, Record
from careloom.web.wording import instant_of, moment, number, source_name

LOINC = "http://loinc.org"
NOT_RESULTS = ("category:not", "vital-signs,social-history,survey,activity,exam,therapy,procedure")
"""A result is an Observation of no other category: many laboratories send none."""

MOST = 4000
"""Observations that one chart looks at."""


@dataclass(frozen=True, slots=True)
class Sign:
    """One vital sign: how it is called, found and drawn. `codes` by series."""

    key: str
    label: str
    unit: str
    series: tuple[tuple[str, tuple[str, ...]], ...]
    band: tuple[float, float]
    room: float


SIGNS: tuple[Sign, ...] = (
    Sign("respiration", "Respiratory rate", "/min", (("Respiratory rate", ("9279-1",)),), (12, 20), 4),
    Sign("spo2", "Oxygen saturation", "%", (("Oxygen saturation", ("59408-5", "2708-6")),), (96, 100), 2),
    Sign("oxygen", "Oxygen given", "L/min", (("Oxygen given", ("3151-8",)),), (0, 0), 2),
    Sign(
        "pressure",
        "Blood pressure",
        "mmHg",
        (("Systolic", ("8480-6",)), ("Diastolic", ("8462-4",))),
        (111, 140),
        10,
    ),
    Sign("pulse", "Heart rate", "/min", (("Heart rate", ("8867-4",)),), (51, 90), 10),
    Sign("temperature", "Temperature", "°C", (("Temperature", ("8310-5",)),), (36.1, 38.0), 0.5),
)
SCORE = Sign("news2", "NEWS2", "points", (("NEWS2", ()),), (0, 4), 1)
CONSCIOUSNESS = ((LOINC, "80288-4"), ("http://snomed.info/sct", "1104441000000107"))
"""ACVPU: a word, not a number; it has a column of the table and no chart."""

CODES = (*(code for sign in SIGNS for _, codes in sign.series for code in codes), "85354-9", "80288-4")
"""LOINC codes in the order in which pages show them; the panel of blood pressure, and consciousness at last."""

_SERIES = {
    code: (sign.key, at) for sign in SIGNS for at, (_, codes) in enumerate(sign.series) for code in codes
}


_NAMES = {code: name for sign in SIGNS for name, codes in sign.series for code in codes} | {
    code: "Consciousness" for _, code in CONSCIOUSNESS
}


@dataclass(frozen=True, slots=True)
class Point:
    """One measured value."""

    sign: str
    series: int
    at: datetime
    value: Decimal
    resource: Resource
    path: str


def observed(evidence: Evidence, record: Record, since: datetime | None, count: int = MOST) -> list[Resource]:
    """The observations of vital signs since a moment, the newest first."""
    asked = {**dict.fromkeys((LOINC, code) for code in CODES), **dict.fromkeys(CONSCIOUSNESS)}
    pairs = [record.whose, ("code", ",".join(f"{system}|{code}" for system, code in asked))]
    if since is not None:
        pairs.append(("date", f"ge{since.isoformat(timespec='seconds')}"))
    return evidence.find("Observation", *pairs, count=count, sort="-date")


def scores(evidence: Evidence, record: Record, since: datetime | None, count: int = MOST) -> list[Resource]:
    """The NEWS2 scores, the newest first."""
    pairs = [record.whose, ("code", "|".join(NEWS2))]
    if since is not None:
        pairs.append(("date", f"ge{since.isoformat(timespec='seconds')}"))
    return [
        score
        for score in evidence.find("Observation", *pairs, count=count, sort="-date")
        if is_score(score, NEWS2)
    ]


def when_of(observation: Resource, zone: ZoneInfo) -> datetime | None:
    """The clinical time of an Observation."""
    period: dict[str, Any] = observation.get("effectivePeriod") or {}
    text = observation.get("effectiveDateTime") or observation.get("effectiveInstant") or period.get("start")
    return instant_of(text, zone)


def name_of(observation: Resource) -> str:
    """The short name of a vital sign, as on the charts: a round of eight stays one line; "" if it is none."""
    codings = (observation.get("code") or {}).get("coding") or ()
    return next((_NAMES[code] for one in codings if (code := one.get("code")) in _NAMES), "")


def place_of(observation: Resource) -> int:
    """Where an Observation stands among the vital signs, for sorting; what is none comes last."""
    codings = (observation.get("code") or {}).get("coding") or ()
    return next(
        (CODES.index(coding["code"]) for coding in codings if coding.get("code") in CODES), len(CODES)
    )


def points(observations: Sequence[Resource], zone: ZoneInfo) -> list[Point]:
    """Every value of the vital signs, oldest first; a panel of blood pressure gives two."""
    found = [point for observation in observations for point in _points(observation, zone)]
    return sorted(found, key=lambda point: point.at)


def _points(observation: Resource, zone: ZoneInfo) -> Iterator[Point]:
    at = when_of(observation, zone)
    if at is None or observation.get("status") == "entered-in-error":
        return
    parts: list[tuple[Resource, str]] = [(observation, "")]
    parts += [(part, f"component[{n}].") for n, part in enumerate(observation.get("component") or ())]
    for part, prefix in parts:
        value = (part.get("valueQuantity") or {}).get("value")
        codings = (part.get("code") or {}).get("coding") or ()
        known = next((_SERIES[coding["code"]] for coding in codings if coding.get("code") in _SERIES), None)
        if value is not None and known is not None:
            yield Point(*known, at, Decimal(value), observation, f"{prefix}valueQuantity.value")


def awake(observations: Sequence[Resource], zone: ZoneInfo) -> dict[datetime, Resource]:
    """The observations of consciousness by their time."""
    found: dict[datetime, Resource] = {}
    for observation in observations:
        codings = (observation.get("code") or {}).get("coding") or ()
        is_one = any((coding.get("system"), coding.get("code")) in CONSCIOUSNESS for coding in codings)
        at = when_of(observation, zone)
        if is_one and at is not None and observation.get("status") != "entered-in-error":
            found.setdefault(at, observation)
    return found


def score_points(observations: Sequence[Resource], zone: ZoneInfo) -> list[Point]:
    """NEWS2 totals, oldest first; an incomplete score stands at its lower bound."""
    found: list[Point] = []
    for observation in observations:
        at = when_of(observation, zone)
        if at is not None:
            found.append(
                Point(
                    SCORE.key, 0, at, Decimal(reading(observation).points), observation, "valueQuantity.value"
                )
            )
    return sorted(found, key=lambda point: point.at)


def panel(
    sign: Sign, found: Sequence[Point], evidence: Evidence, zone: ZoneInfo, width: int
) -> dict[str, Any]:
    """One chart as chart.js draws it: columns of times and values, with a link for each time."""
    kept = [
        point
        for at in range(len(sign.series))
        for point in thinned([p for p in found if p.series == at], width)
    ]
    kept.sort(key=lambda point: point.at)
    times: dict[datetime, list[Point]] = {}
    for point in kept:
        times.setdefault(point.at, []).append(point)
    columns: list[list[Any]] = [[at.timestamp() for at in times]]
    columns += [
        [next((float(p.value) for p in group if p.series == series), None) for group in times.values()]
        for series in range(len(sign.series))
    ]
    return {
        "key": sign.key,
        "label": sign.label,
        "unit": sign.unit,
        "low": sign.band[0],
        "high": sign.band[1],
        "room": sign.room,
        "series": [name for name, _ in sign.series],
        "summary": summary(sign, found, zone),
        "data": columns,
        "times": [moment(at, zone) for at in times],
        "sources": [source_name(group[0].resource) for group in times.values()],
        "links": [evidence.link(group[0].resource, group[0].path) for group in times.values()],
    }


def thinned(found: Sequence[Point], width: int) -> list[Point]:
    """At most the lowest and the highest point of each pixel column, and the ends: the same picture, fewer points.

    Nothing is lost to the eye: extremes stay. Steinarsson 2013 (hdl.handle.net/1946/15343) compares the ways.
    """
    if len(found) <= 2 * width:
        return list(found)
    begin, end = found[0].at, found[-1].at
    columns: dict[int, list[Point]] = {}
    for point in found:
        columns.setdefault(int((point.at - begin) / (end - begin) * (width - 1)), []).append(point)
    kept = [found[0], found[-1]]
    for column in columns.values():
        kept += [min(column, key=lambda p: p.value), max(column, key=lambda p: p.value)]
    return sorted({id(p): p for p in kept}.values(), key=lambda p: p.at)


def summary(sign: Sign, found: Sequence[Point], zone: ZoneInfo) -> str:
    """The latest value, and where it comes from, in words: what a chart says to who does not see it."""
    if not found:
        return "none recorded"
    by_series = [[point for point in found if point.series == at] for at in range(len(sign.series))]
    latest = "/".join(number(series[-1].value) for series in by_series if series)
    last = max(point.at for point in found)
    lines = [f"latest {latest} {sign.unit} on {moment(last, zone)}"]
    first = by_series[0]
    if len(first) > 1:
        low, high = min(point.value for point in first), max(point.value for point in first)
        # Of a pair the range is that of the first alone.
        what = f"{sign.series[0][0].lower()} " if len(sign.series) > 1 else ""
        lines.append(f"{len(first)} values, {what}{number(low)} to {number(high)}")
    return "; ".join(lines)
