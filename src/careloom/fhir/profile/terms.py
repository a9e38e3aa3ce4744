"""fhir.profile.terms: which codes a value set holds, as far as the definitions at hand can say.

Room: fhir. May import: fhir.primitive, fhir.ucum, msgspec. Standard: https://hl7.org/fhir/R4/valueset.html#compositions

The value sets and code systems of R4 stand in r4/terms.json, which scripts/r4_terms.py makes; packages bring their
own. What includes codes of a system that nobody here holds (SNOMED CT, LOINC by a filter, UCUM) stays undecided, and
is never called wrong. Neither is a code that R4's edition of terminology.hl7.org lacks where a package takes the
whole of a system: it was written against a later edition.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import cache
from importlib import resources
from typing import Any, NamedTuple

import msgspec

from careloom.fhir.primitive import LANGUAGE, MEDIA_TYPE
from careloom.fhir.ucum import SYSTEM as UCUM
from careloom.fhir.ucum import unit_of

Resource = dict[str, Any]
System = dict[str, str]
"""Code -> the code above it, "" at the top."""
ANY = "*"
"""In `undecided`: codes of any system may be members."""


# Systems whose codes are written by a grammar: units, media types, languages.
_GRAMMARS: dict[str, Callable[[str], bool]] = {
    UCUM: lambda code: unit_of(code) is not None,
    "urn:ietf:bcp:13": lambda code: MEDIA_TYPE.fullmatch(code) is not None,
    "urn:ietf:bcp:47": lambda code: LANGUAGE.fullmatch(code) is not None,
}


class Members(NamedTuple):
    """What a value set holds: `codes` surely, all of the systems `whole`, and of `undecided` perhaps others."""

    codes: dict[str, frozenset[str]]
    undecided: frozenset[str]
    whole: frozenset[str] = frozenset()

    def holds(self, system: str, code: str) -> bool | None:
        """True, False, or None where it cannot be said here."""
        if code in self.codes.get(system, ()) or (system in self.whole and _GRAMMARS[system](code)):
            return True
        return None if system in self.undecided or ANY in self.undecided else False

    def holds_code(self, code: str) -> bool | None:
        """As `holds`, for an element of type code, whose system is not said."""
        if any(self.holds(system, code) for system in (*self.codes, *self.whole)):
            return True
        return None if self.undecided else False


_GROWS = "http://terminology.hl7.org/"
_UNKNOWN = Members({}, frozenset({ANY}))
_NONE = Members({}, frozenset())


class Terms:
    """Code systems and value sets by canonical address."""

    def __init__(self, definitions: Iterable[Resource] = ()) -> None:
        kept = _of_r4()
        self._systems: dict[str, System] = dict(kept["systems"])
        self._sets: dict[str, Any] = dict(kept["sets"])
        self._members: dict[str, Members] = {}
        self._brought: set[str] = set()
        for resource in definitions:
            if resource["resourceType"] == "CodeSystem" and is_whole(resource):
                self._systems[resource["url"]] = system_of(resource)
                self._brought.add(resource["url"])
            elif resource["resourceType"] == "ValueSet" and "url" in resource:
                self._sets[resource["url"]] = resource
                self._brought.add(resource["url"])

    def members(self, canonical: str) -> Members:
        """What the value set of this address holds; a version after | is not looked at.

        >>> Terms().members("http://hl7.org/fhir/ValueSet/administrative-gender|4.0.1").holds_code("male")
        True
        """
        url = canonical.partition("|")[0]
        if url not in self._members:
            # A value set that includes itself finds this, and so ends.
            self._members[url] = _UNKNOWN
            self._members[url] = self._of_set(self._sets.get(url), is_brought=url in self._brought)
        return self._members[url]

    def _of_set(self, resource: Resource | None, *, is_brought: bool) -> Members:
        if resource is None:
            return _UNKNOWN
        compose = resource.get("compose", {})
        found = _NONE if "include" in compose else _UNKNOWN
        for include in compose.get("include", ()):
            found = _either(found, self._of_include(include, is_brought=is_brought))
        for exclude in compose.get("exclude", ()):
            found = _without(found, self._of_include(exclude, is_brought=is_brought))
        return (
            _expanded(found, resource["expansion"]) if found.undecided and "expansion" in resource else found
        )

    def _of_include(self, include: Resource, *, is_brought: bool) -> Members:
        found: Members | None = None
        if "system" in include:
            system, codes = include["system"], self._codes(include)
            may_grow = is_brought and "concept" not in include and self._is_of_another_edition(system)
            if codes is None and system in _GRAMMARS and "filter" not in include:
                found = Members({}, frozenset(), frozenset({system}))
            else:
                undecided = frozenset({system}) if codes is None or may_grow else frozenset[str]()
                found = Members({system: codes} if codes is not None else {}, undecided)
        for canonical in include.get("valueSet", ()):
            other = self.members(canonical)
            found = other if found is None else _both(found, other)
        return _UNKNOWN if found is None else found

    def _is_of_another_edition(self, system: str) -> bool:
        return system.startswith(_GROWS) and system not in self._brought

    def _codes(self, include: Resource) -> frozenset[str] | None:
        if "concept" in include:
            return frozenset(concept["code"] for concept in include["concept"])
        system = self._systems.get(include["system"].partition("|")[0])
        if system is None:
            return None
        found = frozenset(system)
        for one in include.get("filter", ()):
            codes = _filtered(system, one)
            if codes is None:
                return None
            found &= codes
        return found


def is_whole(system: Resource) -> bool:
    """Whether a CodeSystem holds all of its codes."""
    return system.get("content") == "complete" and "url" in system and bool(system.get("concept"))


def system_of(resource: Resource) -> System:
    """The codes of a CodeSystem, each with the one above it."""
    return dict(_concepts(resource.get("concept", ()), ""))


def _concepts(concepts: Iterable[Resource], above: str) -> Iterator[tuple[str, str]]:
    for concept in concepts:
        yield concept["code"], above
        yield from _concepts(concept.get("concept", ()), concept["code"])


def _filtered(system: System, one: Resource) -> frozenset[str] | None:
    """The codes that a filter leaves; None where it asks for a property that is not kept."""
    prop, op, value = one["property"], one["op"], one["value"]
    below = frozenset(code for code in system if value in _ancestors(system, code))
    if prop == "concept" and op in {"is-a", "descendent-of", "is-not-a"} and value in system:
        if op == "is-not-a":
            return frozenset(system) - below - {value}
        return below | {value} if op == "is-a" else below
    return frozenset({value}) if (prop, op) == ("code", "=") else None


def _ancestors(system: System, code: str) -> Iterator[str]:
    above = system.get(code, "")
    while above:
        yield above
        above = system.get(above, "")


def _either(one: Members, other: Members) -> Members:
    systems = one.codes.keys() | other.codes.keys()
    none: frozenset[str] = frozenset()
    codes = {system: one.codes.get(system, none) | other.codes.get(system, none) for system in systems}
    return Members(codes, one.undecided | other.undecided, one.whole | other.whole)


def _both(one: Members, other: Members) -> Members:
    """What may be in both is undecided where either is."""
    one, other = _unsure(one), _unsure(other)
    shared = one.codes.keys() & other.codes.keys()
    codes = {system: one.codes[system] & other.codes[system] for system in shared}
    undecided = {
        system
        for here, there in ((one, other), (other, one))
        for system in here.undecided
        if system in there.codes or there.undecided & {system, ANY} or system == ANY
    }
    return Members(codes, frozenset(undecided))


def _unsure(members: Members) -> Members:
    """The same, with the codes of whole systems undecided."""
    return Members(members.codes, members.undecided | members.whole)


def _without(one: Members, other: Members) -> Members:
    one = one if one.whole.isdisjoint(other.codes) else _unsure(one)
    other = _unsure(other)
    none: frozenset[str] = frozenset()
    codes = {system: found - other.codes.get(system, none) for system, found in one.codes.items()}
    if not other.undecided:
        return Members(codes, one.undecided, one.whole)
    # Any code of these systems may be among what is left out.
    unsure = other.undecided
    kept = {} if ANY in unsure else {system: found for system, found in codes.items() if system not in unsure}
    return Members(kept, one.undecided | unsure | one.whole)


def _expanded(found: Members, expansion: Resource) -> Members:
    """Take the published expansion of a value set for all of it, if it says that it is whole."""
    contains = list(_contained(expansion.get("contains", ())))
    if not contains or expansion.get("total", len(contains)) != len(contains):
        return found
    codes: dict[str, set[str]] = {}
    for one in contains:
        codes.setdefault(one.get("system", ""), set()).add(one.get("code", ""))
    return Members({system: frozenset(of_system) for system, of_system in codes.items()}, frozenset())


def _contained(contains: Iterable[Resource]) -> Iterator[Resource]:
    for one in contains:
        if not one.get("abstract") and "code" in one:
            yield one
        yield from _contained(one.get("contains", ()))


@cache
def _of_r4() -> dict[str, Any]:
    return msgspec.json.decode(resources.files("careloom.fhir.r4").joinpath("terms.json").read_bytes())
