"""fhir.searchparam: the search parameters of R4, and what they find in a resource.

Room: fhir. May import: fhir.facts, fhir.extractor, fhir.outcome, fhir.resource.
Standard: https://hl7.org/fhir/R4/searchparameter-registry.html
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from types import MappingProxyType

from careloom.fhir import extractor
from careloom.fhir.facts import facts, resource_types, search_ids
from careloom.fhir.outcome import Issue, OutcomeError
from careloom.fhir.resource import Resource

OF_THE_ROW = frozenset({"_id", "_lastUpdated"})
"""Parameters that the store keeps as columns of its own; `extract` leaves them out."""


@dataclass(frozen=True, slots=True)
class SearchParameter:
    """One search parameter of one type; `rtype` is "Resource" or "DomainResource" for those of every type."""

    id: int
    rtype: str
    code: str
    type: str
    """number, date, string, token, reference, composite, quantity, uri or special."""
    expression: str
    """FHIRPath; empty where none is published (_text, _content, _query)."""
    targets: tuple[str, ...] = ()
    """Types that a reference may point at; empty: any."""
    components: tuple[tuple[str, str], ...] = ()
    """Of a composite: code of the parameter and FHIRPath below `expression`."""
    system: str = ""
    """The one code system that is implied where the parameter reads elements of type code."""

    @property
    def is_indexed(self) -> bool:
        """Whether `extract` finds values for it."""
        return bool(self.expression) and self.type not in {"composite", "special"}


@dataclass(slots=True)
class Indexed:
    """What a search index holds of one resource; the first member of each tuple is SearchParameter.id."""

    tokens: list[tuple[int, str | None, str | None]] = field(
        default_factory=list[tuple[int, str | None, str | None]]
    )
    """(parameter, system, code). A Reference with an identifier stands here under its reference parameter; neither
    system nor code: the element is there, but nothing in it can be found."""
    strings: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]])
    """(parameter, text as `indexvalue.normalised` makes it)."""
    dates: list[tuple[int, datetime, datetime]] = field(default_factory=list[tuple[int, datetime, datetime]])
    """(parameter, from, until): UTC, half-open; open ends are instant.EARLIEST and LATEST."""
    references: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]])
    """(parameter, "Type/id", an absolute address, or a canonical with and without its version)."""
    quantities: list[tuple[int, str | None, str | None, float, float]] = field(
        default_factory=list[tuple[int, str | None, str | None, float, float]]
    )
    """(parameter, system, code, low, high); a unit that is written otherwise than its code stands in another row, without
    a system; numbers have neither system nor code."""
    uris: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]])


@cache
def parameters(rtype: str) -> Mapping[str, SearchParameter]:
    """Code -> search parameter of a type, those of every type included; "Resource" gives these alone.

    Raises OutcomeError(not-found) for an unknown type.

    >>> parameters("Patient")["birthdate"].type
    'date'
    """
    if rtype not in resource_types() and rtype != "Resource":
        raise OutcomeError(Issue("not-found", f"There is no resource type {rtype[:64]!r} in R4."))
    bases = ["Resource", "DomainResource", rtype]
    if facts().types[rtype].base == "Resource":
        bases.remove("DomainResource")
    found = {code: _parameter(base, code) for base in bases for code in facts().search.get(base, {})}
    return MappingProxyType(found)


def extract(resource: Resource) -> Indexed:
    """Everything a search can find the resource by.

    The resource is valid R4 (fhir.validate); one that is not may raise OutcomeError(structure).

    >>> patient = {"resourceType": "Patient", "name": [{"family": "Zoë"}], "birthDate": "2020"}
    >>> [text for number, text in extract(patient).strings if number == parameters("Patient")["family"].id]
    ['zoe']
    """
    found = Indexed()
    try:
        _extractor(resource["resourceType"])(
            resource,
            found.tokens.append,
            found.strings.append,
            found.dates.append,
            found.references.append,
            found.quantities.append,
            found.uris.append,
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        text = f"The resource is not valid R4 and cannot be indexed ({type(error).__name__}); validate it."
        raise OutcomeError(Issue("structure", text)) from None
    return found


@cache
def _extractor(rtype: str) -> extractor.Extractor:
    return extractor.compiled(
        (parameter.id, parameter.type, parameter.expression)
        for parameter in parameters(rtype).values()
        if parameter.is_indexed and parameter.code not in OF_THE_ROW
    )


def _parameter(base: str, code: str) -> SearchParameter:
    fact = facts().search[base][code]
    return SearchParameter(
        id=search_ids()[f"{base}.{code}"],
        rtype=base,
        code=code,
        type=fact.type,
        expression=fact.expression,
        targets=fact.targets,
        components=fact.components,
        system=_implied_system(fact.expression) if fact.type == "token" else "",
    )


def _implied_system(expression: str) -> str:
    """The system of the value set that binds the element, if all routes end in a code and agree on one."""
    found: set[str] = set()
    for route in extractor.indexed_routes("token", expression):
        systems = facts().codes.get(route.value_set, {})
        if route.type != "code" or len(systems) != 1:
            return ""
        found.update(systems)
    return found.pop() if len(found) == 1 else ""
