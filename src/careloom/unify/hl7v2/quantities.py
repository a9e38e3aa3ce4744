"""unify.hl7v2.quantities: numbers with units and ranges: CQ, NM, SN, reference ranges.

Room: unify. May import: store, fhir. Units become UCUM where the table knows them; the unit as it was written stays.
Standard: HL7 v2.9 chapter 2A.3.70 (SN), 7.4.2.7 (OBX-7); https://ucum.org
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

from careloom.unify.hl7v2.datatypes import number_of, string
from careloom.unify.hl7v2.mapping import Element, converter, filler
from careloom.unify.hl7v2.reading import Cell, Reading
from careloom.unify.hl7v2.tables import Vocabulary, units

UCUM = "http://unitsofmeasure.org"
_COMPARED = re.compile(r"(<=|>=|<|>|=)\s*([+-]?[\d.]+)\Z")
_BETWEEN = re.compile(r"([+-]?[\d.]+)\s*(?:-|to|\u2013)\s*([+-]?[\d.]+)\Z")


def unit_of(reading: Reading, cell: Cell) -> Element:
    """`unit`, and `system` and `code` where the unit is UCUM or the table knows its UCUM code."""
    code, text, system = (reading.part_text(cell, number) for number in (1, 2, 3))
    shown = text or code
    if not shown:
        return {}
    ucum = units().get(code.lower()) or units().get(text.lower())
    if not ucum and system.upper() == "UCUM":
        ucum = code
    return {"unit": shown, "system": UCUM, "code": ucum} if ucum else {"unit": shown}


def mark_unit(reading: Reading, cell: Cell, unit: Element, path: str) -> None:
    """Say where the components of a unit went."""
    for number, part in cell.parts():
        if number == 1 and cell.part(2):
            if "code" in unit or reading.text(part) == unit.get("unit"):
                reading.mapped(part, f"{path}.{'code' if 'code' in unit else 'unit'}")
            else:
                reading.keep(part, "a local unit code beside its text; R4 holds one unit")
        elif number in {1, 2}:
            reading.mapped(part, f"{path}.unit")
        elif number == 3 and "system" in unit:  # noqa: PLR2004
            reading.mapped(part, f"{path}.system")
        else:
            reading.keep(part, "the unit is given by its code or text")


@filler("CWE[unit]")
def fill_unit(reading: Reading, cell: Cell, element: Element, path: str) -> None:
    """The unit of a CQ."""
    unit = unit_of(reading, cell)
    element.update(unit)
    if unit:
        mark_unit(reading, cell, unit, path)


@converter("NM[days]")
def days(reading: Reading, cell: Cell, path: str, _vocabulary: Vocabulary | None = None) -> Any:
    """A length of stay."""
    value = number_of(reading.text(cell))
    if value is None:
        reading.reject(cell, "not a number")
        return None
    reading.mapped(cell, f"{path}.value")
    return {"value": value, "unit": "days", "system": UCUM, "code": "d"}


@converter("ST[range]")
def reference_range(reading: Reading, cell: Cell, path: str, _vocabulary: Vocabulary | None = None) -> Any:
    """OBX-7: its text always; low and high where it says numbers (3.5-5.1, <10, >=60)."""
    text = string(reading, cell, f"{path}.text")
    if text is None:
        return None
    found: Element = {}
    low, high = range_of(text)
    if low is not None:
        found["low"] = {"value": low}
    if high is not None:
        found["high"] = {"value": high}
    return {**found, "text": text}


def range_of(text: str) -> tuple[Decimal | None, Decimal | None]:
    """Low and high of a written range.

    >>> range_of("3.5-5.1")
    (Decimal('3.5'), Decimal('5.1'))
    >>> range_of("<10")
    (None, Decimal('10'))
    """
    text = text.strip()
    if found := _BETWEEN.match(text):
        low, high = number_of(found[1]), number_of(found[2])
        return (low, high) if low is not None and high is not None and low <= high else (None, None)
    if found := _COMPARED.match(text):
        value = number_of(found[2])
        return (
            (None, value)
            if found[1] in {"<", "<="}
            else (value, None)
            if found[1] in {">", ">="}
            else (None, None)
        )
    return None, None


def compared(text: str) -> tuple[str, Decimal] | None:
    """A number with a comparator before it, as laboratories write it (">100").

    >>> compared(">= 5.0")
    ('>=', Decimal('5.0'))
    """
    found = _COMPARED.match(text.strip())
    value = number_of(found[2]) if found else None
    return (found[1], value) if found and value is not None and found[1] != "=" else None
