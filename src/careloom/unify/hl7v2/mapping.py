"""unify.hl7v2.mapping: apply the rows of a map to a segment or to a part of a field.

Room: unify. May import: store, fhir. A row converts a cell (`by`) and sets the value at a path (`to`); the path of
each leaf goes to the ledger.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from careloom.unify.hl7v2.message import EMPTY, Segment, is_empty
from careloom.unify.hl7v2.reading import CLASH, Cell, Reading
from careloom.unify.hl7v2.tables import Row, Step, Vocabulary, datatype_maps, segment_maps, vocabularies
from careloom.unify.hl7v2.times import is_reversed

Element = dict[str, Any]
Convert = Callable[[Reading, Cell, str, Vocabulary | None], Any]
"""(reading, cell, path of the value, vocabulary) -> JSON value, or None when the cell has none."""
Fill = Callable[[Reading, Cell, Element, str], None]
"""(reading, cell, element, path): a map that fills several names of the element that holds it."""
Slots = Mapping[str, tuple[Element, str] | str]
"""First step of a target -> the resource and its path; or why the message names no such resource."""

_LIMITS = frozenset({"start", "end"})
CONVERTERS: dict[str, Convert] = {}
"""What `by` may name, beside the maps of datatypes.csv."""
FILLERS: dict[str, Fill] = {}


_Convert = TypeVar("_Convert", bound=Convert)


def converter(name: str) -> Callable[[_Convert], _Convert]:
    """Register a converter under its name in the tables."""

    def register(convert: _Convert) -> _Convert:
        CONVERTERS[name] = convert
        return convert

    return register


def filler(name: str) -> Callable[[Fill], Fill]:
    """Register a filler under its name in the tables."""

    def register(fill: Fill) -> Fill:
        FILLERS[name] = fill
        return fill

    return register


def cells(index: int, segment: Segment, number: int) -> list[Cell]:
    """The repetitions of a field that are not empty."""
    if number > len(segment.fields):
        return []
    repetitions = segment.fields[number - 1]
    if repetitions is EMPTY:
        return []
    return [Cell(tree, (index, number, n)) for n, tree in enumerate(repetitions, 1) if not is_empty(tree)]


def map_segment(reading: Reading, index: int, slots: Slots) -> None:
    """Apply the rows of a segment's map. Rows `@name` are left to the code that calls this."""
    segment = reading.message.segments[index]
    rows = segment_maps()[segment.name]
    for number, repetitions in enumerate(segment.fields, 1):
        if repetitions is EMPTY or number not in rows:
            continue
        for cell in cells(index, segment, number):
            if not reading.is_null(cell):
                for row in rows[number]:
                    _apply(reading, row, cell, slots)


def map_parts(reading: Reading, name: str, cell: Cell, element: Element, path: str) -> None:
    """Fill an element by a data type map."""
    rows = datatype_maps()[name]
    for number, part in cell.parts():
        for row in rows.get(number, ()):
            if row.why:
                reading.keep(part, row.why)
            else:
                place(reading, row, part, element, path)


def convert(reading: Reading, by: str, cell: Cell, path: str, vocabulary: str = "") -> Any:
    """The value of a cell by a named converter or data type map."""
    found = CONVERTERS.get(by)
    if found is not None:
        return found(reading, cell, path, vocabularies()[vocabulary] if vocabulary else None)
    element: Element = {}
    map_parts(reading, by, cell, element, path)
    return element or None


def place(reading: Reading, row: Row, cell: Cell, element: Element, path: str, first: int = 0) -> bool:
    """Set what the row says below the element; False when the cell had no value for it."""
    if reading.is_null(cell):
        return False
    if first == len(row.to):
        _fill(reading, row, cell, element, path)
        return True
    return _place(reading, row, cell, element, path, row.to[first:])


def _apply(reading: Reading, row: Row, cell: Cell, slots: Slots) -> None:
    if row.why:
        reading.keep(cell, row.why)
        return
    if row.by.startswith("@"):
        return
    slot = slots.get(row.to[0].name)
    if slot is None:
        return
    if isinstance(slot, str):
        reading.keep(cell, slot)
        return
    place(reading, row, cell, slot[0], slot[1], 1)


def _place(
    reading: Reading, row: Row, cell: Cell, element: Element, path: str, steps: tuple[Step, ...]
) -> bool:
    step, rest = steps[0], steps[1:]
    if step.kind == "one":
        return _place_one(reading, row, cell, element, path, steps)
    items: list[Any] = element.get(step.name) or []
    at = 0 if step.kind == "first" else len(items)
    here, start = f"{path}.{step.name}[{at}]", len(reading.marks)
    if not rest and step.kind == "first":
        value = items[0] if items else {}
        _fill(reading, row, cell, value, here)
        if not value:
            return False
    elif not rest:
        value = convert(reading, row.by, cell, here, row.vocabulary)
        if value is None:
            return False
    else:
        value = items[0] if step.kind == "first" and items else ({"url": step.url} if step.url else {})
        if not _place(reading, row, cell, value, here, rest):
            return False
    if isinstance(value, dict) and not step.url:
        _constants(row, value)
    if step.kind == "first" and items:
        return True
    if value not in items:
        items.append(value)
    else:
        there = f"{path}.{step.name}[{items.index(value)}]"
        reading.remark(
            start, lambda target: there + target[len(here) :] if target.startswith(here) else target, ""
        )
    element[step.name] = items
    return True


def _place_one(
    reading: Reading, row: Row, cell: Cell, element: Element, path: str, steps: tuple[Step, ...]
) -> bool:
    step, rest = steps[0], steps[1:]
    here = f"{path}.{step.name}"
    if rest:
        child: Element = element.get(step.name, {})
        if _place(reading, row, cell, child, here, rest):
            element[step.name] = child
            return True
        return False
    start = len(reading.marks)
    value = convert(reading, row.by, cell, here, row.vocabulary)
    if value is None:
        return False
    if step.name in element:
        if element[step.name] != value:
            reading.remark(start, lambda target: None if target.startswith(here) else target, CLASH)
        return False
    element[step.name] = value
    if step.name in _LIMITS and is_reversed(element):
        del element[step.name]
        reading.refuse(start, "the period would end before it starts")
        return False
    if all(one.kind == "one" for one in row.to):
        # Where a list item holds it, the item gets the constants.
        _constants(row, value if isinstance(value, dict) else element)
    return True


def _fill(reading: Reading, row: Row, cell: Cell, element: Element, path: str) -> None:
    if row.by in FILLERS:
        FILLERS[row.by](reading, cell, element, path)
    else:
        map_parts(reading, row.by, cell, element, path)


def _constants(row: Row, element: Element) -> None:
    for constant in row.constants:
        element.setdefault(constant.name, constant.value)
