"""web.news2: a NEWS2 score with its parts, each with the message that brought it.

Room: web. May import: store.score.
"""

from __future__ import annotations

from dataclasses import dataclass

from careloom.fhir.resource import Resource
from careloom.store.score import reading
from careloom.web.call import Call
from careloom.web.record import Evidence, Shown
from careloom.web.tasks import BANDS, evidence_for
from careloom.web.vitals import when_of
from careloom.web.wording import moment

ADVICE = {
    "high": "Emergency assessment by a team with critical care competencies",
    "medium": "Urgent assessment by a clinician competent in acute illness",
    "low-medium": "Urgent ward-based review",
    "low": "Assessment by a registered nurse",
}
"""What chart 4 of NEWS2 asks for (Royal College of Physicians, London 2017)."""


@dataclass(frozen=True, slots=True)
class Part:
    """One parameter: what was measured, and its points."""

    label: str
    value: Shown
    points: str


@dataclass(frozen=True, slots=True)
class News2:
    """A score as the card shows it."""

    total: str
    band: str
    risk: str
    advice: str
    when: str
    parts: tuple[Part, ...]
    note: str


def news2_of(call: Call, evidence: Evidence, observation: Resource | None) -> News2 | None:
    """Shape a score's Observation; None where there is none."""
    if observation is None:
        return None
    found = reading(observation)
    band, risk = BANDS.get(found.band, BANDS["low"])
    parts: list[Part] = []
    for part in found.parts:
        text = part.measured or part.missing or "not measured"
        value, _ = evidence_for(evidence, part.reference, text)
        parts.append(Part(part.name, value, "?" if part.points is None else str(part.points)))
    note = (
        ""
        if found.is_complete
        else "Incomplete: a parameter is missing, so this is the least that the score can be."
    )
    total = found.text if found.is_complete else f"≥ {found.points}"
    when = moment(when_of(observation, call.site.zone), call.site.zone)
    return News2(total, band, risk, ADVICE.get(found.band, ""), when, tuple(parts), note)
