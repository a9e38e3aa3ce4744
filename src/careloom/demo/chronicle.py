"""demo.chronicle: a town -> the messages that its three systems have sent up to its moment, in order of time.

Room: demo. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from random import Random

from careloom.demo import bundles, hl7
from careloom.demo.course import Stay, Town
from careloom.demo.illness import DIABETES, HBA1C, HBA1C_PANEL, PANELS, Analyte
from careloom.demo.names import DOCTORS
from careloom.demo.population import Registration, System
from careloom.demo.vital_signs import STORY, VitalSigns, on_target_of_88_to_92, ordinary

VITALS_EVERY = timedelta(hours=4)
CLOSELY = timedelta(hours=36)
"""Vital signs of the last day and a half are on record every four hours, older ones once a day."""


@dataclass(frozen=True, slots=True)
class Message:
    """What one system says at one time: an HL7 v2 message, or (clinic) a transaction bundle."""

    at: datetime
    system: System
    body: bytes


@dataclass(slots=True)
class Pen:
    """Gives each message its control id, never twice: the moment it was made for, and a number."""

    moment: datetime
    _written: int = field(default=0)

    def control_id(self) -> str:
        """The next MSH-10, at most 20 characters."""
        self._written += 1
        return f"{self.moment:%y%m%d%H%M%S}-{self._written:06}"


def chronicle(town: Town, pen: Pen) -> list[Message]:
    """Everything up to the town's moment: some two thousand messages for two hundred people."""
    said = [*_registered(town, pen), *_mishaps(town, pen), *_at_the_clinic(town)]
    for stay in town.stays:
        said += _stayed(stay, town, pen)
    said += _tested(town, pen)
    said += _followed(town, pen)
    said += _malformed(town, pen)
    past = [message for message in said if message.at <= town.moment]
    return sorted(past, key=lambda message: (message.at, message.system))


def signs_of(stay: Stay, rng: Random) -> VitalSigns:
    """A set of vital signs as this stay brings them."""
    match stay.course:
        case "story":
            return STORY[0]
        case "target":
            return on_target_of_88_to_92(rng)
        case _:
            return ordinary(rng, stay.severity)


def results_of(
    registration: Registration, panel: tuple[str, str, str], severity: float, at: datetime, pen: Pen, rng: Random
) -> Message:  # fmt: skip
    """The laboratory's answer for one panel."""
    values = [(analyte, _value(rng, analyte, severity)) for analyte in PANELS[panel]]
    return Message(at, "lab", hl7.results(registration, panel, values, at, pen.control_id()))


def _registered(town: Town, pen: Pen) -> Iterator[Message]:
    """Those whom the hospital knows but who never lay in it: a visit as an outpatient, and sometimes news of a move."""
    seen = {stay.registration.person for stay in town.stays}
    for number, known in town.registrations.items():
        if "ehr" not in known or number in seen:
            continue
        rng = Random(f"registered:{town.seed}:{number}")  # noqa: S311 - a synthetic hospital, not a secret
        at = town.moment - timedelta(hours=rng.randrange(24, 24 * 30))
        visit = hl7.Visit(
            f"V{known['ehr'].number}20", hl7.Place("OPD", "1", "1"), None, "O", rng.choice(DOCTORS), at
        )
        yield Message(at, "ehr", hl7.adt("A04", known["ehr"], at, pen.control_id(), visit=visit))
        left = at + timedelta(minutes=rng.randrange(20, 120))
        gone = replace(visit, discharged=left)
        yield Message(left, "ehr", hl7.adt("A03", known["ehr"], left, pen.control_id(), visit=gone))
        if rng.random() < 0.1:  # noqa: PLR2004
            later = at + timedelta(hours=20)
            details = replace(known["ehr"].details, phone=f"01632 960{rng.randrange(500, 999)}")
            moved = replace(known["ehr"], details=details)
            yield Message(later, "ehr", hl7.adt("A31", moved, later, pen.control_id()))


def _stayed(stay: Stay, town: Town, pen: Pen) -> Iterator[Message]:
    rng = Random(f"stay:{town.seed}:{stay.number}")  # noqa: S311
    registration, opening = stay.registration, "A01" if stay.patient_class == "I" else "A04"

    def told(trigger: str, at: datetime) -> Message:
        body = hl7.adt(
            trigger,
            registration,
            at,
            pen.control_id(),
            visit=stay.visit(at),
            allergy=town.allergies[registration.person],
        )
        return Message(at, "ehr", body)

    yield told(opening, stay.admitted)
    ill = town.illnesses[registration.person]
    if ill and stay.patient_class == "I":
        at = stay.admitted + timedelta(minutes=40)
        body = hl7.problems(registration, ill, stay.visit(at), at, pen.control_id())
        yield Message(at, "ehr", body)
    for moved, _ in stay.moves[1:]:
        yield told("A02", moved)
    if stay.patient_class == "I":
        yield from _watched(stay, town.moment, pen, rng)
    if stay.discharged is not None:
        yield told("A03", stay.discharged)


def _watched(stay: Stay, moment: datetime, pen: Pen, rng: Random) -> Iterator[Message]:
    """Vital signs at the bedside, up to an hour before the end or the moment."""
    at = stay.admitted + timedelta(minutes=rng.randrange(15, 60))
    until = (stay.discharged or moment) - timedelta(minutes=rng.randrange(20, 60))
    while at < until:
        body = hl7.vital_signs(stay.registration, stay.visit(at), signs_of(stay, rng), at, pen.control_id())
        yield Message(at, "ehr", body)
        is_recent = stay.discharged is None and at > moment - CLOSELY
        at += VITALS_EVERY if is_recent else timedelta(hours=24)


def _tested(town: Town, pen: Pen) -> Iterator[Message]:
    """Blood tests: at admission for those who lie in the hospital, once for some of the others."""
    admitted = {stay.registration.person: stay for stay in town.stays if stay.patient_class == "I"}
    for number, known in town.registrations.items():
        if "lab" not in known:
            continue
        rng = Random(f"lab:{town.seed}:{number}")  # noqa: S311
        stay = admitted.get(number)
        if stay is None:
            at = town.moment - timedelta(hours=rng.randrange(24, 24 * 60))
            yield results_of(known["lab"], rng.choice(list(PANELS)), 0.1, at, pen, rng)
            continue
        for hours in (1, 20):
            at = stay.admitted + timedelta(hours=hours, minutes=rng.randrange(50))
            for panel in PANELS:
                yield results_of(known["lab"], panel, stay.severity, at, pen, rng)


def _followed(town: Town, pen: Pen) -> Iterator[Message]:
    """The long-term sugar of those who have diabetes, every few months of the last year."""
    for number, known in town.registrations.items():
        if "lab" not in known or DIABETES not in {illness.snomed for illness in town.illnesses[number]}:
            continue
        rng = Random(f"hba1c:{town.seed}:{number}")  # noqa: S311 - a synthetic hospital, not a secret
        control = rng.random()
        for months in range(rng.randrange(1, 5)):
            at = town.moment - timedelta(days=rng.randrange(5, 85) + 90 * months, minutes=rng.randrange(600))
            value = _value(rng, HBA1C, control)
            yield Message(
                at, "lab", hl7.results(known["lab"], HBA1C_PANEL, [(HBA1C, value)], at, pen.control_id())
            )


def _at_the_clinic(town: Town) -> Iterator[Message]:
    targets = {stay.registration.person for stay in town.stays if stay.course == "target"}
    for number, known in town.registrations.items():
        if "clinic" not in known:
            continue
        rng = Random(f"clinic:{town.seed}:{number}")  # noqa: S311
        doctor = rng.choice(DOCTORS)
        at = town.moment - timedelta(days=rng.randrange(40, 300), minutes=rng.randrange(600))
        registration = known["clinic"]
        body = bundles.record(registration, town.illnesses[number], town.allergies[number], doctor, at)
        yield Message(at, "clinic", body)
        for _ in range(rng.randrange(1, 4)):
            visited = at + (town.moment - at) * rng.random()
            yield Message(visited, "clinic", bundles.visit(registration, doctor, visited, rng))
        if number in targets:
            decided = at + timedelta(days=1)
            yield Message(decided, "clinic", bundles.saturation_target(registration, doctor, decided))


def _mishaps(town: Town, pen: Pen) -> Iterator[Message]:
    """What goes wrong at every desk: a patient registered twice, an admission and a discharge taken back."""
    stays = [stay for stay in town.stays if stay.patient_class == "I" and stay.course == "steady"]
    current = [stay for stay in stays if stay.discharged is None]
    outside = [
        known["ehr"]
        for number, known in town.registrations.items()
        if "ehr" in known and number not in {stay.registration.person for stay in town.stays}
    ]
    if not current or not outside:
        return
    twice, at = outside[0], town.moment - timedelta(hours=23)
    double = replace(twice, number=f"9{twice.number}")
    yield Message(at, "ehr", hl7.adt("A04", double, at, pen.control_id(), visit=_desk(double, at)))
    at += timedelta(hours=1)
    yield Message(at, "ehr", hl7.adt("A40", twice, at, pen.control_id(), merged=double.number))
    mistaken, at = outside[-1], town.moment - timedelta(hours=9)
    visit = hl7.Visit(
        f"V{mistaken.number}30", hl7.Place("MED", "09", "D"), stays[0].complaint, "I", DOCTORS[0], at
    )
    for trigger in ("A01", "A11"):
        yield Message(at, "ehr", hl7.adt(trigger, mistaken, at, pen.control_id(), visit=visit))
        at += timedelta(minutes=12)
    stay, at = current[0], town.moment - timedelta(hours=3)
    gone = replace(stay.visit(at), discharged=at)
    yield Message(at, "ehr", hl7.adt("A03", stay.registration, at, pen.control_id(), visit=gone))
    at += timedelta(minutes=9)
    yield Message(at, "ehr", hl7.adt("A13", stay.registration, at, pen.control_id(), visit=stay.visit(at)))


def _desk(registration: Registration, at: datetime) -> hl7.Visit:
    return hl7.Visit(f"V{registration.number}20", hl7.Place("OPD", "1", "1"), None, "O", DOCTORS[0], at)


def _malformed(town: Town, pen: Pen) -> Iterator[Message]:
    """Two of the three messages that stand in quarantine; the third comes while one looks on."""
    sent: tuple[System, ...] = ("lab", "ehr")
    for number, system in enumerate(sent):
        at = town.moment - timedelta(hours=2 + number)
        yield Message(at, system, hl7.malformed(number, at, pen.control_id()))


def _value(rng: Random, analyte: Analyte, severity: float) -> float:
    middle, width = (analyte.low + analyte.high) / 2, (analyte.high - analyte.low) / 8
    value = rng.gauss(middle, width) + analyte.illness * max(0.0, severity - 0.15)
    return max(value, 10**-analyte.places)
