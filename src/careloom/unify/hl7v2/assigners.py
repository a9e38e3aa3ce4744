"""unify.hl7v2.assigners: who gave an identifier: HD, EI, CX, EIP to Identifier and its system.

Room: unify. May import: store, fhir. Standard: HL7 v2.9 chapter 2A.3.30 (HD), 2A.3.14 (CX);
https://hl7.org/fhir/R4/datatypes.html#Identifier
"""

from __future__ import annotations

import re
from typing import Any
from uuid import UUID

from careloom.unify.hl7v2.datatypes import string
from careloom.unify.hl7v2.mapping import Element, converter, filler
from careloom.unify.hl7v2.reading import Cell, Reading
from careloom.unify.hl7v2.tables import Vocabulary, systems

_OID = re.compile(r"[0-2](\.(0|[1-9]\d*))+\Z", re.ASCII)
_ORDER_TYPES = {"placer": "PGN", "filler": "FGN"}


def system_of_assigner(reading: Reading, name: str, universal: str, kind: str) -> str:
    """The URI of an assigning authority; one that no registry knows is local to the source."""
    known = systems().get(universal) or ("" if universal else systems().get(name.upper()))
    if known:
        return known
    match kind.upper():
        case "ISO" if _OID.match(universal):
            return f"urn:oid:{universal}"
        case "UUID" | "GUID" if found := _uuid(universal):
            return f"urn:uuid:{found}"
        case "URI" if universal and not any(letter.isspace() for letter in universal):
            return universal
        case _ if _OID.match(universal):
            return f"urn:oid:{universal}"
        case _:
            return reading.local(universal or name)


def assigner(
    reading: Reading,
    name: Cell | None,
    universal: Cell | None,
    kind: Cell | None,
    element: Element,
    path: str,
) -> None:
    """Fill `system`, and `assigner.display` with a name that stands beside a universal id."""
    texts = [reading.text(part) if part else "" for part in (name, universal, kind)]
    if not texts[0] and not texts[1]:
        if kind:
            reading.keep(kind, "an id type without an id says nothing")
        return
    system = system_of_assigner(reading, *texts)
    if "system" in element and element["system"] != system:
        for part in (name, universal, kind):
            if part:
                reading.keep(part, "R4 holds one system, and it is given")
        return
    element["system"] = system
    for part in (universal, kind):
        if part:
            reading.mapped(part, f"{path}.system")
    if name and universal and texts[0]:
        element.setdefault("assigner", {})["display"] = texts[0]
        reading.mapped(name, f"{path}.assigner.display")
    elif name:
        reading.mapped(name, f"{path}.system")


@filler("HD[assigner]")
def hd_assigner(reading: Reading, cell: Cell, element: Element, path: str) -> None:
    """The HD beside an identifier's value."""
    assigner(reading, cell.part(1), cell.part(2), cell.part(3), element, path)


@filler("CWE[assigner]")
def cwe_assigner(reading: Reading, cell: Cell, element: Element, path: str) -> None:
    """A state or agency that is coded: only its text is an assigner."""
    text = string(reading, cell, f"{path}.assigner.display")
    if text:
        element.setdefault("assigner", {})["display"] = text


@converter("EI[Identifier]")
def entity_identifier(reading: Reading, cell: Cell, path: str, _vocabulary: Vocabulary | None = None) -> Any:
    """An EI; one without its value names nothing."""
    value = cell.part(1)
    if value is None:
        reading.keep(cell, "an assigner without a value identifies nothing")
        return None
    identifier: Element = {}
    text = string(reading, value, f"{path}.value")
    if text is None:
        return None
    identifier["value"] = text
    assigner(reading, cell.part(2), cell.part(3), cell.part(4), identifier, path)
    return identifier


@converter("EIP[placer]")
def placer_part(reading: Reading, cell: Cell, path: str, _vocabulary: Vocabulary | None = None) -> Any:
    """EIP.1."""
    return _pair_part(reading, cell, path, 1, "placer")


@converter("EIP[filler]")
def filler_part(reading: Reading, cell: Cell, path: str, _vocabulary: Vocabulary | None = None) -> Any:
    """EIP.2."""
    return _pair_part(reading, cell, path, 2, "filler")


@converter("CWE[Identifier]")
def coded_identifier(reading: Reading, cell: Cell, path: str, _vocabulary: Vocabulary | None = None) -> Any:
    """A code that identifies (a health plan): its code is the value, its text the label of the type."""
    value, label, system = (cell.part(number) for number in (1, 2, 3))
    if value is None or (text := string(reading, value, f"{path}.value")) is None:
        return None
    identifier: Element = {"value": text}
    if system and (name := reading.text(system)):
        identifier["system"] = system_of_assigner(reading, name, "", "")
        reading.mapped(system, f"{path}.system")
    if label and (shown := string(reading, label, f"{path}.type.text")):
        identifier["type"] = {"text": shown}
    return identifier


def _pair_part(reading: Reading, cell: Cell, path: str, number: int, kind: str) -> Any:
    part = cell.part(number)
    if part is None:
        return None
    identifier = entity_identifier(reading, part, path)
    if identifier:
        coding = {"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": _ORDER_TYPES[kind]}
        identifier["type"] = {"coding": [coding]}
    return identifier


def _uuid(text: str) -> str:
    try:
        return str(UUID(text))
    except ValueError:
        return ""


@converter("EIP[either]")
def either_part(reading: Reading, cell: Cell, path: str, _vocabulary: Vocabulary | None = None) -> Any:
    """The placer's identifier of a pair, else the filler's; a pair stands where R4 holds one."""
    first, second = cell.part(1), cell.part(2)
    if first and second:
        reading.keep(second, "R4 holds one identifier here, and the placer's stands")
    return _pair_part(reading, cell, path, 1, "placer") or _pair_part(reading, cell, path, 2, "filler")


@converter("HD[string]")
def assigner_name(
    reading: Reading, cell: Cell, path: str, _vocabulary: Vocabulary | None = None
) -> str | None:
    """The name of an HD, else its universal id."""
    shown = cell.part(1) or cell.part(2)
    for number, part in cell.parts():
        if number > 1 and shown and part.at != shown.at:
            reading.keep(part, "the name beside it stands")
    return string(reading, shown, path) if shown else None
