"""fhir.facts: what R4 says of its types: elements, bindings, search parameters, compartments.

Room: fhir. May import: the standard library, msgspec. Standard: https://hl7.org/fhir/R4/definitions.json.zip
The facts stand in r4/facts.json, which scripts/r4_facts.py makes from the published definitions; they are read
once, at first use (about 20 ms). Beside them stands what is known here and R4 does not have: added/facts.json, which
scripts/added_facts.py makes (ViewDefinition, https://sql-on-fhir.org/ig/).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import NamedTuple

import msgspec


class Type(msgspec.Struct, frozen=True):
    """A type: a resource, a complex type or a primitive."""

    kind: str
    base: str = ""
    abstract: bool = False


class Element(msgspec.Struct, frozen=True):
    """One element of a type. A name that ends in `[x]` stands for one key for each of `types`."""

    types: tuple[str, ...] = ()
    min: int = 0
    many: bool = False
    like: str = ""
    """Path of the element whose content this one repeats (contentReference)."""
    targets: tuple[str, ...] = ()
    """Resource types that a Reference or canonical may name; empty: any."""
    required: str = ""
    """Key in `codes` of the value set of a required binding that can be enumerated."""
    extensible: str = ""


class Parameter(msgspec.Struct, frozen=True):
    """A search parameter as published; an empty expression means that no path defines it."""

    type: str
    expression: str = ""
    targets: tuple[str, ...] = ()
    components: tuple[tuple[str, str], ...] = ()


class Rule(msgspec.Struct, frozen=True, array_like=True):
    """An invariant of severity error: its key, what it says, and how FHIRPath says it."""

    key: str
    human: str
    expression: str


class Facts(msgspec.Struct, frozen=True):
    """The whole of r4/facts.json."""

    types: dict[str, Type]
    primitives: dict[str, str]
    """Primitive type -> regular expression; empty for xhtml."""
    elements: dict[str, dict[str, Element]]
    """Owner ("Patient", "Patient.contact", "HumanName") -> name -> element."""
    codes: dict[str, dict[str, tuple[str, ...]]]
    """Value set -> system -> codes, of required bindings; the other value sets stand in r4/terms.json, which few need."""
    rules: dict[str, tuple[Rule, ...]]
    """Owner -> invariants; those that every element or resource has are left out."""
    search: dict[str, dict[str, Parameter]]
    """Base type ("Resource" and "DomainResource" included) -> code -> parameter."""
    compartments: dict[str, dict[str, tuple[str, ...]]]
    """Compartment -> resource type -> codes of the parameters that place it there."""


class Child(NamedTuple):
    """One JSON key of an owner: `type` is a type or, for a backbone element, its own path."""

    key: str
    type: str
    element: Element


@cache
def facts() -> Facts:
    """The facts of R4.

    >>> facts().elements["Patient"]["gender"].required
    'administrative-gender'
    """
    r4, *others = (msgspec.json.decode(raw, type=Facts) for raw in both("facts.json"))
    for added in others:
        for name, systems in added.codes.items():
            r4.codes[name] = {
                system: (*codes, *systems.get(system, ())) for system, codes in r4.codes[name].items()
            }
        r4.types.update(added.types)
        r4.elements.update(added.elements)
        r4.rules.update(added.rules)
        r4.search.update(added.search)
    return r4


@cache
def search_ids() -> dict[str, int]:
    """ "Patient.name" -> the number that rows in a database hold for it."""
    return msgspec.json.decode(both("search-ids.json")[0], type=dict[str, int])


def both(name: str) -> list[bytes]:
    """A file of R4, and the one of that name for the types that R4 does not have, if there is one."""
    folders = (resources.files("careloom.fhir").joinpath(folder, name) for folder in ("r4", "added"))
    return [path.read_bytes() for path in folders if path.is_file()]


@cache
def resource_types() -> frozenset[str]:
    """Every type that an instance may have: those of R4, and ViewDefinition.

    >>> len(resource_types())
    147
    """
    return frozenset(n for n, t in facts().types.items() if t.kind == "resource" and not t.abstract)


def children(owner: str, name: str) -> list[Child]:
    """The JSON keys that the element `name` of `owner` may take; several where it is a choice.

    >>> [child.key for child in children("Patient", "deceased")]
    ['deceasedBoolean', 'deceasedDateTime']
    """
    elements = facts().elements.get(owner, {})
    if name in elements:
        return [Child(name, _content(owner, name, elements[name]), elements[name])]
    choice = elements.get(f"{name}[x]")
    if choice is None:
        return []
    return [Child(name + kind[0].upper() + kind[1:], kind, choice) for kind in choice.types]


@cache
def choices(owner: str) -> dict[str, str]:
    """JSON key -> the choice element that it is one type of; the keys of other elements are absent.

    >>> choices("Patient")["deceasedDateTime"]
    'deceased'
    """
    names = [name.removesuffix("[x]") for name in facts().elements.get(owner, {}) if name.endswith("[x]")]
    return {child.key: name for name in names for child in children(owner, name)}


def has_other_choice(resource: Mapping[str, object], key: str) -> bool:
    """True if the resource holds another type of the choice element that `key` is of: a second must not join it.

    >>> has_other_choice({"resourceType": "Patient", "deceasedBoolean": True}, "deceasedDateTime")
    True
    """
    of = choices(str(resource.get("resourceType", "")))
    plain = key.removeprefix("_")
    choice = of.get(plain)
    return choice is not None and any(
        of.get(bare) == choice and bare != plain for bare in (other.removeprefix("_") for other in resource)
    )


def _content(owner: str, name: str, element: Element) -> str:
    if element.like:
        return element.like
    kind = element.types[0]
    return f"{owner}.{name}" if f"{owner}.{name}" in facts().elements else kind
