"""web.tasks: how a Task of the care team reads: urgency, reasons with their evidence, who, since when.

Room: web. May import: store.score, act (the words of its Tasks). Shared by worklist, summary and task page.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from careloom.act.task import ACTOR, INPUT, OPEN, WAITING, code_of, role_of, step_of
from careloom.fhir.query import parse
from careloom.fhir.resource import Resource
from careloom.store.accounts import displays
from careloom.store.read import Reader
from careloom.store.score import NEWS2, Reading, is_score, reading
from careloom.web.call import Call
from careloom.web.record import Evidence, Shown
from careloom.web.wording import concept, instant_of, moment, source_name, span, value_path

URGENCY = {
    "stat": ("Act now", "now"),
    "asap": ("Soon", "soon"),
    "urgent": ("Urgent", "soon"),
    "routine": ("Routine", ""),
}
RANK = {"stat": 0, "asap": 1, "urgent": 1, "routine": 2}
BANDS = {
    "high": ("high", "High risk"),
    "medium": ("medium", "Medium risk"),
    "low-medium": ("medium", "Low to medium risk: one parameter scores 3"),
    "low": ("low", "Low risk"),
}
ENDED = {
    "completed": "Closed",
    "rejected": "Dismissed",
    "cancelled": "Withdrawn",
    "failed": "Failed",
    "entered-in-error": "Entered in error",
}


@dataclass(frozen=True, slots=True)
class Score:
    """A score with its band, for the badge."""

    text: str
    band: str
    risk: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """One reason of a task: the parameter, what was measured, its points."""

    label: str
    value: Shown
    points: str = ""
    when: str = ""
    source: str = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A Task, as pages show it."""

    id: str
    href: str
    title: str
    description: str
    urgency: str
    tone: str
    status: str
    owner: str
    since: str
    since_iso: str
    waiting: str
    due: str
    is_open: bool
    can_acknowledge: bool
    can_close: bool
    escalated: str
    score: Score | None
    measured: str
    """When the score's evidence was measured: a fresh task may stand on old values."""
    reasons: tuple[Reason, ...]
    rate: str


def view_of(
    call: Call, evidence: Evidence, task: Resource, rates: Mapping[str, str], names: Mapping[str, str]
) -> View:
    """Shape one Task. `names`: account -> how the person is called."""
    zone = call.site.zone
    opened = instant_of(task.get("authoredOn"), zone) or call.now
    urgency, tone = URGENCY.get(task.get("priority", "routine"), URGENCY["routine"])
    status = str(task.get("status", ""))
    is_open = status in OPEN
    rule = concept(task.get("code"))
    focus = evidence.resource((task.get("focus") or {}).get("reference", ""))
    score = reading(focus) if focus is not None and is_score(focus, NEWS2) else None
    return View(
        id=task["id"],
        href=f"/tasks/{task['id']}",
        title=rule or "Task",
        description=task.get("description", ""),
        urgency=urgency if is_open else ENDED.get(status, "Ended"),
        tone=tone
        if is_open and status in WAITING
        else "still"
        if not is_open
        else tone
        if tone == "now"
        else "",
        status=concept(task.get("businessStatus")) or status,
        owner=owner_of(task, names),
        since=moment(opened, zone),
        since_iso=opened.isoformat(),
        waiting=span(call.now - opened),
        due=_due(call, task),
        is_open=is_open,
        can_acknowledge=status in WAITING | {"on-hold"} and call.may("task.write"),
        can_close=status in {"accepted", "in-progress"},
        escalated=_escalated(task),
        score=_score_of(score),
        measured=moment((focus or {}).get("effectiveDateTime"), zone),
        reasons=tuple(_reasons(call, evidence, task, score)),
        rate=rates.get(rule, ""),
    )


def owner_of(task: Resource, names: Mapping[str, str]) -> str:
    """Who has it, or which role it waits for."""
    owner = task.get("owner") or {}
    role = next((concept(kind) for kind in task.get("performerType", ())), "")
    identifier = owner.get("identifier") or {}
    known = names.get(str(identifier.get("value", ""))) if identifier.get("system") == ACTOR else None
    return known or owner.get("display") or (f"any {_role(role)}" if role else "nobody")


def _role(name: str) -> str:
    """A role of the ladder as people say it."""
    return {"charge": "charge physician"}.get(name.lower(), name.lower())


def names_of(call: Call) -> dict[str, str]:
    """How the people who sign in are called: a Task keeps the account, a page shows the person."""
    with call.site.database.connection() as connection:
        return displays(connection)


def _due(call: Call, task: Resource) -> str:
    end = ((task.get("restriction") or {}).get("period") or {}).get("end")
    return moment(end, call.site.zone) if end and task.get("status") == "on-hold" else ""


def _escalated(task: Resource) -> str:
    if step_of(task) == "overdue":
        return "Overdue"
    return (
        f"Escalated to {_role(role_of(task))}"
        if role_of(task) in {"physician", "charge"} and task.get("status") in WAITING
        else ""
    )


def _score_of(found: Reading | None) -> Score | None:
    """The score that a Task is about, if it is one."""
    if found is None:
        return None
    band, risk = BANDS.get(found.band, BANDS["low"])
    return Score(found.text, band, risk)


def _reasons(call: Call, evidence: Evidence, task: Resource, score: Reading | None) -> Iterator[Reason]:
    points = {part.name: part for part in score.parts} if score else {}
    for given in task.get("input", ()):
        if code_of(given.get("type"), INPUT) == "reason":
            source = (given.get("valueReference") or {}).get("reference", "")
            part = points.get(concept(given.get("type")))
            text = part.measured if part else (given.get("valueReference") or {}).get("display", "")
            value, observation = evidence_for(evidence, source, text)
            yield Reason(
                label=concept(given.get("type")),
                value=value,
                points=str(part.points) if part and part.points is not None else "",
                when=moment((observation or {}).get("effectiveDateTime"), call.site.zone),
                source=source_name(observation),
            )


def evidence_for(evidence: Evidence, reference: str, text: str) -> tuple[Shown, Resource | None]:
    """A measured value and the message that brought it, from a reference to its Observation."""
    observation = evidence.resource(reference)
    if observation is None:
        return Shown(text), None
    return evidence.shown(observation, _path(observation, text), text), observation


def _path(observation: Resource, text: str) -> str:
    """Down to the component whose value is the text: a blood pressure holds two."""
    for at, component in enumerate(observation.get("component") or ()):
        value = (component.get("valueQuantity") or {}).get("value")
        if value is not None and text.startswith(str(value)):
            return f"component[{at}].{value_path(component)}"
    return value_path(observation)


def evidence_of(evidence: Evidence, tasks: Iterable[Resource]) -> None:
    """Look up at once what these Tasks are about and what they give as reasons."""
    listed = list(tasks)
    focuses = [str((task.get("focus") or {}).get("reference", "")) for task in listed]
    reasons = [
        str((given.get("valueReference") or {}).get("reference", ""))
        for task in listed
        for given in task.get("input", ())
    ]
    evidence.gather([*focuses, *reasons])


def rates_of(read: Reader, tasks: Iterable[Resource]) -> dict[str, str]:
    """How often the ended tasks of each rule were acted on: every rule shows its own acceptance."""
    rules = {concept(task.get("code")): task["code"]["coding"][0] for task in tasks if _is_coded(task)}
    rates: dict[str, str] = {}
    for rule, coding in rules.items():
        code = ("code", f"{coding.get('system', '')}|{coding.get('code', '')}")
        acted = counted(read, code, ("status", "completed"))
        ended = acted + counted(read, code, ("status", "rejected"))
        if ended:
            rates[rule] = f"acted on in {acted:,} of {ended:,}"
    return rates


def _is_coded(task: Resource) -> bool:
    return bool((task.get("code") or {}).get("coding"))


def counted(read: Reader, *pairs: tuple[str, str]) -> int:
    """How many Tasks are like that."""
    return read.search(parse("Task", [*pairs, ("_summary", "count")], strict=True)).total or 0


def ranked(tasks: Iterable[Resource]) -> list[Resource]:
    """The most urgent first; of the same urgency what nobody has, then the oldest."""
    return sorted(tasks, key=_rank)


def _rank(task: Resource) -> tuple[int, bool, str]:
    return (
        RANK.get(task.get("priority", "routine"), 2),
        task.get("status") not in WAITING,
        task.get("authoredOn", ""),
    )
