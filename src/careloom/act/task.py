"""act.task: the words of careloom's Tasks: systems, steps, and how a change is written into one.

Room: act. Pure. Standard: https://hl7.org/fhir/R4/task.html
"""

from __future__ import annotations

from copy import deepcopy
from datetime import datetime

from careloom.fhir.instant import instant
from careloom.fhir.resource import Resource

RULE = "urn:careloom:rule"
ROLE = "urn:careloom:role"
STEP = "urn:careloom:task-step"
INPUT = "urn:careloom:task-input"
OUTPUT = "urn:careloom:task-output"
OUTCOME = "urn:careloom:task-outcome"
REASON = "urn:careloom:task-reason"
ACTOR = "urn:careloom:actor"
DERIVED = {"system": "urn:careloom:tag", "code": "derived"}

WAITING = frozenset({"requested", "received"})
"""Nobody has acknowledged it."""
OPEN = WAITING | {"accepted", "in-progress", "on-hold"}
"""It has no end state yet."""

STEPS: dict[str, str] = {
    "nurse": "Waiting for a nurse",
    "physician": "Waiting for a physician",
    "charge": "Waiting for the charge physician",
    "overdue": "Overdue: nobody has acknowledged it",
    "acknowledged": "Acknowledged",
    "worsened": "Worsened since it was acknowledged",
    "settled": "The score has settled; say what was done",
    "snoozed": "Snoozed",
    "closed": "Closed",
    "dismissed": "Dismissed",
    "withdrawn": "Withdrawn: the score settled before anybody acknowledged it",
}
"""Task.businessStatus: code -> text."""


def changed(task: Resource, status: str, step: str, now: datetime) -> Resource:
    """A copy of the Task in another status and step."""
    after = deepcopy(task)
    after["status"] = status
    after["businessStatus"] = concept(STEP, step, STEPS[step])
    after["lastModified"] = instant(now)
    return after


def noted(task: Resource, text: str, now: datetime, author: str = "careloom") -> Resource:
    """The same Task with one more note: what happened, when, by whom."""
    note = {"authorString": author, "time": instant(now), "text": text}
    return {**task, "note": [*task.get("note", ()), note]}


def step_of(task: Resource) -> str:
    """The code of Task.businessStatus."""
    return code_of(task.get("businessStatus"), STEP)


def role_of(task: Resource) -> str:
    """The role that the Task waits for."""
    return next((code_of(kind, ROLE) for kind in task.get("performerType", ())), "")


def concept(system: str, code: str, text: str) -> Resource:
    """A CodeableConcept of one of careloom's own codes."""
    return {"coding": [{"system": system, "code": code}], "text": text}


def code_of(concept: Resource | None, system: str) -> str:
    """The code of that system in a CodeableConcept, or an empty string."""
    codings = (concept or {}).get("coding", ())
    return next((str(coding.get("code", "")) for coding in codings if coding.get("system") == system), "")
