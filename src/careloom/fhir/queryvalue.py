"""fhir.queryvalue: the values of a search, read from text into what an index can compare.

Room: fhir. May import: fhir.searchparam, fhir.indexvalue, fhir.instant, fhir.facts, fhir.outcome.
Standard: https://hl7.org/fhir/R4/search.html#ptypes and #escaping
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Literal, get_args

from careloom.fhir.facts import resource_types
from careloom.fhir.indexvalue import normalised, reference_key
from careloom.fhir.instant import EARLIEST, LATEST, interval
from careloom.fhir.outcome import Issue, OutcomeError
from careloom.fhir.searchparam import SearchParameter, parameters
from careloom.fhir.ucum import converted

DAY = timedelta(days=1)
FULL_TEXT = frozenset({"_text", "_content"})
"""Parameters that look for words in the whole resource or its narrative; R4 gives them no path."""
NEAR_M = 10_000.0
"""How far :near reaches where no distance is given (R4 leaves it to the server)."""

Prefix = Literal["eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap"]


@dataclass(frozen=True, slots=True)
class Token:
    """`system|code`. A member that is None may be anything; system "" means that there must be none."""

    system: str | None
    code: str | None


@dataclass(frozen=True, slots=True)
class TypedIdentifier:
    """`:of-type`, system and code of Identifier.type, and Identifier.value."""

    system: str
    code: str
    value: str


@dataclass(frozen=True, slots=True)
class Text:
    """A text as it was sent (for :exact) and as strings are indexed."""

    text: str
    normalised: str


@dataclass(frozen=True, slots=True)
class Moment:
    """A span of time, [lo, hi) in UTC, and how the indexed span shall lie to it."""

    prefix: Prefix | Literal["po"]
    """po: the spans overlap; only _filter can say it."""
    lo: datetime
    hi: datetime


@dataclass(frozen=True, slots=True)
class Amount:
    """A number or quantity. [lo, hi) is what the digits imply for eq and ne (5.4 is [5.35, 5.45)), a tenth to
    either side for ap; the other prefixes compare with `value`. System and code None may be anything."""

    prefix: Prefix
    value: float
    lo: float
    hi: float
    system: str | None = None
    code: str | None = None


@dataclass(frozen=True, slots=True)
class Reference:
    """The keys of the index that the reference may stand under: one, or one for each type it may be of."""

    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Near:
    """A place on earth (WGS84) and a distance from it."""

    latitude: float
    longitude: float
    metres: float


@dataclass(frozen=True, slots=True)
class Uri:
    """An address; with :in the name of a value set."""

    uri: str


@dataclass(frozen=True, slots=True)
class Composite:
    """One value for each component."""

    parts: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Missing:
    """`:missing=true` asks for resources without a value, false for those with one."""

    is_missing: bool


Value = Token | TypedIdentifier | Text | Moment | Amount | Reference | Near | Uri | Composite | Missing

# Modifiers that each type of parameter knows (R4 search, "Modifiers"); a reference also takes a type.
_MODIFIERS: dict[str, frozenset[str]] = {
    "token": frozenset({"text", "not", "above", "below", "in", "not-in", "of-type"}),
    "string": frozenset({"exact", "contains"}),
    "reference": frozenset({"identifier", "above", "below"}),
    "uri": frozenset({"above", "below"}),
}
_NUMBER = re.compile(r"[+-]?\d{1,40}(\.\d{1,40})?([eE][+-]?\d{1,2})?", re.ASCII)
_PREFIXES: dict[str, Prefix] = {prefix: prefix for prefix in get_args(Prefix)}


def values(parameter: SearchParameter, modifier: str, text: str, base: str = "") -> tuple[Value, ...]:
    """The values of one occurrence of a parameter; any of them may match.

    `base` is this server's own address; references below it are local. Raises OutcomeError that names the
    parameter: not-supported for a modifier it does not know, value for a text that cannot be read.

    >>> values(parameters("Patient")["gender"], "", "male,female")
    (Token(system=None, code='male'), Token(system=None, code='female'))
    """
    if modifier == "missing":
        if text not in {"true", "false"}:
            raise refused(parameter.code, ":missing takes true or false.")
        return (Missing(is_missing=text == "true"),)
    if parameter.code in FULL_TEXT and modifier:
        raise _untakable(parameter, modifier)
    if modifier and modifier not in _MODIFIERS.get(parameter.type, ()) and not _is_type(parameter, modifier):
        raise _untakable(parameter, modifier)
    return tuple(_value(parameter, modifier, item, base) for item in split(text, ",") if item)


def ap_span(moment: Moment) -> tuple[datetime, datetime]:
    """How far `ap` reaches, which R4 leaves to the server: the span's own width to either side, a day at least."""
    width = max(moment.hi - moment.lo, DAY)
    early = moment.lo - width if moment.lo - EARLIEST > width else EARLIEST
    return early, moment.hi + width if LATEST - moment.hi > width else LATEST


def split(text: str, separator: str) -> list[str]:
    r"""Split where the separator is not escaped; the parts keep their escapes.

    >>> split(r"a\,b,c", ",")
    ['a\\,b', 'c']
    """
    if "\\" not in text:
        return text.split(separator)
    parts, is_escaped = [""], False
    for character in text:
        if character == separator and not is_escaped:
            parts.append("")
        else:
            parts[-1] += character
        is_escaped = character == "\\" and not is_escaped
    return parts


def unescaped(text: str) -> str:
    r"""Strip the escapes of `,`, `|`, `$` and `\`.

    >>> unescaped(r"a\,b")
    'a,b'
    """
    return re.sub(r"\\([,|$\\])", r"\1", text) if "\\" in text else text


def refused(name: str, reason: str) -> OutcomeError:
    """The error for a value that cannot be read; it names the parameter and never the value."""
    return OutcomeError(Issue("value", f"The search parameter {name} cannot be read: {reason}", name))


def _untakable(parameter: SearchParameter, modifier: str) -> OutcomeError:
    text = f"The search parameter {parameter.code} does not take the modifier :{modifier[:64]}."
    return OutcomeError(Issue("not-supported", text, parameter.code))


def _is_type(parameter: SearchParameter, modifier: str) -> bool:
    allowed = parameter.targets or resource_types()
    return parameter.type == "reference" and modifier in allowed


def _value(parameter: SearchParameter, modifier: str, text: str, base: str) -> Value:
    if parameter.type == "composite":
        return _composite(parameter, text, base)
    if parameter.type == "reference" and modifier != "identifier":
        return _reference(parameter, modifier, unescaped(text), base)
    if parameter.type == "string" or modifier == "text":
        return _text(text)
    if modifier == "of-type":
        return _typed_identifier(parameter, text)
    if parameter.type == "uri" or modifier in {"in", "not-in"}:
        return Uri(unescaped(text))
    if parameter.type in {"token", "reference"}:
        return _token(parameter, text)
    return _READERS[parameter.type](parameter, text)


def _text(text: str) -> Text:
    plain = unescaped(text)
    return Text(plain, normalised(plain))


_OF_BOOLEANS = {
    "http://terminology.hl7.org/CodeSystem/special-values",
    "http://hl7.org/fhir/special-values",
}
"""What R4 calls the system of a boolean: its search page the one, its terminology the other."""


def _token(parameter: SearchParameter, text: str) -> Token:
    parts = [unescaped(part) for part in split(text, "|")]
    if len(parts) == 1:
        return Token(None, parts[0])
    if len(parts) != 2 or parts == ["", ""]:  # noqa: PLR2004 a system and a code
        raise refused(parameter.code, "write a token as code, system|code, |code or system|.")
    system, code = parts
    # Elements of type code carry no system; the one their binding implies may be named all the same.
    implied = {parameter.system} if parameter.system else set()
    if code in {"true", "false"}:
        implied |= _OF_BOOLEANS
    named = None if system in implied else system
    return Token(named, code or None)


def _typed_identifier(parameter: SearchParameter, text: str) -> TypedIdentifier:
    parts = [unescaped(part) for part in split(text, "|")]
    if len(parts) != 3 or not all(parts):  # noqa: PLR2004 the three members of TypedIdentifier
        raise refused(parameter.code, ":of-type takes system|code|value.")
    return TypedIdentifier(*parts)


def _moment(parameter: SearchParameter, text: str) -> Moment:
    prefix, plain = _prefixed(text)
    try:
        lo, hi = interval(plain)
    except OutcomeError as error:
        raise refused(parameter.code, error.issues[0].text) from None
    return Moment(prefix, lo, hi)


def _quantity(parameter: SearchParameter, text: str) -> Amount:
    number, *unit = split(text, "|")
    if len(unit) not in {0, 2}:
        raise refused(parameter.code, "write a quantity as number, number|system|code or number||code.")
    system, code = (unescaped(part) or None for part in unit) if unit else (None, None)
    return _amount(parameter, number, system, code)


def _amount(
    parameter: SearchParameter, text: str, system: str | None = None, code: str | None = None
) -> Amount:
    prefix, digits = _prefixed(text)
    if _NUMBER.fullmatch(digits) is None:
        raise refused(parameter.code, "it takes a decimal number.")
    number = Decimal(digits)
    exponent = number.as_tuple().exponent
    margin = abs(number) / 10 if prefix == "ap" else Decimal(5).scaleb(int(exponent) - 1)
    return Amount(prefix, float(number), float(number - margin), float(number + margin), system, code)


def _prefixed(text: str) -> tuple[Prefix, str]:
    prefix = _PREFIXES.get(text[:2])
    return ("eq", text) if prefix is None else (prefix, text[2:])


def _reference(parameter: SearchParameter, modifier: str, text: str, base: str) -> Reference:
    if base and text.startswith(f"{base}/"):
        text = text[len(base) + 1 :]
    key = reference_key(text)
    if "/" in key or ":" in key:
        return Reference((key,))
    # A bare id: the modifier, or else the targets of the parameter, say which types it may be of.
    types = (modifier,) if modifier in resource_types() else parameter.targets or sorted(resource_types())
    return Reference(tuple(f"{rtype}/{key}" for rtype in types))


def _near(parameter: SearchParameter, text: str) -> Near:
    if parameter.code != "near":
        raise refused(parameter.code, "it is not known how.")
    parts = [unescaped(part) for part in split(text, "|")]
    if not 2 <= len(parts) <= 4 or not all(_NUMBER.fullmatch(part) for part in parts[:3] if part):  # noqa: PLR2004
        raise refused(parameter.code, "write latitude|longitude|distance|units.")
    latitude, longitude = float(parts[0] or "nan"), float(parts[1] or "nan")
    if not (-90 <= latitude <= 90 and -180 <= longitude <= 180):  # noqa: PLR2004 degrees
        raise refused(parameter.code, "latitude and longitude are degrees (WGS84).")
    if len(parts) < 3 or not parts[2]:  # noqa: PLR2004
        return Near(latitude, longitude, NEAR_M)
    unit = parts[3] if len(parts) > 3 and parts[3] else "km"  # noqa: PLR2004
    metres = converted(Decimal(parts[2]), _MILES.get(unit, unit), "m")
    if metres is None:
        raise refused(parameter.code, "the unit of the distance is no length of UCUM.")
    return Near(latitude, longitude, float(metres))


_MILES = {"mi": "[mi_i]", "mi_us": "[mi_us]"}


def _composite(parameter: SearchParameter, text: str, base: str) -> Composite:
    parts = split(text, "$")
    if len(parts) != len(parameter.components):
        raise refused(parameter.code, f"it takes {len(parameter.components)} values joined by $.")
    known = parameters(parameter.rtype)
    components = [known[code] for code, _ in parameter.components]
    if not all(parts):
        raise refused(parameter.code, "a value between two $ is empty.")
    return Composite(tuple(_value(one, "", part, base) for one, part in zip(components, parts, strict=True)))


_READERS: dict[str, Callable[[SearchParameter, str], Value]] = {
    "date": _moment,
    "number": _amount,
    "quantity": _quantity,
    "special": _near,
}
