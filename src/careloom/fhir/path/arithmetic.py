"""fhir.path.arithmetic: + - * / div mod and &, on numbers, quantities, strings, dates and times.

Room: fhir. May import: fhir.path, fhir.ucum. Standard: http://hl7.org/fhirpath/N1/#math and #datetime-arithmetic
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import ROUND_DOWN, Decimal, DecimalException
from typing import Any

from msgspec.structs import replace

from careloom.fhir.path.arguments import EMPTY, bounded, single
from careloom.fhir.path.equality import CALENDAR_SECONDS, as_asked, in_one_unit
from careloom.fhir.path.fault import execution_error
from careloom.fhir.path.parser import CALENDAR
from careloom.fhir.path.temporal import Temporal, moved
from careloom.fhir.path.value import Collection, Long, Quantity
from careloom.fhir.ucum import canonical, converted, unit_of

Number = int | Decimal

_INTEGER_LIMIT = 2**31
_LONG_LIMIT = 2**63
# Units of UCUM that are as long as those of the calendar; a UCUM year or month is not.
_DEFINITE = {"wk": "week", "d": "day", "h": "hour", "min": "minute", "s": "second", "ms": "millisecond"}


def calculated(operator: str, left: Collection, right: Collection) -> Collection:
    """The result of an operator; nothing where an operand is nothing or the result is out of range."""
    one, other = single(left, f"'{operator}'"), single(right, f"'{operator}'")
    if operator == "&":
        return _joined(one, other)
    if one is None or other is None:
        return EMPTY
    try:
        result = _calculated(operator, one, other)
    except (DecimalException, OverflowError, ZeroDivisionError):
        return EMPTY
    return EMPTY if result is None else bounded(result) if type(result) is str else [result]


def negated(items: Collection) -> Collection:
    """The polarity operator -."""
    value = single(items, "'-'")
    if value is None:
        return EMPTY
    if type(value) is Quantity:
        return [replace(value, value=-value.value)]
    if not _is_number(value):
        raise execution_error("'-' takes a number or quantity")
    return [type(value)(-value)]


def number_of(value: Number, *, is_long: bool = False) -> Number | None:
    """A number within the range of its type; None for one without."""
    if type(value) is Decimal:
        return value if value.is_finite() else None
    limit = _LONG_LIMIT if is_long else _INTEGER_LIMIT
    if not -limit <= value < limit:
        return None
    return Long(value) if is_long else int(value)


def calendar_unit(quantity: Quantity) -> str:
    """The calendar unit that a quantity may be added to a date with; "" if it is none."""
    if quantity.is_calendar:
        return quantity.unit
    return _DEFINITE.get(quantity.unit) or CALENDAR.get(quantity.unit, "")


def _joined(one: Any, other: Any) -> Collection:
    parts = ["" if part is None else part for part in (one, other)]
    if not all(type(part) is str for part in parts):
        raise execution_error("'&' takes strings")
    return bounded("".join(parts))


def _calculated(operator: str, one: Any, other: Any) -> Any:
    if _is_number(one) and _is_number(other):
        is_long = type(one) is Long or type(other) is Long
        result = _NUMBERS[operator](one, other)
        return None if result is None else number_of(result, is_long=is_long)
    if type(one) is Temporal and type(other) is Quantity and operator in {"+", "-"}:
        return _moved(one, other if operator == "+" else replace(other, value=-other.value))
    if type(one) is str and type(other) is str and operator == "+":
        return one + other
    if type(one) is Quantity or type(other) is Quantity:
        pair = _quantities(one, other)
        if pair is not None and operator in _QUANTITIES:
            return _QUANTITIES[operator](*pair)
    raise execution_error(f"'{operator}' does not take values of these types")


def _moved(moment: Temporal, span: Quantity) -> Temporal | None:
    unit = calendar_unit(span)
    if not unit:
        raise execution_error(
            "To a date or time only a duration of the calendar, or a definite one of UCUM, is added"
        )
    is_clock = unit in {"hour", "minute", "second", "millisecond"}
    if moment.kind == "Time" and not is_clock:
        raise execution_error("To a time only hours, minutes, seconds and milliseconds are added")
    return moved(moment, span.value, unit)


def _quantities(one: Any, other: Any) -> tuple[Quantity, Quantity] | None:
    found = [Quantity(Decimal(value)) if _is_number(value) else value for value in (one, other)]
    return (found[0], found[1]) if all(type(value) is Quantity for value in found) else None


def _summed(sign: int) -> Callable[[Quantity, Quantity], Quantity | None]:
    """A sum is in the finer unit: 7 days + 12 hours are 180 hours."""

    def run(one: Quantity, other: Quantity) -> Quantity | None:
        one, other = as_asked(one, other), as_asked(other, one)
        if in_one_unit(one, other) is None:
            return None
        fine = one if _size(one) <= _size(other) else other
        a, b = in_unit_of(one, fine), in_unit_of(other, fine)
        return None if a is None or b is None else replace(fine, value=a + sign * b)

    return run


def _size(quantity: Quantity) -> Decimal:
    if quantity.is_calendar:
        return CALENDAR_SECONDS[quantity.unit]
    unit = unit_of(quantity.unit)
    return Decimal(1) if unit is None else unit.factor


def in_unit_of(quantity: Quantity, target: Quantity) -> Decimal | None:
    """The value of a quantity in the unit of another; None where it has none there."""
    quantity, target = as_asked(quantity, target), as_asked(target, quantity)
    if not quantity.is_calendar and not target.is_calendar:
        return converted(quantity.value, quantity.unit, target.unit)
    pair = in_one_unit(quantity, replace(target, value=Decimal(1)))
    return None if pair is None else pair[0] / pair[1]


def _multiplied(one: Quantity, other: Quantity) -> Quantity | None:
    for a, b in ((one, other), (other, one)):
        if (number := _pure(b)) is not None:
            return replace(a, value=a.value * number)
    return _in_base_units(one, other, ".")


def _divided(one: Quantity, other: Quantity) -> Quantity | None:
    if other.value == 0:
        return None
    if (number := _pure(other)) is not None:
        return replace(one, value=one.value / number)
    if one.unit == other.unit and not one.is_calendar and not other.is_calendar:
        return Quantity(one.value / other.value)
    return _in_base_units(one, other, "/")


def _pure(quantity: Quantity) -> Decimal | None:
    """The number that a quantity without a dimension is (2 '1', 200 '%')."""
    found = None if quantity.is_calendar else canonical(quantity.value, quantity.unit)
    return found[0] if found is not None and found[1] == "1" else None


def _in_base_units(one: Quantity, other: Quantity, sign: str) -> Quantity | None:
    """A product or ratio of other units; those of the calendar have none (they have no fixed length)."""
    one, other = (Quantity(q.value, q.code) if q.code else q for q in (one, other))
    if one.is_calendar or other.is_calendar:
        return None
    unit = unit_of(f"({one.unit}){sign}({other.unit})")
    if unit is None:
        return None
    value = one.value * other.value if sign == "." else one.value / other.value
    return Quantity(+(value * unit.factor), unit.base)


_QUANTITIES: dict[str, Callable[[Quantity, Quantity], Quantity | None]] = {
    "+": _summed(1),
    "-": _summed(-1),
    "*": _multiplied,
    "/": _divided,
}


def _quotient(one: Number, other: Number) -> Decimal | None:
    return None if other == 0 else Decimal(one) / Decimal(other)


def _div(one: Number, other: Number) -> int | None:
    return None if other == 0 else int((Decimal(one) / Decimal(other)).to_integral_value(ROUND_DOWN))


def _mod(one: Number, other: Number) -> Number | None:
    if other == 0:
        return None
    if isinstance(one, int) and isinstance(other, int):
        return abs(one) % abs(other) * (-1 if one < 0 else 1)
    return Decimal(one) % Decimal(other)


_NUMBERS: dict[str, Callable[[Any, Any], Number | None]] = {
    "+": lambda one, other: one + other,
    "-": lambda one, other: one - other,
    "*": lambda one, other: one * other,
    "/": _quotient,
    "div": _div,
    "mod": _mod,
}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | Decimal) and type(value) is not bool
