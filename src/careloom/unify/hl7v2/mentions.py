"""unify.hl7v2.mentions: people, organizations and places that fields mention: XCN, XON, PL, NDL, DLD to references.

Room: unify. May import: store, fhir. Each becomes a resource of its own (partial: a mention never overwrites what is
known), found again by its identifier, else by its name. Standard: HL7 v2.9 chapter 2A; the guide's XCN[Practitioner],
XON[Organization], PL[Location].
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from careloom.fhir.resource import Resource
from careloom.unify.hl7v2.assigners import entity_identifier, system_of_assigner
from careloom.unify.hl7v2.datatypes import codeable_concept, string
from careloom.unify.hl7v2.mapping import Element, converter, map_parts
from careloom.unify.hl7v2.reading import CLASH, Cell, Made, Reading
from careloom.unify.hl7v2.tables import TERMINOLOGY, Vocabulary, vocabularies

_LEVELS = ((4, "si"), (7, "bu"), (8, "lvl"), (1, "wa"), (2, "ro"), (3, "bd"))
"""Components of PL from the widest place to the bed, with codes of location-physical-type."""

_LEVEL_NAMES = {
    "si": "Site",
    "bu": "Building",
    "lvl": "Level",
    "wa": "Ward",
    "ro": "Room",
    "bd": "Bed",
}


@converter("XCN[Practitioner]")
def practitioner(reading: Reading, cell: Cell, _path: str, _vocabulary: Vocabulary | None = None) -> Any:
    """A reference to the Practitioner."""
    authority = cell.part(9)
    parts = [reading.part_text(authority, number) if authority else "" for number in (1, 2, 3)]
    return _person(reading, cell, "XCN[Practitioner]", parts)


@converter("CNN[Practitioner]")
def name_and_number(reading: Reading, cell: Cell, _path: str, _vocabulary: Vocabulary | None = None) -> Any:
    """A reference to the Practitioner of a CNN."""
    return _person(
        reading, cell, "CNN[Practitioner]", [reading.part_text(cell, number) for number in (9, 10, 11)]
    )


@converter("NDL[Practitioner]")
def name_with_place(reading: Reading, cell: Cell, path: str, _vocabulary: Vocabulary | None = None) -> Any:
    """A reference to the Practitioner of an NDL; where and when stand in the Event only."""
    who = cell.part(1)
    for number, part in cell.parts():
        if number > 1:
            reading.keep(part, "R4 has no place for where and when an interpreter worked")
    return name_and_number(reading, who, path) if who else None


@converter("XON[Organization]")
def organization(reading: Reading, cell: Cell, _path: str, _vocabulary: Vocabulary | None = None) -> Any:
    """A reference to the Organization."""
    name = reading.part_text(cell, 1)
    number = reading.part_text(cell, 10) or reading.part_text(cell, 3)
    if not name and not number:
        reading.keep(cell, "neither a name nor an identifier is given")
        return None
    authority = cell.part(6)
    parts = [reading.part_text(authority, place) if authority else "" for place in (1, 2, 3)]
    key = (_system(reading, parts), number) if number else ("", name)
    return _reference(
        reading.mention("Organization", *key, fill=_mapping(reading, cell, "XON[Organization]")), name
    )


@converter("CWE[Organization]")
def coded_organization(
    reading: Reading, cell: Cell, _path: str, _vocabulary: Vocabulary | None = None
) -> Any:
    """A reference to an Organization that is given as a code."""
    number, name, system = (reading.part_text(cell, place) for place in (1, 2, 3))
    if not name and not number:
        reading.keep(cell, "neither a name nor an identifier is given")
        return None
    key = (_system(reading, [system, "", ""]), number) if number else ("", name)
    return _reference(
        reading.mention("Organization", *key, fill=_mapping(reading, cell, "CWE[Organization]")), name
    )


@converter("PL[Location]")
def location(reading: Reading, cell: Cell, _path: str, _vocabulary: Vocabulary | None = None) -> Any:
    """A reference to the narrowest place; each is part of the next wider."""
    made = _places(reading, cell, _LEVELS)
    if made is None:
        reading.keep(cell, "no place is named")
        return None
    if (part := cell.part(9)) and (text := reading.text(part)):
        if made.resource.setdefault("description", text) == text:
            reading.mapped(part, f"{made.path}.description")
        else:
            reading.keep(part, CLASH)
    if part := cell.part(6):
        reading.keep(part, "what kind of place it is, its level says")
    if part := cell.part(5):
        reading.keep(part, "the state of a place is not the patient's")
    if part := cell.part(10):
        _comprehensive(reading, part, cell.part(11), made)
    return _reference(made, _place_name(reading, cell))


@converter("ST[Location]")
def named_place(reading: Reading, cell: Cell, _path: str, _vocabulary: Vocabulary | None = None) -> Any:
    """A place that has only a name."""
    text = reading.text(cell)
    if not text:
        return None

    def fill(resource: Resource, path: str) -> None:
        resource["name"] = text
        reading.mapped(cell, f"{path}.name")

    return _reference(reading.mention("Location", "", text, fill=fill), text)


@converter("DLD[Location]")
def discharge_place(reading: Reading, cell: Cell, _path: str, _vocabulary: Vocabulary | None = None) -> Any:
    """Where the patient was discharged to; DLD.2 is when, which the Encounter's period says."""
    place, when = cell.part(1), cell.part(2)
    if when:
        reading.keep(when, "Encounter.period says when")
    if place is None:
        return None
    code, shown, system = (reading.part_text(place, number) for number in (1, 2, 3))
    name = shown or code
    if not name:
        return None

    def fill(resource: Resource, here: str) -> None:
        resource["name"] = name
        concept = codeable_concept(reading, place, f"{here}.type[0]", vocabularies()["DischargeDisposition"])
        if concept:
            resource["type"] = [concept]

    return _reference(reading.mention("Location", "discharge", system, code or shown, fill=fill), name)


def _person(reading: Reading, cell: Cell, name: str, authority: list[str]) -> Any:
    number, family, given, prefix = (reading.part_text(cell, place) for place in (1, 2, 3, 6))
    if not number and not family and not given:
        reading.keep(cell, "neither a name nor an identifier is given")
        return None
    key = (_system(reading, authority), number) if number else ("", family, given)
    made = reading.mention("Practitioner", *key, fill=_mapping(reading, cell, name))
    return _reference(made, " ".join(piece for piece in (prefix, given, family) if piece))


def _mapping(reading: Reading, cell: Cell, name: str) -> Callable[[Resource, str], None]:
    def fill(resource: Resource, path: str) -> None:
        map_parts(reading, name, cell, resource, path)

    return fill


def _system(reading: Reading, parts: list[str]) -> str:
    return system_of_assigner(reading, *parts) if parts[0] or parts[1] else ""


def _places(reading: Reading, cell: Cell, levels: tuple[tuple[int, str], ...]) -> Made | None:
    made: Made | None = None
    key: list[str] = []
    for number, kind in levels:
        part = cell.part(number)
        if part is None or not (name := reading.text(part)):
            continue
        key += [kind, name]
        made = reading.mention("Location", *key, fill=_filling(reading, part, name, kind, made))
    return made


def _filling(
    reading: Reading, part: Cell, name: str, kind: str, wider: Made | None
) -> Callable[[Resource, str], None]:
    def fill(resource: Resource, path: str) -> None:
        resource["name"] = name
        reading.mapped(part, f"{path}.name")
        if part.part(2) or part.part(3):
            _place_identifier(reading, part, resource, path)
        resource["mode"] = "instance"
        system = f"{TERMINOLOGY}location-physical-type"
        resource["physicalType"] = {
            "coding": [{"system": system, "code": kind, "display": _LEVEL_NAMES[kind]}]
        }
        if wider:
            resource["partOf"] = wider.reference

    return fill


def _place_identifier(reading: Reading, part: Cell, resource: Resource, path: str) -> None:
    """HD.2 and HD.3 of a level: a universal id of the place itself."""
    universal, kind = part.part(2), part.part(3)
    if universal is None:
        if kind:
            reading.keep(kind, "an id type without an id says nothing")
        return
    value = string(reading, universal, f"{path}.identifier[0].value")
    if value is None:
        return
    identifier: Element = {"value": value}
    if kind and (text := string(reading, kind, f"{path}.identifier[0].type.text")):
        identifier["type"] = {"text": text}
    resource["identifier"] = [identifier]


def _comprehensive(reading: Reading, part: Cell, authority: Cell | None, made: Made) -> None:
    at, start = len(made.resource.get("identifier", [])), len(reading.marks)
    path = f"{made.path}.identifier[{at}]"
    identifier = entity_identifier(reading, part, path)
    if authority:
        reading.keep(authority, "PL.10 names its own assigner")
    if identifier and identifier not in made.resource.get("identifier", []):
        made.resource.setdefault("identifier", []).append(identifier)
    elif identifier:
        there = f"{made.path}.identifier[{made.resource['identifier'].index(identifier)}]"
        reading.remark(
            start, lambda target: there + target[len(path) :] if target.startswith(path) else target, ""
        )


def _place_name(reading: Reading, cell: Cell) -> str:
    names = [reading.part_text(cell, number) for number in (1, 2, 3)]
    return " ".join(name for name in names if name) or reading.part_text(cell, 4)


def _reference(made: Made, display: str) -> dict[str, str]:
    return {**made.reference, **({"display": display} if display else {})}


@converter("XPN[employer]")
def employer(reading: Reading, cell: Cell, _path: str, _vocabulary: Vocabulary | None = None) -> Any:
    """A reference to an employer that is written as a person's name (GT1-16): the pieces are its name."""
    pieces = [(part, reading.text(part)) for _, part in cell.parts()]
    name = " ".join(text for _, text in pieces if text)
    if not name:
        return None

    def fill(resource: Resource, path: str) -> None:
        resource["name"] = name
        for part, _ in pieces:
            reading.mapped(part, f"{path}.name")

    return _reference(reading.mention("Organization", "", name, fill=fill), name)
