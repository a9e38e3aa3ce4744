"""fhir.path.arguments: a collection where one value of a kind is asked for (singleton evaluation).

Room: fhir. May import: fhir.path. Standard: http://hl7.org/fhirpath/N1/#singleton-evaluation-of-collections
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from careloom.fhir.path.env import MAX_TEXT
from careloom.fhir.path.fault import execution_error, too_costly
from careloom.fhir.path.value import Collection, Node, Quantity, system

TRUE: Collection = [True]
FALSE: Collection = [False]
EMPTY: Collection = []


def boolean(items: Collection) -> bool | None:
    """The only item as a boolean, None for nothing; one item that is no boolean counts as true."""
    if not items:
        return None
    if len(items) > 1:
        raise execution_error("One boolean was expected, and there are several items")
    value = system(items[0])
    if type(value) is bool:
        return value
    return None if is_valueless(value) else True


def is_valueless(item: Any) -> bool:
    """Whether it is a primitive that has only extensions."""
    return type(item) is Node and item.value is None


def truth(value: bool | None) -> Collection:  # noqa: FBT001 - it is the value
    """A boolean, or nothing, as a collection."""
    return EMPTY if value is None else TRUE if value else FALSE


def single(items: Collection, what: str) -> Any:
    """The only item as a System value, None for nothing; raises OutcomeError for several."""
    if not items:
        return None
    if len(items) > 1:
        raise execution_error(f"{what} takes one item, and there are several")
    value = system(items[0])
    return None if is_valueless(value) else value


def text(items: Collection, what: str) -> str | None:
    """The only item, a string; None for nothing."""
    value = single(items, what)
    if value is not None and type(value) is not str:
        raise execution_error(f"{what} takes a string")
    return value


def integer(items: Collection, what: str) -> int | None:
    """The only item, an integer; None for nothing."""
    value = single(items, what)
    if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
        raise execution_error(f"{what} takes an integer")
    return value


def number(items: Collection, what: str) -> int | Decimal | None:
    """The only item, an integer or decimal; None for nothing."""
    value = single(items, what)
    if value is not None and (isinstance(value, bool) or not isinstance(value, int | Decimal)):
        raise execution_error(f"{what} takes a number")
    return value


def amount(items: Collection, what: str) -> int | Decimal | Quantity | None:
    """The only item, a number or quantity; None for nothing."""
    value = single(items, what)
    return value if type(value) is Quantity else number(items, what)


def bounded(value: str) -> Collection:
    """A text that was put together, unless it grew too long."""
    if len(value) > MAX_TEXT:
        raise too_costly(f"The FHIRPath expression makes a text of more than {MAX_TEXT} characters.")
    return [value]
