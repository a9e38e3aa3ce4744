"""analyze.scores.early_warning: a vital sign arrives -> the NEWS2 score of the person at that time.

Room: analyze. A station on Observations and Flags. Reads the vitals of all Patients that the Person links, so that
a pulse from one system and a saturation from another meet in one score. Policy: docs/reference/scores.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from careloom.analyze.scores.news2 import PARAMETERS, Parameter, Score, SpO2Scale, news2
from careloom.analyze.scores.observation import Coding, Component, Scored, observation, score_id
from careloom.analyze.scores.vitals import (
    LONGEST,
    PARAMETER,
    SEARCHED,
    Measurement,
    is_stale,
    latest,
    measured_at,
    measurements,
    vitals,
)
from careloom.fhir.instant import instant, interval, period
from careloom.fhir.resource import Resource, reference_to
from careloom.store.feed import Change
from careloom.store.person import Linked, linked
from careloom.store.read import Reader
from careloom.store.score import NEWS2, SNOMED

TYPES = frozenset({"Observation", "Flag"})

SCALE_2 = ("urn:careloom:flag", "spo2-scale-2")
"""Code of the Flag by which a clinician prescribes a saturation target of 88-92 %."""

CODES = {"Observation": ("combo-code", tuple(sorted({code for _, code in PARAMETER})))}
"""What is coded otherwise is no vital sign."""

PAST = timedelta(days=31)
"""A vital sign measured longer ago than this when it comes warns of nothing; a load of old records makes no scores."""

ADULT_FROM_YEARS = 16
PREGNANT = f"{SNOMED}|77386006"
ENOUGH = 4
"""Fewer known parameters make a score only if one of them is red."""

_RCP = "Royal College of Physicians NEWS2 (National Early Warning Score 2)"
_TOTAL: Coding = {"system": SNOMED, "code": NEWS2[1], "display": f"{_RCP} total score"}
_SCALE_CODE: dict[SpO2Scale, tuple[str, str]] = {
    1: ("1104311000000102", "oxygen saturation scale 1 score"),
    2: ("1104321000000108", "oxygen saturation scale 2 score"),
}
_CODES: dict[Parameter, tuple[str, str]] = {
    "respiration": ("1104301000000104", "respiration rate score"),
    "oxygen": ("1104331000000105", "air or oxygen score"),
    "systolic": ("1104341000000101", "systolic blood pressure score"),
    "pulse": ("1104351000000103", "pulse score"),
    "consciousness": ("1104361000000100", "consciousness score"),
    "temperature": ("1104371000000107", "temperature score"),
}
NAMES: dict[Parameter, str] = {
    "respiration": "Respiration rate",
    "spo2": "Oxygen saturation",
    "oxygen": "Air or oxygen",
    "systolic": "Systolic blood pressure",
    "pulse": "Pulse",
    "consciousness": "Consciousness",
    "temperature": "Temperature",
}


def score(change: Change, read: Reader) -> list[Resource]:
    """The NEWS2 scores that this change makes or alters: at its own time, and later ones that it still counts for."""
    resource = change.resource
    if change.is_deleted:
        return _without(change, read)
    if not resource.get("subject", {}).get("reference", "").startswith("Patient/"):
        return []
    is_flag = change.rtype == "Flag" and _is_scale_2(resource)
    at = measured_at(resource) if change.rtype == "Observation" else change.recorded
    if at is None or change.recorded - at > PAST or not (is_flag or _is_vital(resource)):
        return []
    person = linked(read, str(resource["subject"]["reference"]))
    since = at - LONGEST if is_flag else at
    scored = _scores(read, person, since, at + LONGEST)
    if not is_flag and _is_counted(scored, at, resource, change):
        return []
    times = {measured for measured, _ in scored} | (set() if is_flag else {at})
    return _scores_at(sorted(times), person, read)


def _without(change: Change, read: Reader) -> list[Resource]:
    """The scores that were made from what is now deleted, made again without it."""
    made = read.find(
        "Observation", ("derived-from", f"{change.rtype}/{change.id}"), ("code", "|".join(NEWS2))
    )
    if not made:
        return []
    person = linked(read, str(made[0]["subject"]["reference"]))
    return _scores_at(sorted(interval(str(known["effectiveDateTime"]))[0] for known in made), person, read)


def _is_vital(resource: Resource) -> bool:
    # A vital that was withdrawn (entered-in-error) still alters the scores made from it.
    return bool(measurements({**resource, "status": "final"}))


def _is_counted(
    scored: Sequence[tuple[datetime, Resource]], at: datetime, resource: Resource, change: Change
) -> bool:
    """The score of this moment was already made after this version was recorded (by a sibling of the same set)."""
    reference = {"reference": reference_to(resource)}
    return any(
        measured == at
        and reference in known.get("derivedFrom", ())
        and interval(str(known["meta"]["lastUpdated"]))[0] > change.recorded
        for measured, known in scored
    )


def _scores(
    read: Reader, person: Linked, since: datetime, until: datetime
) -> list[tuple[datetime, Resource]]:
    subjects = ("subject", ",".join(person.patients))
    span = (("date", f"ge{instant(since)}"), ("date", _by(until)))
    found = read.find("Observation", ("code", "|".join(NEWS2)), subjects, *span, count=500)
    return [(interval(str(known["effectiveDateTime"]))[0], known) for known in found]


def _by(at: datetime) -> str:
    """At or before this moment. A time told to the second spans that second, so that `le` to the millisecond would
    leave out what was measured at this very moment."""
    return f"lt{instant(at + timedelta(seconds=1))}"


def _scores_at(times: Sequence[datetime], person: Linked, read: Reader) -> list[Resource]:
    if not times:
        return []
    subjects = ("subject", ",".join(person.patients))
    span = (("date", f"ge{instant(times[0] - LONGEST)}"), ("date", _by(times[-1])))
    found = read.find("Observation", ("code", ",".join(SEARCHED)), subjects, *span, count=1000)
    measured = [measurement for entry in found for measurement in measurements(entry)]
    encounters = {reference_to(entry): entry.get("encounter", {}).get("reference", "") for entry in found}
    flags = read.find("Flag", ("patient", ",".join(person.patients)))
    made = (_score_at(at, person, latest(measured, at), _scale(flags, at), encounters) for at in times)
    scores = [known for known in made if known is not None]
    if scores and _is_out_of_scope(person, times[-1], read):
        return []
    return scores + _withdrawn(times, scores, person, read)


def _score_at(
    at: datetime,
    person: Linked,
    last: dict[Parameter, Measurement],
    scale: SpO2Scale,
    encounters: dict[str, str],
) -> Resource | None:
    points = news2(vitals(last, at), spo2_scale=scale)
    if len(PARAMETERS) - len(points.missing) < ENOUGH and not points.red:
        return None
    newest = max(last.values(), key=lambda measurement: (measurement.at, measurement.reference))
    return observation(
        Scored(
            name="NEWS2",
            coding=_TOTAL,
            key=_key(person, at),
            subject=person.patients[0],
            at=at,
            total=points.total,
            lower_bound=points.lower_bound,
            band=points.band,
            method=f"NEWS2 (Royal College of Physicians, 2017), SpO2 scale {scale}; careloom news2/1",
            components=[_part(name, points, last.get(name), scale, at) for name in PARAMETERS],
            encounter=encounters.get(newest.reference, ""),
        )
    )


def _withdrawn(
    times: Sequence[datetime], scores: Sequence[Resource], person: Linked, read: Reader
) -> list[Resource]:
    """Scores whose vitals were taken back, so that nothing is left to score."""
    made = {known["id"] for known in scores}
    gone = [name for name in (score_id("NEWS2", _key(person, at)) for at in times) if name not in made]
    known = [read.resource("Observation", name) for name in gone]
    return [{**entry, "status": "entered-in-error"} for entry in known if entry is not None]


def _part(
    name: Parameter, points: Score, last: Measurement | None, scale: SpO2Scale, at: datetime
) -> Component:
    code, display = _SCALE_CODE[scale] if name == "spo2" else _CODES[name]
    coding = {"system": SNOMED, "code": code, "display": f"{_RCP} - {display}"}
    if points.points[name] is not None and last is not None:
        return Component(coding, NAMES[name], points.points[name], last.shown, last.reference)
    return Component(coding, NAMES[name], None, absent=_absent(last, at))


def _absent(last: Measurement | None, at: datetime) -> tuple[str, str]:
    if last is None:
        return "unknown", "Not measured"
    if is_stale(last, at):
        return "temp-unknown", f"Last measured {_ago(at - last.at)} before"
    return "error", last.problem or "Needs to know about oxygen"


def _ago(age: timedelta) -> str:
    minutes = int(age.total_seconds() // 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h"  # noqa: PLR2004


def _scale(flags: Sequence[Resource], at: datetime) -> SpO2Scale:
    return 2 if any(_is_scale_2(flag) and _is_in_force(flag, at) for flag in flags) else 1


def _is_scale_2(flag: Resource) -> bool:
    codings = flag.get("code", {}).get("coding", ())
    return any((coding.get("system"), coding.get("code")) == SCALE_2 for coding in codings)


def _is_in_force(flag: Resource, at: datetime) -> bool:
    span = period(flag.get("period", {}))
    if span is None:
        return flag.get("status") == "active"
    is_closed = "end" in flag["period"]
    return (flag.get("status") == "active" or (flag.get("status") == "inactive" and is_closed)) and (
        span[0] <= at < span[1]
    )


def _is_out_of_scope(person: Linked, at: datetime, read: Reader) -> bool:
    """NEWS2 is for people of 16 years and more who are not pregnant (RCP 2017)."""
    for reference in person.patients:
        patient = read.resource("Patient", reference.removeprefix("Patient/"))
        born = (patient or {}).get("birthDate")
        if born and _years(interval(str(born))[0], at) < ADULT_FROM_YEARS:
            return True
    patients = ("patient", ",".join(person.patients))
    return bool(read.find("Condition", ("code", PREGNANT), patients, ("clinical-status", "active"), count=1))


def _years(born: datetime, at: datetime) -> int:
    return at.year - born.year - ((at.month, at.day) < (born.month, born.day))


def _key(person: Linked, at: datetime) -> str:
    return f"{person.key}:{instant(at)}"
