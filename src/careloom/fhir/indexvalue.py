"""fhir.indexvalue: the values that a search index holds, made from elements; the compiled extractors call these.

Room: fhir. May import: fhir.instant. Standard: https://hl7.org/fhir/R4/search.html#ptypes
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Callable
from functools import lru_cache
from typing import Any

Quantity = tuple[int, str | None, str | None, float, float]
"""Number of the parameter, system, code or unit, and the closed range of the value."""


@lru_cache(maxsize=8192)
def normalised(text: str) -> str:
    """A text as strings are compared: case folded, accents and outer white space gone, inner runs one space.

    >>> normalised("  Zoë  STRAßE ")
    'zoe strasse'
    """
    if not text.isascii():
        decomposed = unicodedata.normalize("NFKD", text)
        text = "".join(character for character in decomposed if not unicodedata.combining(character))
    return " ".join(text.casefold().split())


@lru_cache(maxsize=8192)
def reference_key(reference: str) -> str:
    """A reference as it is indexed: without a version, `Type/id` or an absolute address.

    >>> reference_key("Patient/7/_history/2")
    'Patient/7'
    """
    return reference.partition("/_history/")[0]


def points_at(reference: dict[str, Any], rtype: str) -> bool:
    """Whether a Reference is to a resource of this type, judged by its text or its `type` (nothing is read).

    >>> points_at({"reference": "https://a.example/fhir/Patient/7"}, "Patient")
    True
    """
    address = reference.get("reference")
    if address is not None and f"/{rtype}/" in f"/{address}":
        return True
    return reference.get("type") == rtype


def canonical_keys(canonical: str) -> tuple[str, ...]:
    """A canonical as it is indexed: as written and, where it has a version, without it as well.

    >>> canonical_keys("http://a.example/x|1.0")
    ('http://a.example/x|1.0', 'http://a.example/x')
    """
    bare = canonical.partition("|")[0]
    return (canonical,) if bare == canonical else (canonical, bare)


def human_name_strings(name: dict[str, Any]) -> set[str]:
    """Every part of a HumanName, normalised."""
    parts = (name.get("family"), name.get("text"))
    lists = (name.get("given", ()), name.get("prefix", ()), name.get("suffix", ()))
    return _normalised_set(parts, lists)


def address_strings(address: dict[str, Any]) -> set[str]:
    """Every part of an Address, normalised."""
    keys = ("city", "district", "state", "postalCode", "country", "text")
    return _normalised_set([address.get(key) for key in keys], (address.get("line", ()),))


def add_quantity(add: Callable[[Quantity], object], parameter: int, quantity: dict[str, Any]) -> None:
    """Index a Quantity (Age, Duration ...); a comparator makes its range open on one side."""
    value = quantity.get("value")
    if value is None:
        return
    low = high = number(value)
    comparator = quantity.get("comparator")
    if comparator is not None:
        low, high = (-math.inf, high) if comparator[0] == "<" else (low, math.inf)
    _add_units(add, parameter, quantity, low, high)


def add_range(add: Callable[[Quantity], object], parameter: int, value: dict[str, Any]) -> None:
    """Index a Range; a missing end is open."""
    low, high = value.get("low", {}), value.get("high", {})
    named = low if "code" in low or "unit" in low else high
    start = number(low.get("value", -math.inf))
    end = number(high.get("value", math.inf))
    if low or high:
        _add_units(add, parameter, named, start, end)


def add_sampled_data(add: Callable[[Quantity], object], parameter: int, value: dict[str, Any]) -> None:
    """Index SampledData from its least to its greatest sample; the codes E, L and U are no numbers."""
    samples = [float(word) for word in (value.get("data") or "").split() if word not in {"E", "L", "U"}]
    origin = value.get("origin", {})
    if not samples or "value" not in origin:
        return
    factor = number(value.get("factor", 1))
    ends = [number(origin["value"]) + sample * factor for sample in (min(samples), max(samples))]
    _add_units(add, parameter, origin, min(ends), max(ends))


def _add_units(
    add: Callable[[Quantity], object], parameter: int, named: dict[str, Any], low: float, high: float
) -> None:
    """A row by the code of the unit and, where it is written otherwise, one by the unit as people read it."""
    code, unit = named.get("code"), named.get("unit")
    if code or not unit:
        add((parameter, named.get("system"), code, low, high))
    if unit and unit != code:
        add((parameter, None, unit, low, high))


def number(value: Any) -> float:
    """A JSON number as float; one beyond the range of floats becomes infinite."""
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def _normalised_set(parts: Any, lists: Any) -> set[str]:
    found = {normalised(part) for part in parts if part}
    for texts in lists:
        found.update(normalised(text) for text in texts if text)
    return found
