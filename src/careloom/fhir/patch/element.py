"""fhir.patch.element: an element in JSON is a value and, for a primitive, what stands beside it under `_key`.

Room: fhir. May import: fhir.path, fhir.outcome, fhir.patch.tree. Standard: https://hl7.org/fhir/R4/json.html#primitive

In lists of primitives both arrays keep the same length, so they are changed together.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from careloom.fhir.outcome import Issue, OutcomeError
from careloom.fhir.patch.tree import copied
from careloom.fhir.path import Node
from careloom.fhir.path.navigate import descendants
from careloom.fhir.path.types import PRIMITIVES, Step, resource_node, steps, steps_by_key

_VALUE = "Parameters.parameter"


class Element(NamedTuple):
    """A value (None where a primitive has only id or extensions) and its sibling."""

    value: Any
    sibling: dict[str, Any] | None = None


def elements(owner: dict[str, Any], key: str) -> list[Element]:
    """What stands under a key, as a list."""
    values, siblings = _list(owner.get(key)), _list(owner.get(f"_{key}"))
    count = max(len(values), len(siblings))
    values += [None] * (count - len(values))
    siblings += [None] * (count - len(siblings))
    return [Element(*pair) for pair in zip(values, siblings, strict=True)]


def _list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list) else [] if value is None else [value]


def put(owner: dict[str, Any], key: str, content: Element | list[Element]) -> None:
    """Write what stands under a key."""
    if isinstance(content, Element):
        value, sibling = content
    else:
        value = [element.value for element in content]
        sibling = [element.sibling for element in content]
        value = None if all(one is None for one in value) else value
        sibling = None if all(one is None for one in sibling) else sibling
    for name, given in ((key, value), (f"_{key}", sibling)):
        if given is None:
            owner.pop(name, None)
        else:
            owner[name] = given


def put_back(node: Node, element: Element | None, key: str = "") -> None:
    """Write another element where a node stands, or take it away; a choice may get another key."""
    owner, key = node.owner or {}, key or node.key
    if node.place is not None:
        found = elements(owner, node.key)
        found[node.place : node.place + 1] = [] if element is None else [element]
        put(owner, node.key, found)
    elif element is None:
        put(owner, node.key, Element(None))
    elif key == node.key:
        put(owner, key, element)
    else:
        entries = list(owner.items())
        owner.clear()
        for name, value in entries:
            if name in {node.key, f"_{node.key}"}:
                put(owner, key, element)
            else:
                owner[name] = value


def element_object(node: Node) -> dict[str, Any]:
    """The object that holds the elements of a node: for a primitive the one beside it, made where there is none."""
    if node.type not in PRIMITIVES:
        if not isinstance(node.value, dict):
            raise unfit("The path leads to no element that others can be added to")
        return node.value
    if node.sibling or node.owner is None:
        return node.sibling
    sibling: dict[str, Any] = {}
    put_back(node, Element(node.value, sibling))
    return sibling


def type_of(root: dict[str, Any], owner: dict[str, Any] | None) -> str:
    """The type of an object of the resource."""
    start = resource_node(root)
    if owner is root:
        return start.type
    for node in descendants([start]):
        if node.value is owner:
            return node.type
        if node.type in PRIMITIVES and node.sibling is owner:
            return "Element"
    raise unfit("The path leads to no element that can be changed")


def steps_of(owner_type: str, name: str) -> tuple[Step, ...]:
    """The keys of an element, by its name or by one of those keys; all of them where it is a choice."""
    known = steps(owner_type)
    if name in known:
        return known[name]
    found = next((group for group in known.values() if any(step.key == name for step in group)), None)
    if found is None:
        raise unfit("There is no such element at the path")
    return found


def keys_of(owner_type: str, name: str) -> list[str]:
    """Every key under which the element may stand, siblings too."""
    return [key for step in steps_of(owner_type, name) for key in (step.key, f"_{step.key}")]


def value_of(part: dict[str, Any], owner_type: str, name: str) -> tuple[Step, Element]:
    """The element that a part gives, and the key for it; raises OutcomeError where it is of another type."""
    group = steps_of(owner_type, name)
    key = next((key for key in part if key.startswith(("value", "_value"))), "").removeprefix("_")
    if key:
        step = _step_for(group, steps_by_key(_VALUE)[key].type if key in steps_by_key(_VALUE) else "")
        element = Element(copied(part.get(key)), copied(part.get(f"_{key}")))
    elif "resource" in part:
        step, element = group[0], Element(copied(part["resource"]))
    else:
        step = group[0]
        element = Element(_anonymous(part.get("part"), step.type))
    is_object = isinstance(element.value, dict)
    if is_object == step.is_primitive and element.value is not None:
        raise unfit("The value is of another type than the element")
    return step, element


def _step_for(group: tuple[Step, ...], kind: str) -> Step:
    if len(group) == 1:
        return group[0]
    found = next((step for step in group if step.type == kind), None)
    if found is None:
        raise unfit("The element cannot have a value of this type")
    return found


def _anonymous(parts: Any, kind: str) -> dict[str, Any]:
    """A backbone element, each of whose elements is a part."""
    if not isinstance(parts, list) or kind in PRIMITIVES:
        raise malformed("The part value needs a value[x], or parts for an element without a type of its own")
    made: dict[str, Any] = {}
    for part in parts:
        name = part.get("name") if isinstance(part, dict) else None
        if not isinstance(name, str):
            raise malformed("Each part has a name")
        step, element = value_of(part, kind, name)
        put(made, step.key, [*elements(made, step.key), element] if step.is_many else element)
    return made


def malformed(text: str) -> OutcomeError:
    """What was sent is no FHIRPath Patch."""
    return OutcomeError(Issue("structure", f"{text}."))


def unfit(text: str) -> OutcomeError:
    """The patch does not fit the resource."""
    return OutcomeError(Issue("processing", f"{text}."))
