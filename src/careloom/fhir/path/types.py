"""fhir.path.types: what R4 and System call types, which type is a kind of which, and where a name leads from a type.

Room: fhir. May import: fhir.facts, fhir.path. Standard: https://hl7.org/fhir/R4/fhirpath.html#types
"""

from __future__ import annotations

from decimal import Decimal
from functools import cache
from typing import Any, NamedTuple

from careloom.fhir.facts import children, facts
from careloom.fhir.path.temporal import Temporal
from careloom.fhir.path.value import Long, Node, Quantity

_SYSTEM_TYPES: dict[type, str] = {
    bool: "Boolean",
    int: "Integer",
    Long: "Long",
    Decimal: "Decimal",
    str: "String",
    Quantity: "Quantity",
}
SYSTEM_NAMES = frozenset({*_SYSTEM_TYPES.values(), "Date", "DateTime", "Time", "Any"})
RESOURCE_TYPE = "resourceType"
PRIMITIVES = frozenset(facts().primitives)


_TYPES = facts().types


class Step(NamedTuple):
    """A JSON key that a name leads to."""

    key: str
    type: str
    is_primitive: bool
    is_many: bool
    sibling: str
    """The key of what stands beside a primitive; "" for others."""


@cache
def steps(owner: str) -> dict[str, tuple[Step, ...]]:
    """Element name -> the JSON keys that it stands for.

    >>> [step.key for step in steps("Patient")["deceased"]]
    ['deceasedBoolean', 'deceasedDateTime']
    """
    source = "Element" if owner in PRIMITIVES else owner
    found: dict[str, tuple[Step, ...]] = {}
    for written in facts().elements.get(source, {}):
        name = written.removesuffix("[x]")
        found[name] = tuple(
            _step(child.key, child.type, is_many=child.element.many) for child in children(source, name)
        )
    if source in facts().types and facts().types[source].kind == "resource":
        # No element, and yet many expressions ask `where(resourceType = 'Patient')`.
        found[RESOURCE_TYPE] = (_step(RESOURCE_TYPE, "code", is_many=False),)
    return found


def _step(key: str, kind: str, *, is_many: bool) -> Step:
    is_primitive = kind in PRIMITIVES
    return Step(key, kind, is_primitive, is_many, f"_{key}" if is_primitive else "")


@cache
def steps_by_key(owner: str) -> dict[str, Step]:
    """JSON key of an element -> its step."""
    return {
        step.key: step for name, of_name in steps(owner).items() if name != RESOURCE_TYPE for step in of_name
    }


@cache
def kinds_of(fhir_type: str) -> frozenset[str]:
    """The type itself, and all that it is a kind of.

    >>> sorted(kinds_of("code"))
    ['Element', 'code', 'string']
    """
    found: set[str] = set()
    while fhir_type and fhir_type not in found:
        found.add(fhir_type)
        fhir_type = facts().types[fhir_type].base if fhir_type in facts().types else _backbone(fhir_type)
    return frozenset(found)


def is_kind_of(fhir_type: str, wanted: str) -> bool:
    """Whether a type is another or a kind of it.

    >>> is_kind_of("Age", "Quantity"), is_kind_of("Patient", "Encounter")
    (True, False)
    """
    return wanted in kinds_of(fhir_type)


def _backbone(path: str) -> str:
    """`Patient.contact` is a BackboneElement, `Timing.repeat` an Element."""
    owner, _, name = path.rpartition(".")
    element = facts().elements.get(owner, {}).get(name)
    return element.types[0] if element is not None and element.types else ""


def resource_node(
    value: Any, owner: dict[str, Any] | None = None, key: str = "", place: int | None = None
) -> Node:
    """The node of a JSON object that may be a resource."""
    if type(value) is dict:
        rtype = value.get(RESOURCE_TYPE)
        if type(rtype) is str and rtype in _TYPES:
            return Node(value, rtype, owner, key, place)
    return Node(value, "", owner, key, place)


def named(node: Node) -> tuple[str, str]:
    """Namespace and name of the type of a node."""
    if node.type == "":
        rtype = node.value.get("resourceType") if type(node.value) is dict else None
        return ("FHIR", rtype) if type(rtype) is str else ("System", system_name(node.value))
    return "FHIR", node.type if node.type in facts().types else _backbone(node.type)


def system_name(value: Any) -> str:
    """The System type of a value; "" for what has none."""
    return value.kind if type(value) is Temporal else _SYSTEM_TYPES.get(type(value), "")


def known_type(name: str) -> tuple[bool, bool, str] | None:
    """Whether a written name may be a type of FHIR and whether of System, and its bare form; None for neither.

    >>> known_type("System.String"), known_type("Quantity"), known_type("string1")
    ((False, True, 'String'), (True, True, 'Quantity'), None)
    """
    namespace, dot, bare = name.rpartition(".")
    if namespace not in {"", "FHIR", "System"} or (dot and not namespace):
        return None
    is_fhir = namespace != "System" and bare in facts().types
    is_system = namespace != "FHIR" and bare in SYSTEM_NAMES
    if namespace and not is_fhir and not is_system:
        # A qualified name says where to look, and nothing is there: no value is of it.
        return False, False, bare
    return (is_fhir, is_system, bare) if is_fhir or is_system else None


def is_of(item: Any, wanted: tuple[bool, bool, str], *, exactly: bool = False) -> bool:
    """Whether an item is of a type or a kind of it; `exactly` asks primitives for that very type."""
    is_fhir, is_system, name = wanted
    if type(item) is Node and item.type:
        if not is_fhir:
            return False
        return item.type == name if exactly and item.type in PRIMITIVES else name in kinds_of(item.type)
    value = item.value if type(item) is Node else item
    return is_system and (name == "Any" or system_name(value) == name)
