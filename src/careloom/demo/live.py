"""demo.live: what happens in the hospital from now on, without end: the story of the star, and everyday life.

Room: demo. Pure: offsets in seconds of real time and messages come out; who waits and sends is demo.hospital.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from random import Random

from careloom.demo import bundles, hl7
from careloom.demo.chronicle import Message, Pen, results_of, signs_of
from careloom.demo.course import Beds, Stay, Town, admission
from careloom.demo.illness import PANELS
from careloom.demo.names import DOCTORS
from careloom.demo.vital_signs import STORY

CATCH_UP_S = 120.0
STORY_FIRST_S, STORY_EVERY_S = 6.0, 12.0
RECOVERS_AFTER_S = 900.0
ROUND_S, LATER_ROUND_S = 90.0, 300.0
"""How often everybody's vital signs are taken: while the clock runs fast, and after."""


@dataclass(frozen=True, slots=True)
class Clock:
    """The hospital's clock. It starts so far back that, running `speed` times as fast, it meets real time after two
    minutes; from then on it is real time. It is never ahead: no vital sign comes from the future."""

    began: datetime
    speed: float

    def at(self, offset_s: float) -> datetime:
        """The hospital's time, `offset_s` seconds of real time after the beginning."""
        lead_s = (max(self.speed, 1.0) - 1.0) * max(0.0, CATCH_UP_S - offset_s)
        return self.began + timedelta(seconds=offset_s - lead_s)


Beat = Callable[["_State", float], Iterator[Message]]


@dataclass(slots=True)
class _State:
    town: Town
    clock: Clock
    pen: Pen
    rng: Random
    stays: dict[str, Stay]
    beds: Beds
    due: list[tuple[float, int, Beat]] = field(default_factory=list)
    _plans: int = 0

    def plan(self, offset_s: float, beat: Beat) -> None:
        self._plans += 1
        heapq.heappush(self.due, (offset_s, self._plans, beat))


def live(town: Town, clock: Clock, pen: Pen) -> Iterator[tuple[float, Message]]:
    """Seconds after the beginning, and what is said then; in order, without end."""
    rng = Random(f"live:{town.seed}")  # noqa: S311 - a synthetic hospital, not a secret
    state = _State(town, clock, pen, rng, {stay.number: stay for stay in town.inpatients}, town.beds)
    for stay in town.inpatients:
        if stay.course == "story":
            state.plan(STORY_FIRST_S, _told(stay.number, 0))
            state.plan(STORY_FIRST_S + 2.5 * STORY_EVERY_S, _star_tested)
        else:
            state.plan(rng.uniform(1, ROUND_S), _watched(stay.number))
    state.plan(14, _tested)
    state.plan(23, _seen_at_the_clinic)
    state.plan(31, _moved)
    state.plan(44, _cut_off)
    while state.due:
        offset_s, _, beat = heapq.heappop(state.due)
        for message in beat(state, offset_s):
            yield offset_s, message


def _told(number: str, chapter: int) -> Beat:
    """One set of the star's story; when it is told she stays ill for a while, and then recovers."""

    def beat(state: _State, offset_s: float) -> Iterator[Message]:
        stay = state.stays[number]
        if chapter < len(STORY):
            yield _vitals(state, stay, offset_s, chapter)
            state.plan(offset_s + STORY_EVERY_S, _told(number, chapter + 1))
        elif offset_s < RECOVERS_AFTER_S:
            yield _vitals(state, stay, offset_s, len(STORY) - 2)
            state.plan(offset_s + ROUND_S, _told(number, chapter))
        else:
            state.stays[number] = replace(stay, course="steady", severity=0.3)
            state.plan(offset_s + ROUND_S, _watched(number))

    return beat


def _watched(number: str) -> Beat:
    def beat(state: _State, offset_s: float) -> Iterator[Message]:
        stay = state.stays.get(number)
        if stay is None:
            return
        if stay.course == "declining":
            worse = min(stay.severity + 0.1, 1.0)
            stay = replace(stay, severity=worse if worse < 1.0 else 0.2)
            state.stays[number] = stay
        yield _vitals(state, stay, offset_s, None)
        state.plan(offset_s + (ROUND_S if offset_s < CATCH_UP_S else LATER_ROUND_S), _watched(number))

    return beat


def _vitals(state: _State, stay: Stay, offset_s: float, chapter: int | None) -> Message:
    at = state.clock.at(offset_s)
    signs = signs_of(stay, state.rng) if chapter is None else STORY[chapter]
    body = hl7.vital_signs(stay.registration, stay.visit(at), signs, at, state.pen.control_id())
    return Message(at, "ehr", body)


def _star_tested(state: _State, offset_s: float) -> Iterator[Message]:
    """The laboratory, which knows her under another birth date, finds inflammation."""
    at = state.clock.at(offset_s)
    registration = state.town.registrations[1]["lab"]
    yield results_of(registration, list(PANELS)[2], 0.95, at, state.pen, state.rng)


def _tested(state: _State, offset_s: float) -> Iterator[Message]:
    at = state.clock.at(offset_s)
    known = [known["lab"] for known in state.town.registrations.values() if "lab" in known]
    if known:
        yield results_of(
            state.rng.choice(known), state.rng.choice(list(PANELS)), 0.2, at, state.pen, state.rng
        )
    state.plan(offset_s + 25, _tested)


def _seen_at_the_clinic(state: _State, offset_s: float) -> Iterator[Message]:
    at = state.clock.at(offset_s)
    known = [known["clinic"] for known in state.town.registrations.values() if "clinic" in known]
    if known:
        registration = state.rng.choice(known)
        yield Message(at, "clinic", bundles.visit(registration, state.rng.choice(DOCTORS), at, state.rng))
    state.plan(offset_s + 40, _seen_at_the_clinic)


def _moved(state: _State, offset_s: float) -> Iterator[Message]:
    """By turns somebody goes home, somebody comes, somebody changes beds."""
    at = state.clock.at(offset_s)
    steady = [stay for stay in state.stays.values() if stay.course == "steady"]
    match round(offset_s) % 3:
        case 0 if steady:
            stay = replace(state.rng.choice(steady), discharged=at)
            del state.stays[stay.number]
            state.beds.free_from[stay.moves[-1][1]] = at
            yield _adt(state, "A03", stay, at)
        case 1 if steady:
            stay = state.rng.choice(steady)
            place = state.beds.take(stay.complaint.ward, at, at + timedelta(days=365))
            if place is not None:
                state.beds.free_from[stay.moves[-1][1]] = at
                state.stays[stay.number] = replace(stay, moves=(*stay.moves, (at, place)))
                yield _adt(state, "A02", state.stays[stay.number], at)
        case _:
            yield from _came(state, offset_s, at)
    state.plan(offset_s + 37, _moved)


def _came(state: _State, offset_s: float, at: datetime) -> Iterator[Message]:
    lying = {stay.registration.person for stay in state.stays.values()}
    outside = [
        known["ehr"]
        for number, known in state.town.registrations.items()
        if "ehr" in known and number not in lying
    ]
    stay = admission(state.rng, state.rng.choice(outside), at, state.beds) if outside else None
    if stay is not None:
        state.stays[stay.number] = stay
        state.plan(offset_s + 5, _watched(stay.number))
        yield _adt(state, "A01", stay, at)


def _adt(state: _State, trigger: str, stay: Stay, at: datetime) -> Message:
    body = hl7.adt(trigger, stay.registration, at, state.pen.control_id(), visit=stay.visit(at))
    return Message(at, "ehr", body)


def _cut_off(state: _State, offset_s: float) -> Iterator[Message]:
    at = state.clock.at(offset_s)
    yield Message(at, "lab", hl7.malformed(2, at, state.pen.control_id()))
