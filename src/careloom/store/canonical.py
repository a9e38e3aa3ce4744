"""store.canonical: references by url instead of by id: from a canonical to the resources that bear it, and back.

Room: store. Pure. Standard: https://hl7.org/fhir/R4/references.html#canonical
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from functools import cache

from careloom.fhir.extractor import indexed_routes
from careloom.fhir.resource import Resource
from careloom.fhir.searchelement import elements
from careloom.fhir.searchparam import SearchParameter, parameters
from careloom.store.condition import NEVER, Condition, all_of, any_of, overlaps
from careloom.store.hashes import code_entry, uri_entry
from careloom.store.stored import Match


@cache
def is_canonical(parameter: SearchParameter) -> bool:
    """Whether elements of this reference parameter name what they mean by url.

    >>> is_canonical(parameters("Measure")["depends-on"])
    True
    """
    routes = indexed_routes(parameter.type, parameter.expression)
    return parameter.type == "reference" and any(route.type in {"canonical", "uri"} for route in routes)


def addresses_of(stored: Match) -> list[str]:
    """The canonicals that mean a resource: its url, and its url with its version."""
    resource = stored.resource()
    url, version = resource.get("url"), resource.get("version")
    if not isinstance(url, str):
        return []
    return [url, f"{url}|{version}"] if version else [url]


def means(resource: Resource, parameter: SearchParameter, addresses: Collection[str]) -> bool:
    """Whether a canonical of this parameter is one of these addresses: with a version it means that version alone,
    while the index finds it by its url as well.
    """
    found = (element.value for element in elements(resource, parameter))
    return any(isinstance(one, str) and one in addresses for one in found)


def canonicals_in(sources: Iterable[Match], parameter: SearchParameter) -> set[str]:
    """Every canonical that this parameter finds in the sources, as it is written there."""
    return {
        element.value
        for source in sources
        for element in elements(source.resource(), parameter)
        if isinstance(element.value, str)
    }


def by_canonical(rtype: str, canonicals: Iterable[str], row: str = "r") -> Condition:
    """Rows of a type that one of these canonicals means; one with a version means that version alone."""
    known = parameters(rtype)
    url, version = known.get("url"), known.get("version")
    if url is None or url.type != "uri":
        return NEVER
    plain = [one for one in canonicals if "|" not in one]
    conditions = [overlaps(f"{row}.ix", [uri_entry(url.id, one) for one in plain])] if plain else []
    for one in canonicals:
        bare, bar, wanted = one.partition("|")
        if bar and version is not None:
            is_version = overlaps(f"{row}.ix", [code_entry(version.id, wanted)])
            conditions.append(all_of([overlaps(f"{row}.ix", [uri_entry(url.id, bare)]), is_version]))
    return any_of(conditions)
