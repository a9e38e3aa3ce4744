"""store.unit: a quantity in one unit of UCUM finds those in every other that measures the same.

Room: store. Touches: the tables s_qty, res. Standard: https://hl7.org/fhir/R4/search.html#quantity and https://ucum.org/ucum

The index holds each value in its own unit, as it was written. A search asks which units its parameter has there (an index
skips from one to the next) and is put once in each that is comparable: no rounding is stored, and nothing twice.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from itertools import product

from careloom.fhir.clause import Criterion
from careloom.fhir.matching import amounts
from careloom.fhir.queryvalue import Amount, Composite, Value
from careloom.fhir.searchelement import elements
from careloom.fhir.searchparam import SearchParameter, parameters
from careloom.fhir.ucum import SYSTEM, converted, is_comparable
from careloom.store.fetch import fetch
from careloom.store.look import Look
from careloom.store.resource_type import UNIONS
from careloom.store.row import unit_hash
from careloom.store.stored import FIELDS, stored_of

# One step of an index for each unit, however many values there are.
UNITS = b"""
with recursive unit(u) as (
  (select u from s_qty where sp = %s order by u limit 1)
  union all
  select (select s.u from s_qty s where s.sp = %s and s.u > unit.u order by s.u limit 1) from unit
  where unit.u is not null)
select u from unit where u is not null"""
ONE_OF = f"select {FIELDS} from res r where r.rid in (select s.rid from s_qty s where s.sp = %s and s.u = %s) limit 1"

_codes: dict[int, str] = {}
"""Hash -> unit, as far as this process has met it. A hash means the same everywhere, so that this never grows old."""


def in_all_units(look: Look, criterion: Criterion) -> Criterion:
    """The criterion with each amount of a UCUM unit put in every comparable unit that its parameter has."""
    parameter = criterion.parameter
    if parameter.type == "quantity":
        values = [other for value in criterion.values for other in _others(look, parameter, value)]
        return replace(criterion, values=tuple(values))
    if parameter.type != "composite":
        return criterion
    known = parameters(parameter.rtype)
    parts = [known[code] for code, _ in parameter.components]
    composites: list[Value] = []
    for value in criterion.values:
        if isinstance(value, Composite):
            some = [_others(look, one, part) for one, part in zip(parts, value.parts, strict=True)]
            composites += [Composite(combined) for combined in product(*some)]
        else:
            composites.append(value)
    return replace(criterion, values=tuple(composites))


def _others(look: Look, parameter: SearchParameter, value: Value) -> list[Value]:
    if not isinstance(value, Amount) or value.system != SYSTEM or value.code is None:
        return [value]
    others = [
        code for code in _units(look, parameter) if code != value.code and is_comparable(value.code, code)
    ]
    return [value, *(_in(value, code) for code in sorted(others))]


def _in(amount: Amount, code: str) -> Amount:
    value, lo, hi = (_converted(one, amount.code or "", code) for one in (amount.value, amount.lo, amount.hi))
    return replace(amount, value=value, lo=lo, hi=hi, code=code)


def _converted(number: float, source: str, target: str) -> float:
    found = converted(Decimal(repr(number)), source, target)
    return number if found is None else float(found)


def _units(look: Look, parameter: SearchParameter) -> set[str]:
    """Every unit that values of this parameter have in the store."""
    found: set[str] = set()
    for one in _stored(parameter):
        for (unit,) in fetch(look.connection, UNITS, [one.id, one.id]):
            code = _codes.get(unit) or _met(look, one, unit)
            found |= {code} if code else set()
    return found


def _stored(parameter: SearchParameter) -> list[SearchParameter]:
    known = parameters(parameter.rtype)
    union = UNIONS.get(parameter.rtype, {}).get(parameter.code)
    return [known[code] for code in union] if union else [parameter]


def _met(look: Look, parameter: SearchParameter, unit: int) -> str:
    """The unit with this hash, read from a resource that has it; "" where none is current any more."""
    for stored in stored_of(look.connection, fetch(look.connection, ONE_OF.encode(), [parameter.id, unit])):
        for element in elements(stored.resource(), parameter):
            for _, _, code, _, _ in amounts(parameter, element):
                if code:
                    _codes[unit_hash(code)] = code
    return _codes.get(unit, "")
