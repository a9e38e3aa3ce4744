"""What people may do with a Task, and that nothing else goes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from careloom.act.closing import OUTCOMES, REASONS, acknowledge, close, dismiss, snooze
from careloom.act.escalation import waiting_for
from careloom.act.task import OPEN, step_of
from careloom.fhir.outcome import OutcomeError
from careloom.fhir.validate import validate

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
END_STATES = {"completed", "rejected", "cancelled", "failed", "entered-in-error"}


def fresh() -> dict[str, Any]:
    return waiting_for(
        {"resourceType": "Task", "id": "t", "intent": "order", "priority": "urgent", "authoredOn": "2026-03-01T11:59:00Z"},
        "nurse",
        NOW,
    )  # fmt: skip


def test_an_acknowledged_task_has_an_owner_and_a_start():
    task = acknowledge(fresh(), "ward-nurse", NOW)
    assert task["status"] == "accepted"
    assert task["owner"]["identifier"]["value"] == "ward-nurse"
    assert task["executionPeriod"] == {"start": "2026-03-01T12:00:00.000Z"}


def test_closing_records_the_outcome_what_was_done_and_when():
    task = close(
        acknowledge(fresh(), "n", NOW),
        "treated",
        "Oxygen and fluids given. ",
        "n",
        NOW + timedelta(minutes=9),
    )
    assert task["status"] == "completed"
    assert [out.get("valueString") or out["valueCodeableConcept"]["text"] for out in task["output"]] == [
        OUTCOMES["treated"],
        "Oxygen and fluids given.",
    ]
    assert task["executionPeriod"] == {"start": "2026-03-01T12:00:00.000Z", "end": "2026-03-01T12:09:00.000Z"}
    assert [note["text"] for note in task["note"]] == ["Acknowledged.", f"Closed: {OUTCOMES['treated']}."]


def test_a_task_cannot_be_closed_before_it_is_acknowledged():
    with pytest.raises(OutcomeError) as error:
        close(fresh(), "treated", "", "n", NOW)
    assert error.value.issues[0].code == "business-rule"


def test_a_second_acknowledgement_is_refused():
    with pytest.raises(OutcomeError, match="load it again"):
        acknowledge(acknowledge(fresh(), "one", NOW), "two", NOW)


def test_a_dismissal_carries_its_reason():
    task = dismiss(fresh(), "artefact", "Probe had fallen off", "n", NOW)
    assert task["status"] == "rejected"
    assert task["statusReason"]["coding"][0]["code"] == "artefact"
    assert task["statusReason"]["text"] == "Probe had fallen off"


def test_unknown_outcomes_and_reasons_are_refused():
    with pytest.raises(OutcomeError, match="known outcome"):
        close(acknowledge(fresh(), "n", NOW), "fine", "", "n", NOW)
    with pytest.raises(OutcomeError, match="known reason"):
        dismiss(fresh(), "busy", "", "n", NOW)


def test_a_snooze_has_an_end_and_a_limit():
    assert snooze(fresh(), 15, "n", NOW)["restriction"]["period"]["end"] == "2026-03-01T12:15:00.000Z"
    with pytest.raises(OutcomeError, match="1 to 60"):
        snooze(fresh(), 600, "n", NOW)


def test_a_snoozed_task_can_be_acknowledged():
    assert acknowledge(snooze(fresh(), 15, "n", NOW), "n", NOW)["status"] == "accepted"


steps = st.lists(
    st.one_of(
        st.just(lambda task, now: acknowledge(task, "n", now)),
        st.sampled_from(sorted(OUTCOMES)).map(
            lambda code: lambda task, now: close(task, code, "done", "n", now)
        ),
        st.sampled_from(sorted(REASONS)).map(
            lambda code: lambda task, now: dismiss(task, code, "", "n", now)
        ),
        st.integers(1, 60).map(lambda minutes: lambda task, now: snooze(task, minutes, "n", now)),
    ),
    max_size=8,
)


@given(steps)
def test_whatever_people_do_in_whatever_order_an_ended_task_stays_as_it_ended(wishes: Any):
    task = fresh()
    for minute, wish in enumerate(wishes):
        before = task
        try:
            task = wish(task, NOW + timedelta(minutes=minute))
        except OutcomeError:
            task = before
        if before["status"] in END_STATES:
            assert task == before
        assert (task["status"] in OPEN) is ("end" not in task.get("executionPeriod", {}))
        assert step_of(task)
        assert validate(task) == []
        assert len(task.get("note", ())) >= len(before.get("note", ()))
