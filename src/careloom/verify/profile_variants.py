"""verify.profile_variants: a valid example made wrong in the ways that its profile forbids, one at a time.

Room: verify. Read from the StructureDefinition as it is published, not from what careloom makes of it, so that the two
can be held against each other. Standard: https://hl7.org/fhir/R4/profiling.html
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

from careloom.fhir.facts import facts
from careloom.fhir.profile.terms import Members, Terms
from careloom.fhir.resource import Resource
from careloom.fhir.xml.slot import slots

WRONG_CODE = "not-a-code"


class Variant(NamedTuple):
    """What was done, to which element, and the resource that came of it."""

    kind: str
    element: str
    resource: Resource


def variants(example: Resource, profile: Resource, terms: Terms) -> Iterator[Variant]:
    """Every variant of an example that breaks one rule of the profile.

    Codes are only changed where all codes of the value set are known.
    """
    elements = profile["snapshot"]["element"]
    for element in elements:
        if ":" not in element["id"]:
            yield from _of_element(example, element, terms)
        elif "sliceName" in element and element["id"].count(":") == 1:
            yield from _of_slice(example, element, elements)


def _of_element(example: Resource, element: Resource, terms: Terms) -> Iterator[Variant]:
    path = element["path"].split(".")[1:]
    keys = _keys(path[-1], element) if path else []
    if element.get("min", 0) > 0:
        yield from _each("required element removed", example, path, keys, element, _remove)
    binding = element.get("binding", {})
    if binding.get("strength") == "required" and "valueSet" in binding:
        members = terms.members(binding["valueSet"])
        wrong = _wrong_code(example["resourceType"], path, members)
        if not members.undecided and members.codes:
            change = partial(_spoil_code, wrong=wrong)
            yield from _each("code outside a required binding", example, path, keys, element, change)
    if any(key.startswith(("fixed", "pattern")) for key in element):
        yield from _each("fixed or pattern value changed", example, path, keys, element, _spoil_value)
    if element.get("max") == "0" or (path and len(path) == 1 and _is_narrowed(element)):
        yield from _each("more than the maximum", example, path, keys, element, _repeat)


def _is_narrowed(element: Resource) -> bool:
    return element.get("max") == "1" and element.get("base", {}).get("max") == "*"


def _keys(name: str, element: Resource) -> list[str]:
    """The JSON keys of an element: one for each type of a choice."""
    if not name.endswith("[x]"):
        return [name]
    codes = [kind["code"] for kind in element.get("type", ())]
    return [name[:-3] + code[0].upper() + code[1:] for code in codes]


def _each(
    kind: str,
    example: Resource,
    path: list[str],
    keys: list[str],
    element: Resource,
    change: Callable[[Resource, str], bool],
) -> Iterator[Variant]:
    """One variant for the first place that has the element, changed there."""
    if any(name.endswith("[x]") for name in path[:-1]):
        return
    resource = copy.deepcopy(example)
    for owner in _owners(resource, path[:-1]):
        key = next((key for key in keys if key in owner), None)
        if key is not None and change(owner, key):
            yield Variant(kind, element["id"], resource)
            return


def _owners(resource: Resource, path: list[str]) -> list[Resource]:
    found: list[Any] = [resource]
    for name in path:
        inner: list[Any] = [owner[name] for owner in found if name in owner]
        found = [item for value in inner for item in (value if isinstance(value, list) else [value])]
        found = [item for item in found if isinstance(item, dict)]
    return found


def _remove(owner: Resource, key: str) -> bool:
    del owner[key]
    owner.pop(f"_{key}", None)
    return True


def _wrong_code(kind: str, path: list[str], members: Members) -> str:
    """A code that R4 allows at the path and the value set does not hold; where there is none, one that is in none."""
    owner, name = kind, ""
    for name in path:
        owner, kind = kind, slots(kind)[name].kind if kind in facts().elements and name in slots(kind) else ""
    element = facts().elements.get(owner, {}).get(name)
    allowed = facts().codes.get(element.required, {}) if element is not None else {}
    codes = (code for of_system in allowed.values() for code in of_system)
    return next((code for code in codes if members.holds_code(code) is False), WRONG_CODE)


def _spoil_code(owner: Resource, key: str, wrong: str) -> bool:
    value = owner[key]
    first: Any = value[0] if isinstance(value, list) else value
    if isinstance(first, str):
        spoilt: Any = wrong
    elif "code" in first:
        spoilt = {**first, "code": wrong}
    else:
        spoilt = {"coding": [{"code": wrong}]}
    owner[key] = [spoilt] if isinstance(value, list) else spoilt
    return True


def _spoil_value(owner: Resource, key: str) -> bool:
    value = owner[key]
    first = value[0] if isinstance(value, list) else value
    wrong = {"text": "other"} if isinstance(first, dict) and ("coding" in first or "text" in first) else None
    if isinstance(first, str):
        wrong = f"{first}x"
    elif isinstance(first, bool):
        wrong = not first
    if wrong is None:
        return False
    owner[key] = [wrong] if isinstance(value, list) else wrong
    return True


def _repeat(owner: Resource, key: str) -> bool:
    value = owner[key]
    owner[key] = [*value, copy.deepcopy(value[0])] if isinstance(value, list) else [value, value]
    return True


def _of_slice(example: Resource, element: Resource, elements: list[Resource]) -> Iterator[Variant]:
    """Slices with a minimum lose their items; slices with a maximum of 1 get one twice."""
    path = element["path"].split(".")[1:]
    told = _told_apart(element, elements)
    if told is None or path[-1].endswith("[x]"):
        return
    for kind, asked in (
        ("required slice removed", element.get("min", 0) > 0),
        ("slice repeated", element.get("max") == "1"),
    ):
        resource = copy.deepcopy(example)
        for owner in _owners(resource, path[:-1]) if asked else ():
            items: list[Any] = owner.get(path[-1], [])
            inside = [item for item in items if _is_in(item, *told)]
            if not inside:
                continue
            if kind == "slice repeated":
                items.append(copy.deepcopy(inside[0]))
            else:
                owner[path[-1]] = [item for item in items if item not in inside] or [_stranger(inside[0])]
            yield Variant(kind, element["id"], resource)
            break


def _told_apart(element: Resource, elements: list[Resource]) -> tuple[str, Any] | None:
    """How the items of a slice are known: an extension by its url, others by what is fixed at one path below."""
    for kind in element.get("type", ()):
        for url in kind.get("profile", ()):
            if kind["code"] == "Extension":
                return "url", url.partition("|")[0]
    for one in elements:
        below = one["id"].removeprefix(element["id"])
        if (
            one["id"].startswith(element["id"])
            and not below.count(":")
            and below in {"", ".code", ".type", ".url"}
        ):
            for key, value in one.items():
                if key.startswith(("pattern", "fixed")):
                    return below.removeprefix("."), value
    return None


def _is_in(item: Any, path: str, asked: Any) -> bool:
    value = item.get(path) if path else item
    if not isinstance(asked, dict) or not isinstance(value, dict):
        return value == asked
    codings = value.get("coding", [value])
    wanted = asked.get("coding", [asked])
    return all(any(want.items() <= coding.items() for coding in codings) for want in wanted)


def _stranger(item: Any) -> Any:
    """An item of no slice, so that the list is not empty."""
    if "url" in item:
        return {"url": "http://example.org/other", "valueBoolean": True}
    if "coding" in item:
        return {"coding": [{"system": "http://example.org/other", "code": "other"}]}
    return {**item, "code": {"text": "other"}} if "code" in item else {**item, "type": {"text": "other"}}
