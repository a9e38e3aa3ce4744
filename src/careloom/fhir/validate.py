"""fhir.validate: whether a resource is valid R4, and if not, what is wrong and where.

Room: fhir. May import: fhir.shape, fhir.facts, fhir.outcome, fhir.resource. Standard: https://hl7.org/fhir/R4/validation.html

Checked: types and elements, cardinality, choices, formats of primitives, required bindings whose codes can be
enumerated, targets of references, extensions (ext-1), siblings of primitives, contained resources, narrative.
Not checked here: profiles, other invariants, and whether a reference leads to something.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from careloom.fhir.facts import resource_types
from careloom.fhir.outcome import Issue
from careloom.fhir.resource import Resource
from careloom.fhir.shape import Fault, Faults, resource_check, shape_of

MAX_ISSUES = 100
"""More faults than this in one resource help nobody."""


def validate(resource: Resource) -> list[Issue]:
    """Every fault as an Issue that names its FHIRPath; empty for a valid resource. Never raises.

    >>> [issue.expression for issue in validate({"resourceType": "Patient", "name": [{"given": ["A", ""]}]})]
    ['Patient.name[0].given[1]']
    """
    faults = Faults()
    if type(resource) is not dict:
        return [Issue("structure", "Expected a resource: a JSON object.")]
    try:
        resource_check(resource, faults)
        return [] if not faults else _issues(resource, faults[:MAX_ISSUES])
    except RecursionError:
        return [Issue("too-costly", "The resource is nested too deeply.")]


def _issues(resource: Resource, faults: list[Fault]) -> list[Issue]:
    rtype = _type_of(resource, "Resource")
    root = rtype or "Resource"
    paths = {identity: (path, content) for identity, path, content in _paths(resource, root, rtype)}
    return [_issue(fault, *paths[id(fault.owner)]) for fault in faults]


def _issue(fault: Fault, path: str, content: str) -> Issue:
    name = _element_name(content, fault.key) if fault.key else ""
    place = f".{name}" if name else ""
    item = "" if fault.item is None else f"[{fault.item}]"
    return Issue(fault.code, fault.text, f"{path}{place}{item}")


def _paths(value: dict[str, Any], path: str, content: str) -> Iterator[tuple[int, str, str]]:
    """The identity, FHIRPath and type of every object below; an object that stands in two places gets the last."""
    yield id(value), path, content
    fields = shape_of(content).fields if content else {}
    for key, inner in value.items():
        field = fields.get(key)
        below = f"{path}.{_element_name(content, key)}"
        kind = field.content if field else ""
        if type(inner) is dict:
            yield from _paths(inner, below, _type_of(inner, kind))
        elif type(inner) is list:
            for index, item in enumerate(inner):
                if type(item) is dict:
                    yield from _paths(item, f"{below}[{index}]", _type_of(item, kind))


def _type_of(value: dict[str, Any], kind: str) -> str:
    if kind != "Resource":
        return kind
    rtype = value.get("resourceType")
    return rtype if type(rtype) is str and rtype in resource_types() else ""


def _element_name(content: str, key: str) -> str:
    """The name in FHIRPath: `value` for valueQuantity, `birthDate` for _birthDate."""
    field = shape_of(content).fields.get(key) if content else None
    return (field.choice or field.base) if field else key[:64]
