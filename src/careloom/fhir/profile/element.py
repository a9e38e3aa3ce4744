"""fhir.profile.element: what R4 says of the element that a node of a profile speaks of.

Room: fhir. May import: fhir.facts, fhir.profile. Standard: https://hl7.org/fhir/R4/elementdefinition.html
"""

from __future__ import annotations

from careloom.fhir.facts import Element, facts
from careloom.fhir.profile.item import keys_of
from careloom.fhir.profile.node import Node

CORE = "http://hl7.org/fhir/StructureDefinition/"


def element_of(owner: str, name: str) -> Element | None:
    """What R4 says of an element; `valueQuantity` is the choice `value[x]`.

    >>> element_of("Observation", "valueQuantity").min
    0
    """
    found = keys_of(owner, name)
    return found[0].element if found else None


def kinds_of(owner: str, node: Node, base: Element) -> list[str]:
    """The types under which children of an item are looked up."""
    if "Resource" in base.types:
        return [kind for kind in node.types if kind != "Resource"] or ["Resource"]
    found = [child.type for child in keys_of(owner, node.name)]
    return [kind for kind in found if len(found) == 1 or kind in node.types] or node.types


def bound(node: Node) -> str:
    """The value set to which a code is bound strictly: a required binding, or a maximum one."""
    binding = node.definition.get("binding", {})
    if binding.get("strength") == "required":
        return binding.get("valueSet", "").partition("|")[0]
    for extension in binding.get("extension", ()):
        if extension.get("url", "").endswith("/elementdefinition-maxValueSet"):
            return extension.get("valueCanonical", extension.get("valueUri", "")).partition("|")[0]
    return ""


def recommended(node: Node) -> tuple[str, str]:
    """("extensible" or "preferred", the value set) of a binding that is no must; two empty texts where there is none."""
    binding = node.definition.get("binding", {})
    strength, url = binding.get("strength", ""), binding.get("valueSet", "").partition("|")[0]
    return (strength, url) if strength in {"extensible", "preferred"} and url else ("", "")


def type_of(url: str) -> str:
    """The type of R4 that an address names, or "": a profile.

    >>> type_of("http://hl7.org/fhir/StructureDefinition/Patient")
    'Patient'
    """
    kind = url.removeprefix(CORE)
    return kind if kind != url and kind in facts().types else ""
