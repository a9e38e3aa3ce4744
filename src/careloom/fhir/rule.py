"""fhir.rule: the invariants of R4 that fhir.invariant does not know by heart, by FHIRPath.

Room: fhir. May import: fhir.facts, fhir.invariant, fhir.outcome, fhir.path.
Standard: https://hl7.org/fhir/R4/conformance-rules.html#constraints

Those of the elements that nearly all resources have stand as tables in fhir.invariant, where they cost little.
"""

from __future__ import annotations

from typing import Any

from careloom.fhir.facts import Rule, facts
from careloom.fhir.invariant import Invariant, keys_by_heart
from careloom.fhir.outcome import OutcomeError
from careloom.fhir.path import Context, compile  # noqa: A004 - as re.compile

_BOUNDED = Context(max_steps=200_000)
# Published rules that are not asked, and why.
_NOT_ASKED = {
    "sdf-4": "four of R4's own logical models (Definition, Event, FiveWs, Request) have no base and are not abstract",
    "que-7": "it asks for a System.Boolean, which no FHIR boolean is; fhir.invariant asks what is meant",
    "csd-1": "it compares each code with each other one; fhir.invariant asks the same of a set",
    "bdl-7": "it compares each address with each other one; fhir.invariant asks the same of a set",
}


def rules(owner: str) -> list[Invariant]:
    """The invariants of a type or backbone element that are asked by FHIRPath.

    >>> [one.holds({"linkId": "1", "type": "display", "required": True}) for one in rules("Questionnaire.item")].count(False)
    1
    """
    known = keys_by_heart()
    found = facts().rules.get(owner, ())
    return [_invariant(owner, rule) for rule in found if rule.key not in known and rule.key not in _NOT_ASKED]


def _invariant(owner: str, rule: Rule) -> Invariant:
    def holds(value: dict[str, Any]) -> bool:
        try:
            # Empty means that it cannot be said (of 2020 and 2020-01-15, which is later?), so only false is a fault.
            return compile(rule.expression).nodes(value, _BOUNDED, type=owner) != [False]
        except OutcomeError:
            # It cannot be evaluated on this value; that is no fault of the resource.
            return True

    return Invariant(f"{rule.human.rstrip('.')} ({rule.key}).", holds)
