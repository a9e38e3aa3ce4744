"""store.score: how a score stands in an Observation, so that analyze can write it, and act and web can read it.

Room: store. Pure. Standards: https://hl7.org/fhir/R4/observation.html, NEWS2 codes of UK Core (SNOMED CT, UK edition).

A score's Observation carries its total as valueQuantity, and per parameter a component with its points. An incomplete
score has no value but a dataAbsentReason, and a component LOWER_BOUND. A component names what it was made from in
extensions: MEASURED (the value, for people) and DERIVED_FROM (the Observation).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from careloom.fhir.resource import Resource

SNOMED = "http://snomed.info/sct"
SCORE = "urn:careloom:score"
BAND = "urn:careloom:score-band"
NEWS2 = (SNOMED, "1104051000000101")
LACE = (SCORE, "lace")
LOWER_BOUND = (SCORE, "lower-bound")
MEASURED = "urn:careloom:measured"
DERIVED_FROM = "urn:careloom:derived-from"


@dataclass(frozen=True, slots=True)
class Part:
    """One parameter of a score; `points` None: missing, with the reason in `missing`."""

    code: str
    name: str
    points: int | None
    measured: str
    reference: str
    missing: str


@dataclass(frozen=True, slots=True)
class Reading:
    """A score as read: `points` is the total, or the lower bound of an incomplete score."""

    points: int
    is_complete: bool
    band: str
    parts: tuple[Part, ...]

    @property
    def text(self) -> str:
        """The score for people: `7`, or `at least 5`."""
        return str(self.points) if self.is_complete else f"at least {self.points}"


def is_score(observation: Resource, score: tuple[str, str]) -> bool:
    """True if the Observation is that score and counts."""
    return (
        observation.get("resourceType") == "Observation"
        and observation.get("status") in {"final", "amended", "corrected"}
        and score in _codings(observation.get("code"))
    )


def reading(observation: Resource) -> Reading:
    """Read a score's Observation back."""
    parts: list[Part] = []
    lower_bound = 0
    for component in observation.get("component", ()):
        if LOWER_BOUND in _codings(component.get("code")):
            lower_bound = int(component["valueQuantity"]["value"])
        else:
            parts.append(_part(component))
    value = observation.get("valueQuantity", {}).get("value")
    bands = [code for concept in observation.get("interpretation", ()) for code in _codings(concept)]
    band = next((code for system, code in bands if system == BAND), "")
    return Reading(lower_bound if value is None else int(value), value is not None, band, tuple(parts))


def _part(component: Resource) -> Part:
    value = component.get("valueQuantity", {}).get("value")
    extensions: dict[str, Any] = {part["url"]: part for part in component.get("extension", ())}
    return Part(
        code=_codings(component["code"])[0][1],
        name=str(component["code"].get("text", "")),
        points=None if value is None else int(value),
        measured=str(extensions.get(MEASURED, {}).get("valueString", "")),
        reference=str(extensions.get(DERIVED_FROM, {}).get("valueReference", {}).get("reference", "")),
        missing=str(component.get("dataAbsentReason", {}).get("text", "")),
    )


def _codings(concept: Resource | None) -> list[tuple[str, str]]:
    return [
        (str(coding.get("system", "")), str(coding.get("code", "")))
        for coding in (concept or {}).get("coding", ())
    ]
