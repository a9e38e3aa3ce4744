"""fhir.profile.item: the values of an element, with their types: what profiles speak of, read out of JSON.

Room: fhir. May import: fhir.facts. Standard: https://hl7.org/fhir/R4/json.html
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

from careloom.fhir.facts import Child, children, choices, facts, resource_types


class Item(NamedTuple):
    """One value of an element."""

    value: Any
    """None for a primitive that has extensions only, and for what a reference names but is not here."""
    sibling: dict[str, Any] | None
    """The id and extensions of a primitive."""
    kind: str
    """A type, a backbone element by its path, or the type of a resource."""
    place: str
    """What stands behind the path of the owner: `.name[0]`, `.value`."""


Getter = Callable[[dict[str, Any]], list[Item]]
_NOTHING: list[Item] = []


def root(resource: dict[str, Any]) -> Item:
    """A resource as an item."""
    return Item(resource, None, resource.get("resourceType", ""), "")


def owner_of(item: Item) -> dict[str, Any]:
    """The object in which the children of an item stand; for a primitive that of its extensions."""
    return item.value if type(item.value) is dict else item.sibling or {}


def owner_kind(kind: str) -> str:
    """Where the children of a kind are listed; primitives have those of Element."""
    return "Element" if kind in facts().primitives else kind


@cache
def getter(owner: str, name: str) -> Getter | None:
    """What reads the items of the element `name` of `owner`; None where there is no such element.

    >>> read = getter("Observation", "value[x]")
    >>> [(item.kind, item.place) for item in read({"valueQuantity": {"value": 1}})]
    [('Quantity', '.value')]
    """
    bare = name.removesuffix("[x]")
    found = keys_of(owner, name)
    if not found:
        return None
    place = f".{choices(owner).get(bare, bare)}"
    readers = [_reader(child, place) for child in found]
    if len(readers) == 1:
        return readers[0]

    def read_choice(value: dict[str, Any]) -> list[Item]:
        return [item for reader in readers for item in reader(value)]

    return read_choice


def keys_of(owner: str, name: str) -> list[Child]:
    """The JSON keys of an element; old profiles name one type of a choice by its key (`valueQuantity`)."""
    bare = name.removesuffix("[x]")
    found = children(owner, bare)
    return found or [child for child in children(owner, choices(owner).get(bare, "")) if child.key == bare]


def _reader(child: Child, place: str) -> Getter:
    key, kind, element = child
    if kind in facts().primitives:
        return _primitives(key, kind, place) if element.many else _primitive(key, kind, place)

    def read_one(owner: dict[str, Any]) -> list[Item]:
        value = owner.get(key)
        return _NOTHING if value is None else [Item(value, None, kind, place)]

    def read_all(owner: dict[str, Any]) -> list[Item]:
        values = owner.get(key, _NOTHING)
        return [Item(value, None, kind, f"{place}[{index}]") for index, value in enumerate(values)]

    read = read_all if element.many else read_one
    return read if kind != "Resource" else lambda owner: [_named(item) for item in read(owner)]


def _named(item: Item) -> Item:
    rtype = item.value.get("resourceType")
    return item._replace(kind=rtype if rtype in resource_types() else "")


def _primitive(key: str, kind: str, place: str) -> Getter:
    sibling_key = f"_{key}"

    def read(owner: dict[str, Any]) -> list[Item]:
        value, sibling = owner.get(key), owner.get(sibling_key)
        return _NOTHING if value is None and sibling is None else [Item(value, sibling, kind, place)]

    return read


def _primitives(key: str, kind: str, place: str) -> Getter:
    sibling_key = f"_{key}"

    def read(owner: dict[str, Any]) -> list[Item]:
        values, siblings = owner.get(key, ()), owner.get(sibling_key, ())
        return [
            Item(
                values[index] if index < len(values) else None,
                siblings[index] if index < len(siblings) else None,
                kind,
                f"{place}[{index}]",
            )
            for index in range(max(len(values), len(siblings)))
        ]

    return read
