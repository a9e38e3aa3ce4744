"""store.terminology: the codes of a value set and the hierarchy of a code system, as far as this store and R4 know them.

Room: store. Touches: the table res. Standard: https://hl7.org/fhir/R4/valueset.html#expansion
Only what a search needs (:in, :not-in, :above, :below). Terminology is about no patient: it is read for whoever asks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from careloom.fhir.facts import facts
from careloom.fhir.outcome import Issue, OutcomeError
from careloom.fhir.resource import Resource

Coding = tuple[str, str]
"""(system, code)."""
Lookup = Callable[[str, str], Resource | None]
"""(ValueSet or CodeSystem, canonical or id) -> the resource."""

MAX_CODES = 50_000
MAX_DEPTH = 10
_R4 = "http://hl7.org/fhir/ValueSet/"


def codes_of(find: Lookup, name: str, depth: int = 0) -> set[Coding]:
    """Every code of a value set. Raises OutcomeError(not-supported) for one that is not known or cannot be enumerated.

    >>> sorted(codes_of(lambda rtype, name: None, "http://hl7.org/fhir/ValueSet/administrative-gender"))[0]
    ('http://hl7.org/fhir/administrative-gender', 'female')
    """
    if depth > MAX_DEPTH:
        raise _refused("A value set includes others too deeply.")
    value_set = find("ValueSet", name)
    if value_set is None:
        published = facts().codes.get(name.partition("|")[0].removeprefix(_R4)) if _R4 in name else None
        if published is None:
            raise _refused("The value set is not known here.")
        return {(system, code) for system, codes in published.items() for code in codes}
    compose = value_set.get("compose")
    if compose is None:
        return set(_contained(value_set.get("expansion", {}).get("contains", ())))
    found: set[Coding] = set()
    for include in compose.get("include", ()):
        found |= _included(find, include, depth)
    for exclude in compose.get("exclude", ()):
        found -= _included(find, exclude, depth)
    if len(found) > MAX_CODES:
        raise OutcomeError(
            Issue("too-costly", f"A value set of more than {MAX_CODES:,} codes cannot be searched.")
        )
    return found


def below(find: Lookup, system: str, code: str) -> set[Coding]:
    """The code and all that it subsumes. Raises OutcomeError(not-supported) where the hierarchy is not known."""
    children = _children(_system(find, system))
    found, fresh = {code}, [code]
    while fresh:
        fresh = [child for parent in fresh for child in children.get(parent, ()) if child not in found]
        found.update(fresh)
    return {(system, one) for one in found}


def above(find: Lookup, system: str, code: str) -> set[Coding]:
    """The code and all that subsume it."""
    children = _children(_system(find, system))
    found, size = {code}, 0
    while len(found) > size:
        size = len(found)
        found |= {parent for parent, some in children.items() if not found.isdisjoint(some)}
    return {(system, one) for one in found}


def _included(find: Lookup, include: dict[str, Any], depth: int) -> set[Coding]:
    """What one include (or exclude) names: its system's codes, of those in all of its value sets."""
    parts: list[set[Coding]] = [codes_of(find, name, depth + 1) for name in include.get("valueSet", ())]
    system = include.get("system")
    if system is not None:
        parts.append({(system, code) for code in _of_system(find, include)})
    return set.intersection(*parts) if parts else set()


def _of_system(find: Lookup, include: dict[str, Any]) -> set[str]:
    if include.get("concept"):
        return {concept["code"] for concept in include["concept"]}
    system = _system(find, include["system"])
    found = {concept["code"] for concept in _concepts(system)}
    for one in include.get("filter", ()):
        found &= _filtered(find, system, one)
    return found


def _filtered(find: Lookup, system: Resource, filter_: dict[str, Any]) -> set[str]:
    """https://hl7.org/fhir/R4/valueset-filter-operator.html"""
    operator, name, value = filter_["op"], filter_["property"], filter_["value"]
    if operator in {"is-a", "descendent-of", "is-not-a"} and name in {"concept", "code"}:
        under = {code for _, code in below(find, system["url"], value)}
        if operator == "is-not-a":
            return {concept["code"] for concept in _concepts(system)} - under
        return under - {value} if operator == "descendent-of" else under
    if operator in {"=", "in", "not-in"}:
        wanted = {value} if operator == "=" else {part.strip() for part in value.split(",")}
        having = {c["code"] for c in _concepts(system) if not wanted.isdisjoint(_property(c, name))}
        return having if operator != "not-in" else {c["code"] for c in _concepts(system)} - having
    raise _refused(f"A value set is filtered by {operator[:20]}, which is not known here.")


def _property(concept: dict[str, Any], name: str) -> set[str]:
    if name in {"code", "concept"}:
        return {concept["code"]}
    return {
        str(value)
        for one in concept.get("property", ())
        if one.get("code") == name
        for key, value in one.items()
        if key.startswith("value") and not isinstance(value, dict)
    }


def _system(find: Lookup, url: str) -> Resource:
    system = find("CodeSystem", url)
    if system is not None and system.get("concept"):
        return system
    codes = {code for value_set in facts().codes.values() for code in value_set.get(url, ())}
    if not codes or system is not None:
        raise _refused("The codes of the code system are not known here.")
    return {"url": url, "concept": [{"code": code} for code in sorted(codes)]}


def _children(system: Resource) -> dict[str, set[str]]:
    """Code -> the codes right below it, by nesting and by the properties parent and child."""
    found: dict[str, set[str]] = {}
    for concept in _concepts(system):
        code = concept["code"]
        found.setdefault(code, set()).update(child["code"] for child in concept.get("concept", ()))
        found[code] |= _property(concept, "child")
        for parent in _property(concept, "parent"):
            found.setdefault(parent, set()).add(code)
    return found


def _concepts(owner: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for concept in owner.get("concept", ()):
        yield concept
        yield from _concepts(concept)


def _contained(contains: list[dict[str, Any]]) -> Iterator[Coding]:
    for one in contains:
        if "code" in one and not one.get("abstract"):
            yield one.get("system", ""), one["code"]
        yield from _contained(one.get("contains", []))


def _refused(text: str) -> OutcomeError:
    return OutcomeError(Issue("not-supported", text))
