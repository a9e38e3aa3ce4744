"""lake.trail: in the loss ledger of a message, the fields that state an element of a resource.

Room: lake. May import: store.ledger, store.read. The ledger names one element for each field. A field that serves
several (the code of an order is that of its report), what points to another resource, and what the map adds by itself
(the intent of an order) have no line of their own: they are found by the resource that the line speaks of.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, Literal, NamedTuple

from careloom.fhir.outcome import Issue, OutcomeError
from careloom.fhir.resource import Resource
from careloom.store.ledger import LedgerLine
from careloom.store.read import Reader

How = Literal["element", "reference", "shared", "resource", "none", "untold"]

_STEP = re.compile(r"([A-Za-z_]+)(?:\[(\d+)\])?")


class Found(NamedTuple):
    """Fields of a message, and in what way they state the element.

    element: they became it, a part of it, or what it is a part of; reference: they identify what it points to; shared:
    they became the same element, with the same value, of another resource; resource: they became other elements of
    the resource, and the map adds this one; none: the map states it of no field; untold: it cannot be said.
    """

    fields: tuple[str, ...]
    how: How


def trail(lines: Sequence[LedgerLine], resource: Resource, path: str, read: Reader) -> Found:
    """The fields behind an element of a resource that a message stated."""
    mapped = [line for line in lines if line.fate == "mapped"]
    name = f"{resource['resourceType']}/{resource['id']}"
    if fields := _of_element(mapped, name, path):
        return Found(fields, "element")
    value = value_at(resource, path)
    if path.endswith("reference") and isinstance(value, str):
        named = _of_element(mapped, value, "identifier") or _of_resource(mapped, value)
        if named:
            return Found(named, "reference")
    if fields := _shared(mapped, resource, path, read):
        return Found(fields, "shared")
    fields = _of_resource(mapped, name)
    if not fields:
        whole = (_shared(mapped, resource, leaf, read) for leaf in leaves(resource))
        fields = tuple(dict.fromkeys(field for some in whole for field in some))
    return Found(fields, "resource" if fields else "none")


def value_at(resource: Resource, path: str) -> Any:
    """The value at a path; None where there is none. Raises OutcomeError(invalid) for what is no path.

    >>> value_at({"name": [{"given": ["Ada", "B"]}]}, "name[0].given[1]")
    'B'
    """
    value: Any = resource
    for step in path.split("."):
        match = _STEP.fullmatch(step)
        if match is None:
            text = "A column is a path such as birthDate, name[0].family or valueQuantity.value."
            raise OutcomeError(Issue("invalid", text))
        value = value.get(match[1]) if isinstance(value, dict) else None
        if match[2] is not None:
            at = int(match[2])
            value = value[at] if isinstance(value, list) and at < len(value) else None
    return value


def leaves(value: Any, path: str = "") -> Iterator[str]:
    """The paths of all values that have no parts.

    >>> list(leaves({"name": [{"given": ["Ada"]}], "active": True}))
    ['name[0].given[0]', 'active']
    """
    if isinstance(value, dict):
        for name, held in value.items():
            yield from leaves(held, f"{path}.{name}" if path else str(name))
    elif isinstance(value, list):
        for at, held in enumerate(value):
            yield from leaves(held, f"{path}[{at}]")
    else:
        yield path


def _of_element(lines: Sequence[LedgerLine], name: str, path: str) -> tuple[str, ...]:
    """The fields that became this element or parts of it; else those of the nearest element that it stands in."""
    begins = f"{name}."
    of_this = [(line.where, line.target[len(begins) :]) for line in lines if line.target.startswith(begins)]
    while path:
        exact = [where for where, target in of_this if target == path]
        within = [where for where, target in of_this if target.startswith((f"{path}.", f"{path}["))]
        # The mapper counts what it states; in the resource other repetitions may stand before them.
        moved = [where for where, target in of_this if _plain(target) == _plain(path)]
        if found := exact or within or moved:
            return tuple(dict.fromkeys(found))
        path = path[:-1].rpartition("[")[0] if path.endswith("]") else path.rpartition(".")[0]
    return ()


def _of_resource(lines: Sequence[LedgerLine], name: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(line.where for line in lines if line.target.startswith(f"{name}.")))


def _shared(lines: Sequence[LedgerLine], resource: Resource, path: str, read: Reader) -> tuple[str, ...]:
    """The fields that became the same element of another resource, and give it the same value there."""
    value = value_at(resource, path)
    found: list[str] = []
    for line in lines:
        name, _, target = line.target.partition(".")
        if _plain(target) != _plain(path) and not _plain(path).startswith(f"{_plain(target)}."):
            continue
        rtype, _, id_ = name.partition("/")
        other = read.resource(rtype, id_)
        # The line may speak of a part of what is asked for: of the coding's code, when its display is the cell.
        if other is not None and value in (value_at(other, target), value_at(other, path)):
            found.append(line.where)
    return tuple(dict.fromkeys(found))


def _plain(path: str) -> str:
    return re.sub(r"\[\d+\]", "", path)
