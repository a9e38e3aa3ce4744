"""fhir.profile.profiles: the profiles at hand, compiled at first use, and what they say of a resource.

Room: fhir. May import: fhir.validate, fhir.profile. Standard: https://hl7.org/fhir/R4/profiling.html
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from careloom.fhir.outcome import Issue, OutcomeError
from careloom.fhir.profile.compile import Compiler
from careloom.fhir.profile.item import Item, root
from careloom.fhir.profile.node import Node, tree
from careloom.fhir.profile.run import Check, Run, Where
from careloom.fhir.profile.structures import Structures
from careloom.fhir.profile.terms import Terms
from careloom.fhir.resource import Resource
from careloom.fhir.validate import MAX_ISSUES, validate


class Profiles:
    """Profiles by canonical address, with the value sets and code systems that came with them; and those of R4 itself.

    Where a profile has a differential only, its snapshot is made of it. A profile that a profile refers to must be among the definitions too; where it is not, that is said as an
    information issue, and the resource is not called wrong.
    """

    def __init__(self, definitions: Iterable[Resource] = ()) -> None:
        given = self._given = list(definitions)
        self.terms = Terms(given)
        self._structures = Structures(
            one
            for one in given
            if one["resourceType"] == "StructureDefinition" and one.get("kind") != "logical"
        )
        self._roots: dict[str, Node] = {}
        self._faults: dict[str, OutcomeError] = {}
        self._checks: dict[str, Check] = {}

    def and_of(self, definitions: Iterable[Resource]) -> Profiles:
        """These profiles and others; of two with the same address the other one."""
        return Profiles([*self._given, *definitions])

    def urls(self, rtype: str = "") -> list[str]:
        """The addresses of the profiles that were given, of one type or all."""
        given = self._structures.given()
        return sorted(url for url, one in given.items() if not rtype or one["type"] == rtype)

    def __contains__(self, url: str) -> bool:
        """Whether a profile is known; a version after | is not looked at."""
        return self._structures.find(url.partition("|")[0]) is not None

    def validate(self, resource: Resource, url: str) -> list[Issue]:
        """What is wrong with a resource by R4 and by the profile; empty where nothing is.

        What could not be checked comes as issues of severity information. Raises OutcomeError(not-found) where the
        profile is not known.
        """
        issues = validate(resource)
        if url not in self:
            raise OutcomeError(Issue("not-found", f"The profile {url} is not known here."))
        if any(issue.is_error for issue in issues):
            return issues
        return (issues + self.conformance(resource, url))[:MAX_ISSUES]

    def conformance(
        self, resource: Resource, url: str, *, within: Resource | None = None, path: str = ""
    ) -> list[Issue]:
        """What the profile alone finds in a resource that is valid R4.

        `within` is the Bundle that holds it, in which its references are looked up, and `path` the place in there.
        """
        check = self.check(url.partition("|")[0])
        if check is None:
            fault = self._faults.get(url.partition("|")[0])
            raise fault or OutcomeError(Issue("not-found", f"The profile {url} is not known here."))
        run = Run(within or resource)
        run.resource = resource
        try:
            check(root(resource), Where(None, path or resource["resourceType"]), run)
        except RecursionError:
            return [Issue("too-costly", "The resource is nested too deeply.")]
        return run.issues

    def root(self, url: str) -> Node | None:
        """The tree of a profile; None if it is not known, or has no snapshot and none can be made."""
        if url not in self._roots and url not in self._faults:
            try:
                elements = self._structures.elements(url)
                if elements is None:
                    return None
                self._roots[url] = tree({"url": url, "snapshot": {"element": elements}})
            except OutcomeError as fault:
                self._faults[url] = fault
        return self._roots.get(url)

    def check(self, url: str) -> Check | None:
        """The compiled profile, or None if it is not known."""
        if url not in self._checks:
            node = self.root(url)
            if node is None:
                return None
            found = self._structures.find(url)
            name = (found or {}).get("name") or url.rpartition("/")[2]
            self._checks[url] = _guarded(url, node, Compiler(self, name))
        return self._checks[url]


def _guarded(url: str, node: Node, compiler: Compiler) -> Check:
    """The check of a whole profile: the type first, and never the same value twice at once."""
    asked = compiler.check(node, [node.name], None)
    wrong_type = compiler.says(f"Expected a {node.name}")

    def check(item: Item, where: Where, run: Run) -> None:
        key = (id(item.value), url)
        if item.kind != node.name and node.name not in {"Resource", "DomainResource", "Element"}:
            run.fault(where, "structure", wrong_type)
        elif asked is not None and key not in run.active:
            outer = run.resource
            run.active.add(key)
            run.resource = _container(item.value, outer)
            try:
                asked(item, where, run)
            finally:
                run.active.discard(key)
                run.resource = outer

    return check


def _container(value: Any, outer: Resource) -> Resource:
    """The resource within which `#id` is looked up: a contained resource stays within its container."""
    if type(value) is not dict or "resourceType" not in value:
        return outer
    return outer if any(value is one for one in outer.get("contained", ())) else value
