"""fhir.path.mathematics: functions of numbers.

Room: fhir. May import: fhir.path. Standard: http://hl7.org/fhirpath/N1/#math
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import ROUND_CEILING, ROUND_DOWN, ROUND_FLOOR, ROUND_HALF_UP, Decimal, DecimalException
from typing import Any

from msgspec.structs import replace

from careloom.fhir.path.arguments import EMPTY, amount, integer, number, single
from careloom.fhir.path.arithmetic import calculated, number_of
from careloom.fhir.path.env import Env
from careloom.fhir.path.equality import order
from careloom.fhir.path.fault import execution_error
from careloom.fhir.path.function import FUNCTIONS, Function, function
from careloom.fhir.path.value import Collection, Quantity

MAX_PLACES = 28
"""Digits that a decimal may have behind the point."""


def _on_amounts(name: str, run: Callable[[Decimal | int], Any]) -> None:
    """A function of a number that does the same to the value of a quantity."""

    def on_input(_env: Env, items: Collection) -> Collection:
        value = amount(items, f"{name}()")
        if value is None:
            return EMPTY
        if type(value) is Quantity:
            return [replace(value, value=Decimal(run(value.value)))]
        return [run(value)]  # pyright: ignore[reportArgumentType]

    FUNCTIONS[name] = Function(on_input, 0, 0)


_on_amounts("abs", abs)
_on_amounts("ceiling", lambda value: int(Decimal(value).to_integral_value(ROUND_CEILING)))
_on_amounts("floor", lambda value: int(Decimal(value).to_integral_value(ROUND_FLOOR)))
_on_amounts("truncate", lambda value: int(Decimal(value).to_integral_value(ROUND_DOWN)))


def _on_numbers(name: str, run: Callable[[Decimal], Decimal | None]) -> None:
    """A function of a number whose result is a decimal; nothing where it has none."""

    def on_input(_env: Env, items: Collection) -> Collection:
        value = number(items, f"{name}()")
        return EMPTY if value is None else _result(lambda: run(Decimal(value)))

    FUNCTIONS[name] = Function(on_input, 0, 0)


def _result(run: Callable[[], Any]) -> Collection:
    try:
        found = run()
        found = None if found is None else number_of(found)
    except (DecimalException, OverflowError, ZeroDivisionError, ValueError):
        return EMPTY
    return EMPTY if found is None else [found]


_on_numbers("exp", lambda value: value.exp())
_on_numbers("ln", lambda value: value.ln())
_on_numbers("sqrt", lambda value: value.sqrt() if value >= 0 else None)


@function(1)
def log(_env: Env, items: Collection, base: Collection) -> Collection:
    """The logarithm to a base."""
    value, of = number(items, "log()"), number(base, "log()")
    if value is None or of is None:
        return EMPTY
    return _result(
        lambda: (
            +(Decimal(value).ln() / Decimal(of).ln()).quantize(Decimal("1e-20")).normalize() + Decimal("0.0")
        )
    )


@function(1)
def power(_env: Env, items: Collection, exponent: Collection) -> Collection:
    """The number raised to an exponent."""
    value, to = number(items, "power()"), number(exponent, "power()")
    if value is None or to is None:
        return EMPTY
    is_whole = isinstance(value, int) and isinstance(to, int) and to >= 0

    def run() -> Decimal | int | None:
        found = Decimal(value) ** Decimal(to)
        return int(found) if is_whole and found.adjusted() < MAX_PLACES else found

    return _result(run)


@function(0, 1, name="round")
def round_(_env: Env, items: Collection, precision: Collection | None = None) -> Collection:
    """The number, rounded half up to so many places."""
    value = amount(items, "round()")
    places = (0 if precision is None else integer(precision, "round()")) or 0
    if value is None:
        return EMPTY
    if places < 0:
        raise execution_error("The precision of round() is not negative")

    def rounded(number: Any) -> Decimal:
        decimal = Decimal(number)
        rough = decimal.quantize(Decimal(1).scaleb(-min(places, MAX_PLACES)), ROUND_HALF_UP)
        return decimal if rough == decimal else rough

    if type(value) is Quantity:
        return [replace(value, value=rounded(value.value))]
    return [value] if isinstance(value, int) else [rounded(value)]


def _folded(name: str, operator: str) -> None:
    def on_input(_env: Env, items: Collection) -> Collection:
        total = items[:1]
        for item in items[1:]:
            total = calculated(operator, total, [item])
        return [single(total, f"{name}()")] if total else EMPTY

    FUNCTIONS[name] = Function(on_input, 0, 0)


_folded("sum", "+")


def _extreme(name: str, sign: int) -> None:
    def on_input(_env: Env, items: Collection) -> Collection:
        if any(single([item], f"{name}()") is None for item in items):
            return EMPTY
        found = items[:1]
        for item in items[1:]:
            if (order(item, found[0]) or 0) == sign:
                found = [item]
        return found

    FUNCTIONS[name] = Function(on_input, 0, 0)


_extreme("min", -1)
_extreme("max", 1)


@function()
def avg(env: Env, items: Collection) -> Collection:
    """The mean."""
    total = FUNCTIONS["sum"].run(env, items)
    return calculated("/", total, [len(items)]) if total else EMPTY
