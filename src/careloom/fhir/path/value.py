"""fhir.path.value: what a collection of FHIRPath holds: System values, and nodes of a resource.

Room: fhir. May import: fhir.path. Standard: http://hl7.org/fhirpath/N1/#literals and https://hl7.org/fhir/R4/fhirpath.html#types

A System value is a bool, int, Decimal, str, Temporal or Quantity. A Node is a place in a resource. Where a function
asks for a System value, the value of a node is converted as FHIR says.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from enum import IntEnum
from typing import Any

from msgspec import Struct

from careloom.fhir.path.temporal import Kind, Temporal, temporal
from careloom.fhir.ucum import SYSTEM

Collection = list[Any]


class Want(IntEnum):
    """How much must be known of the items of a collection by who asks for it; less is quicker to find."""

    NODES = 0
    """Where each stands and of what type it is."""
    VALUES = 1
    """What `system` gives of it: a text or an integer may come without its place."""
    JSON = 2
    """No more than how many there are, and the JSON of each."""


class Node(Struct, frozen=True, gc=False):
    """A place in a resource: the JSON value (None where a primitive has only extensions), and where it stands."""

    value: Any
    type: str
    """A type or, for a backbone element, its path; "" where no definition says what it is."""
    owner: dict[str, Any] | None = None
    key: str = ""
    place: int | None = None

    @property
    def sibling(self) -> dict[str, Any]:
        """The id and extensions of a primitive: the value of `_birthDate` beside birthDate."""
        beside = None if self.owner is None else self.owner.get(f"_{self.key}")
        if type(beside) is list and self.place is not None:
            beside = beside[self.place] if self.place < len(beside) else None
        return beside if type(beside) is dict else {}


class Quantity(Struct, frozen=True, gc=False):
    """A value with a UCUM unit or, where `is_calendar`, the singular of a calendar duration."""

    value: Decimal
    unit: str = "1"
    is_calendar: bool = False
    code: str = ""
    """The UCUM code that a FHIR Quantity of time had: it is 1 year and 1 a at once, as the other side asks."""

    def __str__(self) -> str:
        """As a literal: `4 'mg'`, `1 week`."""
        if not self.is_calendar:
            return f"{plain(self.value)} '{self.unit}'"
        return f"{plain(self.value)} {self.unit}{'' if self.value == 1 else 's'}"


class Long(int):
    """An integer of 64 bits."""

    __slots__ = ()


def plain(number: Decimal) -> str:
    """A decimal without an exponent."""
    return f"{number:f}"


def system(item: Any) -> Any:
    """The System value of an item; a node of a complex type is returned as it is.

    >>> system(Node("2014-01", "date"))
    Temporal(kind='Date', parts=(2014, 1), zone=None)
    """
    if type(item) is not Node:
        return item
    value, kind = item.value, item.type
    if value is None:
        return item
    if kind in PLAIN:
        return value
    convert = _CONVERSIONS.get(kind)
    return item if convert is None else convert(item)


def json_value(item: Any) -> Any:
    """The item as JSON, for a caller that wants no types; None for a primitive that has only extensions."""
    if type(item) is Node:
        return item.value
    if type(item) is Temporal:
        return str(item)
    if type(item) is Quantity:
        unit, is_calendar = item.code or item.unit, item.is_calendar and not item.code
        return {"value": item.value, **({"unit": unit} if is_calendar else {"system": SYSTEM, "code": unit})}
    return item


def _date(kind: Kind) -> Callable[[Node], Any]:
    def convert(node: Node) -> Any:
        found = temporal(kind, node.value) if type(node.value) is str else None
        return node.value if found is None else found

    return convert


def _decimal(node: Node) -> Any:
    value = node.value
    return Decimal(value) if type(value) is int else value


def _quantity(node: Node) -> Any:
    """A FHIR Quantity converts where its unit is UCUM; codes of time become those of the calendar."""
    given = node.value
    value = given.get("value") if type(given) is dict and "comparator" not in given else None
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return node
    code, unit = given.get("code"), given.get("unit", "1")
    if type(code) is str and given.get("system") == SYSTEM:
        if code in _CALENDAR:
            return Quantity(Decimal(value), _CALENDAR[code], is_calendar=True, code=code)
        return Quantity(Decimal(value), code)
    has_unit_only = code is None and "system" not in given and type(unit) is str
    return Quantity(Decimal(value), unit) if has_unit_only else node


_CALENDAR = {
    "a": "year", "mo": "month", "wk": "week", "d": "day", "h": "hour", "min": "minute", "s": "second",
    "ms": "millisecond",
}  # fmt: skip


def _untyped(node: Node) -> Any:
    return node if type(node.value) in {dict, list} else node.value


PLAIN = frozenset(
    {
        "boolean", "integer", "positiveInt", "unsignedInt", "string", "code", "id", "markdown", "uri", "url",
        "canonical", "oid", "uuid", "base64Binary", "xhtml",
    }
)  # fmt: skip
"""Types whose JSON value is the System value."""

_CONVERSIONS: dict[str, Callable[[Node], Any]] = {
    "": _untyped,
    "decimal": _decimal,
    "date": _date("Date"),
    "dateTime": _date("DateTime"),
    "instant": _date("DateTime"),
    "time": _date("Time"),
    **dict.fromkeys(("Quantity", "Age", "Count", "Distance", "Duration", "SimpleQuantity"), _quantity),
}
