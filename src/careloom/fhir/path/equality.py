"""fhir.path.equality: when two items are equal, equivalent, smaller or greater.

Room: fhir. May import: fhir.path, fhir.ucum. Standard: http://hl7.org/fhirpath/N1/#equality and http://hl7.org/fhirpath/N1/#comparison
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from careloom.fhir.path.fault import execution_error
from careloom.fhir.path.navigate import below, under
from careloom.fhir.path.temporal import Temporal, compared
from careloom.fhir.path.types import PRIMITIVES
from careloom.fhir.path.value import Collection, Long, Node, Quantity, system
from careloom.fhir.ucum import canonical, converted

_CALENDAR_UCUM = {
    "year": "a", "month": "mo", "week": "wk", "day": "d", "hour": "h", "minute": "min", "second": "s",
    "millisecond": "ms",
}  # fmt: skip
_NUMBERS = frozenset({int, Long, Decimal})


def equal(one: Any, other: Any) -> bool | None:
    """Whether two items are equal; None where their precision or units do not tell."""
    a, b = system(one), system(other)
    kind, other_kind = type(a), type(b)
    if kind is other_kind:
        same_kind = _SAME_KIND.get(kind)
        return a == b if same_kind is None else same_kind(a, b)
    if kind is Quantity or other_kind is Quantity:
        a, b = _as_quantity(a), _as_quantity(b)
        return False if a is None or b is None else _equal_quantities(a, b)
    return a == b if _is_number(a) and _is_number(b) else False


def all_equal(one: Collection, other: Collection) -> bool | None:
    """Whether two collections are equal, item by item in their order."""
    if len(one) != len(other):
        return False
    result: bool | None = True
    for a, b in zip(one, other, strict=True):
        same = equal(a, b)
        if same is False:
            return False
        result = None if same is None else result
    return result


def equivalent(one: Any, other: Any) -> bool:
    """Whether two items are the same for practical purposes: case, white space and trailing digits aside."""
    a, b = system(one), system(other)
    if type(a) is str and type(b) is str:
        return _folded(a) == _folded(b)
    if type(a) is Temporal and type(b) is Temporal:
        return compared(a, b) == 0
    if type(a) is Node and type(b) is Node:
        return _equivalent_nodes(a, b)
    if _is_number(a) and _is_number(b):
        return _rounded_alike(_decimal(a), _decimal(b))
    if type(a) is Quantity or type(b) is Quantity:
        a, b = _as_quantity(a), _as_quantity(b)
        return a is not None and b is not None and _equivalent_quantities(a, b)
    return type(a) is type(b) and a == b


def all_equivalent(one: Collection, other: Collection) -> bool:
    """Whether two collections hold equivalent items, in whatever order."""
    if len(one) != len(other):
        return False
    rest = list(other)
    for a in one:
        for place, b in enumerate(rest):
            if equivalent(a, b):
                del rest[place]
                break
        else:
            return False
    return True


def order(one: Any, other: Any) -> int | None:
    """-1, 0 or 1; None where precision or units do not tell. Raises OutcomeError for items of other kinds."""
    a, b = system(one), system(other)
    if (type(a) is str and type(b) is str) or (_is_number(a) and _is_number(b)):
        return (a > b) - (a < b)
    if type(a) is Temporal and type(b) is Temporal and (a.kind == "Time") == (b.kind == "Time"):
        return compared(a, b)
    if type(a) is Quantity or type(b) is Quantity:
        a, b = _as_quantity(a), _as_quantity(b)
        if a is not None and b is not None:
            pair = in_one_unit(a, b)
            return None if pair is None else (pair[0] > pair[1]) - (pair[0] < pair[1])
    raise execution_error("Values of these types have no order to each other")


def distinct(items: Collection) -> Collection:
    """The items without repetitions, in the order in which they first come."""
    found: Collection = []
    texts: set[str] = set()
    others: Collection = []
    for item in items:
        value = system(item)
        # Most collections hold texts; a set finds those at once, and only a text can equal a text.
        if type(value) is str:
            if value not in texts:
                texts.add(value)
                found.append(item)
        elif not contains(others, value):
            others.append(value)
            found.append(item)
    return found


def contains(items: Collection, wanted: Any) -> bool:
    """Whether an item equals one of a collection."""
    wanted = system(wanted)
    if type(wanted) is str:
        return any((item if type(item) is str else system(item)) == wanted for item in items)
    return any(equal(item, wanted) for item in items)


def weight(items: Collection) -> int:
    """How much there is to compare in the nodes of complex types, in steps; values weigh nothing."""
    waiting = [item.value for item in items if type(item) is Node and type(item.value) is dict]
    count = 0
    while waiting:
        value = waiting.pop()
        count += len(value)
        inner = value.values() if type(value) is dict else value
        waiting += [one for one in inner if type(one) in _NESTING]
    return count // 4


_NESTING = frozenset({dict, list})


def in_one_unit(one: Quantity, other: Quantity) -> tuple[Decimal, Decimal] | None:
    """The values of two quantities in a unit that both have; None if there is none."""
    one, other = as_asked(one, other), as_asked(other, one)
    if (one.unit, one.is_calendar) == (other.unit, other.is_calendar):
        return one.value, other.value
    if one.is_calendar and other.is_calendar:
        is_months = {one.unit, other.unit} <= _MONTHS.keys()
        sizes = _MONTHS if is_months else CALENDAR_SECONDS
        return one.value * sizes[one.unit], other.value * sizes[other.unit]
    first, second = _canonical(one), _canonical(other)
    is_vague = one.is_calendar != other.is_calendar and (one.unit in _VAGUE or other.unit in _VAGUE)
    if is_vague or first is None or second is None or first[1] != second[1]:
        return None
    return first[0], second[0]


def as_asked(one: Quantity, other: Quantity) -> Quantity:
    """A FHIR Quantity of time is one of UCUM where the other is."""
    return Quantity(one.value, one.code) if one.code and not other.is_calendar else one


_MONTHS = {"year": Decimal(12), "month": Decimal(1)}
CALENDAR_SECONDS = {
    "year": Decimal(365 * 86_400), "month": Decimal(30 * 86_400), "week": Decimal(604_800), "day": Decimal(86_400),
    "hour": Decimal(3600), "minute": Decimal(60), "second": Decimal(1), "millisecond": Decimal("0.001"),
}  # fmt: skip
"""How long the units of the calendar are among themselves (N1, "Time-valued quantities")."""

# A year of the calendar is 365 or 366 days long and one of UCUM 365.25, so that they do not compare.
_VAGUE = frozenset({"year", "month", "a", "a_t", "a_j", "a_g", "mo", "mo_s", "mo_j", "mo_g"})


def _canonical(quantity: Quantity) -> tuple[Decimal, str] | None:
    return canonical(quantity.value, _CALENDAR_UCUM[quantity.unit] if quantity.is_calendar else quantity.unit)


def _equal_moments(one: Temporal, other: Temporal) -> bool | None:
    if (one.kind == "Time") != (other.kind == "Time"):
        return False
    sign = compared(one, other)
    return None if sign is None else sign == 0


def _equal_quantities(one: Quantity, other: Quantity) -> bool | None:
    pair = in_one_unit(one, other)
    return None if pair is None else pair[0] == pair[1]


def _equivalent_quantities(one: Quantity, other: Quantity) -> bool:
    pair = in_one_unit(*(_in_ucum(quantity) for quantity in (one, other)))
    if pair is None:
        return False
    if one.unit == other.unit:
        return _rounded_alike(*pair)
    # The digits that count are those that were written, so both are compared in the unit of the less precise one.
    coarse, fine = sorted((one, other), key=lambda quantity: _places(quantity.value))
    coarse, fine = _in_ucum(coarse), _in_ucum(fine)
    value = converted(fine.value, fine.unit, coarse.unit)
    return value is not None and _rounded_alike(coarse.value, value)


def _in_ucum(quantity: Quantity) -> Quantity:
    """For equivalence a year is 1 a and a month 1 mo (N1, "Quantity")."""
    if not quantity.is_calendar:
        return quantity
    return Quantity(quantity.value, _CALENDAR_UCUM[quantity.unit])


def _as_quantity(value: Any) -> Quantity | None:
    if type(value) is Quantity:
        return value
    return Quantity(Decimal(value)) if _is_number(value) else None


def _decimal(number: Any) -> Decimal:
    return Decimal(number)


def _is_number(value: Any) -> bool:
    return type(value) in _NUMBERS


def _rounded_alike(one: Decimal, other: Decimal) -> bool:
    if one == other:
        return True
    places = min(_places(one), _places(other))
    step = Decimal(1).scaleb(-places)
    return one.quantize(step, ROUND_HALF_UP) == other.quantize(step, ROUND_HALF_UP)


def _places(value: Decimal) -> int:
    """Digits behind the point, zeros at the end aside."""
    exponent = value.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


_SPACES = dict.fromkeys(map(ord, "\t\r\n\f\v\u00a0"), " ")


def _folded(text: str) -> str:
    """Letters of one case, and all white space the same."""
    return text.lower().translate(_SPACES)


def _is_alike(one: Node, other: Node) -> bool:
    """Whether the JSON is the same; it is then equal, whatever is in it."""
    if one.value is None or one.type != other.type or one.type == "":
        return False
    return one.value is other.value or one.value == other.value


def _equal_nodes(one: Node, other: Node) -> bool | None:
    if _is_alike(one, other):
        return True
    if (one.type in PRIMITIVES) != (other.type in PRIMITIVES):
        return False
    mine, its = (node.sibling if node.type in PRIMITIVES else node.value for node in (one, other))
    if type(mine) is not dict or type(its) is not dict or not mine:
        return mine == its and one.value == other.value
    if mine.keys() != its.keys():
        return False
    result: bool | None = True
    for key in mine:
        same = all_equal(under(one, key), under(other, key))
        if same is False:
            return False
        result = None if same is None else result
    return result


def _equivalent_nodes(one: Node, other: Node) -> bool:
    if _is_alike(one, other):
        return True
    mine, its = _by_key(below(one)), _by_key(below(other))
    if not mine and not its:
        return one.value == other.value
    return mine.keys() == its.keys() and all(all_equivalent(items, its[key]) for key, items in mine.items())


def _by_key(items: Any) -> dict[str, Collection]:
    found: dict[str, Collection] = {}
    for item in items:
        found.setdefault(item.key, []).append(item)
    return found


_SAME_KIND: dict[type, Callable[[Any, Any], bool | None]] = {
    Temporal: _equal_moments,
    Quantity: _equal_quantities,
    Node: _equal_nodes,
}
