"""flow.validity: whether a resource may be kept: that it is valid, and of a ViewDefinition that it can be run.

Room: flow. May import: fhir, lake.view.
"""

from __future__ import annotations

from careloom.fhir.outcome import Issue
from careloom.fhir.resource import Resource
from careloom.fhir.validate import validate as validate_structure

VIEW = "ViewDefinition"


def validate(resource: Resource) -> list[Issue]:
    """Every fault, with its place; as fhir.validate, and what the compiler of views refuses. Never raises."""
    issues = validate_structure(resource)
    # A resource that is broken is not compiled: what is wrong is told already.
    return issues or [issue for issue in view_faults(resource) if issue.is_error]


def view_faults(resource: Resource) -> list[Issue]:
    """What the compiler of views says of a ViewDefinition, warnings too; of any other resource nothing."""
    if resource.get("resourceType") != VIEW:
        return []
    from careloom.lake.view.check import faults  # 0.2 s, which few processes need

    return faults(resource)
