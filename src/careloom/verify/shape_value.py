"""verify.shape_value: a value (and perhaps a modifier) with which a search would find, or narrowly miss, an element.

Room: verify. Pure but for the chance that is handed in.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from random import Random

from careloom.fhir.indexvalue import normalised
from careloom.fhir.instant import EARLIEST, LATEST
from careloom.fhir.searchelement import Element
from careloom.fhir.searchparam import SearchParameter
from careloom.fhir.ucum import SYSTEM, converted, is_comparable
from careloom.verify.oracle_value import (
    PREFIXES,
    amounts_of,
    codings_of,
    keys_of,
    span_of,
    texts_of,
)

UNITS = ("kg", "g", "mg", "ug", "m", "cm", "[in_i]", "kPa", "mm[Hg]", "g/L", "mg/dL", "mol/L", "mmol/L", "Cel", "[degF]",
         "a", "mo", "wk", "d", "h", "min", "%", "1", "/min", "Hz", "L", "mL", "10*3/uL", "10*9/L")  # fmt: skip
"""Units in which a shape may ask for what was measured in another."""

Asked = tuple[str, str]
"""Name, with its modifier, and value of a parameter."""


def escaped(text: str) -> str:
    """With the escapes of a search value."""
    for sign in "\\,|$":
        text = text.replace(sign, "\\" + sign)
    return text


def plainly(parameter: SearchParameter, element: Element, chance: Random) -> str | None:
    """A value without a modifier; None where the element has nothing to be found by."""
    text = _PLAIN[parameter.type](parameter, element, chance)
    return text if text and text.strip() and "\0" not in text else None


def asked(
    code: str,
    parameter: SearchParameter,
    element: Element,
    chance: Random,
    has_modifier: bool,  # noqa: FBT001
) -> Asked | None:
    """A parameter with its value, now and then with a modifier or a prefix."""
    if has_modifier and chance.random() < 0.5 and parameter.type in _MODIFIED:  # noqa: PLR2004
        found = _MODIFIED[parameter.type](parameter, element, chance)
        if found and found[1].strip():
            return f"{code}:{found[0]}", found[1]
    text = plainly(parameter, element, chance)
    if text is None:
        return None
    if parameter.type in {"date", "number", "quantity"}:
        text = chance.choice(("", *PREFIXES)) + text
    return code, text


def _token(parameter: SearchParameter, element: Element, chance: Random) -> str | None:
    pairs = [(system, code) for system, code in codings_of(element) if code]
    if not pairs:
        return None
    system, code = chance.choice(pairs)
    if not system:
        forms = [escaped(code), f"|{escaped(code)}"]
        implied = [f"{parameter.system}|{escaped(code)}", f"{parameter.system}|"] if parameter.system else []
        return chance.choice([*forms, *implied])
    return chance.choice((escaped(code), f"{escaped(system)}|{escaped(code)}", f"{escaped(system)}|"))


def _string(_parameter: SearchParameter, element: Element, chance: Random) -> str | None:
    texts = [text for text in texts_of(element) if normalised(text)]
    if not texts:
        return None
    text = chance.choice(texts)
    start = text[: chance.randrange(1, min(len(text), 12) + 1)].strip() or text
    return escaped(chance.choice((start, start.upper(), start.lower(), text[:200])))


def _reference(parameter: SearchParameter, element: Element, chance: Random) -> str | None:
    keys = keys_of(element)
    if not keys:
        return None
    key = chance.choice(keys)
    bare = key.partition("/")[2] if key.count("/") == 1 and ":" not in key else key
    is_bare = not parameter.targets or key.partition("/")[0] in parameter.targets
    return escaped(chance.choice((key, bare)) if is_bare else key)


def _uri(_parameter: SearchParameter, element: Element, _chance: Random) -> str | None:
    return escaped(element.value)


def _date(_parameter: SearchParameter, element: Element, chance: Random) -> str | None:
    span = span_of(element)
    if span is None:
        return None
    moment = chance.choice([end for end in span if EARLIEST < end < LATEST - timedelta(days=500)])
    if chance.random() < 0.3:  # noqa: PLR2004
        moment += timedelta(days=chance.choice((-400, -40, -1, 1, 40, 400)))
    return _shown(moment, chance)


def _shown(moment: datetime, chance: Random) -> str:
    forms = ("%Y", "%Y-%m", "%Y-%m-%d", "%Y-%m-%dT%H:%MZ", "%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%M:%S+00:00")
    text = moment.strftime(chance.choice(forms))
    # The year of strftime has no leading zeros on this platform.
    return text if text[:4].isdigit() else text.zfill(len(text) + 4 - text.index("-"))


def _quantity(_parameter: SearchParameter, element: Element, chance: Random) -> str | None:
    amounts = amounts_of(element)
    if not amounts:
        return None
    system, (code, unit), low, high = chance.choice(amounts)
    ends = [end for end in (low, high) if abs(end) < 1e30]  # noqa: PLR2004
    if not ends:
        return None
    number = Decimal(repr(chance.choice(ends)))
    if chance.random() < 0.5:  # noqa: PLR2004
        number = round(number, chance.choice((0, 1, 2)))
    text = format(number, "f")
    forms = [text]
    if system and code:
        forms.append(f"{text}|{escaped(system)}|{escaped(code)}")
        others = (
            [one for one in UNITS if one != code and is_comparable(one, code)] if system == SYSTEM else []
        )
        if others:
            other = chance.choice(others)
            there = converted(number, code, other) or Decimal(0)
            exponent = max(-6, min(0, there.adjusted() - chance.choice((1, 2, 4))))
            text = format(there.quantize(Decimal(1).scaleb(exponent)), "f")
            forms += [f"{text}|{SYSTEM}|{escaped(other)}"] * 2
    if code or unit:
        forms.append(f"{text}||{escaped(chance.choice([name for name in (code, unit) if name]))}")
    return chance.choice(forms)


def _token_modified(_parameter: SearchParameter, element: Element, chance: Random) -> Asked | None:
    value = element.value
    forms: list[Asked] = []
    plain = _token(_parameter, element, chance)
    if plain:
        forms.append(("not", plain))
    concept = value if isinstance(value, dict) else {}
    shown = [one["display"] for one in concept.get("coding", []) if "display" in one]
    if element.type in {"CodeableConcept", "Coding"}:
        texts = [text for text in (concept.get("text"), concept.get("display"), *shown) if text]
        forms += [("text", escaped(text[: chance.randrange(3, 12)].strip() or text)) for text in texts]
    if element.type == "Identifier":
        for one in concept.get("type", {}).get("coding", []):
            if "system" in one and "code" in one and "value" in concept:
                parts = (one["system"], one["code"], concept["value"])
                forms.append(("of-type", "|".join(map(escaped, parts))))
        if "text" in concept.get("type", {}):
            forms.append(("text", escaped(concept["type"]["text"])))
    return chance.choice(forms) if forms else None


def _string_modified(_parameter: SearchParameter, element: Element, chance: Random) -> Asked | None:
    texts = [text for text in texts_of(element) if normalised(text)]
    if not texts:
        return None
    text = chance.choice(texts)
    at = chance.randrange(len(text))
    piece = text[at : at + chance.randrange(1, 10)].strip() or text
    if chance.random() < 0.5:  # noqa: PLR2004
        return "exact", escaped(chance.choice((text, text, text.lower())))
    return "contains", escaped(chance.choice((piece, piece.upper())))


def _reference_modified(parameter: SearchParameter, element: Element, _chance: Random) -> Asked | None:
    named = (
        [(system, code) for system, code in codings_of(element) if code]
        if element.type == "Reference"
        else []
    )
    if named:
        system, code = named[0]
        return "identifier", f"{escaped(system)}|{escaped(code or '')}" if system else escaped(code or "")
    for key in keys_of(element):
        rtype, _, id_ = key.partition("/")
        if rtype in (parameter.targets or ()) and "/" not in id_:
            return rtype, id_
    return None


def _uri_modified(_parameter: SearchParameter, element: Element, chance: Random) -> Asked | None:
    uri = element.value
    if chance.random() < 0.5:  # noqa: PLR2004
        return "below", escaped(uri[: chance.randrange(1, len(uri) + 1)])
    return "above", escaped(uri + chance.choice(("", "/more", "x")))


_PLAIN: dict[str, Callable[[SearchParameter, Element, Random], str | None]] = {
    "token": _token, "string": _string, "reference": _reference, "uri": _uri, "date": _date,
    "quantity": _quantity, "number": _quantity,
    "special": lambda _parameter, _element, _chance: None,
}  # fmt: skip
_MODIFIED: dict[str, Callable[[SearchParameter, Element, Random], Asked | None]] = {
    "token": _token_modified, "string": _string_modified, "reference": _reference_modified,
    "uri": _uri_modified,
}  # fmt: skip
