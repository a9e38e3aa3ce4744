"""fhir.path.navigate: from nodes to what lies below them: by a name, by a chain of names, and all of it.

Room: fhir. May import: fhir.path. Standard: http://hl7.org/fhirpath/N1/#path-selection and https://hl7.org/fhir/R4/fhirpath.html

Nothing here trusts the JSON to have the shape that the definitions ask for: what has another is passed over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any, NamedTuple

from careloom.fhir.path.straight import FEW, Spend, Straight, add, straight_way
from careloom.fhir.path.types import (
    PRIMITIVES,
    RESOURCE_TYPE,
    Step,
    kinds_of,
    resource_node,
    steps,
    steps_by_key,
)
from careloom.fhir.path.value import PLAIN, Collection, Node, Quantity, Want

Walk = Callable[[Collection], Collection]
Chain = Callable[[Any, Collection], Collection]


def member(name: str) -> Walk:
    """What the name leads to from each node of a collection."""
    leads: dict[str, _Leads] = {}

    def walk(items: Collection) -> Collection:
        found: Collection = []
        for item in items:
            if type(item) is not Node:
                if type(item) is Quantity and name in {"value", "unit"}:
                    found.append(getattr(item, name))
                continue
            kind = item.type
            lead = leads.get(kind)
            if lead is None:
                lead = leads[kind] = _leads(kind, name)
            if kind == "":
                _follow_untyped(item, name, found)
            elif lead.step is not None or lead.choice:
                _follow(item, lead, found)
        return found

    return walk


def plain_text(name: str) -> Callable[[Any], str | None]:
    """What reads the text under a name from a node at once; None where it is no single text, or takes more to say."""
    keys: dict[str, str] = {}

    def read(item: Any) -> str | None:
        if type(item) is not Node:
            return None
        kind, value = item.type, item.value
        key = keys.get(kind)
        if key is None:
            key = keys[kind] = _plain_key(kind, name)
        found = value.get(key) if key and type(value) is dict else None
        return found if type(found) is str else None

    return read


def _plain_key(kind: str, name: str) -> str:
    found = steps(kind).get(name, ()) if kind and kind not in PRIMITIVES else ()
    return found[0].key if len(found) == 1 and found[0].type in PLAIN and not found[0].is_many else ""


def start(name: str) -> Walk:
    """A name at the start of a path: it may also be that of the type of the context (`Patient.name`)."""
    by_name = member(name)

    def walk(items: Collection) -> Collection:
        is_typed = [item for item in items if type(item) is Node and _is_called(item, name)]
        return is_typed or by_name(items)

    return walk if name[:1].isupper() else by_name


def chain(names: tuple[str, ...], want: Want = Want.NODES, *, is_start: bool = True) -> Chain:
    """A path of names: `start`, then `member`s. Where types leave no choice, the JSON is walked without nodes between."""
    walks = [start(names[0]) if is_start else member(names[0]), *map(member, names[1:])]
    ways: dict[str, tuple[Straight, list[Walk]] | None] = {}
    is_type = is_start and len(names) == 1 and names[0][:1].isupper()

    def way(kind: str) -> tuple[Straight, list[Walk]] | None:
        found = straight_way(kind, names, want, is_start=is_start)
        ways[kind] = None if found is None else (found[0], walks[found[1] :])
        return ways[kind]

    def walk(env: Any, items: Collection) -> Collection:
        if not items or type(items[0]) is not Node:
            return _stepwise(walks, items, env.spend)
        kind = items[0].type
        if is_type and kind and len(items) == 1:
            return items if names[0] in kinds_of(kind) else _stepwise(walks, items, env.spend)
        found = ways[kind] if kind in ways else way(kind)
        if found is None:
            return _stepwise(walks, items, env.spend)
        straight, rest = found
        try:
            if len(items) == 1:
                there = straight(items[0].value, env.spend)
            elif all(type(item) is Node and item.type == kind for item in items):
                there = [inner for item in items for inner in straight(item.value, env.spend)]
            else:
                return _stepwise(walks, items, env.spend)
        except (AttributeError, TypeError):
            return _stepwise(walks, items, env.spend)  # the JSON is not of the shape that R4 asks for
        if len(there) > FEW:
            env.spend(len(there) // FEW)
        return _stepwise(rest, there, env.spend) if rest else there

    return walk


def _stepwise(walks: list[Walk], items: Collection, spend: Spend) -> Collection:
    for one in walks:
        items = one(items)
        if len(items) > FEW:
            spend(len(items))
    return items


class _Leads(NamedTuple):
    """Where a name leads from a type: to one key, or for a choice to one of several."""

    is_primitive: bool
    step: Step | None
    choice: dict[str, Step]
    """Key, or that of a sibling -> its step."""


def _leads(kind: str, name: str) -> _Leads:
    found = steps(kind).get(name, ()) if kind else ()
    choice = {key: step for step in found for key in (step.sibling, step.key)} if len(found) > 1 else {}
    return _Leads(kind in PRIMITIVES, found[0] if len(found) == 1 else None, choice)


def _follow(node: Node, lead: _Leads, found: Collection) -> None:
    owner, step = node.sibling if lead.is_primitive else node.value, lead[1]
    if type(owner) is not dict:
        return
    if step is None:
        choice = lead[2]
        for key in owner:
            if key in choice:
                step = choice[key]
                break
        else:
            return
    add(owner, step, found)


def _follow_untyped(node: Node, name: str, found: Collection) -> None:
    if type(node.value) is dict and name != "extension":
        _add_untyped(node.value, name, found)
        return
    # Extensions look alike everywhere, also where no definition tells what they extend.
    owner = node.value if type(node.value) is dict else node.sibling
    _follow(Node(owner, "Element"), _leads("Element", name), found)


def _add_untyped(owner: dict[str, Any], name: str, found: Collection) -> None:
    values = owner.get(name)
    if type(values) is list:
        found.extend(
            resource_node(value, owner, name, index)
            for index, value in enumerate(values)
            if value is not None or Node(None, "", owner, name, index).sibling
        )
    elif values is not None or type(owner.get(f"_{name}")) is dict:
        found.append(resource_node(values, owner, name))


def below(node: Node) -> Collection:
    """The children of a node, in the order in which the JSON gives them."""
    found: Collection = []
    if node.type in PRIMITIVES:
        if node.owner is None or f"_{node.key}" not in node.owner:
            return found
        value = node.sibling
    else:
        value = node.value
    if type(value) is not dict:
        return found
    known = steps_by_key(node.type) if node.type else None
    for key in value:
        if key[:1] == "_":
            if key[1:] in value:
                continue
            key = key[1:]  # noqa: PLW2901 - only what stands beside the primitive is there
        _add_child(value, key, known, found)
    return found


def under(node: Node, key: str) -> Collection:
    """The children of a node that stand under one JSON key."""
    value = node.sibling if node.type in PRIMITIVES else node.value
    found: Collection = []
    _add_child(value, key.removeprefix("_"), steps_by_key(node.type) if node.type else None, found)
    return found


def _add_child(owner: dict[str, Any], key: str, known: dict[str, Step] | None, found: Collection) -> None:
    if known is None:
        if key != RESOURCE_TYPE:
            _add_untyped(owner, key, found)
    elif key in known:
        add(owner, known[key], found)


def levels_below(nodes: Collection) -> Iterator[Collection]:
    """All that lies below some nodes: their children, the children of those, and so on."""
    level: Collection = [item for item in nodes if type(item) is Node]
    while level:
        level = [child for node in level for child in below(node)]
        yield level


def descendants(nodes: Collection) -> Iterator[Node]:
    """All that lies below some nodes, level by level."""
    for level in levels_below(nodes):
        yield from level


def _is_called(node: Node, name: str) -> bool:
    if node.type:
        return name in kinds_of(node.type)
    return type(node.value) is dict and node.value.get("resourceType") == name


def of_value(value: Any) -> Collection:
    """A value from outside (a variable, a result of a hook) as a collection."""
    if value is None:
        return []
    if type(value) is list:
        return [inner for item in value for inner in of_value(item)]
    if type(value) is float:
        return [Decimal(str(value))]
    return [resource_node(value)] if type(value) is dict else [value]
