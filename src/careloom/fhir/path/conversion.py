"""fhir.path.conversion: toInteger() and its like, and convertsToInteger() and its like.

Room: fhir. May import: fhir.path. Standard: http://hl7.org/fhirpath/N1/#conversion
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from msgspec.structs import replace

from careloom.fhir.path.arguments import EMPTY, FALSE, TRUE, single, text
from careloom.fhir.path.arithmetic import in_unit_of
from careloom.fhir.path.env import Env
from careloom.fhir.path.equality import in_one_unit
from careloom.fhir.path.fault import execution_error
from careloom.fhir.path.function import FUNCTIONS, Function
from careloom.fhir.path.parser import CALENDAR
from careloom.fhir.path.temporal import DAY, Kind, Temporal, temporal
from careloom.fhir.path.value import Collection, Long, Quantity, plain
from careloom.fhir.ucum import unit_of

_INTEGER = re.compile(r"[+-]?\d+", re.ASCII)
_DECIMAL = re.compile(r"[+-]?\d+(\.\d+)?", re.ASCII)
_QUANTITY = re.compile(r"([+-]?\d+(?:\.\d+)?)\s*(?:'([^']+)'|([a-z]+))?", re.ASCII)
_MAX_DIGITS = 40
_TRUE = frozenset({"true", "t", "yes", "y", "1", "1.0"})
_FALSE = frozenset({"false", "f", "no", "n", "0", "0.0"})

Converter = Callable[[Any], Any]
"""The converted value; None where there is none."""


def _to_boolean(value: Any) -> bool | None:
    if type(value) is bool:
        return value
    if isinstance(value, int | Decimal):
        return {0: False, 1: True}.get(value)  # pyright: ignore[reportArgumentType, reportCallIssue]
    if type(value) is not str:
        return None
    return True if value.lower() in _TRUE else False if value.lower() in _FALSE else None


def _whole(limit: int, kind: type[int]) -> Converter:
    def convert(value: Any) -> int | None:
        if isinstance(value, int) or (
            type(value) is str and len(value) <= _MAX_DIGITS and _INTEGER.fullmatch(value)
        ):
            found = int(value)
        else:
            return None
        return kind(found) if -limit <= found < limit else None

    return convert


def _to_decimal(value: Any) -> Decimal | None:
    if isinstance(value, int | Decimal):
        return Decimal(value)
    is_one = type(value) is str and len(value) <= _MAX_DIGITS and _DECIMAL.fullmatch(value)
    return Decimal(value) if is_one else None


def _to_string(value: Any) -> str | None:
    if type(value) is str:
        return value
    if type(value) is bool:
        return str(value).lower()
    if type(value) is Decimal:
        return plain(value)
    return str(value) if isinstance(value, int | Quantity | Temporal) else None


def _to_moment(kind: Kind) -> Converter:
    def convert(value: Any) -> Temporal | None:
        if type(value) is str:
            return temporal(kind, value)
        if type(value) is not Temporal or (kind == "Time") != (value.kind == "Time"):
            return None
        if kind == "Date":
            return Temporal("Date", value.parts[:DAY])
        return Temporal(kind, value.parts, value.zone)

    return convert


def _to_quantity(value: Any) -> Quantity | None:
    if type(value) is Quantity:
        return value
    if isinstance(value, int | Decimal):
        return Quantity(Decimal(value))
    match = _QUANTITY.fullmatch(value) if type(value) is str and len(value) < 2 * _MAX_DIGITS else None
    if match is None:
        return None
    number, code, word = match.groups()
    if word is not None:
        return Quantity(Decimal(number), CALENDAR[word], is_calendar=True) if word in CALENDAR else None
    return Quantity(Decimal(number), code or "1") if code is None or unit_of(code) is not None else None


_CONVERTERS: dict[str, Converter] = {
    "Boolean": _to_boolean,
    "Integer": _whole(2**31, int),
    "Long": _whole(2**63, Long),
    "Decimal": _to_decimal,
    "String": _to_string,
    "Date": _to_moment("Date"),
    "DateTime": _to_moment("DateTime"),
    "Time": _to_moment("Time"),
}


def _put(kind: str, convert: Converter) -> None:
    def to(_env: Env, items: Collection) -> Collection:
        value = single(items, f"to{kind}()")
        found = None if value is None else convert(value)
        return EMPTY if found is None else [found]

    def converts_to(_env: Env, items: Collection) -> Collection:
        value = single(items, f"convertsTo{kind}()")
        return EMPTY if value is None else FALSE if convert(value) is None else TRUE

    FUNCTIONS[f"to{kind}"] = Function(to, 0, 0)
    FUNCTIONS[f"convertsTo{kind}"] = Function(converts_to, 0, 0)


for _kind, _convert in _CONVERTERS.items():
    _put(_kind, _convert)


def _in_unit(items: Collection, unit: Collection, what: str) -> Quantity | None:
    value, asked = single(items, what), text(unit, what)
    found = None if value is None else _to_quantity(value)
    if found is None or asked is None:
        return found
    target = (
        Quantity(Decimal(1), CALENDAR[asked], is_calendar=True)
        if asked in CALENDAR
        else Quantity(Decimal(1), asked)
    )
    value = in_unit_of(found, target)
    return None if value is None else replace(target, value=value)


def _to_quantity_in(_env: Env, items: Collection, unit: Collection = EMPTY) -> Collection:
    found = _in_unit(items, unit, "toQuantity()")
    return EMPTY if found is None else [found]


def _converts_to_quantity_in(_env: Env, items: Collection, unit: Collection = EMPTY) -> Collection:
    if not items:
        return EMPTY
    return FALSE if _in_unit(items, unit, "convertsToQuantity()") is None else TRUE


FUNCTIONS["toQuantity"] = Function(_to_quantity_in, 0, 1)
FUNCTIONS["convertsToQuantity"] = Function(_converts_to_quantity_in, 0, 1)


def comparable(_env: Env, items: Collection, other: Collection) -> Collection:
    """Whether two quantities have units that can be compared."""
    one, two = single(items, "comparable()"), single(other, "comparable()")
    if one is None or two is None:
        return EMPTY
    one, two = _to_quantity(one), _to_quantity(two)
    if one is None or two is None:
        raise execution_error("comparable() takes quantities")
    return FALSE if in_one_unit(one, two) is None else TRUE


FUNCTIONS["comparable"] = Function(comparable, 1, 1)
