"""fhir.patch.tree: JSON values copied, compared, counted and freed of what is empty.

Room: fhir. May import: the standard library only. Standard: https://hl7.org/fhir/R4/json.html
"""

from __future__ import annotations

from typing import Any


def copied(value: Any) -> Any:
    """A copy that shares no object or array."""
    if isinstance(value, dict):
        return {key: copied(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [copied(inner) for inner in value]
    return value


def size(value: Any) -> int:
    """How many values it is made of."""
    if isinstance(value, dict):
        return 1 + sum(map(size, value.values()))
    return 1 + sum(map(size, value)) if isinstance(value, list) else 1


def is_same(one: Any, other: Any) -> bool:
    """Whether two JSON values are equal (RFC 6902, 4.6): numbers by what they amount to, true is not 1.

    >>> is_same({"a": [1, 2]}, {"a": [1, 2]}), is_same(True, 1)
    (True, False)
    """
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(is_same(inner, other[key]) for key, inner in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(is_same, one, other))
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    return one == other


def without_empties(value: Any) -> Any:
    """The value without empty objects and arrays below it; a null in a list of primitives keeps its place.

    >>> without_empties({"a": {"b": []}, "c": [{}], "d": [None, 1]})
    {'d': [None, 1]}
    """
    if isinstance(value, dict):
        kept = ((key, without_empties(inner)) for key, inner in value.items())
        return {key: inner for key, inner in kept if not _is_empty(inner)}
    if isinstance(value, list):
        return [inner for inner in map(without_empties, value) if not _is_empty(inner)]
    return value


def _is_empty(value: Any) -> bool:
    return isinstance(value, dict | list) and not value
