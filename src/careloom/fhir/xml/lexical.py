"""fhir.xml.lexical: the text of a value attribute to the JSON value and back.

Room: fhir. May import: fhir.outcome. Standard: https://hl7.org/fhir/R4/datatypes.html#primitive
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from careloom.fhir.outcome import Issue, OutcomeError

_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,18})", re.ASCII)
# Longer numbers than these no measurement has, and arithmetic with them would stop a server.
_DECIMAL = re.compile(r"-?(0|[1-9][0-9]{0,999})(\.[0-9]{1,999})?([eE][+-]?[0-9]{1,4})?", re.ASCII)
_SPECIAL = re.compile(r'[&<>"\t\n\r]|[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]')
# White space is spelt out, because a parser makes plain blanks of it in an attribute (XML 1.0, section 3.3.3).
_ESCAPED = {
    "&": "&amp;",
    "<": "&lt;",
    ">": "&gt;",
    '"': "&quot;",
    "\t": "&#9;",
    "\n": "&#10;",
    "\r": "&#13;",
}
_SMALL = -40
"""Decimals down to this exponent are written without one, as nearly all of them came."""


def reader_of(kind: str) -> Callable[[str], Any] | None:
    """What makes the JSON value of a text; None where the text is the value. It returns None for what is no value.

    >>> reader_of("decimal")("1.50"), reader_of("decimal")("1"), reader_of("boolean")("yes")
    (Decimal('1.50'), 1, None)
    """
    return _READERS.get(kind)


def _boolean(text: str) -> bool | None:
    return {"true": True, "false": False}.get(text)


def _integer(text: str) -> int | None:
    return int(text) if _INTEGER.fullmatch(text) else None


def _decimal(text: str) -> int | Decimal | None:
    found = _DECIMAL.fullmatch(text)
    if found is None:
        return None
    # As in JSON, what has neither point nor exponent is an integer.
    return int(text) if found[2] is None and found[3] is None else Decimal(text)


_READERS: dict[str, Callable[[str], Any]] = {
    "boolean": _boolean,
    "integer": _integer,
    "unsignedInt": _integer,
    "positiveInt": _integer,
    "decimal": _decimal,
}


def text_of(value: Any, key: str) -> str:
    """The text of a JSON value, escaped. Raises OutcomeError where XML cannot hold it.

    >>> text_of(Decimal("1.50"), "value"), text_of(True, "active"), text_of("<", "text")
    ('1.50', 'true', '&lt;')
    """
    kind = type(value)
    if kind is str:
        return value if value.isalnum() else _SPECIAL.sub(_reference, value)
    if kind is bool:
        return "true" if value else "false"
    if kind is Decimal and value.is_finite():
        return format(value, "f") if _SMALL < value.as_tuple().exponent <= 0 else str(value)
    if kind is int or (kind is float and value - value == 0):
        return str(value)
    raise OutcomeError(Issue("structure", "Expected a value.", key))


def _reference(found: re.Match[str]) -> str:
    try:
        return _ESCAPED[found[0]]
    except KeyError:
        raise OutcomeError(Issue("value", "XML has no such character.")) from None
