"""fhir.searchelement: the elements of a resource that a search parameter looks at, each with its type.

Room: fhir. May import: fhir.extractor, fhir.facts, fhir.searchpath, fhir.searchparam, fhir.searchvalue,
fhir.indexvalue.
Standard: https://hl7.org/fhir/R4/searchparameter.html

The extractor compiles all paths of a type into one function for the way in; here one path is walked at a time, for
the few resources of which a search must see more than its index holds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from typing import Any, NamedTuple

from careloom.fhir.extractor import indexed_routes, rule
from careloom.fhir.facts import facts
from careloom.fhir.indexvalue import points_at
from careloom.fhir.resource import Resource
from careloom.fhir.searchparam import SearchParameter, parameters
from careloom.fhir.searchpath import Hop, Key, Resolves, Route, Where, paths, routes
from careloom.fhir.searchvalue import evaluated


class Element(NamedTuple):
    """An element and the type that the definitions give it."""

    type: str
    value: Any


class Part(NamedTuple):
    """One component of a composite: the parameter that reads it, and how it is reached."""

    parameter: SearchParameter
    routes: tuple[Route, ...]
    is_rooted: bool
    """Whether it is reached from the resource (%resource), not from the element."""


def elements(resource: Resource, parameter: SearchParameter) -> list[Element]:
    """What the expression of a parameter yields; none for a parameter without an expression.

    >>> patient = {"resourceType": "Patient", "name": [{"family": "Ng"}, {"given": ["A", None]}]}
    >>> elements(patient, parameters("Patient")["family"])
    [Element(type='string', value='Ng')]
    """
    if not parameter.expression:
        return []
    ways = _routes(parameter.type, parameter.expression)
    if ways:
        return walked(resource, ways)
    found = evaluated(resource, parameter.expression)
    return [Element(kind, value) for kind, value in found if rule(parameter.type, kind) is not None]


def groups(resource: Resource, parameter: SearchParameter) -> Iterator[list[list[Element]]]:
    """Of a composite: for each element that its expression yields, the elements of each component in it."""
    for base, parts in composite(parameter):
        for element in _ends(resource, base.hops):
            yield [walked(resource if part.is_rooted else element, part.routes) for part in parts]


@cache
def composite(parameter: SearchParameter) -> tuple[tuple[Route, tuple[Part, ...]], ...]:
    """The routes of a composite's expression, each with its components."""
    known = parameters(parameter.rtype)
    found: list[tuple[Route, tuple[Part, ...]]] = []
    bases = routes(parameter.expression)
    for base in bases:
        parts = [
            _part(base, known[code], expression, is_alone=len(bases) == 1)
            for code, expression in parameter.components
        ]
        found.append((base, tuple(parts)))
    return tuple(found)


def walked(start: Any, ways: Iterable[Route]) -> list[Element]:
    """The elements at the ends of these routes."""
    found: list[Element] = []
    claims: list[bool] = []
    for route in ways:
        ends = _ends(start, route.hops)
        if route.claim:
            claims += [end.get(route.claim, False) is not False for end in ends]
        else:
            found += [Element(route.type, end) for end in ends]
    return [Element("boolean", any(claims)), *found] if claims else found


@cache
def _routes(kind: str, expression: str) -> tuple[Route, ...]:
    return tuple(indexed_routes(kind, expression) or paths(expression))


def _part(base: Route, parameter: SearchParameter, expression: str, *, is_alone: bool) -> Part:
    if is_alone and not base.hops:
        # The resource itself is the group: each component is what its own parameter finds there (docs/spec-notes.md).
        return Part(parameter, tuple(indexed_routes(parameter.type, parameter.expression)), is_rooted=True)
    # R4 spells the type of Observation.value as(DateTime) in one component.
    expression = expression.replace("DateTime", "dateTime")
    if expression.startswith("%resource."):
        rooted = indexed_routes(parameter.type, parameter.rtype + expression.removeprefix("%resource"))
        return Part(parameter, tuple(rooted), is_rooted=True)
    # The type of a backbone element is its own path, whose hops lie behind already.
    (own,) = routes(base.type)
    ways = [
        replace(route, hops=route.hops[len(own.hops) :])
        for piece in expression.split(" | ")
        if piece.partition(".")[0] in _names(base.type)
        for route in indexed_routes(parameter.type, f"{base.type}.{piece}")
    ]
    return Part(parameter, tuple(ways), is_rooted=False)


@cache
def _names(owner: str) -> frozenset[str]:
    return frozenset(name.removesuffix("[x]") for name in facts().elements.get(owner, {}))


def _ends(start: Any, hops: Sequence[Hop]) -> list[Any]:
    here = [start]
    for hop in hops:
        here = [onward for value in here for onward in _onward(value, hop)]
    return here


def _onward(value: Any, hop: Hop) -> list[Any]:
    match hop:
        case Where(name, text):
            return [value] if value.get(name) == text else []
        case Resolves(rtype):
            return [value] if points_at(value, rtype) else []
        case Key(name, many=True):
            items = value.get(name) or []
            return [item for item in (items[:1] if hop.first else items) if item is not None]
        case Key(name):
            item = value.get(name)
            return [] if item is None else [item]
