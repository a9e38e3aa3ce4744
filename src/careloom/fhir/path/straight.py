"""fhir.path.straight: a path of names walked in the JSON itself, where the types leave no choice of a key.

Room: fhir. May import: fhir.path. Standard: http://hl7.org/fhirpath/N1/#path-selection

What is found without its place is quicker to find: who wants no more than values (`Want`) is given those.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from careloom.fhir.path.types import PRIMITIVES, Step, kinds_of, resource_node, steps
from careloom.fhir.path.value import PLAIN, Collection, Node, Want

Spend = Callable[[int], None]
Straight = Callable[[dict[str, Any], Spend], Collection]
"""From the JSON of a node to what the path finds; raises AttributeError or TypeError for JSON of another shape.

The second argument is told the steps that it took, where more than a few objects were gone through.
"""
FEW = 8
"""So many objects on the way are one step, which is what they cost in time; as many or fewer are not counted."""


def straight_way(
    owner: str, names: tuple[str, ...], want: Want, *, is_start: bool
) -> tuple[Straight, int] | None:
    """The walk from a type along the names that leave no choice, up to the first that does, and how many those are.

    None where already the first name leads to nothing that can be walked so.

    >>> walk, count = straight_way("Patient", ("name", "given"), Want.JSON, is_start=True)
    >>> walk({"name": [{"given": ["A", "B"]}, {"given": ["C"]}]}, print)
    ['A', 'B', 'C']
    """
    count = 0
    if is_start and names[0][:1].isupper():
        if names[0] not in kinds_of(owner):
            return None
        count = 1
    hops: list[tuple[Step, ...]] = []
    for name in names[count:]:
        found: tuple[Step, ...] = steps(owner).get(name, ()) if owner not in PRIMITIVES else ()
        owner = found[0].type if found else "Resource"
        if owner == "Resource":
            break
        hops.append(found)
        count += 1
        if len(found) > 1:
            break
    if not hops:
        return None
    of_last = want if count == len(names) else Want.NODES
    return _walk([hop[0] for hop in hops[:-1]], hops[-1], of_last), count


def _walk(hops: list[Step], last: tuple[Step, ...], want: Want) -> Straight:
    put = _adder(last[0], want) if len(last) == 1 else _chooser(last, want)
    if not hops:
        return put
    if len(hops) == 1 and hops[0].is_many:
        key = hops[0].key
        if len(last) == 1 and last[0].is_primitive and not last[0].is_many and _is_bare(last[0], want):
            return _ones_of_many(key, last[0])

        def of_many(value: dict[str, Any], spend: Spend) -> Collection:
            owners = value.get(key, ())
            if len(owners) > FEW:
                spend(len(owners) // FEW)
            return [item for owner in owners for item in put(owner, spend)]

        return of_many

    def run(value: dict[str, Any], spend: Spend) -> Collection:
        owners = [value]
        for key, _, _, is_many, _ in hops:
            if is_many:
                owners = [inner for owner in owners for inner in owner.get(key, ())]
            else:
                owners = [owner[key] for owner in owners if key in owner]
            if len(owners) > FEW:
                spend(len(owners) // FEW)
        if len(owners) == 1:
            return put(owners[0], spend)
        return [item for owner in owners for item in put(owner, spend)]

    return run


def _ones_of_many(key: str, last: Step) -> Straight:
    """`telecom.value`: one primitive of each of many."""
    name, put = last.key, _adder(last, Want.JSON)

    def run(value: dict[str, Any], spend: Spend) -> Collection:
        found: Collection = []
        owners = value.get(key, ())
        if len(owners) > FEW:
            spend(len(owners) // FEW)
        for owner in owners:
            item = owner.get(name)
            if item is None or type(item) is list:
                found += put(owner, spend)
            else:
                found.append(item)
        return found

    return run


def _is_bare(step: Step, want: Want) -> bool:
    return want is Want.JSON or (want is Want.VALUES and step.type in PLAIN)


def _chooser(choice: tuple[Step, ...], want: Want) -> Straight:
    """What stands under the one of several keys that is there."""
    puts = {key: _adder(step, want) for step in choice for key in (step.sibling, step.key)}
    puts.pop("", None)

    def put(owner: dict[str, Any], spend: Spend) -> Collection:
        if type(owner) is not dict:
            raise TypeError  # a text too could be gone through
        for key in owner:
            if key in puts:
                return puts[key](owner, spend)
        return []

    return put


def _adder(step: Step, want: Want) -> Straight:
    """What stands under one key of an object. What stands beside a primitive matters where it may be there alone."""
    key, kind, _, is_many, sibling = step

    def bare_one(owner: dict[str, Any], _spend: Spend) -> Collection:
        value = owner.get(key)
        return _with_care(owner, step) if value is None or type(value) is list else [value]

    def bare_all(owner: dict[str, Any], _spend: Spend) -> Collection:
        value = owner.get(key)
        if type(value) is not list or sibling in owner or None in value:
            return _with_care(owner, step)
        return value

    def placed_one(owner: dict[str, Any], _spend: Spend) -> Collection:
        value = owner.get(key)
        if value is None or type(value) is list:
            return _with_care(owner, step)
        return [Node(value, kind, owner, key, None)]

    def placed_all(owner: dict[str, Any], _spend: Spend) -> Collection:
        found: Collection = []
        add(owner, step, found)
        return found

    if _is_bare(step, want):
        return bare_all if is_many else bare_one
    return placed_all if is_many else placed_one


def _with_care(owner: dict[str, Any], step: Step) -> Collection:
    found: Collection = []
    if step.key in owner or step.sibling in owner:
        _add_with_care(owner, step, found)
    return found


def add(owner: dict[str, Any], step: Step, found: Collection) -> None:
    """All that stands under a key: at once where the JSON is as R4 asks and nothing stands beside it."""
    key, kind, is_primitive, is_many, sibling = step
    value = owner.get(key)
    if is_primitive and sibling in owner:
        _add_with_care(owner, step, found)
    elif value is None:
        return
    elif kind == "Resource" or (type(value) is list) != is_many:
        _add_with_care(owner, step, found)
    elif is_many:
        found += [Node(item, kind, owner, key, place) for place, item in enumerate(value) if item is not None]
    else:
        found.append(Node(value, kind, owner, key, None))


def _add_with_care(owner: dict[str, Any], step: Step, found: Collection) -> None:
    """The same where primitives have siblings, for resources, and for JSON of another shape than R4 asks for."""
    key, kind = step.key, step.type
    values, beside = owner.get(key), owner.get(step.sibling) if step.is_primitive else None
    is_list = type(values) is list or type(beside) is list
    values, beside = _as_list(values), _as_list(beside)
    for place in range(max(len(values), len(beside))):
        value = values[place] if place < len(values) else None
        where = place if is_list else None
        if kind == "Resource":
            found.append(resource_node(value, owner, key, where))
        elif value is not None or (place < len(beside) and type(beside[place]) is dict):
            found.append(Node(value, kind, owner, key, where))


def _as_list(value: Any) -> list[Any]:
    return value if type(value) is list else [] if value is None else [value]
