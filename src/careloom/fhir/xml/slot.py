"""fhir.xml.slot: how each child of an element is written: its order, its JSON key, its form.

Room: fhir. May import: fhir.facts. Standard: https://hl7.org/fhir/R4/xml.html
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

from careloom.fhir.facts import children, facts, resource_types

FHIR = "http://hl7.org/fhir"
XHTML = "http://www.w3.org/1999/xhtml"
MAX_DEPTH = 256
"""Elements within elements; the deepest official example has 15."""

ATTRIBUTE, PRIMITIVE, COMPLEX, RESOURCE, NARRATIVE = range(5)
"""`id` of elements and `url` of extensions; `<a value="1"/>`; elements; a resource in a wrapper; an XHTML div."""


class Slot(NamedTuple):
    """One JSON key of an owner, which is one element name (or attribute) in XML as well."""

    order: int
    """Its place among the children; the types of a choice share one."""
    key: str
    kind: str
    """A type or, for a backbone element, its own path."""
    is_many: bool
    form: int


@cache
def slots(owner: str) -> dict[str, Slot]:
    """The children of a type or backbone element by JSON key, in the order of the standard.

    >>> list(slots("Period"))
    ['id', 'extension', 'start', 'end']
    """
    found: dict[str, Slot] = {}
    for order, name in enumerate(facts().elements[owner]):
        for child in children(owner, name.removesuffix("[x]")):
            form = _form(owner, child.key, child.type)
            found[child.key] = Slot(order, child.key, child.type, child.element.many, form)
    return found


@cache
def elements(owner: str) -> dict[str, Slot]:
    """The child elements by qualified name (namespace, blank, name, as expat has it).

    >>> list(elements("Period"))[1]
    'http://hl7.org/fhir start'
    """
    return {
        f"{XHTML if slot.form == NARRATIVE else FHIR} {key}": slot
        for key, slot in slots(owner).items()
        if slot.form != ATTRIBUTE
    }


@cache
def attributes(owner: str) -> frozenset[str]:
    """The names of the children that are attributes.

    >>> sorted(attributes("Extension"))
    ['id', 'url']
    """
    return frozenset(key for key, slot in slots(owner).items() if slot.form == ATTRIBUTE)


def _form(owner: str, key: str, kind: str) -> int:
    # StructureDefinition says xmlAttr of exactly these two.
    if (key == "id" and owner not in resource_types()) or (owner == "Extension" and key == "url"):
        return ATTRIBUTE
    if kind == "xhtml":
        return NARRATIVE
    if kind == "Resource":
        return RESOURCE
    return PRIMITIVE if kind in facts().primitives else COMPLEX
