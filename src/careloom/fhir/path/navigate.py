"""fhir.path.navigate: from nodes to what lies below them: by a name, by a chain of names, and all of it.

Room: fhir. May import: fhir.path. Standard: http://hl7.org/fhirpath/N1/#path-selection and https://hl7.org/fhir/R4/fhirpath.html

Nothing here trusts the JSON to have the shape that the definitions ask for: what has another is passed over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any, NamedTuple

from careloom.fhir.path.types import PRIMITIVES, Step, kinds_of, resource_node, steps, steps_by_key
from careloom.fhir.path.value import Collection, Node, Quantity

Walk = Callable[[Collection], Collection]

_new = tuple.__new__


def member(name: str) -> Walk:
    """What the name leads to from each node of a collection."""
    leads = _Leads(name)

    def walk(items: Collection) -> Collection:
        found: Collection = []
        for item in items:
            if type(item) is Node:
                leads.add(item, found)
            elif type(item) is Quantity and name in {"value", "unit"}:
                found.append(getattr(item, name))
        return found

    return walk


def start(name: str) -> Walk:
    """A name at the start of a path: it may also be that of the type of the context (`Patient.name`)."""
    by_name = member(name)

    def walk(items: Collection) -> Collection:
        is_typed = [item for item in items if type(item) is Node and _is_called(item, name)]
        return is_typed or by_name(items)

    return walk if name[:1].isupper() else by_name


def chain(names: tuple[str, ...]) -> Walk:
    """A path of names: `start`, then `member`s. Where types leave no choice, the JSON is walked without nodes between."""
    walks = [start(names[0]), *map(member, names[1:])]
    plans: dict[str, _Plan | None] = {}

    def walk(items: Collection) -> Collection:
        if len(items) == 1 and type(items[0]) is Node:
            node = items[0]
            if node.type not in plans:
                plans[node.type] = _plan(node.type, names) if node.type else None
            plan = plans[node.type]
            if plan is not None:
                try:
                    return _walk_fast(node, plan)
                except (AttributeError, TypeError):
                    pass  # the JSON is not of the shape that R4 asks for
        for one in walks:
            items = one(items)
        return items

    return walk


class _Plan(NamedTuple):
    hops: tuple[tuple[str, bool], ...]
    """Keys on the way, and whether each holds a list."""
    last: Step


def _plan(owner: str, names: tuple[str, ...]) -> _Plan | None:
    if names[0][:1].isupper():
        if names[0] not in kinds_of(owner):
            return None
        names = names[1:]
    hops: list[Step] = []
    for name in names:
        found = steps(owner).get(name, ()) if owner not in PRIMITIVES else ()
        if len(found) != 1 or found[0].type == "Resource":
            return None
        hops.append(found[0])
        owner = found[0].type
    return _Plan(tuple((hop.key, hop.is_many) for hop in hops[:-1]), hops[-1]) if hops else None


def _walk_fast(node: Node, plan: _Plan) -> Collection:
    owners: list[dict[str, Any]] = [node.value]
    for key, is_many in plan.hops:
        if is_many:
            owners = [inner for owner in owners for inner in owner.get(key, ())]
        else:
            owners = [owner[key] for owner in owners if key in owner]
    key, kind, is_primitive, is_many = plan.last
    found: Collection = []
    for owner in owners:
        value = owner.get(key)
        if value is None:
            if is_primitive and f"_{key}" in owner:
                _add_key(owner, plan.last, found)
        elif not is_many:
            if type(value) is list:
                raise TypeError
            found.append(_new(Node, (value, kind, owner, key, None)))
        elif is_primitive and f"_{key}" in owner:
            _add_key(owner, plan.last, found)
        else:
            found += [_new(Node, (item, kind, owner, key, index)) for index, item in enumerate(value)]
    return found


class _Leads:
    """Where one name leads from each type."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._of_type: dict[str, tuple[Step, ...]] = {}

    def add(self, node: Node, found: Collection) -> None:
        value, kind = node.value, node.type
        if kind == "":
            if type(value) is dict and self._name != "extension":
                _add_untyped(value, self._name, found)
                return
            # Extensions look alike everywhere, also where no definition tells what they extend.
            kind = "Element"
            value = value if type(value) is dict else node.sibling
        known = self._of_type.get(kind)
        if known is None:
            known = self._of_type[kind] = steps(kind).get(self._name, ())
        if kind in PRIMITIVES:
            if not known:
                return
            value = node.sibling
        if type(value) is dict:
            for step in known:
                if step.key in value or (step.is_primitive and f"_{step.key}" in value):
                    _add_key(value, step, found)


def _add_key(owner: dict[str, Any], step: Step, found: Collection) -> None:
    """All that stands under a key, with primitives of which only `_key` is there."""
    key, kind = step.key, step.type
    values = owner.get(key)
    beside = owner.get(f"_{key}") if step.is_primitive else None
    if type(values) is not list and type(beside) is not list:
        _add_one(owner, step, None, found)
        return
    count = max(len(values) if type(values) is list else 0, len(beside) if type(beside) is list else 0)
    for index in range(count):
        value = values[index] if type(values) is list and index < len(values) else None
        if kind == "Resource":
            found.append(resource_node(value, owner, key, index))
            continue
        node = _new(Node, (value, kind, owner, key, index))
        if value is not None or node.sibling:
            found.append(node)


def _add_one(owner: dict[str, Any], step: Step, index: int | None, found: Collection) -> None:
    value = owner.get(step.key)
    if step.type == "Resource":
        found.append(resource_node(value, owner, step.key, index))
        return
    node = Node(value, step.type, owner, step.key, index)
    if value is not None or node.sibling:
        found.append(node)


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


def below(node: Node) -> Iterator[Node]:
    """The children of a node, in the order in which the JSON gives them."""
    value = node.sibling if node.type in PRIMITIVES else node.value
    if type(value) is not dict:
        return
    found: Collection = []
    known = steps_by_key(node.type) if node.type else {}
    for key in value:
        bare = key.removeprefix("_")
        if key != bare and bare in value:
            continue
        step = known.get(bare)
        if step is not None:
            _add_key(value, step, found)
        elif node.type == "" and bare != "resourceType":
            _add_untyped(value, bare, found)
    yield from found


def descendants(nodes: Collection) -> Iterator[Node]:
    """All that lies below some nodes, level by level."""
    level = [item for item in nodes if type(item) is Node]
    while level:
        level = [child for node in level for child in below(node)]
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
