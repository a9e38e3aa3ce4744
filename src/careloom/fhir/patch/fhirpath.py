"""fhir.patch.fhirpath: FHIRPath Patch: a Parameters resource that adds, inserts, deletes, replaces and moves elements.

Room: fhir. May import: fhir.path, fhir.patch, fhir.outcome. Standard: https://hl7.org/fhir/R4/fhirpatch.html
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from careloom.fhir.outcome import Issue, OutcomeError
from careloom.fhir.patch.element import (
    element_object,
    elements,
    keys_of,
    malformed,
    put,
    put_back,
    type_of,
    unfit,
    value_of,
)
from careloom.fhir.patch.tree import copied, without_empties
from careloom.fhir.path import Node, compile, parse  # noqa: A004 - as re.compile
from careloom.fhir.path.compiled import of_tree
from careloom.fhir.path.tree import Member
from careloom.fhir.path.types import resource_node, steps
from careloom.fhir.resource import Resource

MAX_OPERATIONS = 1000

Parts = dict[str, Any]
"""The parts of one operation by name: type, path, name, value (the whole part), index, source, destination."""


def apply(resource: Resource, parameters: Resource) -> Resource:
    """The resource with all operations applied; raises OutcomeError that names the operation."""
    given = parameters.get("parameter", [])
    if not isinstance(given, list) or len(given) > MAX_OPERATIONS:
        raise OutcomeError(Issue("too-costly", f"A patch may have {MAX_OPERATIONS} operations."))
    work = copied(resource)
    for number, parameter in enumerate(given):
        where = f"Parameters.parameter[{number}]"
        try:
            work = without_empties(_applied(work, _parts(parameter)))
        except OutcomeError as error:
            raise OutcomeError(*(Issue(i.code, f"{i.text} ({where})", where) for i in error.issues)) from None
    return work


def _parts(parameter: Any) -> Parts:
    if not isinstance(parameter, dict) or parameter.get("name") != "operation":
        raise malformed("Each parameter must be an operation")
    found: Parts = {}
    given = parameter.get("part", [])
    if not isinstance(given, list):
        raise malformed("The parts of an operation are a list")
    for part in given:
        name = part.get("name") if isinstance(part, dict) else None
        if not isinstance(name, str) or name in found:
            raise malformed("Each part of an operation has a name of its own")
        found[name] = part if name == "value" else _plain(part)
    return found


def _plain(part: dict[str, Any]) -> Any:
    return next((value for key, value in part.items() if key.startswith("value")), None)


def _applied(work: Resource, parts: Parts) -> Resource:
    kind = parts.get("type")
    run = _OPERATIONS.get(kind) if isinstance(kind, str) else None
    if run is None:
        raise malformed("The type of an operation is add, insert, delete, replace or move")
    path = parts.get("path")
    if not isinstance(path, str):
        raise malformed("An operation needs a path, a FHIRPath")
    run(work, path, parts)
    return work


def _add(work: Resource, path: str, parts: Parts) -> None:
    target = _one(_nodes(work, path), "add to")
    name = parts.get("name")
    if not isinstance(name, str):
        raise malformed("add needs the name of the element")
    owner = element_object(target)
    step, element = value_of(_value(parts), target.type, name)
    if not step.is_many and any(key in owner for key in keys_of(target.type, name)):
        raise unfit("The element that add names is there already, and only one may be: use replace")
    put(owner, step.key, [*elements(owner, step.key), element] if step.is_many else element)


def _insert(work: Resource, path: str, parts: Parts) -> None:
    owner, key = _list_at(work, path)
    found = elements(owner, key)
    index = _index(parts, "index", len(found))
    _, element = value_of(_value(parts), type_of(work, owner), key)
    put(owner, key, [*found[:index], element, *found[index:]])


def _delete(work: Resource, path: str, _parts_of: Parts) -> None:
    found = _nodes(work, path)
    if not found:
        return  # R4: "If the element does not exist, then the delete has no effect"
    put_back(_place(_one(found, "delete")), None)


def _replace(work: Resource, path: str, parts: Parts) -> None:
    node = _place(_one(_nodes(work, path), "replace"))
    step, element = value_of(_value(parts), type_of(work, node.owner), node.key)
    put_back(node, element, step.key)


def _move(work: Resource, path: str, parts: Parts) -> None:
    owner, key = _list_at(work, path)
    found = elements(owner, key)
    source = _index(parts, "source", len(found) - 1)
    target = _index(parts, "destination", len(found) - 1)
    moved = found.pop(source)
    put(owner, key, [*found[:target], moved, *found[target:]])


_OPERATIONS: dict[str, Callable[[Resource, str, Parts], None]] = {
    "add": _add,
    "insert": _insert,
    "delete": _delete,
    "replace": _replace,
    "move": _move,
}


def _nodes(work: Resource, path: str) -> list[Any]:
    return compile(path).nodes(work)


def _one(found: list[Any], verb: str) -> Node:
    """The only element that a path leads to."""
    if not found:
        raise unfit(f"There is nothing at the path to {verb}")
    if len(found) > 1:
        raise unfit(f"There are several elements at the path to {verb}, and one is asked for")
    if not isinstance(found[0], Node):
        raise unfit("The path leads to a value and to no element")
    return found[0]


def _place(node: Node) -> Node:
    if node.owner is None:
        raise unfit("The path leads to the whole resource, which a patch cannot delete or replace")
    return node


def _list_at(work: Resource, path: str) -> tuple[dict[str, Any], str]:
    """The owner and the key of the list that a path leads to; of one not yet there, if its owner is."""
    found = _nodes(work, path)
    places = {
        (id(node.owner), node.key) for node in found if isinstance(node, Node) and node.place is not None
    }
    if found and len(places) == 1 and len(found) == sum(isinstance(node, Node) for node in found):
        return _place(found[0]).owner or {}, found[0].key
    tree = parse(path)
    if found or not isinstance(tree, Member):
        raise unfit("The path leads to no list")
    owners = [resource_node(work)] if tree.base is None else of_tree(tree.base).nodes(work)
    owner = _one(owners, "put a list in")
    group = steps(owner.type).get(tree.name, ())
    if len(group) != 1 or not group[0].is_many:
        raise unfit("The path leads to no list")
    return element_object(owner), group[0].key


def _index(parts: Parts, name: str, largest: int) -> int:
    index = parts.get(name)
    if not isinstance(index, int) or isinstance(index, bool):
        raise malformed(f"The operation needs the integer {name}")
    if not 0 <= index <= largest:
        raise unfit(f"The {name} lies outside of the list")
    return index


def _value(parts: Parts) -> dict[str, Any]:
    value = parts.get("value")
    if not isinstance(value, dict):
        raise malformed("The operation needs a value")
    return value
