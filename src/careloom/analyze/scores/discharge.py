"""analyze.scores.discharge: an inpatient stay ends -> its LACE index.

Room: analyze. A station on Encounters. Reads the Conditions and Encounters of all Patients that the Person links.
Where each letter comes from, and what happens when it is missing: docs/reference/scores.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

from careloom.analyze.scores import charlson
from careloom.analyze.scores.lace import LETTERS, Letter, Stay, lace
from careloom.analyze.scores.observation import Component, Scored, observation
from careloom.fhir.instant import instant, interval
from careloom.fhir.resource import Resource, reference_to
from careloom.store.feed import Change
from careloom.store.person import linked
from careloom.store.read import Reader
from careloom.store.score import LACE, SCORE

TYPES = frozenset({"Encounter"})

INPATIENT = frozenset({"IMP", "ACUTE", "NONAC"})
CODES = {"Encounter": ("class", tuple(sorted(INPATIENT)))}
EMERGENCY = "EMER"
ADMISSION_TYPE = "http://terminology.hl7.org/CodeSystem/v2-0007"
PRIORITY = "http://terminology.hl7.org/CodeSystem/v3-ActPriority"
ADMIT_SOURCE = "http://terminology.hl7.org/CodeSystem/admit-source"
IS_ACUTE: dict[tuple[str, str], bool] = {
    (ADMISSION_TYPE, "A"): True,
    (ADMISSION_TYPE, "E"): True,
    (ADMISSION_TYPE, "U"): True,
    (ADMISSION_TYPE, "C"): False,
    (ADMISSION_TYPE, "R"): False,
    (PRIORITY, "EM"): True,
    (PRIORITY, "UR"): True,
    (PRIORITY, "EL"): False,
    (PRIORITY, "R"): False,
    (ADMIT_SOURCE, "emd"): True,
}
"""What tells an acute admission from an elective one."""

LED_TO_ADMISSION = timedelta(hours=24)
"""An emergency visit that ends this shortly before the admission led to it."""
SIX_MONTHS = timedelta(days=183)
DIED = "exp"
NAMES: dict[Letter, str] = {
    "L": "Length of stay",
    "A": "Acute admission",
    "C": "Comorbidity",
    "E": "Emergency visits in six months",
}


def score(change: Change, read: Reader) -> list[Resource]:
    """The LACE index of a stay that ended with the patient alive; nothing for other Encounters."""
    stay = change.resource
    if not _is_ended_stay(stay):
        return []
    person = linked(read, str(stay["subject"]["reference"]))
    patients = ("patient", ",".join(person.patients))
    admitted, discharged = interval(stay["period"]["start"])[0], interval(stay["period"]["end"])[0]
    since = ("date", f"ge{instant(admitted - SIX_MONTHS)}")
    others = read.find("Encounter", patients, since, ("date", f"le{instant(admitted)}"), count=500)
    visits = [visit for visit in others if _class(visit) == EMERGENCY and _is_within(visit, admitted)]
    before = [visit for visit in visits if not _led_to(visit, admitted)]
    conditions = read.find("Condition", patients, count=1000)
    readable, groups = _comorbidities(conditions, discharged)
    facts = Stay(
        days=_days(stay),
        is_acute=True if len(before) < len(visits) else _acuity(stay),
        comorbidity=charlson.weight(groups) if readable else None,
        emergency_visits=len(before),
    )
    shown: dict[Letter, str] = {
        "L": f"{facts.days} days",
        "A": "acute" if facts.is_acute else "elective",
        "C": "; ".join(group.name for group in groups) or f"none of {readable} conditions on record",
        "E": str(facts.emergency_visits),
    }
    return [_observation(stay, facts, shown, person.patients[0], discharged)]


def _observation(
    stay: Resource, facts: Stay, shown: dict[Letter, str], subject: str, at: datetime
) -> Resource:
    points = lace(facts)
    return observation(
        Scored(
            name="LACE",
            coding={"system": LACE[0], "code": LACE[1], "display": "LACE index"},
            key=reference_to(stay),
            subject=subject,
            at=at,
            total=points.total,
            lower_bound=points.lower_bound,
            band=points.band,
            method="LACE index (van Walraven, 2010); careloom lace/1",
            components=[
                Component(
                    {"system": SCORE, "code": f"lace-{letter.lower()}", "display": NAMES[letter]},
                    NAMES[letter],
                    points.points[letter],
                    shown[letter] if points.points[letter] is not None else "",
                )
                for letter in LETTERS
            ],
            encounter=reference_to(stay),
        )
    )


def _is_ended_stay(stay: Resource) -> bool:
    period = stay.get("period", {})
    gone = _codes([stay.get("hospitalization", {}).get("dischargeDisposition", {})])
    return (
        stay.get("status") == "finished"
        and _class(stay) in INPATIENT
        and "start" in period
        and "end" in period
        and str(stay.get("subject", {}).get("reference", "")).startswith("Patient/")
        and DIED not in {code for _, code in gone}
    )


def _class(encounter: Resource) -> str:
    return str(encounter.get("class", {}).get("code", ""))


def _days(stay: Resource) -> int:
    """Calendar days between the dates as they were written, so that a night counts once wherever the server stands."""
    start, end = (
        datetime.fromisoformat(stay["period"][edge][:10]).replace(tzinfo=UTC) for edge in ("start", "end")
    )
    return max((end - start).days, 0)


def _acuity(stay: Resource) -> bool | None:
    concepts = [
        *stay.get("type", ()),
        stay.get("priority", {}),
        stay.get("hospitalization", {}).get("admitSource", {}),
    ]
    said = {IS_ACUTE[code] for code in _codes(concepts) if code in IS_ACUTE}
    return None if not said else True in said


def _is_within(visit: Resource, admitted: datetime) -> bool:
    start = visit.get("period", {}).get("start")
    return bool(start) and admitted - SIX_MONTHS <= interval(str(start))[0] <= admitted


def _led_to(visit: Resource, admitted: datetime) -> bool:
    ended = str(visit["period"].get("end") or visit["period"]["start"])
    return interval(ended)[0] >= admitted - LED_TO_ADMISSION


def _comorbidities(
    conditions: Sequence[Resource], discharged: datetime
) -> tuple[int, tuple[charlson.Comorbidity, ...]]:
    """How many Conditions could be read, and the comorbidities they name."""
    held = [
        _codes([condition.get("code", {})]) for condition in conditions if _is_held(condition, discharged)
    ]
    readable = [codes for codes in held if any(charlson.is_readable(code) for code in codes)]
    return len(readable), charlson.groups(code for codes in readable for code in codes)


def _is_held(condition: Resource, discharged: datetime) -> bool:
    doubted = {code for _, code in _codes([condition.get("verificationStatus", {})])}
    onset = condition.get("onsetDateTime") or condition.get("recordedDate")
    is_later = bool(onset) and interval(str(onset))[0] > discharged
    return not is_later and not doubted & {"refuted", "entered-in-error"}


def _codes(concepts: Iterable[Resource]) -> list[tuple[str, str]]:
    return [
        (str(coding.get("system", "")), str(coding.get("code", "")))
        for concept in concepts
        for coding in concept.get("coding", ())
    ]
