"""fhir.profile.run: one validation under way: where it is, what it found, what references lead to.

Room: fhir. May import: fhir.outcome, fhir.profile.item. Standard: https://hl7.org/fhir/R4/references.html
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from careloom.fhir.facts import resource_types
from careloom.fhir.outcome import Issue, IssueCode, Severity
from careloom.fhir.profile.item import Item


class Where(NamedTuple):
    """A place, as a chain upwards, so that a path is only spelt out for what is wrong."""

    above: Where | None
    place: str

    def path(self) -> str:
        """The FHIRPath of the place."""
        parts: list[str] = []
        here: Where | None = self
        while here is not None:
            parts.append(here.place)
            here = here.above
        return "".join(reversed(parts))


Check = Callable[[Item, Where, "Run"], None]


class Run:
    """What one call of validate gathers. `top` is what was given; `resource` the one now looked at."""

    def __init__(self, top: dict[str, Any]) -> None:
        self.top = top
        self.resource = top
        self.issues: list[Issue] = []
        self.active: set[tuple[int, str]] = set()
        """(identity of a value, profile) now being checked, so that resources that refer to each other end."""
        self._told: set[str] = set()
        self._entries: dict[str, dict[str, Any]] | None = None

    def fault(
        self, where: Where, code: IssueCode, text: str, *, name: str = "", severity: Severity = "error"
    ) -> None:
        """Note what is wrong; `name` is a child of the place that is not there."""
        self.issues.append(Issue(code, text, f"{where.path()}.{name}" if name else where.path(), severity))

    def unchecked(self, where: Where, text: str) -> None:
        """Note once what could not be checked."""
        if text not in self._told:
            self._told.add(text)
            self.fault(where, "informational", text, severity="information")

    def attempt(self, check: Check, item: Item, where: Where) -> bool:
        """Whether a check finds no error; what it finds is not kept."""
        kept, self.issues = self.issues, []
        told = set(self._told)
        try:
            check(item, where, self)
            return not any(issue.is_error for issue in self.issues)
        finally:
            self.issues, self._told = kept, told

    def resolve(self, reference: Any) -> tuple[dict[str, Any] | None, str]:
        """What a Reference leads to, if it is here (contained, or in the same Bundle), and its type, if that is said."""
        address = reference.get("reference") if type(reference) is dict else reference
        if type(address) is not str:
            named = reference.get("type", "") if type(reference) is dict else ""
            return None, named if named in resource_types() else ""
        found = self._contained(address[1:]) if address[:1] == "#" else self._entry(address)
        if found is not None:
            return found, found.get("resourceType", "")
        parts = address.split("?", 1)[0].split("/_history/", 1)[0].split("/")
        rtype = next((part for part in reversed(parts[-2:]) if part in resource_types()), "")
        return None, rtype

    def _contained(self, id_: str) -> dict[str, Any] | None:
        if not id_:
            return self.resource
        return next((one for one in self.resource.get("contained", ()) if one.get("id") == id_), None)

    def _entry(self, address: str) -> dict[str, Any] | None:
        if self.top.get("resourceType") != "Bundle":
            return None
        if self._entries is None:
            self._entries = _entries(self.top)
        return self._entries.get(address.split("/_history/", 1)[0])


def _entries(bundle: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The resources of a Bundle by fullUrl and by Type/id."""
    found: dict[str, dict[str, Any]] = {}
    for entry in bundle.get("entry", ()):
        resource = entry.get("resource")
        if resource is not None:
            found[f"{resource.get('resourceType')}/{resource.get('id')}"] = resource
            if "fullUrl" in entry:
                found[entry["fullUrl"]] = resource
    return found
