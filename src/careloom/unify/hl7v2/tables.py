"""unify.hl7v2.tables: the maps, read from `tables/*.csv`: which field goes where, by which data type map.

Room: unify. May import: the standard library only. Each row names the map of the HL7 v2-to-FHIR
implementation guide that it follows (https://build.fhir.org/ig/HL7/v2-to-fhir/), or `careloom` where it decides
what the guide leaves open. docs/reference/hl7v2.md explains the columns.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Literal

STRUCTURE = "http://hl7.org/fhir/StructureDefinition/"
TERMINOLOGY = "http://terminology.hl7.org/CodeSystem/"
StepKind = Literal["one", "append", "first", "extension"]


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a target: `name`, `name[]` (one more), `name[0]` (the first), `extension[url]`."""

    name: str
    kind: StepKind = "one"
    url: str = ""


@dataclass(frozen=True, slots=True)
class Constant:
    """A value that a row sets beside what it maps, where nothing stands yet."""

    name: str
    value: object


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a map."""

    number: int
    name: str
    to: tuple[Step, ...]
    by: str
    vocabulary: str
    constants: tuple[Constant, ...]
    why: str
    """Why it is kept raw; empty for what is mapped."""
    guide: str


@dataclass(frozen=True, slots=True)
class Concept:
    """A code of a code system."""

    system: str
    code: str
    display: str = ""

    def coding(self) -> dict[str, str]:
        """As a FHIR Coding."""
        coding = {"system": self.system, "code": self.code}
        return {**coding, "display": self.display} if self.display else coding


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """A map from the codes of one v2 table to a FHIR code system."""

    name: str
    table: str
    """URI of the v2 table that the codes come from; empty when they come from none."""
    concepts: dict[str, Concept]


@dataclass(frozen=True, slots=True)
class Trigger:
    """What one ADT trigger event means."""

    code: str
    name: str
    kind: str
    """visit, person, merge, visit-merge, account-merge, link."""
    status: str
    """Encounter.status after it; `keep`: as it was."""
    guide: str


def rows_of(file: str) -> Iterator[dict[str, str]]:
    """The rows of one CSV table."""
    text = (files(__package__ or "") / "tables" / file).read_text(encoding="utf-8")
    yield from csv.DictReader(text.splitlines())


@cache
def reasons() -> dict[str, str]:
    """Key -> why a field is kept raw."""
    return {row["key"]: row["reason"] for row in rows_of("reasons.csv")}


@cache
def segment_maps() -> dict[str, dict[int, tuple[Row, ...]]]:
    """Segment -> field number -> rows."""
    maps: dict[str, dict[int, tuple[Row, ...]]] = {}
    for file in sorted(path.name for path in (files(__package__ or "") / "tables" / "segments").iterdir()):
        for row in rows_of(f"segments/{file}"):
            segment, _, numbers = row["field"].partition("-")
            _add(maps.setdefault(segment, {}), numbers, row)
    return maps


@cache
def datatype_maps() -> dict[str, dict[int, tuple[Row, ...]]]:
    """Name of the map (`XPN[HumanName]`) -> component number -> rows."""
    maps: dict[str, dict[int, tuple[Row, ...]]] = {}
    for row in rows_of("datatypes.csv"):
        _add(maps.setdefault(row["map"], {}), row["component"], row)
    return maps


@cache
def whole_segments() -> dict[str, str]:
    """Segment -> why all of it is kept raw."""
    return {row["segment"]: reasons()[row["why"]] for row in rows_of("kept_segments.csv")}


@cache
def systems() -> dict[str, str]:
    """Name of a code system or assigner, as senders write it, or its OID -> FHIR URI."""
    return {row["name"].upper(): row["uri"] for row in rows_of("systems.csv")}


@cache
def vocabularies() -> dict[str, Vocabulary]:
    """Name -> map of codes."""
    found: dict[str, Vocabulary] = {}
    for row in rows_of("vocabularies.csv"):
        table = f"{TERMINOLOGY}v2-{row['table']}" if row["table"] else ""
        vocabulary = found.setdefault(row["vocabulary"], Vocabulary(row["vocabulary"], table, {}))
        vocabulary.concepts[row["from"]] = Concept(system_uri(row["system"]), row["code"], row["display"])
    return found


@cache
def triggers() -> dict[str, Trigger]:
    """Trigger event -> its meaning."""
    return {
        row["trigger"]: Trigger(row["trigger"], row["name"], row["kind"], row["status"], row["guide"])
        for row in rows_of("triggers.csv")
    }


@cache
def units() -> dict[str, str]:
    """Unit as senders write it, in lower case -> UCUM code."""
    return {row["unit"].lower(): row["ucum"] for row in rows_of("units.csv")}


@cache
def vital_signs() -> frozenset[str]:
    """LOINC codes of vital signs."""
    return frozenset(row["loinc"] for row in rows_of("vital_signs.csv"))


def system_uri(name: str) -> str:
    """The URI of a code system named in our own tables: a URI, or a name below terminology.hl7.org."""
    return name if ":" in name or not name else TERMINOLOGY + name


def _add(fields: dict[int, tuple[Row, ...]], numbers: str, row: dict[str, str]) -> None:
    first, _, last = numbers.partition("-")
    why = reasons()[row["why"]] if row["why"] else ""
    for number in range(int(first), int(last or first) + 1):
        made = Row(
            number,
            row["name"],
            _steps(row["to"]),
            row["by"],
            row["vocabulary"],
            tuple(_constant(text) for text in row["set"].split(";") if text),
            why,
            row["guide"],
        )
        fields[number] = (*fields.get(number, ()), made)


def _steps(to: str) -> tuple[Step, ...]:
    steps: list[Step] = []
    for text in _split(to):
        name, bracket, inside = text.rstrip("]").partition("[")
        if not bracket:
            steps.append(Step(name))
        elif inside == "":
            steps.append(Step(name, "append"))
        elif inside == "0":
            steps.append(Step(name, "first"))
        else:
            # The parts of a complex extension have relative urls.
            is_part = bool(steps) and steps[-1].kind == "extension"
            steps.append(Step(name, "extension", inside if ":" in inside or is_part else STRUCTURE + inside))
    return tuple(steps)


def _split(to: str) -> list[str]:
    """Split at the dots outside brackets."""
    parts, depth = [""], 0
    for letter in to:
        depth += (letter == "[") - (letter == "]")
        if letter == "." and not depth:
            parts.append("")
        else:
            parts[-1] += letter
    return [part for part in parts if part]


def _constant(text: str) -> Constant:
    """`use=home`; `type~v2-0203|SS|Social Security number` (a CodeableConcept); `type[]~...` (a list of one)."""
    at = min(found for mark in "=~" if (found := text.find(mark)) > 0)
    name, mark, value = text[:at], text[at], text[at + 1 :]
    if mark == "=":
        return Constant(name, {"true": True, "false": False}.get(value, value))
    system, code, display = (*value.split("|"), "")[:3]
    concept = {"coding": [Concept(system_uri(system), code, display).coding()]}
    return Constant(name.removesuffix("[]"), [concept] if name.endswith("[]") else concept)
