"""The star's story, and the messages in which it and everyday life are told."""

from __future__ import annotations

import itertools
from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from careloom.analyze.scores.news2 import Vitals, news2
from careloom.demo.chronicle import Pen, chronicle
from careloom.demo.course import town
from careloom.demo.illness import DIABETES
from careloom.demo.live import CATCH_UP_S, Clock, live
from careloom.demo.vital_signs import STORY, VitalSigns
from careloom.fhir.resource import loads
from careloom.unify.hl7v2.message import parse

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
CLOCK = Clock(NOW, 60)


def scored(signs: VitalSigns) -> int | None:
    return news2(
        Vitals(
            respiration_per_min=Decimal(signs.respiration),
            spo2_percent=Decimal(signs.spo2),
            is_on_oxygen=signs.oxygen > 0,
            systolic_mmhg=Decimal(signs.systolic),
            pulse_per_min=Decimal(signs.pulse),
            consciousness=signs.level,
            temperature_celsius=Decimal(str(signs.temperature)),
        )
    ).total


def test_the_star_gets_worse_step_by_step_and_passes_both_thresholds():
    assert [scored(signs) for signs in STORY] == [0, 0, 2, 3, 5, 7, 10, 17]


def test_her_story_is_told_in_order_and_reaches_seven_within_two_minutes():
    place = town(7, 200, CLOCK.at(0))
    told = list(itertools.takewhile(lambda beat: beat[0] < CATCH_UP_S, live(place, CLOCK, Pen(NOW))))
    number = place.registrations[1]["ehr"].number.encode()
    sets = [
        (offset, message) for offset, message in told if number in message.body and b"9279-1" in message.body
    ]
    assert len(sets) >= len(STORY)
    sets = sets[: len(STORY)]
    assert [message.at for _, message in sets] == sorted(message.at for _, message in sets)
    for (_, message), signs in zip(sets, STORY, strict=True):
        assert f"||{signs.respiration}|/min".encode() in message.body
    seventh = next(
        offset for (offset, _), signs in zip(sets, STORY, strict=True) if (scored(signs) or 0) >= 7
    )
    assert seventh < 80


@given(st.floats(0, 900), st.floats(0, 900), st.floats(1, 240))
def test_the_hospitals_clock_never_goes_back_and_is_never_ahead(one: float, two: float, speed: float):
    clock = Clock(NOW, speed)
    first, second = sorted((one, two))
    assert clock.at(first) <= clock.at(second)
    assert clock.at(second) <= NOW + timedelta(seconds=second)


def test_the_history_is_the_same_for_the_same_seed_and_moment():
    one = chronicle(town(7, 200, NOW), Pen(NOW))
    assert one == chronicle(town(7, 200, NOW), Pen(NOW))
    assert [message.at for message in one] == sorted(message.at for message in one)
    assert max(message.at for message in one) <= NOW


def test_everything_in_the_history_is_a_message_or_a_transaction_but_two():
    kinds: Counter[str] = Counter()
    for message in chronicle(town(7, 200, NOW), Pen(NOW)):
        if message.system == "clinic":
            assert loads(message.body)["type"] == "transaction"
        else:
            parsed = parse(message.body)
            kinds[message.body.split(b"|")[8].decode()] += 1
            assert parsed
    triggers = {kind.split("^")[1] for kind in kinds}
    assert triggers == {"A01", "A02", "A03", "A04", "A08", "A11", "A13", "A31", "A40", "R01"}


def test_the_laboratory_follows_the_sugar_of_all_who_have_diabetes_and_of_nobody_else():
    place = town(7, 200, NOW)
    messages = [message.body for message in chronicle(place, Pen(NOW)) if b"|4548-4^" in message.body]
    followed = {body.split(b"PID|")[1].split(b"|")[2].split(b"^")[0].decode() for body in messages}
    ill = {number for number, has in place.illnesses.items() if DIABETES in {each.snomed for each in has}}
    known = {
        place.registrations[number]["lab"].number for number in ill if "lab" in place.registrations[number]
    }
    assert followed == known
    assert len(messages) > len(known) > 3


def test_no_control_id_is_used_twice_even_between_runs():
    place = town(7, 60, NOW)
    ids = [
        message.body.split(b"|")[9]
        for moment in (NOW, NOW + timedelta(seconds=1))
        for message in chronicle(place, Pen(moment))
        if message.system != "clinic"
    ]
    assert len(set(ids)) == len(ids)
    assert max(map(len, ids)) <= 20


def test_no_two_people_lie_in_one_bed():
    place = town(7, 400, NOW)
    beds = [stay.moves[-1][1] for stay in place.inpatients]
    assert len(set(beds)) == len(beds)


@pytest.mark.parametrize("people", [1, 2, 15, 60])
def test_a_small_town_lives_too(people: int):
    place = town(3, people, CLOCK.at(0))
    assert chronicle(place, Pen(NOW))
    assert len(list(itertools.islice(live(place, CLOCK, Pen(NOW)), 30))) == 30
