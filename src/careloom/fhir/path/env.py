"""fhir.path.env: what an expression may ask of its surroundings, and what one evaluation carries along.

Room: fhir. May import: fhir.path. Standard: http://hl7.org/fhirpath/N1/#environment-variables
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from msgspec import Struct

from careloom.fhir.path.fault import execution_error, too_costly
from careloom.fhir.path.navigate import of_value
from careloom.fhir.path.value import Collection, Node

MAX_STEPS = 1_000_000
"""Items that one evaluation may look at, counted by the functions that loop."""

MAX_TEXT = 1_000_000
"""Characters of a text that an expression may put together."""

CHARACTERS = 256
"""So many characters of a text that is gone through or put together are one step."""

REGEX_SECONDS = 0.5
"""Time that all the regular expressions of one evaluation may take together."""

_STANDARD = {
    "ucum": "http://unitsofmeasure.org",
    "sct": "http://snomed.info/sct",
    "loinc": "http://loinc.org",
}
_PREFIXES = {"vs-": "http://hl7.org/fhir/ValueSet/", "ext-": "http://hl7.org/fhir/StructureDefinition/"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """The surroundings of an evaluation. A function whose hook is None says that it is not supported."""

    resource: Any = None
    """%resource: the resource that holds the element; without it, the element itself."""
    root_resource: Any = None
    """%rootResource: the resource that contains %resource; without it, %resource."""
    variables: Mapping[str, Any] = field(default_factory=dict[str, Any])
    resolve: Callable[[str], Any] | None = None
    """Reference -> the resource as JSON, or None. Contained resources are found without it."""
    member_of: Callable[[Any, str], bool | None] | None = None
    """code, Coding or CodeableConcept as JSON, url of a value set -> whether it is in it; None if not known."""
    conforms_to: Callable[[Any, str], bool | None] | None = None
    """Resource as JSON, url of a profile -> whether it conforms; None where there is no such profile."""
    now: datetime | None = None
    """An aware moment; without it the clock is asked once, at first use."""
    trace: Callable[[str, list[Any]], None] | None = None
    max_steps: int = MAX_STEPS


NOTHING: Collection = []
NO_VARIABLES: dict[str, Collection] = {}
"""What an evaluation begins with; nothing is changed in place, so all may begin with the same."""


class Env(Struct, gc=False):
    """One evaluation: its variables, what `$index` and `$total` are, and what it may still spend."""

    context: Context
    root: Node
    steps_left: int
    index: Collection
    total: Collection
    variables: dict[str, Collection]
    regex_seconds: float = REGEX_SECONDS
    moment: datetime | None = None

    def spend(self, steps: int) -> None:
        """Count steps; raises OutcomeError(too-costly) when there were too many."""
        self.steps_left -= steps
        if self.steps_left < 0:
            raise too_costly("The FHIRPath expression needs too many steps on this resource.")

    @property
    def now(self) -> datetime:
        """The moment of this evaluation, always the same within it."""
        if self.moment is None:
            self.moment = self.context.now or datetime.now(UTC).astimezone()
        return self.moment

    def variable(self, name: str) -> Collection:
        """The value of `%name`; raises OutcomeError where nothing is called so."""
        if name in self.variables:
            return self.variables[name]
        context = self.context
        match name:
            case "context":
                return [self.root]
            case "resource" | "rootResource":
                own = (
                    context.resource
                    if name == "resource" or context.root_resource is None
                    else context.root_resource
                )
                return [self.root] if own is None else of_value(own)
            case _ if name in context.variables:
                return of_value(context.variables[name])
            case _ if name in _STANDARD:
                return [_STANDARD[name]]
            case _:
                return [self._by_prefix(name)]

    def _by_prefix(self, name: str) -> str:
        for prefix, address in _PREFIXES.items():
            if name.startswith(prefix):
                return address + name.removeprefix(prefix)
        raise execution_error(f"No variable is called %{name}")
