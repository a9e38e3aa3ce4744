"""verify.mutations: eighteen kinds of error, each put into a valid resource at a place drawn by lot.

Room: verify. A validator must see them, wherever they are; each changes one thing. Standard:
https://hl7.org/fhir/R4/validation.html
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from careloom.fhir.facts import Element, choices, facts
from careloom.fhir.resource import Resource
from careloom.fhir.xml.slot import COMPLEX, RESOURCE, Slot, slots


class Place(NamedTuple):
    """A key of an object somewhere in a resource."""

    owner: dict[str, Any]
    kind: str
    """The type of the owner, or its path."""
    slot: Slot

    @property
    def element(self) -> Element:
        """What R4 says of it."""
        key = self.slot.key
        return (
            facts().elements[self.kind].get(key)
            or facts().elements[self.kind][f"{choices(self.kind)[key]}[x]"]
        )

    @property
    def value(self) -> Any:
        """The value, or the first of several."""
        value = self.owner[self.slot.key]
        return value[0] if self.slot.is_many else value

    def put(self, value: Any) -> None:
        """Put a value in place of that, or of the first of several."""
        if self.slot.is_many:
            self.owner[self.slot.key][0] = value
        else:
            self.owner[self.slot.key] = value


def mutated(resource: Resource, kind: str, chance: random.Random) -> bool:
    """Put an error of this kind into the resource; False where it has no place for one."""
    mutation = MUTATIONS[kind]
    found = [place for place in places(resource) if mutation.fits(place)]
    if found:
        mutation.change(chance.choice(found))
    return bool(found)


def places(resource: Resource) -> Iterator[Place]:
    """Every key of the resource and of the objects within it."""
    waiting = [(resource, resource["resourceType"])]
    while waiting:
        owner, kind = waiting.pop()
        known = slots(kind)
        for key in list(owner):
            slot = known.get(key)
            if slot is None:
                continue
            yield Place(owner, kind, slot)
            inner = owner[key] if slot.is_many else [owner[key]]
            if slot.form == COMPLEX:
                waiting += [(item, slot.kind) for item in inner]
            elif slot.form == RESOURCE:
                waiting += [(item, item["resourceType"]) for item in inner]


class Mutation(NamedTuple):
    """Where an error may be put, and how."""

    fits: Callable[[Place], bool]
    change: Callable[[Place], None]


_TEXTS = frozenset({"string", "code", "uri", "url", "canonical", "id", "markdown", "oid"})
_DATES = frozenset({"date", "dateTime", "instant"})
_OTHER = {"String": "x", "Boolean": True, "Integer": 1, "Quantity": {"value": 1}, "Period": {"start": "2019"}}


def _is_top(place: Place) -> bool:
    return place.kind == place.owner.get("resourceType")


def _at_top(key: str, value: Any) -> Mutation:
    def change(place: Place) -> None:
        place.owner[key] = value

    return Mutation(_is_top, change)


def _to(value: Any) -> Callable[[Place], None]:
    return lambda place: place.put(value)


def _is_required(place: Place) -> bool:
    key = place.slot.key
    return place.element.min > 0 and f"_{key}" not in place.owner and key != "url"


def _is_coded(place: Place) -> bool:
    return place.slot.kind == "code" and place.element.required in facts().codes and place.value is not None


def _is_date(place: Place) -> bool:
    return place.slot.kind in _DATES and place.value is not None


def _to_thirtieth(place: Place) -> None:
    place.put(f"2019-02-30{place.value[10:]}")


def _is_many(place: Place) -> bool:
    return place.slot.is_many


def _is_one(place: Place) -> bool:
    return not place.slot.is_many


def _is_text(place: Place) -> bool:
    return place.slot.kind in _TEXTS


def _is_decimal(place: Place) -> bool:
    return place.slot.kind == "decimal"


def _is_object(place: Place) -> bool:
    return place.slot.form == COMPLEX


def _extended(extension: dict[str, Any]) -> Mutation:
    def fits(place: Place) -> bool:
        return _is_object(place) and "extension" in slots(place.slot.kind) and place.slot.kind != "Extension"

    def change(place: Place) -> None:
        place.value.setdefault("extension", []).append(dict(extension))

    return Mutation(fits, change)


def _second_type(place: Place) -> None:
    choice = choices(place.kind)[place.slot.key]
    allowed = (f"{choice}{kind}" for kind in _OTHER)
    key = next(key for key in allowed if key != place.slot.key and key in slots(place.kind))
    place.owner[key] = _OTHER[key.removeprefix(choice)]


def _has_second_type(place: Place) -> bool:
    choice = choices(place.kind).get(place.slot.key)
    if choice is None:
        return False
    return any(
        f"{choice}{kind}" in slots(place.kind) for kind in _OTHER if f"{choice}{kind}" != place.slot.key
    )


_BROKEN: dict[str, Callable[[dict[str, Any]], dict[str, Any] | None]] = {
    "Period": lambda _: {"start": "2020-01-02", "end": "2020-01-01"},
    "Range": lambda _: {"low": {"value": 2}, "high": {"value": 1}},
    "Ratio": lambda value: {"numerator": value["numerator"]} if "numerator" in value else None,
    "Quantity": lambda value: _without(value, "system") if "code" in value and "system" in value else None,
    "ContactPoint": lambda value: (
        _without(value, "system") if "value" in value and "system" in value else None
    ),
    "Attachment": lambda value: _without(value, "contentType") if "data" in value else None,
    "Patient.contact": lambda _: {"gender": "male"},
}


def _without(value: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: inner for name, inner in value.items() if name != key}


def _breaks(place: Place) -> bool:
    is_measured = place.kind == "Observation" and choices("Observation").get(place.slot.key) == "value"
    broken = _BROKEN.get(place.slot.kind)
    return is_measured or (broken is not None and broken(place.value) is not None)


def _break(place: Place) -> None:
    if place.kind == "Observation" and choices("Observation").get(place.slot.key) == "value":
        place.owner["dataAbsentReason"] = {"text": "x"}
    else:
        place.put(_BROKEN[place.slot.kind](place.value))


def _listed(place: Place) -> None:
    place.owner[place.slot.key] = [place.owner[place.slot.key]]


def _unlisted(place: Place) -> None:
    place.owner[place.slot.key] = place.owner[place.slot.key][0]


def _removed(place: Place) -> None:
    del place.owner[place.slot.key]


def _bogus(place: Place) -> None:
    place.value["bogus"] = "x"


def _is_elsewhere(place: Place) -> bool:
    targets = place.element.targets
    return place.slot.kind == "Reference" and bool(targets) and "Medication" not in targets


MUTATIONS: dict[str, Mutation] = {
    "unknown element": _at_top("fooBar", 1),
    "number for id": _at_top("id", 17),
    "code outside a required binding": Mutation(_is_coded, _to("not-a-code")),
    "required element missing": Mutation(_is_required, _removed),
    "object for array": Mutation(_is_many, _unlisted),
    "array for value": Mutation(_is_one, _listed),
    "date of wrong form": Mutation(_is_date, _to("2019-13-45")),
    "date not in the calendar": Mutation(_is_date, _to_thirtieth),
    "reference to a wrong type": Mutation(_is_elsewhere, _to({"reference": "Medication/abc"})),
    "empty object": Mutation(_is_object, _to({})),
    "empty string": Mutation(_is_text, _to("")),
    "two values of a choice": Mutation(_has_second_type, _second_type),
    "id of wrong form": _at_top("id", "bad id with spaces!"),
    "unknown nested element": Mutation(_is_object, _bogus),
    "extension without url": _extended({"valueString": "no url"}),
    "extension with value and extensions": _extended(
        {"url": "http://x", "valueString": "a", "extension": [{"url": "http://y", "valueString": "b"}]}
    ),
    "broken invariant": Mutation(_breaks, _break),
    "text for a decimal": Mutation(_is_decimal, _to("12")),
}
