"""demo.course: who lies where and since when, who has what: the town at one moment, from a seed.

Room: demo. Pure: the same seed and the same moment give the same town.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from random import Random
from typing import Literal

from careloom.demo.hl7 import Place, Visit
from careloom.demo.illness import (
    ALLERGIES,
    COMPLAINTS,
    COPD,
    COPD_COMPLAINT,
    ILLNESSES,
    STORY_COMPLAINT,
    WARDS,
    Complaint,
    Illness,
)
from careloom.demo.names import DOCTORS
from careloom.demo.population import Person, Registration, System, people, registrations

Course = Literal["steady", "declining", "story", "target"]
Doctor = tuple[str, str]

INPATIENT_SHARE = 0.27
PAST_STAY_SHARE = 0.25
VISITOR_SHARE = 0.3
SEVERITIES = (0.05, 0.1, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.6)
DECLINING = 2
"""How many besides the star get worse while one looks on."""


@dataclass(frozen=True, slots=True)
class Stay:
    """One visit to the hospital; `moves` are the places in order, the first at admission."""

    registration: Registration
    number: str
    complaint: Complaint
    patient_class: Literal["I", "E"]
    doctor: Doctor
    moves: tuple[tuple[datetime, Place], ...]
    discharged: datetime | None
    severity: float
    course: Course = "steady"

    @property
    def admitted(self) -> datetime:
        """When it began."""
        return self.moves[0][0]

    def visit(self, at: datetime) -> Visit:
        """What PV1 says of it at that time."""
        places = [place for moved, place in self.moves if moved <= at]
        return Visit(
            self.number,
            places[-1],
            self.complaint,
            self.patient_class,
            self.doctor,
            self.admitted,
            self.discharged if self.discharged is not None and self.discharged <= at else None,
            places[-2] if len(places) > 1 else None,
        )


@dataclass(slots=True)
class Beds:
    """Every bed of the hospital, and until when it is taken (a far date: somebody lies in it now)."""

    free_from: dict[Place, datetime] = field(default_factory=dict)

    def take(self, ward: str, since: datetime, until: datetime) -> Place | None:
        """The first bed of the ward that is free, taken until then; None: the ward is full."""
        for number in range(WARDS[ward][1]):
            place = Place(ward, f"{1 + number // 4:02}", "ABCD"[number % 4])
            if self.free_from.get(place, since) <= since:
                self.free_from[place] = until
                return place
        return None


@dataclass(frozen=True, slots=True)
class Town:
    """Everybody, and everything that has happened to them up to a moment."""

    seed: int
    moment: datetime
    people: tuple[Person, ...]
    registrations: Mapping[int, Mapping[System, Registration]]
    illnesses: Mapping[int, tuple[Illness, ...]]
    allergies: Mapping[int, int | None]
    stays: tuple[Stay, ...]
    beds: Beds

    @property
    def inpatients(self) -> tuple[Stay, ...]:
        """Who lies in the hospital at the moment."""
        return tuple(stay for stay in self.stays if stay.discharged is None)


def town(seed: int, count: int, moment: datetime) -> Town:
    """The town at a moment, with the stays of the 30 days and the emergency visits of the 6 months before."""
    everybody = people(seed, count)
    known = {person.number: registrations(seed, person) for person in everybody}
    rng = Random(f"town:{seed}")  # noqa: S311 - a synthetic hospital, not a secret
    ill = {person.number: _illnesses(rng, person, moment) for person in everybody}
    allergic = {
        person.number: rng.randrange(len(ALLERGIES)) if rng.random() < 0.2 else None  # noqa: PLR2004
        for person in everybody
    }
    target = next((person for person in everybody if _suits_target(person, ill)), None)
    beds = Beds()
    stays: list[Stay] = []
    of_ehr = [person for person in everybody if "ehr" in person.systems]
    lying = _lying(rng, of_ehr, target)
    for person in of_ehr:
        registration = known[person.number]["ehr"]
        if person in lying:
            stays += _current(rng, registration, _course(person, lying, target), moment, beds)
        elif rng.random() < PAST_STAY_SHARE:
            stays += _past(rng, registration, moment, beds)
        if rng.random() < VISITOR_SHARE:
            stays += _emergencies(rng, registration, moment, beds)
    return Town(seed, moment, tuple(everybody), known, ill, allergic, tuple(stays), beds)


def admission(rng: Random, registration: Registration, at: datetime, beds: Beds) -> Stay | None:
    """A new stay that begins now; None: no bed in the ward it needs."""
    complaint = rng.choice(COMPLAINTS)
    place = beds.take(complaint.ward, at, at + timedelta(days=365))
    if place is None:
        return None
    number = f"V{registration.number}{at:%m%d%H%M}"
    doctor = rng.choice(DOCTORS)
    return Stay(registration, number, complaint, "I", doctor, ((at, place),), None, rng.choice(SEVERITIES))


def _lying(rng: Random, of_ehr: Sequence[Person], target: Person | None) -> list[Person]:
    """Who lies in the hospital: the star first, then the one with a saturation target, then whoever."""
    chosen = [person for person in of_ehr if person.kind == "star" or person is target]
    others = [person for person in of_ehr if person not in chosen]
    rng.shuffle(others)
    return chosen + others[: max(0, round(len(of_ehr) * INPATIENT_SHARE) - len(chosen))]


def _course(person: Person, lying: Sequence[Person], target: Person | None) -> Course:
    if person.kind == "star":
        return "story"
    if person is target:
        return "target"
    return "declining" if person in lying[-DECLINING:] else "steady"


def _suits_target(person: Person, ill: Mapping[int, tuple[Illness, ...]]) -> bool:
    has_copd = any(illness.snomed == COPD for illness in ill[person.number])
    return has_copd and not person.kind and {"ehr", "clinic"} <= set(person.systems)


def _illnesses(rng: Random, person: Person, moment: datetime) -> tuple[Illness, ...]:
    age_years = (moment.date() - person.truth.born).days / 365.25
    weight = 1.0 if age_years > 60 else 0.3  # noqa: PLR2004
    return tuple(illness for illness in ILLNESSES if rng.random() < illness.share * weight)


def _current(
    rng: Random, registration: Registration, course: Course, moment: datetime, beds: Beds
) -> list[Stay]:
    """A stay that is under way, with the emergency visit that led to it, and perhaps a move to another bed."""
    complaint = rng.choice(COMPLAINTS)
    complaint = {"story": STORY_COMPLAINT, "target": COPD_COMPLAINT}.get(course, complaint)
    admitted = moment - timedelta(hours=26 if course == "story" else rng.randrange(8, 24 * 8))
    forever = moment + timedelta(days=365)
    place = beds.take(complaint.ward, admitted, forever)
    if place is None:
        return []
    number = f"V{registration.number}01"
    severity = rng.choice(SEVERITIES[:6]) if course == "declining" else rng.choice(SEVERITIES)
    moves = [(admitted, place)]
    if rng.random() < 0.25 and course == "steady":  # noqa: PLR2004
        moved = admitted + (moment - admitted) / 2
        other = beds.take(complaint.ward, moved, forever)
        if other is not None:
            beds.free_from[place] = moved
            moves.append((moved, other))
    stay = Stay(
        registration, number, complaint, "I", rng.choice(DOCTORS), tuple(moves), None, severity, course
    )
    before = _emergency(rng, registration, f"V{registration.number}00", admitted, beds)
    return [*before, stay] if complaint.is_acute and rng.random() < 0.5 else [stay]  # noqa: PLR2004


def _past(rng: Random, registration: Registration, moment: datetime, beds: Beds) -> list[Stay]:
    complaint = rng.choice(COMPLAINTS)
    admitted = moment - timedelta(hours=rng.randrange(24 * 9, 24 * 30))
    discharged = admitted + timedelta(hours=rng.randrange(18, 24 * 8))
    place = Place(complaint.ward, "10", "ABCD"[rng.randrange(4)])
    number = f"V{registration.number}02"
    severity = rng.choice(SEVERITIES)
    doctor = rng.choice(DOCTORS)
    stay = Stay(registration, number, complaint, "I", doctor, ((admitted, place),), discharged, severity)
    before = _emergency(rng, registration, f"V{registration.number}03", admitted, beds)
    return [*before, stay] if complaint.is_acute else [stay]


def _emergencies(rng: Random, registration: Registration, moment: datetime, beds: Beds) -> list[Stay]:
    """One to four visits to the emergency department that led nowhere."""
    stays: list[Stay] = []
    for number in range(rng.choice((1, 1, 1, 2, 2, 3, 4))):
        left = moment - timedelta(hours=rng.randrange(24 * 12, 24 * 170))
        stays += _emergency(rng, registration, f"V{registration.number}1{number}", left, beds)
    return stays


def _emergency(
    rng: Random, registration: Registration, number: str, left: datetime, beds: Beds
) -> list[Stay]:
    arrived = left - timedelta(hours=rng.randrange(2, 7))
    place = beds.take("ED", arrived, left)
    if place is None:
        return []
    complaint = replace(rng.choice(COMPLAINTS), ward="ED", is_acute=True)
    return [Stay(registration, number, complaint, "E", rng.choice(DOCTORS), ((arrived, place),), left, 0.2)]
