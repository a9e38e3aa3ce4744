"""unify.hl7v2.values: OBX-5 by the type in OBX-2: Observation.value[x], or components where it repeats.

Room: unify. May import: store, fhir. Standard: HL7 v2.9 chapter 7.4.2; the guide's OBX[Observation].
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from careloom.fhir.outcome import Issue
from careloom.unify.hl7v2.datatypes import (
    base64_of,
    clock,
    codeable_concept,
    date_time,
    number_of,
    string,
)
from careloom.unify.hl7v2.mapping import Element, cells, convert
from careloom.unify.hl7v2.message import Segment
from careloom.unify.hl7v2.quantities import compared, mark_unit, unit_of
from careloom.unify.hl7v2.reading import Cell, Reading

ATTACHMENT = "http://hl7.org/fhir/5.0/StructureDefinition/extension-Observation.value"
_CODED = frozenset({"CE", "CWE", "CNE", "CF", "IS", "ID"})
_MIME = {
    "AP": "application",
    "APPLICATION": "application",
    "TEXT": "text",
    "TX": "text",
    "IM": "image",
    "IMAGE": "image",
}
Value = tuple[str, Any] | None
"""Name of the element (`valueQuantity`) and its value."""


def map_value(reading: Reading, index: int, segment: Segment, observation: Element, path: str) -> None:
    """Set the value of an Observation from OBX-2, OBX-5 and OBX-6; comes before the rest of the segment."""
    kind = reading.text(cells(index, segment, 2)[0]).upper() if segment.is_valued(2) else ""
    found = [cell for cell in cells(index, segment, 5) if not reading.is_null(cell)]
    if kind in {"TX", "FT", "ST", ""} and len(found) > 1:
        _lines(reading, found, observation, path)
    elif len(found) == 1:
        value = _value(reading, kind, found[0], path)
        if value:
            observation[value[0]] = value[1]
    else:
        _components(reading, kind, found, observation, path)
    for cell in cells(index, segment, 6)[:1]:
        _units(reading, cell, observation, path)


def finish_value(observation: Element) -> None:
    """What needs the whole segment: units of the reference range, codes of components, why there is no value."""
    unit = next((observation[name] for name in ("valueQuantity",) if name in observation), {})
    unit = {name: unit[name] for name in ("unit", "system", "code") if name in unit}
    for limits in observation.get("referenceRange", []):
        for name in ("low", "high"):
            if name in limits:
                limits[name].update(unit)
    for component in observation.get("component", []):
        component["code"] = observation["code"]
    has_value = any(name.startswith("value") for name in observation) or "component" in observation
    if not has_value and not any(item.get("url") == ATTACHMENT for item in observation.get("extension", [])):
        observation["dataAbsentReason"] = {
            "coding": [
                {"system": "http://terminology.hl7.org/CodeSystem/data-absent-reason", "code": "unknown"}
            ]
        }


def _value(reading: Reading, kind: str, cell: Cell, path: str) -> Value:
    read = _READERS.get(kind)
    if read is not None:
        return read(reading, cell, path)
    if kind in _CODED:
        value = codeable_concept(reading, cell, f"{path}.valueCodeableConcept")
        return ("valueCodeableConcept", value) if value else None
    return _text(reading, cell, path)


def _lines(reading: Reading, found: list[Cell], observation: Element, path: str) -> None:
    """Repetitions of text are its lines."""
    lines = [_joined(reading, cell, f"{path}.valueString") for cell in found]
    text = "\n".join(line for line in lines if line)
    if text:
        observation["valueString"] = text


def _components(reading: Reading, kind: str, found: list[Cell], observation: Element, path: str) -> None:
    """R4 holds one value: more of them are components, and `finish_value` gives them the code of the whole."""
    components: list[Element] = []
    for cell in found:
        here = f"{path}.component[{len(components)}]"
        if value := _value(reading, kind, cell, here):
            components.append({value[0]: value[1]})
    if components:
        observation["component"] = components


def _quantity(reading: Reading, cell: Cell, path: str) -> Value:
    text = reading.text(cell)
    value = number_of(text)
    if value is not None:
        reading.mapped(cell, f"{path}.valueQuantity.value")
        return "valueQuantity", {"value": value}
    if found := compared(text):
        reading.mapped(cell, f"{path}.valueQuantity.value")
        return "valueQuantity", {"value": found[1], "comparator": found[0]}
    reading.issues.append(
        Issue("value", "OBX-5 is no number though OBX-2 says NM: it is kept as text.", "OBX-5", "warning")
    )
    return _text(reading, cell, path)


def _structured(reading: Reading, cell: Cell, path: str) -> Value:
    """SN: comparator, number, separator, number: a Quantity, Range or Ratio, else the text of it."""
    sign, first, separator, second = (reading.part_text(cell, number) for number in (1, 2, 3, 4))
    low, high = number_of(first), number_of(second)
    if (low is None and high is None) or sign == "<>" or (separator == "+" and not high):
        return _structured_text(reading, cell, path, "" if separator == "+" else " ")
    if high is None or low is None:
        value: Element = {"value": high if low is None else low}
        if sign in {"<", ">", "<=", ">="}:
            value["comparator"] = sign
        _mark_parts(
            reading,
            cell,
            {
                1: "valueQuantity.comparator" if "comparator" in value else "valueQuantity",
                2: "valueQuantity.value",
                3: "valueQuantity",
                4: "valueQuantity.value",
            },
            path,
        )
        return "valueQuantity", value
    if separator in {":", "/"}:
        _mark_parts(
            reading,
            cell,
            {
                1: "valueRatio",
                2: "valueRatio.numerator.value",
                3: "valueRatio",
                4: "valueRatio.denominator.value",
            },
            path,
        )
        return "valueRatio", {"numerator": {"value": low}, "denominator": {"value": high}}
    if separator == "-" and low <= high:
        _mark_parts(
            reading,
            cell,
            {1: "valueRange", 2: "valueRange.low.value", 3: "valueRange", 4: "valueRange.high.value"},
            path,
        )
        return "valueRange", {"low": {"value": low}, "high": {"value": high}}
    return _structured_text(reading, cell, path, " ")


def _structured_text(reading: Reading, cell: Cell, path: str, between: str) -> Value:
    parts = [(part, reading.text(part)) for number, part in cell.parts() if number <= 4]  # noqa: PLR2004
    for part, _ in parts:
        reading.mapped(part, f"{path}.valueString")
    text = between.join(text for _, text in parts if text)
    return ("valueString", text) if text else None


def _mark_parts(reading: Reading, cell: Cell, targets: dict[int, str], path: str) -> None:
    for number, part in cell.parts():
        if number in targets:
            reading.mapped(part, f"{path}.{targets[number]}")


def _range(reading: Reading, cell: Cell, path: str) -> Value:
    low, high = number_of(reading.part_text(cell, 1)), number_of(reading.part_text(cell, 2))
    if low is None or high is None or low > high:
        return _text(reading, cell, path)
    _mark_parts(reading, cell, {1: "valueRange.low.value", 2: "valueRange.high.value"}, path)
    return "valueRange", {"low": {"value": low}, "high": {"value": high}}


def _date(reading: Reading, cell: Cell, path: str) -> Value:
    value = date_time(reading, cell, f"{path}.valueDateTime")
    return ("valueDateTime", value) if value else None


def _time(reading: Reading, cell: Cell, path: str) -> Value:
    value = clock(reading, cell, f"{path}.valueTime")
    return ("valueTime", value) if value else None


def _period(reading: Reading, cell: Cell, path: str) -> Value:
    value = convert(reading, "DR[Period]", cell, f"{path}.valuePeriod")
    return ("valuePeriod", value) if value else None


def _data(reading: Reading, cell: Cell, path: str) -> Value:
    """ED: R4 has no valueAttachment, so the attachment stands in the extension that R5 backports."""
    here = f"{path}.extension[0].valueAttachment"
    part, kind, subtype, encoding = (cell.part(number) for number in (5, 2, 3, 4))
    data = base64_of(reading.text(part), reading.text(encoding) if encoding else "A") if part else None
    if part is None or data is None:
        reading.reject(cell, "not in the encoding that ED.4 names")
        return None
    attachment: Element = {"data": data}
    reading.mapped(part, f"{here}.data")
    if encoding:
        reading.mapped(encoding, f"{here}.data")
    if content := _mime(reading, kind, subtype):
        attachment["contentType"] = content
        for shown in (kind, subtype):
            if shown:
                reading.mapped(shown, f"{here}.contentType")
    return "extension", [{"url": ATTACHMENT, "valueAttachment": attachment}]


def _pointer(reading: Reading, cell: Cell, path: str) -> Value:
    """RP: a pointer to data elsewhere."""
    here = f"{path}.extension[0].valueAttachment"
    part, kind, subtype = (cell.part(number) for number in (1, 3, 4))
    url = reading.text(part) if part else ""
    if part is None or not url or any(letter.isspace() for letter in url):
        return _text(reading, cell, path)
    reading.mapped(part, f"{here}.url")
    attachment: Element = {"url": url}
    if content := _mime(reading, kind, subtype):
        attachment["contentType"] = content
        for shown in (kind, subtype):
            if shown:
                reading.mapped(shown, f"{here}.contentType")
    return "extension", [{"url": ATTACHMENT, "valueAttachment": attachment}]


def _mime(reading: Reading, kind: Cell | None, subtype: Cell | None) -> str:
    first, second = (reading.text(part) if part else "" for part in (kind, subtype))
    known = _MIME.get(first.upper())
    if second and not any(letter.isspace() for letter in first + second):
        return f"{known or first or 'application'}/{second}".lower()
    return ""


def _text(reading: Reading, cell: Cell, path: str) -> Value:
    text = _joined(reading, cell, f"{path}.valueString")
    return ("valueString", text) if text else None


def _joined(reading: Reading, cell: Cell, path: str) -> str:
    """Text that holds delimiters unescaped keeps its pieces."""
    leaves = cell.leaves()
    texts = [string(reading, leaf, path) for leaf in leaves]
    return " ".join(text for text in texts if text)


def _units(reading: Reading, cell: Cell, observation: Element, path: str) -> None:
    unit = unit_of(reading, cell)
    if not unit:
        return
    places: list[tuple[Element, str]] = []
    for holder, here in [
        (observation, path),
        *((part, f"{path}.component[{n}]") for n, part in enumerate(observation.get("component", []))),
    ]:
        for name, inner in (
            ("valueQuantity", ("",)),
            ("valueRange", ("low", "high")),
            ("valueRatio", ("numerator",)),
        ):
            if name in holder:
                places += [
                    (holder[name][key], f"{here}.{name}.{key}") if key else (holder[name], f"{here}.{name}")
                    for key in inner
                ]
    for quantity, _ in places:
        quantity.update(unit)
    if places:
        mark_unit(reading, cell, unit, places[0][1])
        return
    extensions: list[Element] = observation.setdefault("extension", [])
    shown = cell.part(2) or cell.part(1)
    if shown:
        reading.mapped(shown, f"{path}.extension[{len(extensions)}].valueString")
    reading.keep(cell, "a unit of a value that is no number: its text is kept")
    extensions.append({"url": "urn:careloom:unit", "valueString": unit["unit"]})


_READERS: dict[str, Callable[[Reading, Cell, str], Value]] = {
    "NM": _quantity,
    "SN": _structured,
    "NR": _range,
    "DR": _period,
    "DT": _date,
    "DTM": _date,
    "TS": _date,
    "TM": _time,
    "ED": _data,
    "RP": _pointer,
}
