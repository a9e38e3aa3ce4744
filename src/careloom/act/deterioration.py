"""act.deterioration: a NEWS2 score at or above the thresholds opens one Task for the episode, and keeps it current.

Room: act. A station on Observations. Standard: Royal College of Physicians, NEWS2 (London 2017), charts 2 and 4.
The rule in words, with its periods: docs/reference/rules.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import NAMESPACE_URL, uuid5

from careloom.act.escalation import LADDER, waiting_for
from careloom.act.task import DERIVED, INPUT, OPEN, REASON, RULE, changed, concept, noted
from careloom.fhir.instant import instant, interval
from careloom.fhir.resource import Resource, reference_to
from careloom.store.feed import Change
from careloom.store.person import linked
from careloom.store.read import Reader
from careloom.store.score import NEWS2, is_score, reading

TYPES = frozenset({"Observation"})
CODES = {"Observation": ("code", (NEWS2[1],))}


@dataclass(frozen=True, slots=True)
class Response:
    """What chart 4 asks for."""

    priority: str
    text: str


RESPONSES: dict[str, Response] = {
    "high": Response("stat", "emergency assessment by a team with critical care competencies"),
    "medium": Response("urgent", "urgent assessment by a clinician competent in acute illness"),
    "low-medium": Response("urgent", "one parameter scores 3: urgent review by the medical team"),
}
"""Band of the score -> response. A band that is not listed is no breach."""

RANK: dict[str, int] = {"routine": 0, "urgent": 1, "asap": 2, "stat": 3}

FRESH = timedelta(hours=4)
"""A score measured longer ago than this when it arrives is history and opens nothing."""

SETTLED_AFTER = timedelta(minutes=60)
"""An episode is over when the last score at or above the thresholds lies this far back."""

QUIET: dict[str, timedelta] = {
    "completed": timedelta(minutes=60),
    "rejected": timedelta(hours=4),
    "cancelled": timedelta(0),
}
"""After this end state, only a higher priority opens a new Task within this time."""


def alert(change: Change, read: Reader) -> list[Resource]:
    """The Task that a NEWS2 score opens, worsens or settles; nothing where nothing changes."""
    score = change.resource
    if not is_score(score, NEWS2):
        return []
    measured = interval(str(score["effectiveDateTime"]))[0]
    person = linked(read, str(score["subject"]["reference"]))
    subjects = ("subject", ",".join(person.patients))
    if change.recorded - measured > FRESH or _is_overtaken(read, subjects, measured):
        return []
    tasks = read.find("Task", ("code", f"{RULE}|deterioration"), subjects, sort="-authored-on")
    response = RESPONSES.get(reading(score).band)
    current = next((task for task in tasks if task["status"] in OPEN), None)
    if current is not None:
        after = (
            _settled(current, score, measured, change.recorded)
            if response is None
            else _continued(current, score, response, change.recorded)
        )
        return [] if after is None else [after]
    if response is None or (tasks and _is_quiet(tasks[0], response, measured, change.recorded)):
        return []
    return [_opened(score, response, person.key, change.recorded)]


def _is_overtaken(read: Reader, subjects: tuple[str, str], measured: datetime) -> bool:
    """A later score of the same person is known; it speaks, this one does not."""
    later = ("date", f"gt{instant(measured)}")
    scores = read.find("Observation", ("code", "|".join(NEWS2)), subjects, later, count=10)
    return any(is_score(score, NEWS2) for score in scores)


def _opened(score: Resource, response: Response, person: str, now: datetime) -> Resource:
    name = f"urn:careloom:task:deterioration:{person}:{score['id']}"
    task: Resource = {
        "resourceType": "Task",
        "id": str(uuid5(NAMESPACE_URL, name)),
        "meta": {"tag": [DERIVED]},
        "intent": "order",
        "priority": response.priority,
        "code": concept(RULE, "deterioration", "Deterioration (NEWS2)"),
        "for": {"reference": score["subject"]["reference"]},
        "authoredOn": instant(now),
        "requester": {"display": "careloom: NEWS2 rule"},
    }
    if "encounter" in score:
        task["encounter"] = score["encounter"]
    opened = waiting_for(_with_evidence(task, score, response), LADDER[0], now)
    return noted(opened, f"Opened: NEWS2 {reading(score).text}.", now)


def _continued(task: Resource, score: Resource, response: Response, now: datetime) -> Resource | None:
    """The open Task with the current evidence; a priority never falls while the episode lasts."""
    is_higher = RANK[response.priority] > RANK[str(task["priority"])]
    is_worse = is_higher or reading(score).points > _peak(task)
    after = _with_evidence(task, score, response)
    if is_higher:
        after["priority"] = response.priority
    if after == task:
        return None
    if not is_worse:
        return {**after, "lastModified": instant(now)}
    if is_higher and task["status"] == "on-hold":
        after = waiting_for(after, LADDER[0], now)
    elif task["status"] in {"accepted", "in-progress"}:
        after = changed(after, str(task["status"]), "worsened", now)
    after["lastModified"] = instant(now)
    return noted(after, f"Worsened: NEWS2 {reading(score).text}.", now)


def _settled(task: Resource, score: Resource, measured: datetime, now: datetime) -> Resource | None:
    """The episode is over: withdraw what nobody took, and ask the owner of the rest to say what was done."""
    is_corrected = task["focus"]["reference"] == reference_to(score)
    if not is_corrected and measured - _measured(task) < SETTLED_AFTER:
        return None
    if task["status"] in {"accepted", "in-progress"}:
        after = changed(task, str(task["status"]), "settled", now)
        return None if after["businessStatus"] == task.get("businessStatus") else after
    after = changed(task, "cancelled", "withdrawn", now)
    after["statusReason"] = concept(REASON, "settled", "The score settled before anybody acted")
    after["executionPeriod"] = {"end": instant(now)}
    return noted(after, f"Withdrawn: NEWS2 {reading(score).text}.", now)


def _is_quiet(last: Resource, response: Response, measured: datetime, now: datetime) -> bool:
    """The person was just attended to; a score already spoken for, or not of higher priority, opens nothing."""
    if measured <= _measured(last):
        return True
    ended = interval(str(last.get("executionPeriod", {}).get("end", last["lastModified"])))[0]
    if now - ended >= QUIET.get(str(last["status"]), timedelta(0)):
        return False
    return RANK[response.priority] <= RANK[str(last["priority"])]


def _with_evidence(task: Resource, score: Resource, response: Response) -> Resource:
    current = reading(score)
    inputs: list[Resource] = [
        {"type": concept(INPUT, "score", "NEWS2"), "valueString": current.text},
        {"type": concept(INPUT, "measured", "Measured"), "valueDateTime": score["effectiveDateTime"]},
        {
            "type": concept(INPUT, "peak", "Highest in this episode"),
            "valueInteger": max(current.points, _peak(task)),
        },
    ]
    for part in sorted(current.parts, key=lambda part: -(part.points or 0)):
        if part.points:
            why = f"{part.name} {part.measured} scores {part.points}".replace("  ", " ")
            source = {"reference": part.reference or reference_to(score), "display": why}
            inputs.append({"type": concept(INPUT, "reason", part.name), "valueReference": source})
        elif part.points is None:
            inputs.append({"type": concept(INPUT, "missing", part.name), "valueString": part.missing})
    return {
        **task,
        "description": f"NEWS2 {current.text}: {response.text}",
        "focus": {"reference": reference_to(score)},
        "input": inputs,
    }


def _input(task: Resource, code: str) -> Resource:
    wanted = {"system": INPUT, "code": code}
    return next((part for part in task.get("input", ()) if wanted in part["type"]["coding"]), {})


def _peak(task: Resource) -> int:
    return int(_input(task, "peak").get("valueInteger", 0))


def _measured(task: Resource) -> datetime:
    return interval(str(_input(task, "measured")["valueDateTime"]))[0]
