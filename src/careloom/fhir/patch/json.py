"""fhir.patch.json: JSON Patch.

Room: fhir. May import: fhir.outcome, fhir.patch.tree. Standard: RFC 6902, with pointers by RFC 6901
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple

from careloom.fhir.outcome import Issue, OutcomeError
from careloom.fhir.patch.tree import copied, is_same, size

MAX_OPERATIONS = 1000
MAX_COPIED = 200_000
"""Values that the copy operations of one patch may make: copies of copies double each time."""

_INDEX = re.compile(r"0|[1-9][0-9]{0,8}", re.ASCII)
_ESCAPE = re.compile(r"~(?![01])")


class Place(NamedTuple):
    """Where an operation works: an object or array, and a key or index in it; key None is the whole document."""

    owner: Any
    key: str | int | None


class _Document:
    """The document under work."""

    def __init__(self, root: Any) -> None:
        self.root = root
        self.copies = 0

    def value(self, pointer: list[str], where: str) -> Any:
        value = self.root
        for token in pointer:
            value = _inside(value, token, where)
        return value

    def place(self, pointer: list[str], where: str, *, is_new: bool = False) -> Place:
        """The place that a pointer names; `is_new` also one where nothing stands yet."""
        if not pointer:
            return Place(None, None)
        owner = self.value(pointer[:-1], where)
        if not is_new:
            _inside(owner, pointer[-1], where)
        return Place(owner, _key(owner, pointer[-1], where, is_new=is_new))


def apply(document: Any, operations: list[Any]) -> Any:
    """The document with all operations applied; raises OutcomeError that names the operation.

    >>> apply({"a": [1]}, [{"op": "add", "path": "/a/-", "value": 2}])
    {'a': [1, 2]}
    """
    if len(operations) > MAX_OPERATIONS:
        raise OutcomeError(Issue("too-costly", f"A patch may have {MAX_OPERATIONS} operations."))
    work = _Document(copied(document))
    for number, operation in enumerate(operations):
        _run(work, operation, f"patch[{number}]")
    return work.root


def _run(work: _Document, operation: Any, where: str) -> None:
    name = operation.get("op") if isinstance(operation, dict) else None
    run = _OPERATIONS.get(name) if isinstance(name, str) else None
    if run is None:
        raise _malformed(
            "An operation is an object whose op is add, remove, replace, move, copy or test", where
        )
    run(work, operation, where)


def _add(work: _Document, operation: dict[str, Any], where: str) -> None:
    _put(work, _pointer(operation, "path", where), _value(operation, where), where)


def _remove(work: _Document, operation: dict[str, Any], where: str) -> None:
    _take(work, _pointer(operation, "path", where), where)


def _replace(work: _Document, operation: dict[str, Any], where: str) -> None:
    place = work.place(_pointer(operation, "path", where), where)
    value = _value(operation, where)
    if place.key is None:
        work.root = value
    else:
        place.owner[place.key] = value


def _move(work: _Document, operation: dict[str, Any], where: str) -> None:
    source, target = _pointer(operation, "from", where), _pointer(operation, "path", where)
    if len(target) > len(source) and target[: len(source)] == source:
        raise _unfit("A value cannot be moved into itself", where)
    if source == target:
        work.value(source, where)
        return
    _put(work, target, _take(work, source, where), where)


def _copy(work: _Document, operation: dict[str, Any], where: str) -> None:
    value = work.value(_pointer(operation, "from", where), where)
    work.copies += size(value)
    if work.copies > MAX_COPIED:
        raise OutcomeError(Issue("too-costly", "The copies of this patch are too large.", where))
    _put(work, _pointer(operation, "path", where), copied(value), where)


def _test(work: _Document, operation: dict[str, Any], where: str) -> None:
    if not is_same(work.value(_pointer(operation, "path", where), where), _value(operation, where)):
        raise _unfit("The test fails: another value stands there", where)


_OPERATIONS: dict[str, Callable[[_Document, dict[str, Any], str], None]] = {
    "add": _add,
    "remove": _remove,
    "replace": _replace,
    "move": _move,
    "copy": _copy,
    "test": _test,
}


def _put(work: _Document, pointer: list[str], value: Any, where: str) -> None:
    place = work.place(pointer, where, is_new=True)
    if place.key is None:
        work.root = value
    elif isinstance(place.owner, list):
        place.owner.insert(place.key, value)  # pyright: ignore[reportArgumentType] - an index in a list
    else:
        place.owner[place.key] = value


def _take(work: _Document, pointer: list[str], where: str) -> Any:
    place = work.place(pointer, where)
    if place.key is None:
        raise _unfit("The whole resource cannot be taken away", where)
    return place.owner.pop(place.key)


def _pointer(operation: dict[str, Any], name: str, where: str) -> list[str]:
    """The tokens of a JSON Pointer."""
    text = operation.get(name)
    if not isinstance(text, str) or (text and text[0] != "/") or _ESCAPE.search(text):
        raise _malformed(f"{name} must be a JSON Pointer, like /name/0/given", where)
    return [token.replace("~1", "/").replace("~0", "~") for token in text.split("/")[1:]]


def _value(operation: dict[str, Any], where: str) -> Any:
    if "value" not in operation:
        raise _malformed("The operation needs a value", where)
    return copied(operation["value"])


def _inside(owner: Any, token: str, where: str) -> Any:
    key = _key(owner, token, where, is_new=False)
    if isinstance(owner, dict) and key not in owner:
        raise _unfit("There is nothing where the pointer leads", where)
    return owner[key]


def _key(owner: Any, token: str, where: str, *, is_new: bool) -> str | int:
    if isinstance(owner, dict):
        return token
    if not isinstance(owner, list):
        raise _unfit("There is nothing where the pointer leads", where)
    if token == "-" and is_new:  # noqa: S105 - the place behind the last item
        return len(owner)
    if _INDEX.fullmatch(token) is None:
        raise _unfit("In an array the pointer needs an index", where)
    if int(token) >= len(owner) + is_new:
        raise _unfit("The index lies outside of the array", where)
    return int(token)


def _malformed(text: str, where: str) -> OutcomeError:
    return OutcomeError(Issue("structure", f"{text} ({where}).", where))


def _unfit(text: str, where: str) -> OutcomeError:
    return OutcomeError(Issue("processing", f"{text} ({where}).", where))
