"""unify.hl7v2.contacts: XTN to ContactPoint.

Room: unify. May import: store, fhir. Standard: HL7 v2.9 chapter 2A.3.90 (XTN); the guide's XTN[ContactPoint].
"""

from __future__ import annotations

from typing import Any

from careloom.unify.hl7v2.datatypes import date_time, positive_int, token
from careloom.unify.hl7v2.mapping import Element, converter, filler
from careloom.unify.hl7v2.reading import Cell, Reading
from careloom.unify.hl7v2.tables import STRUCTURE, TERMINOLOGY, Vocabulary, vocabularies

_PARTS = {5: "country", 6: "area", 7: "local", 8: "extension"}
_ELECTRONIC = {"INTERNET", "X.400", "NET"}
_KEPT = {
    9: "R4 has no place for a remark on a number",
    10: "R4 has no place for a dialling prefix",
    11: "R4 has no place for a speed dial code",
    15: "R4 has no place for why a number ended",
    16: "R4 has no place for a protection code of a number",
    17: "R4 has no place for a shared number's identifier",
}


@converter("XTN[ContactPoint]")
def contact_point(reading: Reading, cell: Cell, path: str, _vocabulary: Vocabulary | None = None) -> Any:
    """One number or address; its parts stand in the contactpoint extensions as the guide says."""
    parts = dict(cell.parts())
    value = _value(reading, parts, path)
    if not value:
        reading.keep(cell, "no number or address is given")
        return None
    point: Element = {"value": value}
    _system_and_use(reading, parts, point, path)
    if extensions := _extensions(reading, parts, path):
        point["extension"] = extensions
    for number, name in ((13, "start"), (14, "end")):
        if part := parts.get(number):
            text = date_time(reading, part, f"{path}.period.{name}")
            if text:
                point.setdefault("period", {})[name] = text
    if (part := parts.get(18)) and (rank := positive_int(reading, part, f"{path}.rank")):
        point["rank"] = rank
    for number, reason in _KEPT.items():
        if part := parts.get(number):
            reading.keep(part, reason)
    return point


def _value(reading: Reading, parts: dict[int, Cell], path: str) -> str:
    """The address of an electronic contact, else the unformatted number, the older XTN.1, or the parts joined."""
    is_electronic = (
        _text(reading, parts, 3).upper() in _ELECTRONIC or _text(reading, parts, 2).upper() == "NET"
    )
    order = (4, 12, 1) if is_electronic else (12, 1)
    chosen = next((number for number in order if _text(reading, parts, number)), 0)
    if not chosen and not _text(reading, parts, 7) and _text(reading, parts, 4):
        chosen = 4
    for number in {1, 4, 12} - {chosen}:
        if part := parts.get(number):
            reading.keep(part, "a ContactPoint holds one number, and another component gives it")
    if chosen:
        reading.mapped(parts[chosen], f"{path}.value")
        return _text(reading, parts, chosen)
    if not _text(reading, parts, 7):
        return ""
    country, area, local, extension = (_text(reading, parts, number) for number in (5, 6, 7, 8))
    pieces = (f"+{country.lstrip('+')}" if country else "", area, local, f"X{extension}" if extension else "")
    return " ".join(piece for piece in pieces if piece)


def _system_and_use(reading: Reading, parts: dict[int, Cell], point: Element, path: str) -> None:
    use, equipment = (_text(reading, parts, number).upper() for number in (2, 3))
    found = vocabularies()["TelecommunicationEquipmentType"].concepts.get(equipment)
    known_use = vocabularies()["TelecommunicationUseCode"].concepts.get(use)
    looks_electronic = "@" in point["value"]
    point["system"] = found.code if found else ("email" if looks_electronic or use == "NET" else "phone")
    if use == "BPN" and not found:
        point["system"] = "pager"
    if known_use:
        point["use"] = known_use.code
    elif equipment == "CP":
        point["use"] = "mobile"
    if part := parts.get(3):
        if found:
            reading.mapped(part, f"{path}.system")
        else:
            reading.mark(part, "rejected", "the code is not in TelecommunicationEquipmentType")
    if part := parts.get(2):
        if known_use:
            reading.mapped(part, f"{path}.use")
        elif use in {"NET", "BPN"}:
            reading.mapped(part, f"{path}.system")
        else:
            reading.mark(part, "kept_raw", "R4 has no such use of a number")


def _extensions(reading: Reading, parts: dict[int, Cell], path: str) -> list[Element]:
    extensions: list[Element] = []
    for number, name in _PARTS.items():
        if text := _text(reading, parts, number):
            reading.mapped(parts[number], f"{path}.extension[{len(extensions)}].valueString")
            extensions.append({"url": f"{STRUCTURE}contactpoint-{name}", "valueString": text})
    return extensions


def _text(reading: Reading, parts: dict[int, Cell], number: int) -> str:
    part = parts.get(number)
    return reading.text(part) if part else ""


@filler("XAD[use]")
def address_use(reading: Reading, cell: Cell, element: Element, path: str) -> None:
    """XAD.7 is a use or a type of address; what is neither stands in the guide's extension."""
    text = reading.text(cell).upper()
    for name, vocabulary in (("use", "AddressUse"), ("type", "AddressType")):
        if found := vocabularies()[vocabulary].concepts.get(text):
            element[name] = found.code
            reading.mapped(cell, f"{path}.{name}")
            return
    extensions: list[Element] = element.get("extension", [])
    sent = token(reading, cell, f"{path}.extension[{len(extensions)}].valueCodeableConcept.coding[0].code")
    if sent:
        concept = {"coding": [{"system": f"{TERMINOLOGY}v2-0190", "code": sent}]}
        extension = {"url": "urn:careloom:address-type", "valueCodeableConcept": concept}
        element["extension"] = [*extensions, extension]


@converter("XPN[string]")
def name_string(reading: Reading, cell: Cell, path: str, _vocabulary: Vocabulary | None = None) -> str | None:
    """A name as one text: given names, family name."""
    pieces: list[str] = []
    for number in (2, 3, 1):
        if (part := cell.part(number)) and (text := reading.text(part)):
            reading.mapped(part, path)
            pieces.append(text)
    for number, part in cell.parts():
        if number not in {1, 2, 3}:
            reading.keep(part, "the element holds the name as one text")
    return " ".join(pieces) or None
