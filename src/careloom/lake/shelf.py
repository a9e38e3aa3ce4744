"""lake.shelf: a site's own views: ViewDefinitions as JSON files in a folder, read again when a file changes.

Room: lake. May import: lake.view, fhir. Touches: the folder of the setting views_folder.

A file that cannot be a view is left out and named, with place and cause; the others are known all the same.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import structlog

from careloom.fhir.outcome import Issue, OutcomeError
from careloom.fhir.resource import Resource, loads
from careloom.lake.ready import ready_views
from careloom.lake.view.check import faults

log = structlog.get_logger()

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
"""What names a view, as `sql-name` of SQL on FHIR has it."""
MOST = 1_000
"""Files of a folder that are looked at."""
LARGEST = 1_000_000
"""Bytes of one file."""
_BOM = b"\xef\xbb\xbf"

Mark = tuple[str, int, int, int]
"""What a file looks like from outside: its name, when it was written, its size, and which it is."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A file that is no view, and why."""

    file: str
    name: str
    """What the view would be called, as far as that can be told."""
    issue: Issue

    @property
    def words(self) -> str:
        """A sentence for who wrote the file."""
        place = f"{self.issue.expression}: " if self.issue.expression else ""
        return f"The file {self.file} is left out: {place}{self.issue.text}"


@dataclass(frozen=True, slots=True)
class Shelf:
    """What a folder holds."""

    views: Mapping[str, tuple[str, Resource]] = field(default_factory=dict[str, tuple[str, Resource]])
    """Name of a view -> the file, and what it says."""
    left_out: tuple[LeftOut, ...] = ()
    marks: tuple[Mark, ...] = ()
    """Another one when a file was changed, came, or went."""


def shelf(folder: Path | None) -> Shelf:
    """What is in the folder now; nothing is read again of what has not changed. None: there is no folder."""
    if folder is None:
        return _NONE
    try:
        marks = tuple(sorted(_marks(folder)))
    except FileNotFoundError:
        return _NONE
    except OSError as error:
        issue = Issue("no-store", f"The folder cannot be read ({error.strerror}).")
        return Shelf(left_out=(LeftOut(str(folder), "", issue),))
    return _shelved(folder, marks)


_NONE = Shelf()


def _marks(folder: Path) -> Iterator[Mark]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.endswith(".json") and not entry.name.startswith(".") and entry.is_file():
                told = entry.stat()
                yield (entry.name, told.st_mtime_ns, told.st_size, told.st_ino)


@lru_cache(maxsize=16)
def _shelved(folder: Path, marks: tuple[Mark, ...]) -> Shelf:
    views: dict[str, tuple[str, Resource]] = {}
    left_out: list[LeftOut] = []
    taken = dict.fromkeys(ready_views(), "")
    for number, mark in enumerate(marks):
        file = mark[0]
        name = file.removesuffix(".json")
        try:
            if number >= MOST:
                raise OutcomeError(Issue("too-costly", f"A folder of views has at most {MOST} files."))
            definition = _read(folder, mark)
            name = str(definition.get("name", name))
            _refuse_name(name, taken.get(name.lower()))
        except OutcomeError as error:
            left_out.append(LeftOut(file, name, error.issues[0]))
            log.warning("view_file_left_out", file=file, reason=str(error))
        else:
            taken[name.lower()] = file
            views[name] = (file, definition)
    return Shelf(views, tuple(left_out), marks)


def _refuse_name(name: str, other: str | None) -> None:
    if not NAME.fullmatch(name):
        text = f"A view is called by letters, digits and _, and begins with a letter; '{name[:64]}' is not."
        raise OutcomeError(Issue("value", text, "ViewDefinition.name"))
    if other is not None:
        whose = f"the view in {other}" if other else "a view that comes with careloom"
        text = f"'{name}' is the name of {whose}: give this one another."
        raise OutcomeError(Issue("duplicate", text, "ViewDefinition.name"))


@lru_cache(maxsize=2 * MOST)
def _read(folder: Path, mark: Mark) -> Resource:
    file, _, size, _ = mark
    if size > LARGEST:
        raise OutcomeError(Issue("too-long", f"A view has at most {LARGEST:,} bytes."))
    try:
        raw = (folder / file).read_bytes().removeprefix(_BOM)
    except OSError as error:
        raise OutcomeError(Issue("no-store", f"The file cannot be read ({error.strerror}).")) from None
    definition = parsed(raw)
    if not isinstance(definition, dict):
        raise OutcomeError(Issue("structure", "A view is a JSON object.", "ViewDefinition"))
    if definition.get("status") == "retired":
        raise OutcomeError(Issue("processing", "The view is retired.", "ViewDefinition.status"))
    for issue in faults(definition):
        if issue.is_error:
            raise OutcomeError(issue)
    return definition


def parsed(raw: bytes) -> Any:
    """The JSON of a file that a person wrote. Raises OutcomeError(structure) with line and column."""
    try:
        return loads(raw.removeprefix(_BOM))
    except OutcomeError as error:
        raise OutcomeError(Issue("structure", _spot(raw.removeprefix(_BOM), error.issues[0].text))) from None


def _spot(raw: bytes, text: str) -> str:
    """The same with line and column in the place of a number of bytes.

    >>> _spot(b'{\\n "a" 1}', "malformed (byte 7)")
    'malformed (line 2, column 6)'
    """

    def placed(found: re.Match[str]) -> str:
        before = raw[: int(found[1])].decode("utf-8", "replace")
        return f"(line {before.count(chr(10)) + 1}, column {len(before) - before.rfind(chr(10))})"

    return re.sub(r"\(byte (\d+)\)", placed, text).replace("The body", "The file")
