"""fhir.searchparam: the search parameters of R4 and of a store's catalogue, and what they find in a resource.

Room: fhir. May import: fhir.catalogue, fhir.facts, fhir.extractor, fhir.searchvalue, fhir.outcome, fhir.resource.
Standard: https://hl7.org/fhir/R4/searchparameter-registry.html
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache, lru_cache
from types import MappingProxyType

from careloom.fhir import extractor
from careloom.fhir.catalogue import Catalogue, known
from careloom.fhir.facts import facts, resource_types, search_ids
from careloom.fhir.outcome import Issue, OutcomeError
from careloom.fhir.resource import Resource
from careloom.fhir.searchvalue import evaluated

FIRST_OWN = 10_000
"""Ids from here on are those of parameters that a store has beside R4's."""
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
    url: str = ""
    """The canonical address of a parameter that R4 does not have."""

    @property
    def is_own(self) -> bool:
        """Whether it is one of the store's, beside those of R4."""
        return self.id >= FIRST_OWN

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


def parameters(rtype: str) -> Mapping[str, SearchParameter]:
    """Code -> search parameter of a type, those of every type included; "Resource" gives these alone.

    Under a catalogue (`fhir.catalogue.knowing`) those are here too by which the store can be searched.
    Raises OutcomeError(not-found) for an unknown type.

    >>> parameters("Patient")["birthdate"].type
    'date'
    """
    catalogue = known()
    return _all(rtype, catalogue) if rtype in catalogue.ready else of_r4(rtype)


@lru_cache(maxsize=2048)
def _all(rtype: str, catalogue: Catalogue) -> Mapping[str, SearchParameter]:
    return MappingProxyType({**of_r4(rtype), **catalogue.ready[rtype]})


@cache
def of_r4(rtype: str) -> Mapping[str, SearchParameter]:
    """The parameters of R4 alone. Raises OutcomeError(not-found) for an unknown type."""
    if rtype not in resource_types() and rtype != "Resource":
        raise OutcomeError(Issue("not-found", f"There is no resource type {rtype[:64]!r} in R4."))
    bases = ["Resource", "DomainResource", rtype]
    if facts().types[rtype].base == "Resource":
        bases.remove("DomainResource")
    found = {code: _parameter(base, code) for base in bases for code in facts().search.get(base, {})}
    return MappingProxyType(found)


def extract(resource: Resource) -> Indexed:
    """Everything a search by the parameters of R4 can find the resource by.

    The resource is valid R4 (fhir.validate); one that is not may raise OutcomeError(structure).

    >>> patient = {"resourceType": "Patient", "name": [{"family": "Zoë"}], "birthDate": "2020"}
    >>> [text for number, text in extract(patient).strings if number == parameters("Patient")["family"].id]
    ['zoe']
    """
    found = Indexed()
    _run(_extractor(resource["resourceType"]), resource, found)
    return found


def extract_by(resource: Resource, own: tuple[SearchParameter, ...], found: Indexed | None = None) -> Indexed:
    """The same by parameters of a catalogue, added to `found`. What an expression cannot be evaluated on has no value."""
    found = Indexed() if found is None else found
    compiled, others = _extractor_by(own)
    _run(compiled, resource, found)
    for one in others:
        for kind, value in evaluated(resource, one.expression):
            rule = extractor.rule(one.type, kind)
            if rule is not None:
                _run(rule, value, found, one.id)
    return found


def _run(run: extractor.Extractor, source: Resource, found: Indexed, *more: int) -> None:
    """Let an extractor, or one rule of it, put what it finds there."""
    try:
        run(
            source,
            *more,
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


@cache
def _extractor(rtype: str) -> extractor.Extractor:
    return extractor.compiled(
        (parameter.id, parameter.type, parameter.expression)
        for parameter in of_r4(rtype).values()
        if parameter.is_indexed and parameter.code not in OF_THE_ROW
    )


@lru_cache(maxsize=512)
def _extractor_by(
    own: tuple[SearchParameter, ...],
) -> tuple[extractor.Extractor, tuple[SearchParameter, ...]]:
    """One function for those whose expression is a path; the others are evaluated."""
    indexed = [one for one in own if one.is_indexed]
    paths = [one for one in indexed if extractor.indexed_routes(one.type, one.expression)]
    compiled = extractor.compiled((one.id, one.type, one.expression) for one in paths)
    return compiled, tuple(one for one in indexed if one not in paths)


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
        system=implied_system(fact.expression) if fact.type == "token" else "",
    )


def implied_system(expression: str) -> str:
    """The system of the value set that binds the element, if all routes end in a code and agree on one."""
    found: set[str] = set()
    for route in extractor.indexed_routes("token", expression):
        systems = facts().codes.get(route.value_set, {})
        if route.type != "code" or len(systems) != 1:
            return ""
        found.update(systems)
    return found.pop() if len(found) == 1 else ""
