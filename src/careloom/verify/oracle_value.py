"""verify.oracle_value: whether one value of a search matches one element: the plainest reading of the standard.

Room: verify. Shares with careloom's search the walk to the elements (fhir.searchelement) and how a date becomes a span
and a text is folded; no comparison. Standard: https://hl7.org/fhir/R4/search.html#ptypes
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from careloom.fhir.facts import resource_types
from careloom.fhir.indexvalue import normalised
from careloom.fhir.instant import EARLIEST, LATEST, interval, period, timing
from careloom.fhir.searchelement import Element
from careloom.fhir.searchparam import SearchParameter
from careloom.fhir.ucum import SYSTEM, canonical, is_comparable

PREFIXES = ("eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap")
_DAY = timedelta(days=1)


def split(text: str, sign: str) -> list[str]:
    """Split where the sign is not escaped."""
    parts, position = [""], 0
    while position < len(text):
        if text[position] == "\\" and position + 1 < len(text):
            parts[-1] += text[position : position + 2]
            position += 2
            continue
        if text[position] == sign:
            parts.append("")
        else:
            parts[-1] += text[position]
        position += 1
    return parts


def plain(text: str) -> str:
    """Without the escapes."""
    return re.sub(r"\\([,|$\\])", r"\1", text)


def matches(parameter: SearchParameter, modifier: str, text: str, element: Element) -> bool:
    """Whether this element is what one value (no commas) asks for."""
    if parameter.type == "token" or modifier == "identifier":
        return _token(parameter, modifier, text, element)
    return _OF_TYPE[parameter.type](parameter, modifier, text, element)


def _token(parameter: SearchParameter, modifier: str, text: str, element: Element) -> bool:
    if modifier == "text":
        return any(normalised(said).startswith(normalised(plain(text))) for said in _said(element))
    if modifier == "of-type":
        system, code, value = map(plain, split(text, "|"))
        codings = element.value.get("type", {}).get("coding", [])
        is_of_type = any(one.get("system") == system and one.get("code") == code for one in codings)
        return is_of_type and element.value.get("value") == value
    pairs = codings_of(element)
    parts = [plain(part) for part in split(text, "|")]
    if len(parts) == 1:
        return any(code == parts[0] for _, code in pairs)
    system, code = parts
    if parameter.system and system == parameter.system:
        pairs = [(system, found) for _, found in pairs]
    return any((one or "") == system and (not code or found == code) for one, found in pairs)


def codings_of(element: Element) -> list[tuple[str | None, str | None]]:
    """(system, code) of an element that a token finds."""
    value = element.value
    match element.type:
        case "CodeableConcept":
            return [(one.get("system"), one.get("code")) for one in value.get("coding", [])]
        case "Coding":
            return [(value.get("system"), value.get("code"))]
        case "Identifier":
            return [(value.get("system"), value.get("value"))]
        case "Reference":
            named = value.get("identifier")
            return [] if named is None else [(named.get("system"), named.get("value"))]
        case "ContactPoint":
            words = [value.get("system")] + ([value["use"]] if "use" in value else [])
            return [(word, value.get("value")) for word in words]
        case "boolean":
            return [(None, "true" if value else "false")]
        case _:
            return [(None, value)]


def _said(element: Element) -> Iterator[str]:
    value = element.value
    if element.type == "CodeableConcept":
        yield from [value["text"]] if "text" in value else []
        yield from (one["display"] for one in value.get("coding", []) if "display" in one)
    elif element.type == "Coding" and "display" in value:
        yield value["display"]
    elif element.type == "Identifier" and "text" in value.get("type", {}):
        yield value["type"]["text"]


def _string(_parameter: SearchParameter, modifier: str, text: str, element: Element) -> bool:
    sought = plain(text)
    texts = texts_of(element)
    if modifier == "exact":
        return sought in texts
    if modifier == "contains":
        return any(normalised(sought) in normalised(one) for one in texts)
    return any(normalised(one).startswith(normalised(sought)) for one in texts)


def texts_of(element: Element) -> list[str]:
    """Every string in an element that a string finds."""
    if isinstance(element.value, str):
        return [element.value]
    names = ("family", "text", "given", "prefix", "suffix")
    if element.type == "Address":
        names = ("line", "city", "district", "state", "postalCode", "country", "text")
    found: list[str] = []
    for name in names:
        value = element.value.get(name) or []
        found += [one for one in ([value] if isinstance(value, str) else value) if one]
    return found


def _reference(parameter: SearchParameter, modifier: str, text: str, element: Element) -> bool:
    sought = plain(text).partition("/_history/")[0]
    keys = keys_of(element)
    if "/" in sought or ":" in sought:
        return sought in keys
    types = [modifier] if modifier else parameter.targets or sorted(resource_types())
    return any(f"{one}/{sought}" in keys for one in types)


def keys_of(element: Element) -> list[str]:
    """What a reference points at: `Type/id`, an address, a canonical with and without its version."""
    value: Any = element.value
    if element.type == "Reference":
        text = value.get("reference", "#")
        return [] if text.startswith("#") else [text.partition("/_history/")[0]]
    if element.type == "Resource":
        return [f"{value['resourceType']}/{value['id']}"] if "id" in value else []
    return [value, value.partition("|")[0]]


def _uri(_parameter: SearchParameter, modifier: str, text: str, element: Element) -> bool:
    sought = plain(text)
    if element.type == "canonical" and not modifier and element.value.partition("|")[0] == sought:
        return True  # Whatever its version.
    if modifier == "below":
        return element.value.startswith(sought)
    if modifier == "above":
        return sought.startswith(element.value)
    return element.value == sought


def span_of(element: Element) -> tuple[datetime, datetime] | None:
    """The span of time [from, until) of an element."""
    if element.type == "Period":
        return period(element.value)
    if element.type == "Timing":
        return timing(element.value)
    return interval(element.value)


def _date(_parameter: SearchParameter, _modifier: str, text: str, element: Element) -> bool:
    span = span_of(element)
    if span is None:
        return False
    prefix, rest = _prefixed(text)
    (a, b), (lo, hi) = span, interval(rest)
    is_equal = lo <= a and b <= hi
    width = max(hi - lo, _DAY)
    early = lo - width if lo - EARLIEST > width else EARLIEST
    late = hi + width if LATEST - hi > width else LATEST
    answers: dict[str, bool] = {
        "eq": is_equal,
        "ne": not is_equal,
        "gt": b > hi,
        "lt": a < lo,
        "ge": is_equal or b > hi,
        "le": is_equal or a < lo,
        "sa": a >= hi,
        "eb": b <= lo,
        "ap": a < late and b > early,
    }
    return answers[prefix]


def _quantity(_parameter: SearchParameter, _modifier: str, text: str, element: Element) -> bool:
    number, *unit = split(text, "|")
    prefix, digits = _prefixed(number)
    sought = _bounds(Decimal(digits))
    ucum = plain(unit[1]) if unit and plain(unit[0]) == SYSTEM else ""
    for found in amounts_of(element):
        if ucum and found[0] == SYSTEM and is_comparable(ucum, found[1][0] or ""):
            # Both in the base units of what they measure.
            both = (
                [_in_base(one, ucum) for one in sought],
                [_in_base(one, found[1][0] or "") for one in found[2:]],
            )
            if _lies(prefix, *both):
                return True
        elif _has_unit(found, unit) and _lies(prefix, [float(one) for one in sought], list(found[2:])):
            return True
    return False


Amount = tuple[str | None, tuple[str | None, str | None], float, float]
"""System, (code, unit), lowest and highest value."""


def amounts_of(element: Element) -> list[Amount]:
    """The amounts of an element that a number or a quantity finds."""
    value = element.value
    match element.type:
        case "decimal" | "integer" | "positiveInt" | "unsignedInt":
            return [(None, (None, None), float(value), float(value))]
        case "Money":
            number = float(value["value"]) if "value" in value else math.nan
            return [("urn:iso:std:iso:4217", (value.get("currency"), None), number, number)]
        case "Range":
            low, high = value.get("low", {}), value.get("high", {})
            named = low if "code" in low or "unit" in low else high
            lowest, highest = float(low.get("value", -math.inf)), float(high.get("value", math.inf))
            return [(named.get("system"), (named.get("code"), named.get("unit")), lowest, highest)]
        case "SampledData":
            return _sampled(value)
        case _:
            return _measured(value)


def _measured(value: dict[str, Any]) -> list[Amount]:
    if "value" not in value:
        return []
    number = float(value["value"])
    ends = {"<": (-math.inf, number), ">": (number, math.inf)}
    low, high = ends.get(value.get("comparator", "=")[0], (number, number))
    return [(value.get("system"), (value.get("code"), value.get("unit")), low, high)]


def _sampled(value: dict[str, Any]) -> list[Amount]:
    origin = value["origin"]
    samples = [float(word) for word in value.get("data", "").split() if word not in {"E", "L", "U"}]
    if not samples or "value" not in origin:
        return []
    ends = [float(origin["value"]) + one * float(value.get("factor", 1)) for one in samples]
    return [(origin.get("system"), (origin.get("code"), origin.get("unit")), min(ends), max(ends))]


def _has_unit(found: Amount, unit: list[str]) -> bool:
    """`number|system|code` means the code of that system; `number||code` the code or the unit as written."""
    if not unit:
        return True
    system, code = map(plain, unit)
    own_system, (own_code, own_unit) = found[:2]
    if system:
        return own_system == system and (not code or own_code == code)
    return not code or code in {own_code, own_unit}


def _bounds(number: Decimal) -> list[Decimal]:
    """The number, what its digits imply, and what is about it."""
    half, tenth = Decimal(5).scaleb(int(number.as_tuple().exponent) - 1), abs(number) / 10
    return [number, number - half, number + half, number - tenth, number + tenth]


def _in_base(number: float | Decimal, unit: str) -> float:
    if isinstance(number, float) and math.isinf(number):
        return number
    found = canonical(Decimal(str(number)), unit)
    return math.nan if found is None else float(found[0])


def _lies(prefix: str, sought: list[float], found: list[float]) -> bool:
    value, lo, hi, early, late = sought
    low, high = found
    is_equal = lo <= low and high < hi
    answers: dict[str, bool] = {
        "eq": is_equal,
        "ne": not is_equal,
        "gt": high > value,
        "ge": high >= value,
        "lt": low < value,
        "le": low <= value,
        "sa": low > value,
        "eb": high < value,
        "ap": low <= late and high >= early,
    }
    return answers[prefix]


def _prefixed(text: str) -> tuple[str, str]:
    return (text[:2], text[2:]) if text[:2] in PREFIXES else ("eq", text)


_OF_TYPE: dict[str, Callable[[SearchParameter, str, str, Element], bool]] = {
    "string": _string,
    "reference": _reference,
    "uri": _uri,
    "date": _date,
    "quantity": _quantity,
    "number": _quantity,
}
