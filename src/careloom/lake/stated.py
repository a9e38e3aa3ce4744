"""lake.stated: in a message of FHIR, the place that states an element: an entry, a line, or an operation of a patch.

Room: lake. May import: lake.trail, fhir, store.event. Standards: https://hl7.org/fhir/R4/bundle.html, RFC 6902 and
https://hl7.org/fhir/R4/fhirpatch.html

A message of any bytes may be asked about, as any bytes are kept: what cannot be read, or does not say it, is no error
but the answer that it cannot be told.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple, cast

from careloom.fhir import patch
from careloom.fhir.content import as_json
from careloom.fhir.outcome import OutcomeError
from careloom.fhir.patch import json
from careloom.fhir.patch.tree import without_empties
from careloom.fhir.resource import Resource, loads
from careloom.lake.trail import Found, value_at
from careloom.store.event import Event

LINES = ("ndjson", "import")
"""Kinds of an Event that are resources line by line."""
UNTOLD = Found((), "untold")


class Version(NamedTuple):
    """A version of a resource, and the one that it came after."""

    resource: Resource
    before: Resource | None


class _Held(NamedTuple):
    """A resource in a message, or a patch: where it stands, and what the request asks for with it."""

    where: str
    content: Any
    is_patch: bool = False
    target: str = ""
    """Of an entry that patches: `Patient/7`, or a condition."""


def stated(event: Event, version: Version, path: str) -> Found:
    """What in a message of FHIR states this element of a version that the message made.

    resource: the message brought the resource, and this element was added to it here; untold: it cannot be said.
    """
    added = UNTOLD
    shared = UNTOLD
    value = value_at(version.resource, path)
    for held in _inside(event):
        if held.is_patch:
            if (found := _of_patch(held, version, path)) is not UNTOLD:
                return found
        elif _is_same(held.content, version.resource):
            said = value_at(held.content, path)
            if said == value:
                return Found((f"{held.where}.{path}",), "element")
            # What names another entry of a transaction is written anew; the element is the same.
            if said is not None and shared is UNTOLD:
                shared = Found((f"{held.where}.{path}",), "element")
            elif added is UNTOLD:
                added = Found((held.where,), "resource")
    return added if shared is UNTOLD else shared


def _inside(event: Event) -> Iterator[_Held]:
    if event.kind in LINES:
        for number, line in enumerate(event.body.splitlines(), 1):
            if isinstance(content := _read(line), dict):
                yield from _of_resource(f"line {number}", content)
        return
    try:
        body: Any = loads(as_json(event.body, event.media))
    except (OutcomeError, ValueError):
        return
    if isinstance(body, list) or event.request.startswith("PATCH "):
        yield _Held("", _operations(body), is_patch=True)
    elif isinstance(body, dict):
        yield from _of_resource(str(body.get("resourceType", "")), cast("dict[str, Any]", body))


def _of_resource(where: str, content: dict[str, Any]) -> Iterator[_Held]:
    """The resource, and those that it brings: the entries of a Bundle, the parameters of Parameters."""
    yield _Held(where, content)
    kind = content.get("resourceType")
    name = {"Bundle": "entry", "Parameters": "parameter"}.get(kind) if isinstance(kind, str) else None
    found: Any = content.get(name) if name else None
    for number, entry in enumerate(cast("list[Any]", found) if isinstance(found, list) else []):
        request: Any = entry.get("request") if isinstance(entry, dict) else None
        inner: Any = entry.get("resource") if isinstance(entry, dict) else None
        if not isinstance(inner, dict):
            continue
        at = f"{where}.{name}[{number}].resource"
        if isinstance(request, dict) and request.get("method") == "PATCH":
            yield _Held(at, _operations(inner), is_patch=True, target=str(request.get("url", "")))
        else:
            yield from _of_resource(at, cast("dict[str, Any]", inner))


def _read(line: bytes) -> Any:
    try:
        return loads(line) if line.strip() else None
    except OutcomeError:
        return None


def _operations(body: Any) -> Any:
    """A patch as it is applied; a Binary holds a JSON Patch as base64."""
    try:
        return patch.operations_of(body)
    except OutcomeError:
        return None


def _of_patch(held: _Held, version: Version, path: str) -> Found:
    """The last operation that changed the element, found by doing them one by one on the version before."""
    rtype, id_ = version.resource.get("resourceType"), version.resource.get("id")
    if version.before is None or (held.target and "?" not in held.target and held.target != f"{rtype}/{id_}"):
        return UNTOLD
    work, value = version.before, value_at(version.before, path)
    last = UNTOLD
    try:
        for at, operation in _each(held):
            # Between two operations of one patch there may be an empty object, which patch.apply would drop.
            work = (
                json.apply(work, operation) if isinstance(operation, list) else patch.apply(work, operation)
            )
            if (now := value_at(work, path)) != value:
                value, last = now, Found((f"{at} ({_said(operation)})",), "element")
    except OutcomeError:
        return UNTOLD
    # An entry that patches by a condition may have been meant for another resource.
    return last if _skeleton(without_empties(work)) == _skeleton(version.resource) else UNTOLD


def _each(held: _Held) -> Iterator[tuple[str, Any]]:
    """Each operation as a patch of its own, and where it stands."""
    begin, given = f"{held.where}." if held.where else "", held.content
    if isinstance(given, list):
        for number, operation in enumerate(cast("list[Any]", given)):
            yield f"{begin}patch[{number}]", [operation]
    elif isinstance(given, dict) and isinstance(given.get("parameter"), list):
        for number, operation in enumerate(given["parameter"]):
            yield f"{begin or 'Parameters.'}parameter[{number}]", given | {"parameter": [operation]}


def _said(operation: Any) -> str:
    """What an operation, which was done and so is one, does and to what."""
    if isinstance(operation, list):
        return f"{operation[0]['op']} {operation[0]['path']}"
    parts = {part["name"]: part for part in operation["parameter"][0]["part"]}
    values = (_value(parts[name]) for name in ("type", "path", "name") if name in parts)
    return " ".join(values)


def _value(part: dict[str, Any]) -> str:
    return next((str(value) for name, value in part.items() if name.startswith("value")), "")


def _is_same(stated: Resource, stored: Resource) -> bool:
    """Whether this became that: the id and what names other entries are given anew in a transaction."""
    if stated.get("resourceType") != stored.get("resourceType"):
        return False
    return stated.get("id") == stored.get("id") or _skeleton(stated) == _skeleton(stored)


def _skeleton(resource: Resource) -> Any:
    return _without_references({n: held for n, held in resource.items() if n not in ("id", "meta", "text")})


def _without_references(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_references(held) for name, held in value.items() if name != "reference"}
    return [_without_references(held) for held in value] if isinstance(value, list) else value
