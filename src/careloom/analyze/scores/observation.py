"""analyze.scores.observation: a computed score -> the Observation that carries it (shape: store.score).

Room: analyze. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import NAMESPACE_URL, uuid5

from careloom.fhir.instant import instant
from careloom.fhir.resource import Resource
from careloom.store.score import BAND, DERIVED_FROM, LOWER_BOUND, MEASURED

ABSENT = "http://terminology.hl7.org/CodeSystem/data-absent-reason"
CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"
UCUM = "http://unitsofmeasure.org"

Coding = dict[str, str]


@dataclass(frozen=True, slots=True)
class Component:
    """One parameter: points, or (code, text) of why there are none; what was measured, and where it stands."""

    coding: Coding
    name: str
    points: int | None
    measured: str = ""
    reference: str = ""
    absent: tuple[str, str] = ("unknown", "Not known")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """A computed score. `total` None: incomplete, at least `lower_bound`."""

    name: str
    coding: Coding
    key: str
    """What it is the score of: makes the id deterministic (`Person/7:2026-03-01T12:00:00.000Z`)."""
    subject: str
    at: datetime
    total: int | None
    lower_bound: int
    band: str
    method: str
    components: Sequence[Component]
    encounter: str = ""


def observation(score: Scored) -> Resource:
    """The Observation of a score."""
    missing = [component.name for component in score.components if component.points is None]
    resource: Resource = {
        "resourceType": "Observation",
        "id": score_id(score.name, score.key),
        "meta": {"tag": [{"system": "urn:careloom:tag", "code": "derived"}]},
        "status": "final",
        "category": [{"coding": [{"system": CATEGORY, "code": "survey", "display": "Survey"}]}],
        "code": {"coding": [score.coding], "text": score.name},
        "subject": {"reference": score.subject},
        "effectiveDateTime": instant(score.at),
        "interpretation": [
            {"coding": [{"system": BAND, "code": score.band}], "text": score.band.capitalize()}
        ],
        "method": {"text": score.method},
        "component": [_component(component) for component in score.components],
    }
    if score.encounter:
        resource["encounter"] = {"reference": score.encounter}
    if score.total is not None:
        resource["valueQuantity"] = _points(score.total)
    else:
        resource["dataAbsentReason"] = _absent("unknown", f"Incomplete: {', '.join(missing)}")
        bound = {"coding": [{"system": LOWER_BOUND[0], "code": LOWER_BOUND[1]}], "text": "At least"}
        resource["component"].append({"code": bound, "valueQuantity": _points(score.lower_bound)})
    references = sorted({component.reference for component in score.components if component.reference})
    observations = [reference for reference in references if reference.startswith("Observation/")]
    if observations:
        resource["derivedFrom"] = [{"reference": reference} for reference in observations]
    return resource


def score_id(name: str, key: str) -> str:
    """The id of a score."""
    return str(uuid5(NAMESPACE_URL, f"urn:careloom:score:{name}:{key}"))


def _component(component: Component) -> Resource:
    extensions: list[Resource] = []
    if component.measured:
        extensions.append({"url": MEASURED, "valueString": component.measured})
    if component.reference:
        extensions.append({"url": DERIVED_FROM, "valueReference": {"reference": component.reference}})
    written: Resource = {"extension": extensions} if extensions else {}
    written["code"] = {"coding": [component.coding], "text": component.name}
    if component.points is None:
        written["dataAbsentReason"] = _absent(*component.absent)
    else:
        written["valueQuantity"] = _points(component.points)
    return written


def _points(points: int) -> Resource:
    return {"value": points, "unit": "score", "system": UCUM, "code": "{ScoreOf}"}


def _absent(code: str, text: str) -> Resource:
    return {"coding": [{"system": ABSENT, "code": code}], "text": text}
