"""web.news2: a NEWS2 score with its parts, each with the message that brought it.

Room: web. May import: store.score.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from careloom.fhir.resource import Resource
from careloom.store.score import Reading, reading
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
    before: tuple[Earlier, ...]


@dataclass(frozen=True, slots=True)
class Earlier:
    """A score before this one, with its time."""

    total: str
    band: str
    when: str


MOST = 5
"""Earlier scores on the card, the latest first."""


def news2_of(
    call: Call, evidence: Evidence, observation: Resource | None, before: Sequence[Resource] = ()
) -> News2 | None:
    """Shape a score's Observation, and those `before` it (the latest first); None where there is none."""
    if observation is None:
        return None
    found = reading(observation)
    evidence.gather(part.reference for part in found.parts)
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
    earlier = tuple(_earlier(call, one) for one in before[:MOST])
    advice = ADVICE.get(found.band, "")
    return News2(_total(found), band, risk, advice, _when(call, observation), tuple(parts), note, earlier)


def _earlier(call: Call, observation: Resource) -> Earlier:
    found = reading(observation)
    return Earlier(_total(found), BANDS.get(found.band, BANDS["low"])[0], _when(call, observation))


def _total(found: Reading) -> str:
    return found.text if found.is_complete else f"≥ {found.points}"


def _when(call: Call, observation: Resource) -> str:
    return moment(when_of(observation, call.site.zone), call.site.zone)
