"""unify.hl7v2.datatypes: the primitive and coded data types: text, numbers, times, codes.

Room: unify. May import: store, fhir. Standard: HL7 v2.9 chapter 2A; https://hl7.org/fhir/R4/datatypes.html
"""

from __future__ import annotations

import base64
import binascii
import re
from decimal import Decimal
from typing import Any

from careloom.unify.hl7v2.mapping import converter
from careloom.unify.hl7v2.reading import Cell, Reading
from careloom.unify.hl7v2.tables import TERMINOLOGY, Vocabulary, systems
from careloom.unify.hl7v2.times import moment, time_of

_HL7_TABLE = re.compile(r"(?:HL7|HL7-|V2-)?(\d{4})\Z", re.IGNORECASE)
_DECIMAL = re.compile(r"([+-]?)(\d+(?:\.\d+)?|\.\d+|\d+\.)\Z", re.ASCII)
_MAX_DIGITS = 40
_OID = re.compile(r"[0-2](\.(0|[1-9]\d*))+\Z", re.ASCII)
_CODINGS = ((1, 2, 3, 7, 14), (4, 5, 6, 8, 17), (10, 11, 12, 13, 20))
"""Code, text, coding system, its version, its OID: the components of CWE that make one coding each."""
_VALUE_SETS = (15, 16, 18, 19, 21, 22)


@converter("string")
def string(reading: Reading, cell: Cell, path: str, _vocabulary: Vocabulary | None = None) -> str | None:
    """Text."""
    text = reading.text(cell)
    if not text:
        if not reading.is_null(cell):
            reading.mark(cell, "rejected", "no text is left when escapes are read")
        return None
    reading.mapped(cell, path)
    return text


@converter("token")
def token(reading: Reading, cell: Cell, path: str, _vocabulary: Vocabulary | None = None) -> str | None:
    """A code as it was sent; inner white space becomes single, as FHIR's `code` asks."""
    text = string(reading, cell, path)
    return " ".join(text.split()) if text else None


@converter("uri")
def uri(reading: Reading, cell: Cell, path: str, _vocabulary: Vocabulary | None = None) -> str | None:
    """A URI: text without white space."""
    text = reading.text(cell)
    if not text or any(letter.isspace() for letter in text):
        reading.reject(cell, "not a URI")
        return None
    reading.mapped(cell, path)
    return text


@converter("code")
def code(reading: Reading, cell: Cell, path: str, vocabulary: Vocabulary | None) -> str | None:
    """A code of a required binding, by the vocabulary."""
    text = reading.text(cell)
    concept = _known(text, vocabulary)
    if concept is None:
        name = vocabulary.name if vocabulary else "the map"
        reading.mark(cell, "rejected", f"the code is not in {name}")
        return None
    reading.mapped(cell, path)
    _name_of_code(reading, cell, path)
    return concept.code


@converter("dateTime")
def date_time(reading: Reading, cell: Cell, path: str, _vocabulary: Vocabulary | None = None) -> str | None:
    """A DTM, DT or TS with the precision it has."""
    found = moment(reading.text(cell), reading.zone)
    if found is None:
        reading.mark(cell, "rejected", "not a date")
        return None
    reading.mapped(cell, path)
    return found.text


@converter("date")
def date(reading: Reading, cell: Cell, path: str, _vocabulary: Vocabulary | None = None) -> str | None:
    """The day of a DTM."""
    text = date_time(reading, cell, path)
    return text.split("T")[0] if text else None


@converter("instant")
def instant(reading: Reading, cell: Cell, path: str, _vocabulary: Vocabulary | None = None) -> str | None:
    """A DTM that says a time of day."""
    found = moment(reading.text(cell), reading.zone)
    if found is None:
        reading.mark(cell, "rejected", "not a date")
    elif not found.has_time:
        reading.mark(cell, "kept_raw", "an instant needs a time of day")
    else:
        reading.mapped(cell, path)
        return found.text
    return None


@converter("time")
def clock(reading: Reading, cell: Cell, path: str, _vocabulary: Vocabulary | None = None) -> str | None:
    """A TM."""
    text = time_of(reading.text(cell))
    if text is None:
        reading.mark(cell, "rejected", "not a time")
        return None
    reading.mapped(cell, path)
    return text


def number_of(text: str) -> Decimal | None:
    """An NM as a decimal with its own digits; None for what is no number.

    >>> number_of("+1.50")
    Decimal('1.50')
    """
    found = _DECIMAL.match(text.strip())
    if not found or len(text) > _MAX_DIGITS:
        return None
    sign, digits = found.groups()
    whole, dot, rest = digits.partition(".")
    return Decimal(f"{sign if sign == '-' else ''}{whole.lstrip('0') or '0'}{dot if rest else ''}{rest}")


@converter("decimal")
def decimal(reading: Reading, cell: Cell, path: str, _vocabulary: Vocabulary | None = None) -> Decimal | None:
    """An NM."""
    value = number_of(reading.text(cell))
    if value is None:
        reading.mark(cell, "rejected", "not a number")
        return None
    reading.mapped(cell, path)
    return value


@converter("positiveInt")
def positive_int(
    reading: Reading, cell: Cell, path: str, _vocabulary: Vocabulary | None = None
) -> int | None:
    """A whole number from 1."""
    value = number_of(reading.text(cell))
    if value is None or value != int(value) or not 0 < value < 2**31:
        reading.mark(cell, "rejected", "not a positive whole number")
        return None
    reading.mapped(cell, path)
    return int(value)


@converter("boolean")
def boolean(reading: Reading, cell: Cell, path: str, _vocabulary: Vocabulary | None = None) -> bool | None:
    """Y or N (table 0136)."""
    found = {"Y": True, "N": False}.get(reading.text(cell).upper())
    if found is None:
        reading.mark(cell, "rejected", "neither Y nor N")
        return None
    reading.mapped(cell, path)
    return found


def base64_of(text: str, encoding: str) -> str | None:
    """ED.5 as base64: it came as Base64, as Hex, or as it is (A)."""
    match encoding.lower():
        case "base64":
            packed = "".join(text.split())
            try:
                base64.b64decode(packed, validate=True)
            except (binascii.Error, ValueError):
                return None
            return packed or None
        case "hex":
            try:
                return base64.b64encode(bytes.fromhex(text)).decode()
            except ValueError:
                return None
        case _:
            return base64.b64encode(text.encode()).decode()


@converter("ST[CodeableConcept]")
def text_concept(reading: Reading, cell: Cell, path: str, _vocabulary: Vocabulary | None = None) -> Any:
    """A name without a code."""
    text = string(reading, cell, f"{path}.text")
    return {"text": text} if text else None


@converter("ST[Identifier]")
def text_identifier(reading: Reading, cell: Cell, path: str, _vocabulary: Vocabulary | None = None) -> Any:
    """An identifier that is only its value."""
    value = string(reading, cell, f"{path}.value")
    return {"value": value} if value else None


@converter("ST[Annotation]")
def annotation(reading: Reading, cell: Cell, path: str, _vocabulary: Vocabulary | None = None) -> Any:
    """A note."""
    text = string(reading, cell, f"{path}.text")
    return {"text": text} if text else None


@converter("CWE[CodeableConcept]")
def codeable_concept(reading: Reading, cell: Cell, path: str, vocabulary: Vocabulary | None = None) -> Any:
    """Mapped coding first, then what was sent: local codes stand beside mapped ones."""
    concept: dict[str, Any] = {"coding": []}
    known = _known(reading.part_text(cell, 1), vocabulary)
    if known is not None and vocabulary is not None and known.system != vocabulary.table:
        concept["coding"].append(known.coding())
    width = 1 if isinstance(cell.tree, str) else len(cell.tree)
    for numbers in _CODINGS:
        if numbers[0] > width:
            break
        _coding(reading, cell, path, vocabulary, numbers, concept)
    if original := cell.part(9):
        if "text" in concept:
            reading.keep(original, "the text beside it stands")
        elif text := string(reading, original, f"{path}.text"):
            concept["text"] = text
    for number in _VALUE_SETS:
        if number <= width and (part := cell.part(number)):
            reading.keep(part, "R4 has no place for the value set of a coding")
    if not concept["coding"]:
        del concept["coding"]
    return concept or None


@converter("CWE[Coding]")
def coding(reading: Reading, cell: Cell, path: str, vocabulary: Vocabulary | None) -> Any:
    """The first coding: mapped where the map knows it, else as it was sent."""
    start = len(reading.marks)
    is_mapped = _known(reading.part_text(cell, 1), vocabulary) is not None
    found = codeable_concept(reading, cell, path, vocabulary) or {}
    codings = found.get("coding", [])

    def moved(target: str) -> str | None:
        if codings and target.startswith(f"{path}.coding[0]"):
            return target.replace(".coding[0]", "", 1)
        if is_mapped and target == f"{path}.coding[1].code":
            return f"{path}.code"  # The code that came is what the mapped coding says.
        return None if target.startswith((f"{path}.coding", f"{path}.text")) else target

    reading.remark(start, moved, "one Coding holds one code")
    return codings[0] if codings else None


@converter("CWE[string]")
def concept_string(
    reading: Reading, cell: Cell, path: str, _vocabulary: Vocabulary | None = None
) -> str | None:
    """The text of a coded value, else its code."""
    shown, sent = cell.part(2), cell.part(1)
    for part in (shown, sent):
        if part:
            text = string(reading, part, path)
            if shown and sent and part is shown:
                reading.keep(sent, "the text beside it stands")
            return text
    return None


@converter("CWE[race]")
def race(reading: Reading, cell: Cell, path: str, vocabulary: Vocabulary | None) -> Any:
    """The parts of the US Core race and ethnicity extensions: an OMB category, else a text."""
    sent, shown, system = (cell.part(number) for number in (1, 2, 3))
    known = _known(reading.text(sent), vocabulary) if sent else None
    label = shown or sent
    for number, part in cell.parts():
        if number > 3:  # noqa: PLR2004
            reading.keep(part, "the extension holds one code and its text")
    if label is None:
        return None
    text = reading.text(label) or "unknown"
    if known is None:
        reading.mapped(label, f"{path}[0].valueString")
        return [{"url": "text", "valueString": text}]
    if sent is not None:
        reading.mapped(sent, f"{path}[0].valueCoding.code")
    if system:
        reading.mapped(system, f"{path}[0].valueCoding.system")
    reading.mapped(label, f"{path}[1].valueString")
    return [{"url": "ombCategory", "valueCoding": known.coding()}, {"url": "text", "valueString": text}]


def system_of(reading: Reading, name: str, oid: str = "") -> str:
    """The URI of a coding system by its name in table 0396 or its OID; what is unknown is local to the source."""
    known = systems().get(name.upper()) or systems().get(oid)
    if known:
        return known
    if table := _HL7_TABLE.match(name):
        return f"{TERMINOLOGY}v2-{table[1]}"
    for text in (oid, name):
        if _OID.match(text):
            return f"urn:oid:{text}"
    if name.startswith(("http://", "https://", "urn:")) and not any(letter.isspace() for letter in name):
        return name
    return reading.local(name or oid)


def _coding(
    reading: Reading,
    cell: Cell,
    path: str,
    vocabulary: Vocabulary | None,
    numbers: tuple[int, int, int, int, int],
    concept: dict[str, Any],
) -> None:
    """Append the coding that these components make; a text without a code is the text of the whole."""
    here = f"{path}.coding[{len(concept['coding'])}]"
    sent, shown, system, version, oid = (cell.part(number) for number in numbers)
    if sent is None:
        if shown is not None and "text" not in concept and (text := string(reading, shown, f"{path}.text")):
            concept["text"] = text
        for part in (system, version, oid):
            if part:
                reading.keep(part, "a coding system without a code says nothing")
        return
    coding: dict[str, str] = {}
    value = token(reading, sent, f"{here}.code")
    if value is None:
        return
    if system or oid:
        name, number = (reading.text(part) if part else "" for part in (system, oid))
        coding["system"] = system_of(reading, name, number)
        for part in (system, oid):
            if part:
                reading.mapped(part, f"{here}.system")
    elif vocabulary and vocabulary.table and _known(value, vocabulary) and numbers[0] == 1:
        coding["system"] = vocabulary.table
    if version and (text := string(reading, version, f"{here}.version")):
        coding["version"] = text
    coding["code"] = value
    if shown and (text := string(reading, shown, f"{here}.display")):
        coding["display"] = text
    concept["coding"].append(coding)


def _known(text: str, vocabulary: Vocabulary | None) -> Any:
    if vocabulary is None:
        return None
    return vocabulary.concepts.get(text) or vocabulary.concepts.get(text.upper())


def _name_of_code(reading: Reading, cell: Cell, path: str) -> None:
    """The display and system that came with a code of a required binding say what the code says."""
    for number, part in cell.parts():
        if number in {2, 3}:
            reading.mapped(part, path)
        elif number > 1:
            reading.keep(part, "the code beside it says it")


@converter("CWE[Annotation]")
def coded_annotation(reading: Reading, cell: Cell, path: str, _vocabulary: Vocabulary | None = None) -> Any:
    """A note that is given as a coded text."""
    text = concept_string(reading, cell, f"{path}.text")
    return {"text": text} if text else None


@converter("PRL[CodeableConcept]")
def parent_result(reading: Reading, cell: Cell, path: str, _vocabulary: Vocabulary | None = None) -> Any:
    """OBR-26: the code of the result that this one follows; its sub-id and value stand in the Event."""
    for number, reason in (
        (2, "R4 has no element for the sub-id of a parent"),
        (3, "the parent result holds its value"),
    ):
        if part := cell.part(number):
            reading.keep(part, reason)
    first = cell.part(1)
    return codeable_concept(reading, first, path) if first else None
