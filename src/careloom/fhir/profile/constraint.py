"""fhir.profile.constraint: the invariants of a profile, by FHIRPath.

Room: fhir. May import: fhir.outcome, fhir.path, fhir.profile.
Standard: https://hl7.org/fhir/R4/conformance-rules.html#constraints

The invariants of R4 itself are not asked again: fhir.validate has looked at them. An expression that cannot be
evaluated is said to be unchecked; a profile that is wrong shall not make resources wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from careloom.fhir.facts import facts
from careloom.fhir.outcome import OutcomeError, Severity
from careloom.fhir.path import Context
from careloom.fhir.path import Node as PathNode
from careloom.fhir.path import compile as compiled
from careloom.fhir.profile.item import Item
from careloom.fhir.profile.node import Node
from careloom.fhir.profile.run import Check, Run, Where
from careloom.fhir.profile.structures import r4_constraints

_CORE = "http://hl7.org/fhir/StructureDefinition/"


def constraints(node: Node, says: Callable[[str], str]) -> list[Check]:
    """The checks of the constraints that the profile, and not R4, puts on an element."""
    return [
        _check(one, says)
        for one in node.definition.get("constraint", ())
        if "expression" in one and not _is_of_r4(one)
    ]


def _is_of_r4(constraint: dict[str, Any]) -> bool:
    """Whether R4 says it of one of its types; some snapshots name a type as the source of what a profile says."""
    source = constraint.get("source", "").removeprefix(_CORE)
    return source in facts().types and constraint.get("key") in r4_constraints()


def _check(constraint: dict[str, Any], says: Callable[[str], str]) -> Check:
    key, expression = constraint.get("key", ""), constraint["expression"]
    severity: Severity = "error" if constraint.get("severity") == "error" else "warning"
    broken = says(f"{constraint.get('human', 'A constraint does not hold').rstrip('.')} ({key})")
    unsure = says(f"Not checked: the invariant {key} cannot be evaluated here")

    def check(item: Item, where: Where, run: Run) -> None:
        element = PathNode(item.value, item.kind)
        if item.sibling is not None:
            # Of a primitive, the engine looks for id and extensions beside it.
            element = PathNode(item.value, item.kind, {"value": item.value, "_value": item.sibling}, "value")
        context = Context(
            resource=run.resource, root_resource=run.resource, resolve=lambda text: run.resolve(text)[0]
        )
        try:
            if not compiled(expression).holds(element, context):
                run.fault(where, "invariant", broken, severity=severity)
        except OutcomeError:
            run.unchecked(where, unsure)

    return check
