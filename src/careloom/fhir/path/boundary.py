"""fhir.path.boundary: the lowest and highest value that what was written may stand for, and how precise it is.

Room: fhir. May import: fhir.path. Standard: https://hl7.org/fhirpath/#boundary-functions
"""

from __future__ import annotations

from calendar import monthrange
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal, localcontext
from typing import Any

from msgspec.structs import replace

from careloom.fhir.path.arguments import EMPTY, integer, single
from careloom.fhir.path.env import Env
from careloom.fhir.path.fault import execution_error
from careloom.fhir.path.function import function
from careloom.fhir.path.temporal import DAY, HOUR, Temporal
from careloom.fhir.path.value import Collection, Quantity

_DECIMAL_PLACES, _MAX_PLACES = 8, 31
# Digits that are asked for -> how many parts of a moment or of a clock.
_DATE_PARTS = {4: 1, 6: 2, 8: 3, 10: 4, 12: 5, 14: 6, 17: 6}
_TIME_PARTS = {2: 1, 4: 2, 6: 3, 9: 3}
_MILLISECONDS = (17, 9)
_EAST, _WEST = 14 * 60, -12 * 60


@function(0, 1)
def low_boundary(_env: Env, items: Collection, precision: Collection | None = None) -> Collection:
    """The least value that the input may stand for, to the digits asked for."""
    return _boundary(items, precision, is_high=False)


@function(0, 1)
def high_boundary(_env: Env, items: Collection, precision: Collection | None = None) -> Collection:
    """The greatest value that the input may stand for, to the digits asked for."""
    return _boundary(items, precision, is_high=True)


@function()
def precision(_env: Env, items: Collection) -> Collection:
    """Digits behind the point of a number; digits of a date or time."""
    value = single(items, "precision()")
    if value is None:
        return EMPTY
    if isinstance(value, Temporal):
        return [
            sum(character.isdigit() for character in str(value).split("+")[0].split("Z")[0])
            - _zone_digits(value)
        ]
    if isinstance(value, int | Decimal):
        return [_places(Decimal(value))]
    raise execution_error("precision() takes a number, date or time")


def _zone_digits(value: Temporal) -> int:
    return 4 if value.zone is not None and value.zone < 0 and len(value.parts) > HOUR else 0


def _boundary(items: Collection, precision: Collection | None, *, is_high: bool) -> Collection:
    what = "highBoundary()" if is_high else "lowBoundary()"
    value = single(items, what)
    digits = None if precision is None else integer(precision, what)
    if value is None:
        return EMPTY
    found: Any
    match value:
        case bool():
            raise execution_error(f"{what} takes a number, quantity, date or time")
        case int() | Decimal():
            found = _of_decimal(Decimal(value), digits, is_high=is_high)
        case Quantity(number):
            edge = _of_decimal(number, digits, is_high=is_high)
            found = None if edge is None else replace(value, value=edge)
        case Temporal("Time"):
            found = _of_time(value, 9 if digits is None else digits, is_high=is_high)
        case Temporal(kind):
            default = 8 if kind == "Date" else 17
            found = _of_moment(value, default if digits is None else digits, is_high=is_high)
        case _:
            raise execution_error(f"{what} takes a number, quantity, date or time")
    return EMPTY if found is None else [found]


def _of_decimal(value: Decimal, digits: int | None, *, is_high: bool) -> Decimal | None:
    digits = _DECIMAL_PLACES if digits is None else digits
    if not 0 <= digits <= _MAX_PLACES:
        return None
    with localcontext(Context(prec=100)):
        half = Decimal(5).scaleb(-_places(value) - 1)
        edge = value + half if is_high else value - half
        return edge.quantize(Decimal(1).scaleb(-digits), ROUND_CEILING if is_high else ROUND_FLOOR)


def _places(value: Decimal) -> int:
    exponent = value.as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def _of_moment(value: Temporal, digits: int, *, is_high: bool) -> Temporal | None:
    wanted = _DATE_PARTS.get(digits)
    if wanted is None or (value.kind == "Date" and wanted > DAY):
        return None
    parts = [*value.parts]
    # FHIR knows no hour without minutes: T08 is read as 08:00 before its seconds are filled in.
    parts += [0] * (len(parts) == HOUR + 1)
    while len(parts) < wanted:
        parts.append(_edge(parts, is_high=is_high))
    if wanted == len(parts) and digits in _MILLISECONDS:
        parts[-1] = _milliseconds(parts[-1], is_high=is_high)
    zone = value.zone
    if wanted > DAY and zone is None:
        zone = _WEST if is_high else _EAST
    return Temporal(value.kind, tuple(parts[:wanted]), zone if wanted > DAY else None)


def _of_time(value: Temporal, digits: int, *, is_high: bool) -> Temporal | None:
    wanted = _TIME_PARTS.get(digits)
    if wanted is None:
        return None
    parts = [*value.parts]
    while len(parts) < wanted:
        parts.append(59 if is_high else 0)
    if wanted == len(parts) and digits in _MILLISECONDS:
        parts[-1] = _milliseconds(parts[-1], is_high=is_high)
    return Temporal("Time", tuple(parts[:wanted]))


def _edge(parts: list[int | Decimal], *, is_high: bool) -> int:
    """The first or last value of the part that comes next."""
    match len(parts):
        case 1:
            return 12 if is_high else 1
        case 2:
            return monthrange(int(parts[0]), int(parts[1]))[1] if is_high else 1
        case 3:
            return 23 if is_high else 0
        case _:
            return 59 if is_high else 0


def _milliseconds(second: int | Decimal, *, is_high: bool) -> Decimal:
    known = Decimal(second)
    missing = 3 - _places(known)
    if missing <= 0:
        return known
    return known + (Decimal(10**missing - 1).scaleb(-3) if is_high else Decimal(0).scaleb(-3))
