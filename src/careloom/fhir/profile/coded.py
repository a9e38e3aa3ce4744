"""fhir.profile.coded: whether a coded value is in a value set.

Room: fhir. May import: fhir.profile.item, fhir.profile.terms.
Standard: https://hl7.org/fhir/R4/terminologies.html#required
"""

from __future__ import annotations

from typing import Any

from careloom.fhir.profile.item import Item
from careloom.fhir.profile.terms import Members


def is_member(item: Item, members: Members) -> bool | None:
    """Whether a code, Coding, CodeableConcept or Quantity is in the value set; None where that cannot be said.

    A value that says no code at all is in none, but a Quantity without a unit is left alone, and so is what has
    extensions in place of its value.
    """
    value = item.value
    if type(value) is str:
        return members.holds_code(value)
    if type(value) is not dict:
        return None
    if item.kind == "CodeableConcept":
        codings = value.get("coding", ())
        found = {_holds(coding, members) for coding in codings}
        if True in found:
            return True
        is_excused = not codings and "extension" in value
        return None if None in found or is_excused else False
    if "code" not in value and (item.kind != "Coding" or "extension" in value):
        return None
    return _holds(value, members)


def has_code(item: Item) -> bool:
    """Whether a value says a code at all; text alone is none."""
    if type(item.value) is not dict:
        return type(item.value) is str
    codings = item.value.get("coding", ()) if item.kind == "CodeableConcept" else (item.value,)
    return any("code" in coding for coding in codings)


def _holds(coding: dict[str, Any], members: Members) -> bool | None:
    return members.holds(coding.get("system", ""), coding.get("code", ""))
