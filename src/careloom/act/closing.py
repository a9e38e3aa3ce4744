"""act.closing: what a person does with a Task: acknowledge, snooze, dismiss, close; every alert has an end state.

Room: act. Pure: Task in, Task out. Standard: https://hl7.org/fhir/R4/task.html#statemachine

    requested -> accepted -> completed     acknowledge, then close with an outcome
    requested | accepted -> on-hold        snooze; the clock brings it back to requested
    any open -> rejected                   dismiss with a reason

Any other step raises OutcomeError(business-rule). docs/reference/rules.md lists outcomes and reasons.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from careloom.act.task import ACTOR, OPEN, OUTCOME, OUTPUT, REASON, WAITING, changed, concept, noted
from careloom.fhir.instant import instant
from careloom.fhir.outcome import Issue, OutcomeError
from careloom.fhir.resource import Resource

OUTCOMES: dict[str, str] = {
    "reviewed": "Reviewed at the bedside; monitoring changed",
    "treated": "Treatment started or changed",
    "handed-over": "Handed over to the medical team",
    "transferred": "Moved to a higher level of care",
    "no-action": "Reviewed; no action needed",
}
"""What was done: code -> text."""

REASONS: dict[str, str] = {
    "known": "Known for this patient; a plan is in place",
    "artefact": "The measurement was wrong",
    "ceiling": "A ceiling of care is set",
    "not-my-patient": "Not under the care of this team",
}
"""Why an alert was dismissed: code -> text."""

LONGEST_SNOOZE_MIN = 60
"""The Royal College of Physicians asks for hourly observations from a score of 5: nothing sleeps longer."""


def acknowledge(task: Resource, actor_id: str, now: datetime) -> Resource:
    """Take the Task: requested (or snoozed) -> accepted, owned by the actor."""
    _require(task, WAITING | {"on-hold"}, "acknowledged")
    after = changed(task, "accepted", "acknowledged", now)
    after["owner"] = _person(actor_id)
    after["executionPeriod"] = {"start": instant(now)}
    return noted(after, "Acknowledged.", now, actor_id)


def close(task: Resource, outcome: str, text: str, actor_id: str, now: datetime) -> Resource:
    """End an acknowledged Task and say what was done: accepted -> completed, with outcome and text as output."""
    _require(task, frozenset({"accepted", "in-progress"}), "closed")
    said = _known(outcome, OUTCOMES, "outcome")
    after = changed(task, "completed", "closed", now)
    after["output"] = [
        {
            "type": concept(OUTPUT, "outcome", "Outcome"),
            "valueCodeableConcept": concept(OUTCOME, outcome, said),
        }
    ]
    if text.strip():
        done: Resource = {"type": concept(OUTPUT, "text", "What was done"), "valueString": text.strip()}
        after["output"].append(done)
    return noted(_ended(after, now), f"Closed: {said}.", now, actor_id)


def dismiss(task: Resource, reason: str, text: str, actor_id: str, now: datetime) -> Resource:
    """End an open Task without acting, with a reason: -> rejected."""
    _require(task, OPEN, "dismissed")
    said = _known(reason, REASONS, "reason")
    after = changed(task, "rejected", "dismissed", now)
    after["statusReason"] = concept(REASON, reason, text.strip() or said)
    after["owner"] = _person(actor_id)
    return noted(_ended(after, now), f"Dismissed: {said}.", now, actor_id)


def snooze(task: Resource, minutes: int, actor_id: str, now: datetime) -> Resource:
    """Put the Task aside for 1 to 60 minutes: -> on-hold; act.escalation wakes it."""
    _require(task, OPEN - {"on-hold"}, "snoozed")
    if not 1 <= minutes <= LONGEST_SNOOZE_MIN:
        raise OutcomeError(
            Issue(
                "business-rule", f"Snooze for 1 to {LONGEST_SNOOZE_MIN} minutes.", "Task.restriction.period"
            )
        )
    after = changed(task, "on-hold", "snoozed", now)
    after["owner"] = _person(actor_id)
    after["restriction"] = {
        "period": {"start": instant(now), "end": instant(now + timedelta(minutes=minutes))}
    }
    return noted(after, f"Snoozed for {minutes} minutes.", now, actor_id)


def _require(task: Resource, statuses: frozenset[str], wish: str) -> None:
    if task.get("status") not in statuses:
        allowed = ", ".join(sorted(statuses))
        raise OutcomeError(
            Issue(
                "business-rule",
                f"A task that is {task.get('status')} cannot be {wish}; it must be one of: {allowed}. "
                "Somebody may have acted meanwhile: load it again.",
                "Task.status",
            )
        )


def _known(code: str, table: dict[str, str], word: str) -> str:
    if code not in table:
        raise OutcomeError(
            Issue("code-invalid", f"Choose a known {word}: {', '.join(table)}.", f"Task.{word}")
        )
    return table[code]


def _ended(task: Resource, now: datetime) -> Resource:
    return {**task, "executionPeriod": {**task.get("executionPeriod", {}), "end": instant(now)}}


def _person(actor_id: str) -> Resource:
    return {"type": "Practitioner", "identifier": {"system": ACTOR, "value": actor_id}, "display": actor_id}
