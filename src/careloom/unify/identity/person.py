"""unify.identity.person: the resources in which identity is kept: keys, Persons with their reasons, review items.

Room: unify. May import: fhir, golden, decide, steward. Standards: https://hl7.org/fhir/R4/person.html,
https://hl7.org/fhir/R4/linkage.html, https://hl7.org/fhir/R4/basic.html
docs/decisions/0007-identity-in-resources.md says why these.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from careloom.fhir.resource import Resource
from careloom.unify.identity.decide import Decision
from careloom.unify.identity.golden import person_view
from careloom.unify.identity.score import Part
from careloom.unify.identity.steward import BASIC

KEYS = "identity-keys"
KEY = "urn:careloom:identity-key"
DIGEST = "urn:careloom:identity-digest"
REVIEW = "urn:careloom:identity-review"
EXPLANATION = "urn:careloom:identity-explanation"
_DERIVED = {"system": "urn:careloom:tag", "code": "derived"}
_CERTAIN = 0.999


@dataclass(frozen=True, slots=True)
class Reason:
    """Why `patient` is linked to `other` (ids): the rule, the weights, their sum, and the probability."""

    patient: str
    other: str
    rule: str
    parts: tuple[Part, ...]
    score: Decimal
    probability: float


def reason(patient: str, other: str, decision: Decision, rule: str = "") -> Reason:
    """The Reason of a decision; `rule` where another than the decision's own applied (a steward's)."""
    why = decision.explanation
    return Reason(patient, other, rule or decision.rule, why.parts, why.score, why.probability)


def person_id(founder: str) -> str:
    """The id of the Person that was founded by this Patient."""
    return str(uuid5(NAMESPACE_URL, f"urn:careloom:person:{founder}"))


def keys_resource(patient: str, hashes: Iterable[str], digest: str) -> Resource:
    """The Basic by whose identifiers a Patient is found as a candidate: keyed hashes, nothing readable."""
    identifiers = [{"system": KEY, "value": value} for value in sorted(hashes)]
    basic: Resource = {
        "resourceType": "Basic",
        "id": str(uuid5(NAMESPACE_URL, f"urn:careloom:{KEYS}:{patient}")),
        "meta": {"tag": [_DERIVED]},
        "identifier": [*identifiers, {"system": DIGEST, "value": digest}],
        "code": {"coding": [{"system": BASIC, "code": KEYS}]},
        "subject": {"reference": f"Patient/{patient}"},
    }
    return basic


def person(
    id_: str, patients: Sequence[Resource], reasons: Mapping[str, Reason], ranks: Mapping[str, int]
) -> Resource:
    """The Person over these Patients, the reference patient first. `reasons` and `ranks` go by Patient id."""
    made: Resource = {"resourceType": "Person", "id": id_, "meta": {"tag": [_DERIVED]}}
    view = person_view(made, patients)
    if view.identifiers:
        made["identifier"] = [told.value for told in view.identifiers]
    if view.names:
        made["name"] = [dict(told.value) for told in view.names]
    if view.sex:
        made["gender"] = view.sex
    if view.birth_date:
        made["birthDate"] = view.birth_date
    made["active"] = True
    made["link"] = [_link(str(patient["id"]), reasons, ranks) for patient in patients]
    return made


def _link(patient: str, reasons: Mapping[str, Reason], ranks: Mapping[str, int]) -> dict[str, Any]:
    why = reasons.get(patient)
    link: dict[str, Any] = {"target": {"reference": f"Patient/{patient}"}, "assurance": "level4"}
    if why is None:
        return link
    if ranks.get(patient, 3) > 2:  # noqa: PLR2004 - neither a person's word nor a deterministic rule
        link["assurance"] = "level3" if why.probability >= _CERTAIN else "level2"
    return {"extension": [_explanation(why)], **link}


def _explanation(why: Reason) -> dict[str, Any]:
    parts = [
        {
            "url": "part",
            "extension": [
                {"url": "field", "valueCode": part.field},
                {"url": "level", "valueCode": part.level},
                {"url": "weight", "valueDecimal": part.weight},
            ],
        }
        for part in why.parts
    ]
    head = [
        {"url": "other", "valueReference": {"reference": f"Patient/{why.other}"}},
        {"url": "rule", "valueCode": why.rule},
        {"url": "score", "valueDecimal": why.score},
        {"url": "probability", "valueDecimal": Decimal(f"{why.probability:.6f}")},
    ]
    return {"url": EXPLANATION, "extension": [*head, *parts]}


def reasons_of(resource: Resource) -> list[Reason]:
    """The Reasons that a Person (or a review item) carries."""
    if resource["resourceType"] == "Linkage":
        one = str(resource["item"][0]["resource"]["reference"]).rpartition("/")[2]
        return [_reason_of(one, each) for each in resource.get("extension", []) if each["url"] == EXPLANATION]
    return [
        _reason_of(str(link["target"]["reference"]).rpartition("/")[2], extension)
        for link in resource.get("link", [])
        for extension in link.get("extension", [])
        if extension["url"] == EXPLANATION
    ]


def _reason_of(patient: str, extension: Mapping[str, Any]) -> Reason:
    head: dict[str, Any] = {part["url"]: part for part in extension["extension"]}
    parts = [_part_of(part["extension"]) for part in extension["extension"] if part["url"] == "part"]
    return Reason(
        patient=patient,
        other=str(head["other"]["valueReference"]["reference"]).rpartition("/")[2],
        rule=str(head["rule"]["valueCode"]),
        parts=tuple(parts),
        score=Decimal(str(head["score"]["valueDecimal"])),
        probability=float(head["probability"]["valueDecimal"]),
    )


def _part_of(extensions: Sequence[Mapping[str, Any]]) -> Part:
    values: dict[str, Any] = {each["url"]: each for each in extensions}
    weight = Decimal(str(values["weight"]["valueDecimal"]))
    return Part(str(values["field"]["valueCode"]), str(values["level"]["valueCode"]), weight)


def retired(old: Resource, successors: Iterable[str]) -> Resource:
    """A Person that links nobody any more; it leads to the Persons that now do."""
    made: Resource = {
        "resourceType": "Person",
        "id": old["id"],
        "meta": {"tag": [_DERIVED]},
        "active": False,
    }
    targets = [{"target": {"reference": f"Person/{successor}"}} for successor in sorted(successors)]
    return made | ({"link": targets} if targets else {})


def review_item(why: Reason) -> Resource:
    """A Linkage that is not in effect: a steward shall say whether the two are one."""
    return {
        "resourceType": "Linkage",
        "id": str(uuid5(NAMESPACE_URL, f"{REVIEW}:{why.patient}:{why.other}")),
        "meta": {"tag": [_DERIVED, {"system": REVIEW, "code": "open"}]},
        "extension": [_explanation(why)],
        "active": False,
        "item": [
            {"type": "source", "resource": {"reference": f"Patient/{why.patient}"}},
            {"type": "alternate", "resource": {"reference": f"Patient/{why.other}"}},
        ],
    }


def closed(item: Resource, *, is_linked: bool) -> Resource:
    """A review item that waits no more; in effect if the two are one person now."""
    tags = [_DERIVED, {"system": REVIEW, "code": "closed"}]
    return item | {"meta": {"tag": tags}, "active": is_linked}
