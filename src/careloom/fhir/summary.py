"""fhir.summary: a part of a resource: _summary and _elements.

Room: fhir. May import: fhir.shape, fhir.facts. Standard: https://hl7.org/fhir/R4/search.html#summary
Which elements belong to a summary stands in r4/summary.json, made by scripts/r4_summary.py.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import cache
from typing import Any

import msgspec

from careloom.fhir.facts import both
from careloom.fhir.resource import Resource
from careloom.fhir.shape import shape_of

SUBSETTED = {
    "system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue",
    "code": "SUBSETTED",
    "display": "subsetted",
}
"""The tag of a resource that is not whole: it must not be sent back as an update."""

ALWAYS = frozenset({"resourceType", "id", "meta", "implicitRules", "modifierExtension"})


def summarised(resource: Resource, mode: str) -> Resource:
    """The resource as `_summary` asks for it: true, text or data; as it is for any other mode.

    >>> patient = {"resourceType": "Patient", "id": "7", "gender": "male", "photo": [{"url": "x"}]}
    >>> sorted(summarised(patient, "true"))
    ['gender', 'id', 'meta', 'resourceType']
    """
    rtype = resource["resourceType"]
    if mode == "true":
        kept = _summary_of(resource, rtype)
    elif mode == "text":
        names = ALWAYS | _mandatory(rtype) | {"text"}
        kept = {key: value for key, value in resource.items() if _name(rtype, key) in names}
    elif mode == "data":
        kept = {key: value for key, value in resource.items() if key not in {"text", "_text"}}
    else:
        return resource
    return _tagged(kept)


def with_elements(resource: Resource, elements: Collection[str]) -> Resource:
    """The resource with these elements (`name`, or `Patient.name` for one type alone) and the mandatory ones.

    >>> patient = {"resourceType": "Patient", "id": "7", "gender": "male", "birthDate": "1970"}
    >>> sorted(with_elements(patient, ["gender"]))
    ['gender', 'id', 'meta', 'resourceType']
    """
    rtype = resource["resourceType"]
    asked = {element.removeprefix(f"{rtype}.").partition(".")[0].removesuffix("[x]") for element in elements}
    others = {
        element for element in elements if element[:1].isupper() and not element.startswith(f"{rtype}.")
    }
    if len(others) == len(set(elements)):
        return resource
    names = ALWAYS | _mandatory(rtype) | asked
    return _tagged(
        {key: value for key, value in resource.items() if _name(rtype, key) in names or key in names}
    )


def _summary_of(value: Resource, owner: str) -> Resource:
    names = _summaries().get(owner)
    if names is None:
        return value
    kept: Resource = {}
    fields = shape_of(owner).fields
    for key, inner in value.items():
        field = fields.get(key)
        name = _name(owner, key)
        if key != "resourceType" and (field is None or (name not in names and f"{name}[x]" not in names)):
            continue
        kept[key] = _inner(inner, field.content if field else "")
    return kept


def _inner(value: Any, content: str) -> Any:
    if not content:
        return value
    if isinstance(value, list):
        return [_inner(item, content) for item in value]
    if not isinstance(value, dict):
        return value
    owner = value.get("resourceType", "") if content == "Resource" else content
    return _summary_of(value, owner) if owner else value


def _name(owner: str, key: str) -> str:
    """The element that a key belongs to: `deceased` for `deceasedBoolean`, `birthDate` for `_birthDate`."""
    field = shape_of(owner).fields.get(key)
    return (field.choice or field.base) if field else key


@cache
def _mandatory(rtype: str) -> frozenset[str]:
    shape = shape_of(rtype)
    return frozenset({name for name, _ in shape.required} | set(shape.choices))


def _tagged(resource: Resource) -> Resource:
    meta = resource.get("meta", {})
    tags = [tag for tag in meta.get("tag", []) if tag.get("code") != SUBSETTED["code"]]
    return resource | {"meta": meta | {"tag": [*tags, SUBSETTED]}}


@cache
def _summaries() -> dict[str, frozenset[str]]:
    told = (msgspec.json.decode(raw, type=dict[str, frozenset[str]]) for raw in both("summary.json"))
    return {owner: names for one in told for owner, names in one.items()}
