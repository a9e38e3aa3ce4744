"""The deterioration rule and its clock, on a real database: one Task for an episode, and an end for every Task."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from careloom.act.closing import acknowledge, close, dismiss, snooze
from careloom.act.escalation import due
from careloom.act.task import OPEN, role_of, step_of
from careloom.analyze.scores.early_warning import NAMES
from careloom.analyze.scores.news2 import PARAMETERS, Score
from careloom.analyze.scores.observation import Component, Scored, observation
from careloom.fhir.outcome import OutcomeError
from careloom.fhir.resource import Resource
from careloom.fhir.validate import validate

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
RED, MEDIUM, HIGH = (3, 0, 0, 0, 0, 0, 0), (2, 2, 0, 0, 1, 0, 0), (3, 2, 2, 0, 0, 0, 0)
CALM = (0, 0, 0, 0, 1, 0, 0)


def minutes(count: float) -> datetime:
    return NOW + timedelta(minutes=count)


def score(at: datetime, points: tuple[int | None, ...], of: str = "ehr") -> Resource:
    known = Score(dict(zip(PARAMETERS, points, strict=True)))
    components = [
        Component(
            {"system": "http://snomed.info/sct", "code": name},
            NAMES[name],
            value,
            "seen",
            f"Observation/{name}",
        )
        for name, value in known.points.items()
    ]
    coding = {"system": "http://snomed.info/sct", "code": "1104051000000101"}
    return observation(
        Scored(
            name="NEWS2", coding=coding, key=f"{of}:{at}", subject=f"Patient/{of}", at=at, total=known.total,
            lower_bound=known.lower_bound, band=known.band, method="test", components=components,
        )
    )  # fmt: skip


@pytest.fixture
def ward(rooms: Any) -> Callable[..., list[Resource]]:
    """Say a score, let the rule hear it a second later, and give what it made."""

    def said(
        at: datetime, points: tuple[int | None, ...], of: str = "ehr", heard: datetime | None = None
    ) -> list[Resource]:
        heard = heard or at + timedelta(seconds=1)
        rooms.say(heard, score(at, points, of))
        return rooms.run(heard, "deterioration")

    rooms.say(NOW, {"resourceType": "Patient", "id": "ehr"}, {"resourceType": "Patient", "id": "lab"})
    rooms.say(NOW, {"resourceType": "Person", "id": "p", "link": [{"target": {"reference": f"Patient/{id_}"}} for id_ in ("ehr", "lab")]})  # fmt: skip
    return said


def tasks(rooms: Any) -> list[Resource]:
    """All Tasks of the rule, valid as they stand."""
    found = rooms.find("Task", ("code", "urn:careloom:rule|deterioration"), sort="authored-on")
    assert [issue for task in found for issue in validate(task)] == []
    return found


def acted(rooms: Any, wish: Callable[[Resource], Resource], at: datetime) -> Resource:
    """A person does something with the newest Task."""
    after = wish({**tasks(rooms)[-1]})
    rooms.say(at, after)
    return after


def reasons(task: Resource) -> list[str]:
    return [part["valueReference"]["display"] for part in task["input"] if "valueReference" in part]


@pytest.mark.parametrize(("points", "priority"), [(MEDIUM, "urgent"), (HIGH, "stat"), (RED, "urgent")])
def test_a_score_at_a_threshold_opens_a_task_with_reasons_and_evidence(
    rooms: Any, ward: Any, points: Any, priority: str
):
    (task,) = ward(NOW, points)
    assert (task["status"], task["priority"], role_of(task)) == ("requested", priority, "nurse")
    assert task["for"] == {"reference": "Patient/ehr"}
    assert task["focus"]["reference"].startswith("Observation/")
    assert len(reasons(task)) == sum(value > 0 for value in points)
    assert reasons(task)[0] == f"Respiration rate seen scores {points[0]}"
    evidence = [part["valueReference"]["reference"] for part in task["input"] if "valueReference" in part]
    assert evidence[0] == "Observation/respiration"
    assert validate(task) == []


def test_a_score_below_the_thresholds_opens_nothing(ward: Any):
    assert ward(NOW, (2, 2, 0, 0, 0, 0, 0)) == []


def test_an_incomplete_score_alerts_by_its_lower_bound_and_says_what_is_missing(ward: Any):
    (task,) = ward(NOW, (2, 2, None, 0, 1, 0, None))
    assert task["description"].startswith("NEWS2 at least 5")
    missing = [
        part["type"]["text"] for part in task["input"] if part["type"]["coding"][0]["code"] == "missing"
    ]
    assert missing == ["Air or oxygen", "Temperature"]


def test_one_episode_has_one_task_whichever_patient_the_score_stands_on(rooms: Any, ward: Any):
    ward(NOW, MEDIUM)
    ward(minutes(10), MEDIUM, "lab")
    assert len(tasks(rooms)) == 1
    assert tasks(rooms)[0]["focus"]["reference"] == f"Observation/{score(minutes(10), MEDIUM, 'lab')['id']}"


def test_worsening_raises_the_open_task_and_says_so(rooms: Any, ward: Any):
    ward(NOW, MEDIUM)
    ward(minutes(10), HIGH)
    (task,) = tasks(rooms)
    assert task["priority"] == "stat"
    assert [note["text"] for note in task["note"]] == ["Opened: NEWS2 5.", "Worsened: NEWS2 7."]
    ward(minutes(20), MEDIUM)
    assert tasks(rooms)[0]["priority"] == "stat"
    assert len(tasks(rooms)[0]["note"]) == 2


def test_worsening_after_the_acknowledgement_is_shown_as_the_step(rooms: Any, ward: Any):
    ward(NOW, MEDIUM)
    acted(rooms, lambda task: acknowledge(task, "n", minutes(1)), minutes(1))
    ward(minutes(10), HIGH)
    assert (tasks(rooms)[0]["status"], step_of(tasks(rooms)[0])) == ("accepted", "worsened")


def test_a_higher_priority_wakes_a_snoozed_task(rooms: Any, ward: Any):
    ward(NOW, MEDIUM)
    acted(rooms, lambda task: snooze(task, 60, "n", minutes(1)), minutes(1))
    ward(minutes(10), MEDIUM)
    assert tasks(rooms)[0]["status"] == "on-hold"
    ward(minutes(20), HIGH)
    assert tasks(rooms)[0]["status"] == "requested"


def test_history_and_scores_that_were_overtaken_open_nothing(ward: Any):
    assert ward(NOW, HIGH, heard=NOW + timedelta(hours=4, seconds=1)) == []
    ward(minutes(600), CALM)
    assert ward(minutes(590), HIGH, heard=minutes(601)) == []


def test_an_episode_that_settles_before_anybody_acts_is_withdrawn(rooms: Any, ward: Any):
    ward(NOW, MEDIUM)
    assert ward(minutes(59), CALM) == []
    (task,) = ward(minutes(60), CALM)
    assert (task["status"], step_of(task)) == ("cancelled", "withdrawn")
    assert ward(minutes(70), MEDIUM) != []
    assert [task["status"] for task in tasks(rooms)] == ["cancelled", "requested"]


def test_an_acknowledged_episode_that_settles_waits_for_its_owner(rooms: Any, ward: Any):
    ward(NOW, MEDIUM)
    acted(rooms, lambda task: acknowledge(task, "n", minutes(1)), minutes(1))
    (task,) = ward(minutes(61), CALM)
    assert (task["status"], step_of(task)) == ("accepted", "settled")
    assert ward(minutes(62), CALM) == []


def test_a_corrected_score_withdraws_the_task_it_opened(rooms: Any, ward: Any):
    ward(NOW, MEDIUM)
    (task,) = ward(NOW, CALM, heard=minutes(2))
    assert task["status"] == "cancelled"


def test_after_closing_only_a_higher_priority_opens_a_new_task_within_the_quiet_hour(rooms: Any, ward: Any):
    ward(NOW, MEDIUM)
    acted(rooms, lambda task: acknowledge(task, "n", minutes(1)), minutes(1))
    acted(rooms, lambda task: close(task, "treated", "Fluids.", "n", minutes(5)), minutes(5))
    assert ward(minutes(20), MEDIUM) == []
    (task,) = ward(minutes(30), HIGH)
    assert task["id"] != tasks(rooms)[0]["id"]
    assert [task["status"] for task in tasks(rooms)] == ["completed", "requested"]


def test_after_the_quiet_hour_the_next_breach_opens_a_new_task(rooms: Any, ward: Any):
    ward(NOW, MEDIUM)
    acted(rooms, lambda task: acknowledge(task, "n", minutes(1)), minutes(1))
    acted(rooms, lambda task: close(task, "reviewed", "", "n", minutes(5)), minutes(5))
    assert ward(minutes(64), MEDIUM) == []
    assert len(ward(minutes(65), MEDIUM)) == 1


def test_a_dismissal_is_respected_for_four_hours(rooms: Any, ward: Any):
    ward(NOW, MEDIUM)
    acted(rooms, lambda task: dismiss(task, "known", "", "n", minutes(1)), minutes(1))
    assert ward(minutes(240), MEDIUM) == []
    assert len(ward(minutes(241), MEDIUM)) == 1


def test_hearing_everything_again_changes_nothing(rooms: Any, ward: Any):
    for minute, points in enumerate((MEDIUM, HIGH, CALM, MEDIUM)):
        ward(minutes(10 * minute), points)
    acted(rooms, lambda task: acknowledge(task, "n", minutes(41)), minutes(41))
    acted(rooms, lambda task: close(task, "treated", "", "n", minutes(42)), minutes(42))
    before = tasks(rooms)
    rooms.forget("deterioration")
    assert rooms.run(minutes(45), "deterioration") == []
    assert tasks(rooms) == before


def test_an_unacknowledged_task_climbs_to_the_physician_and_the_charge_and_is_then_overdue(
    rooms: Any, ward: Any
):
    ward(NOW, MEDIUM)
    start = NOW + timedelta(seconds=1)
    assert rooms.tick(start + timedelta(minutes=9, seconds=59)) == []
    steps = []
    for minute in (10, 20, 30, 40):
        steps += [(role_of(task), step_of(task)) for task in rooms.tick(start + timedelta(minutes=minute))]
    assert steps == [("physician", "physician"), ("charge", "charge"), ("charge", "overdue")]
    texts = [note["text"] for note in tasks(rooms)[0]["note"]]
    assert texts[1:] == [
        "Not acknowledged by the nurse: now with the physician.",
        "Not acknowledged by the physician: now with the charge.",
        "Not acknowledged by anybody.",
    ]


def test_a_stat_task_climbs_twice_as_fast(rooms: Any, ward: Any):
    ward(NOW, HIGH)
    assert due(tasks(rooms)[0], 10) == NOW + timedelta(minutes=5, seconds=1)
    assert len(rooms.tick(minutes(5.1))) == 1


def test_an_acknowledged_task_does_not_climb_and_a_snoozed_one_wakes_where_it_was(rooms: Any, ward: Any):
    ward(NOW, MEDIUM)
    rooms.tick(minutes(11))
    acted(rooms, lambda task: snooze(task, 15, "n", minutes(12)), minutes(12))
    assert rooms.tick(minutes(26)) == []
    (task,) = rooms.tick(minutes(27))
    assert (task["status"], role_of(task)) == ("requested", "physician")
    acted(rooms, lambda task: acknowledge(task, "d", minutes(28)), minutes(28))
    assert rooms.tick(minutes(500)) == []


def test_after_a_stop_the_clock_takes_one_step_not_all_that_were_missed(rooms: Any, ward: Any):
    ward(NOW, MEDIUM)
    assert [role_of(task) for task in rooms.tick(minutes(300))] == ["physician"]
    assert rooms.tick(minutes(300)) == []


def test_the_same_moment_asked_twice_steps_once(rooms: Any, ward: Any):
    ward(NOW, MEDIUM)
    rooms.tick(minutes(11))
    assert rooms.tick(minutes(11)) == []
    assert rooms.tick(minutes(11), escalate_after_minutes=10) == []


moves = st.lists(
    st.sampled_from([MEDIUM, HIGH, RED, CALM, "ack", "close", "dismiss", "snooze", "tick"]),
    min_size=1,
    max_size=14,
)


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(moves, st.integers(1, 10**9))
def test_whatever_happens_there_is_at_most_one_open_task_and_it_never_loses_its_priority(
    rooms: Any, ward: Any, moves: Any, name: int
):
    of = f"p{name}"
    rooms.say(NOW, {"resourceType": "Patient", "id": of})
    wishes = {
        "ack": lambda task, at: acknowledge(task, "n", at),
        "close": lambda task, at: close(task, "treated", "", "n", at),
        "dismiss": lambda task, at: dismiss(task, "known", "", "n", at),
        "snooze": lambda task, at: snooze(task, 20, "n", at),
    }
    priority: dict[str, str] = {}
    for step, move in enumerate(moves):
        at = minutes(17 * step)
        mine = rooms.find("Task", ("subject", f"Patient/{of}"), sort="-authored-on")
        if isinstance(move, tuple):
            ward(at, move, of)
        elif move == "tick":
            rooms.tick(at)
        elif mine:
            with suppress(OutcomeError):  # an illegal step is refused; that is tested elsewhere
                rooms.say(at, wishes[move](mine[0], at))
        mine = rooms.find("Task", ("subject", f"Patient/{of}"))
        assert sum(task["status"] in OPEN for task in mine) <= 1
        for task in mine:
            assert not (priority.get(task["id"]) == "stat" and task["priority"] != "stat")
            priority[task["id"]] = task["priority"]
