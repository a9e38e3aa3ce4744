"""fhir.ucum: units of UCUM: what a code means in base units, and whether and how two codes convert.

Room: fhir. May import: the standard library, msgspec. Standard: https://ucum.org/ucum

The table stands in r4/ucum.json, which scripts/ucum_units.py makes from the published one. Temperatures convert with
their offsets. Other special units (pH, bel) and arbitrary units ([iU]) convert only to themselves with other prefixes.
"""

from __future__ import annotations

import re
from decimal import Context, Decimal, DecimalException, localcontext
from functools import cache, lru_cache
from importlib import resources
from typing import NamedTuple

import msgspec

SYSTEM = "http://unitsofmeasure.org"

_PRECISE = Context(prec=50)
_ROUGH = Context(prec=28)
_MAX_CODE = 200
_MAX_EXPONENT = 99
# Special units that are straight lines: kelvin = (value + this) x factor.
_OFFSETS = {"Cel": Decimal("273.15"), "[degF]": Decimal("459.67"), "[degRe]": Decimal("218.52")}


class Unit(NamedTuple):
    """(value + offset) x factor is the value in the base units of `dimensions`."""

    factor: Decimal
    dimensions: tuple[tuple[str, int], ...] = ()
    """Base unit and its exponent, in the order of the names."""
    offset: Decimal = Decimal(0)

    @property
    def base(self) -> str:
        """The code of the base units.

        >>> unit_of("N").base
        'g.m.s-2'
        """
        return _base_of(self.dimensions)


@cache
def _base_of(dimensions: tuple[tuple[str, int], ...]) -> str:
    return ".".join(f"{name}{'' if power == 1 else power}" for name, power in dimensions) or "1"


class _Table(msgspec.Struct, frozen=True):
    prefixes: dict[str, str]
    base: tuple[str, ...]
    units: dict[str, tuple[str, str, str]]


@lru_cache(maxsize=4096)
def unit_of(code: str) -> Unit | None:
    """What a UCUM code means (case-sensitive); None for what is no UCUM code.

    >>> unit_of("km/h").base, unit_of("kilometre")
    ('m.s-1', None)
    """
    if not code or len(code) > _MAX_CODE:
        return None
    try:
        with localcontext(_PRECISE):
            return _Reader(code).whole()
    except (ValueError, DecimalException, RecursionError):
        return None


def canonical(value: Decimal, code: str) -> tuple[Decimal, str] | None:
    """The value in base units, and their code; None for what is no UCUM code.

    >>> canonical(Decimal("2.5"), "mg")
    (Decimal('0.0025'), 'g')
    """
    unit = unit_of(code)
    if unit is None:
        return None
    if unit.offset:
        value = _PRECISE.add(value, unit.offset)
    return _rounded(_PRECISE.multiply(value, unit.factor)), unit.base


def converted(value: Decimal, source: str, target: str) -> Decimal | None:
    """The value in another unit; None where the units are not comparable or not UCUM.

    >>> converted(Decimal(37), "Cel", "[degF]"), converted(Decimal(1), "m", "s")
    (Decimal('98.6'), None)
    """
    if source == target:
        return value
    one, other = unit_of(source), unit_of(target)
    if one is None or other is None or one.dimensions != other.dimensions:
        return None
    with localcontext(_PRECISE):
        found = (value + one.offset) * one.factor / other.factor - other.offset
    return _rounded(found)


def is_comparable(one: str, other: str) -> bool:
    """Whether values in these units can be compared.

    >>> is_comparable("cm", "[in_i]"), is_comparable("cm", "s")
    (True, False)
    """
    first, second = unit_of(one), unit_of(other)
    return first is not None and second is not None and first.dimensions == second.dimensions


def _rounded(value: Decimal) -> Decimal:
    """28 digits, as Decimal counts by itself, without zeros at the end: 1/9 x 9 is 1 again."""
    return _ROUGH.normalize(value)


@cache
def _table() -> _Table:
    text = resources.files("careloom.fhir.r4").joinpath("ucum.json").read_bytes()
    return msgspec.json.decode(text, type=_Table)


# An atom may hold brackets with anything in them: [m/s2/Hz^(1/2)], m[H2O], B[10.nV].
_SYMBOL = re.compile(r"(?:\[[^\[\]]*\]|[^./(){}\[\]\s])+")
_ANNOTATION = re.compile(r"\{[^{}]*\}")
_EXPONENT = re.compile(r"(.+?)([+-]?\d{1,3})", re.ASCII)


class _Reader:
    """Reads a code by the grammar of UCUM: terms of components, joined by `.` and `/` from the left."""

    def __init__(self, code: str) -> None:
        self._code = code
        self._at = 0

    def whole(self) -> Unit:
        found = self._term()
        if self._at < len(self._code):
            raise ValueError
        return found

    def _term(self) -> Unit:
        is_inverse = self._sign("/") is not None
        found = _powered(self._component(), -1 if is_inverse else 1)
        while (sign := self._sign("./")) is not None:
            found = _times(found, _powered(self._component(), 1 if sign == "." else -1))
        return found

    def _component(self) -> Unit:
        if self._sign("(") is not None:
            found = self._term()
            if self._sign(")") is None:
                raise ValueError
            return found
        symbol = _SYMBOL.match(self._code, self._at)
        found = _ONE
        if symbol is not None:
            self._at = symbol.end()
            found = _simple(symbol[0])
        note = _ANNOTATION.match(self._code, self._at)
        if note is not None:
            self._at = note.end()
        elif symbol is None:
            raise ValueError
        return found

    def _sign(self, signs: str) -> str | None:
        here = self._code[self._at : self._at + 1]
        if here and here in signs:
            self._at += 1
            return here
        return None


def _simple(symbol: str) -> Unit:
    """A number, or an atom with an optional prefix and an optional exponent."""
    if symbol.isascii() and symbol.isdecimal():
        return Unit(Decimal(symbol))
    found = _prefixed(symbol)
    if found is not None:
        return found
    powered = _EXPONENT.fullmatch(symbol)
    base = _prefixed(powered[1]) if powered is not None else None
    if powered is None or base is None:
        raise ValueError
    return _powered(base, int(powered[2]))


def _prefixed(symbol: str) -> Unit | None:
    found = _atom(symbol)
    if found is not None:
        return found
    for length in (1, 2):
        prefix, atom = _table().prefixes.get(symbol[:length]), symbol[length:]
        is_metric = atom in _table().base or "m" in _table().units.get(atom, ("", "", ""))[2]
        found = _atom(atom) if prefix is not None and is_metric else None
        if prefix is not None and found is not None:
            size = Decimal(prefix)
            return Unit(found.factor * size, found.dimensions, found.offset / size)
    return None


@cache
def _atom(symbol: str) -> Unit | None:
    table = _table()
    if symbol in table.base:
        return Unit(Decimal(1), ((symbol, 1),))
    if symbol not in table.units:
        return None
    value, unit, flags = table.units[symbol]
    is_own = ("a" in flags and unit == "1") or ("s" in flags and symbol not in _OFFSETS)
    if is_own:
        return Unit(Decimal(1), ((symbol, 1),))
    with localcontext(_PRECISE):
        inner = _Reader(unit).whole()
        return Unit(inner.factor * Decimal(value), inner.dimensions, _OFFSETS.get(symbol, Decimal(0)))


def _times(one: Unit, other: Unit) -> Unit:
    if one.offset or other.offset:
        raise ValueError  # a degree Celsius has no meaning within a product
    powers = dict(one.dimensions)
    for name, power in other.dimensions:
        powers[name] = powers.get(name, 0) + power
    return Unit(one.factor * other.factor, tuple(sorted((n, p) for n, p in powers.items() if p)))


def _powered(unit: Unit, exponent: int) -> Unit:
    if exponent == 1:
        return unit
    if unit.offset or abs(exponent) > _MAX_EXPONENT:
        raise ValueError
    powers = tuple((name, power * exponent) for name, power in unit.dimensions if exponent)
    return Unit(unit.factor**exponent, powers)


_ONE = Unit(Decimal(1))
