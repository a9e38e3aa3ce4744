"""fhir.matching: whether a resource itself meets a criterion, read from its elements.

Room: fhir. May import: fhir.clause, fhir.fulltext, fhir.searchelement, fhir.indexvalue, fhir.instant.
Standard: https://hl7.org/fhir/R4/search.html

An index answers most criteria alone. Where it only narrows the choice (the case of letters, the texts of a coding,
two values that must stand in the same repetition), the resource decides.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from careloom.fhir import indexvalue
from careloom.fhir.clause import Criterion
from careloom.fhir.fulltext import content_words, is_found, narrative_words
from careloom.fhir.indexvalue import normalised
from careloom.fhir.instant import Span, interval, period, timing
from careloom.fhir.queryvalue import (
    FULL_TEXT,
    Amount,
    Composite,
    Missing,
    Moment,
    Near,
    Reference,
    Text,
    Token,
    TypedIdentifier,
    Uri,
    Value,
    ap_span,
)
from careloom.fhir.resource import Resource
from careloom.fhir.searchelement import Element, elements, groups
from careloom.fhir.searchparam import SearchParameter, parameters


def matches(resource: Resource, criterion: Criterion) -> bool:
    """Whether one of the criterion's values, or with :not none of them, is found in the resource.

    >>> from careloom.fhir.query import parse
    >>> (exact,) = parse("Patient", [("family:exact", "Ng")], strict=True).criteria
    >>> matches({"resourceType": "Patient", "name": [{"family": "ng"}]}, exact)
    False
    """
    parameter, modifier, values = criterion.parameter, criterion.modifier, criterion.values
    if modifier == "not":
        return not matches(resource, Criterion(parameter, "", values))
    if values and isinstance(values[0], Missing):
        return values[0].is_missing != _is_there(resource, parameter)
    if parameter.code in FULL_TEXT:
        words = narrative_words(resource) if parameter.code == "_text" else content_words(resource)
        return any(isinstance(value, Text) and is_found(value.text, words) for value in values)
    if parameter.type == "composite":
        return any(_in_one_group(resource, parameter, value) for value in values)
    found = elements(resource, parameter)
    return any(_holds(parameter, modifier, value, element) for value in values for element in found)


def _is_there(resource: Resource, parameter: SearchParameter) -> bool:
    if parameter.type == "composite":
        return any(all(group) for group in groups(resource, parameter))
    return bool(elements(resource, parameter))


def _in_one_group(resource: Resource, parameter: SearchParameter, value: Value) -> bool:
    known = parameters(parameter.rtype)
    components = [known[code] for code, _ in parameter.components]
    parts = value.parts if isinstance(value, Composite) else ()
    return any(
        all(
            any(_holds(one, "", part, element) for element in found)
            for one, part, found in zip(components, parts, group, strict=True)
        )
        for group in groups(resource, parameter)
    )


def _holds(parameter: SearchParameter, modifier: str, value: Value, element: Element) -> bool:
    match value:
        case Token():
            return any(_is_coding(value, *coding) != (modifier == "=ne") for coding in codings(element))
        case TypedIdentifier():
            return _is_typed(value, element.value)
        case Text():
            return _is_text(modifier, value, element)
        case Moment() | Near():
            return (
                _lies_in_time(value, span_of(element))
                if isinstance(value, Moment)
                else _is_near(value, element)
            )
        case Amount():
            return any(_is_amount(value, *row[1:]) for row in amounts(parameter, element))
        case Reference():
            return keys(element).isdisjoint(value.keys) == (modifier == "=ne")
        case _:
            texts = (
                indexvalue.canonical_keys(element.value) if element.type == "canonical" else (element.value,)
            )
            return isinstance(value, Uri) and any(_is_uri(modifier, value.uri, text) for text in texts)


def codings(element: Element) -> list[tuple[str | None, str | None]]:
    """(system, code) of all that a token finds in an element."""
    value = element.value
    match element.type:
        case "CodeableConcept":
            return [(one.get("system"), one.get("code")) for one in value.get("coding", ())]
        case "Coding":
            return [(value.get("system"), value.get("code"))]
        case "Identifier":
            return [(value.get("system"), value.get("value"))]
        case "Reference":
            return codings(Element("Identifier", value["identifier"])) if "identifier" in value else []
        case "ContactPoint":
            return [(word, value.get("value")) for word in (value.get("system"), *_use(value))]
        case "boolean":
            return [(None, "true" if value else "false")]
        case _:
            return [(None, value)]


def _use(contact: dict[str, Any]) -> list[str]:
    return [contact["use"]] if "use" in contact else []


def strings(element: Element) -> list[str]:
    """Every text that a string finds in an element, as it is written."""
    value = element.value
    if isinstance(value, str):
        return [value]
    names = _ADDRESS if element.type == "Address" else _HUMAN_NAME
    found: list[str] = []
    for name in names:
        one: Any = value.get(name)
        found += [one] if isinstance(one, str) else [text for text in one or () if text]
    return found


def designations(element: Element) -> list[str]:
    """The texts that stand beside a code: what `:text` searches."""
    value = element.value
    match element.type:
        case "CodeableConcept":
            texts = [value.get("text"), *(one.get("display") for one in value.get("coding", ()))]
        case "Coding":
            texts = [value.get("display")]
        case "Identifier":
            texts = [value.get("type", {}).get("text")]
        case _:
            texts = []
    return [text for text in texts if text]


def span_of(element: Element) -> Span | None:
    """The span of time of an element."""
    match element.type:
        case "Period":
            return period(element.value)
        case "Timing":
            return timing(element.value)
        case _:
            return interval(element.value)


def amounts(parameter: SearchParameter, element: Element) -> list[indexvalue.Quantity]:
    """The rows that an index holds for an element that a number or quantity finds."""
    found: list[indexvalue.Quantity] = []
    value = element.value
    match element.type:
        case "Range":
            indexvalue.add_range(found.append, parameter.id, value)
        case "SampledData":
            indexvalue.add_sampled_data(found.append, parameter.id, value)
        case "Money":
            money = {
                "system": "urn:iso:std:iso:4217",
                "code": value.get("currency"),
                "value": value.get("value"),
            }
            indexvalue.add_quantity(found.append, parameter.id, money)
        case "Quantity" | "Age" | "Duration" | "Count" | "Distance":
            indexvalue.add_quantity(found.append, parameter.id, value)
        case _:
            number = indexvalue.number(value)
            found.append((parameter.id, None, None, number, number))
    return found


def keys(element: Element) -> frozenset[str]:
    """What a reference is found by: `Type/id`, an address, a canonical with and without its version."""
    value = element.value
    match element.type:
        case "Reference":
            text = value.get("reference", "#")
            return frozenset() if text.startswith("#") else frozenset((indexvalue.reference_key(text),))
        case "Resource":
            return frozenset((f"{value['resourceType']}/{value['id']}",)) if "id" in value else frozenset()
        case _:
            return frozenset(indexvalue.canonical_keys(value))


def _is_coding(token: Token, system: str | None, code: str | None) -> bool:
    is_system = token.system is None or token.system == (system or "")
    return is_system and (token.code is None or token.code == code)


def _is_typed(sought: TypedIdentifier, identifier: dict[str, Any]) -> bool:
    codings = identifier.get("type", {}).get("coding", ())
    is_type = any(one.get("system") == sought.system and one.get("code") == sought.code for one in codings)
    return is_type and identifier.get("value") == sought.value


def _is_text(modifier: str, sought: Text, element: Element) -> bool:
    if modifier == "exact":
        return sought.text in strings(element)
    if modifier == "text":
        return any(normalised(text).startswith(sought.normalised) for text in designations(element))
    return any(_TEXT[modifier](normalised(text), sought.normalised) for text in strings(element))


_TEXT: dict[str, Callable[[str, str], bool]] = {
    "": str.startswith,
    "contains": str.__contains__,
    "=eq": str.__eq__,
    "=ne": str.__ne__,
    "=ew": str.endswith,
}
_HUMAN_NAME = ("family", "text", "given", "prefix", "suffix")
_ADDRESS = ("line", "city", "district", "state", "postalCode", "country", "text")


def _is_uri(modifier: str, sought: str, uri: str) -> bool:
    return _URI[modifier](uri, sought)


_URI: dict[str, Callable[[str, str], bool]] = {
    "": str.__eq__,
    "below": str.startswith,
    "above": lambda uri, sought: sought.startswith(uri),
    "=ne": str.__ne__,
    "=co": str.__contains__,
    "=ew": str.endswith,
}
_EARTH_M = 6_371_008.8
"""Mean radius of the earth (IUGG)."""


def _is_near(sought: Near, element: Element) -> bool:
    """Great-circle distance by the haversine; a Location.position has both degrees."""
    position = element.value
    one, other = math.radians(sought.latitude), math.radians(float(position["latitude"]))
    apart = math.radians(float(position["longitude"]) - sought.longitude)
    part = math.sin((other - one) / 2) ** 2 + math.cos(one) * math.cos(other) * math.sin(apart / 2) ** 2
    return 2 * _EARTH_M * math.asin(min(1.0, math.sqrt(part))) <= sought.metres


def _lies_in_time(moment: Moment, span: Span | None) -> bool:
    if span is None:
        return False
    (a, b), lo, hi = span, moment.lo, moment.hi
    is_equal = a >= lo and b <= hi
    early, late = ap_span(moment)
    return {
        "eq": is_equal,
        "ne": not is_equal,
        "gt": b > hi,
        "ge": is_equal or b > hi,
        "lt": a < lo,
        "le": is_equal or a < lo,
        "sa": a >= hi,
        "eb": b <= lo,
        "ap": a < late and b > early,
        "po": a < hi and b > lo,
    }[moment.prefix]


def _is_amount(amount: Amount, system: str | None, unit: str | None, low: float, high: float) -> bool:
    if amount.code is not None and amount.code != unit:
        return False
    if amount.system is not None and amount.system != system:
        return False
    value, lo, hi = amount.value, amount.lo, amount.hi
    is_equal = low >= lo and high < hi
    return {
        "eq": is_equal,
        "ne": not is_equal,
        "gt": high > value,
        "ge": high >= value,
        "lt": low < value,
        "le": low <= value,
        "sa": low > value,
        "eb": high < value,
        "ap": low <= hi and high >= lo,
    }[amount.prefix]
