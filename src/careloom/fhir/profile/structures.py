"""fhir.profile.structures: StructureDefinitions by address: those given, and behind them those of R4.

Room: fhir. May import: fhir.outcome, fhir.profile, msgspec. Standard: https://hl7.org/fhir/R4/structuredefinition.html
R4's own stand as differentials in r4/structures.json, which scripts/r4_structures.py makes; those of types that R4
does not have beside them, in added/structures.json.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

import msgspec

from careloom.fhir.facts import both
from careloom.fhir.outcome import Issue, OutcomeError
from careloom.fhir.profile.lean import Definition, lean
from careloom.fhir.profile.snapshot import CORE, snapshot


class Structures:
    """StructureDefinitions, whose snapshots are made at first use where they have none."""

    def __init__(self, given: Iterable[Definition] = ()) -> None:
        self._given = {one["url"]: lean(one) for one in given}
        self._elements: dict[str, list[Definition]] = {}
        self._active: set[str] = set()

    def find(self, url: str) -> Definition | None:
        """The StructureDefinition, without prose; None where it is not known."""
        return self._given.get(url) or _of_r4().get(url)

    def given(self) -> dict[str, Definition]:
        """Those that were given, by address."""
        return self._given

    def elements(self, url: str) -> list[Definition] | None:
        """The elements of its snapshot; None where it is not known. Raises OutcomeError where none can be made.

        >>> [one["id"] for one in Structures().elements("http://hl7.org/fhir/StructureDefinition/Period")]
        ['Period', 'Period.id', 'Period.extension', 'Period.start', 'Period.end']
        """
        if url in self._elements:
            return self._elements[url]
        found = self.find(url)
        if found is None:
            return None
        if url in self._active:
            raise OutcomeError(Issue("structure", f"The profile {url} builds on itself."))
        self._active.add(url)
        try:
            published = found.get("snapshot", {}).get("element")
            made = published or self._made(url, found)
        finally:
            self._active.discard(url)
        self._elements[url] = made
        return made

    def _made(self, url: str, found: Definition) -> list[Definition]:
        # R4's types are the same for all; what is given may build upon what else is given.
        if found is _of_r4().get(url) and self is not _r4():
            return _r4().elements(url) or []
        return snapshot(found, self.elements, _common())


@cache
def r4_constraints() -> frozenset[str]:
    """The keys of the constraints that R4 puts on its types."""
    types = [one for one in _of_r4().values() if one.get("derivation") != "constraint"]
    elements = [element for one in types for element in one["differential"]["element"]]
    return frozenset(rule["key"] for element in elements for rule in element.get("constraint", ()))


@cache
def _r4() -> Structures:
    return Structures()


@cache
def _common() -> dict[str, list[Definition]]:
    """What R4 says of every element, and of every extension."""
    found: dict[str, list[Definition]] = {}
    for kind in ("Element", "Extension"):
        url = f"{CORE}{kind}"
        root = _of_r4()[url]["differential"]["element"][0]
        found[kind] = [{"source": url, **one} for one in root.get("constraint", ())]
    return found


@cache
def _of_r4() -> dict[str, Definition]:
    return {url: one for raw in both("structures.json") for url, one in msgspec.json.decode(raw).items()}
