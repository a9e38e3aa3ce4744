"""connect.sources: walk files, folders and archives, and give what is in them, item by item.

Room: connect. May import: fhir, store. Touches: the files that it is given.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from careloom.connect.archive import members, reading
from careloom.connect.content import DEFAULT_SIZES, Sizes, arrivals
from careloom.fhir.outcome import Issue, OutcomeError
from careloom.store.event import Arrival


@dataclass(frozen=True, slots=True)
class Plan:
    """What a load will read."""

    files: tuple[Path, ...]
    total_bytes: int
    """Of the files as they lie on disk: an archive counts as packed."""


@dataclass(frozen=True, slots=True)
class Item:
    """One arrival, or one file (or the rest of one) that cannot be read, with the reason.

    `name` may name a patient, as file names do: it is for the person at the terminal, never for a log.
    """

    name: str
    arrival: Arrival | None
    issue: Issue | None
    read_bytes: int
    """Of the plan's bytes, how many were read when this came."""


def plan(paths: Iterable[Path]) -> Plan:
    """The files in these files and folders, in the order of their names; hidden ones are left out.

    Raises OutcomeError(not-found) if a path does not exist.
    """
    files: list[Path] = []
    for path in paths:
        if not path.exists():
            raise OutcomeError(Issue("not-found", f"There is no file or folder {path}."))
        files += _walked(path) if path.is_dir() else [path]
    return Plan(tuple(files), sum(file.stat().st_size for file in files))


def items(planned: Plan, source: str = "", sizes: Sizes = DEFAULT_SIZES) -> Iterator[Item]:
    """Everything in the plan's files, in bounded memory; what cannot be read is an item that says so."""
    read_bytes = 0

    def counted(count: int) -> None:
        nonlocal read_bytes
        read_bytes += count

    for file in planned.files:
        try:
            for name, stream in members(file, counted):
                if not _is_hidden(name):
                    for arrival, issue in _outcomes(stream, source, sizes):
                        yield Item(name, arrival, issue, read_bytes)
        except OutcomeError as error:
            yield Item(file.name, None, error.issues[0], read_bytes)


def _outcomes(
    stream: io.BufferedReader, source: str, sizes: Sizes
) -> Iterator[tuple[Arrival | None, Issue | None]]:
    try:
        with reading():
            for arrival in arrivals(stream, source, sizes):
                yield arrival, None
    except OutcomeError as error:
        yield None, error.issues[0]


def _walked(folder: Path) -> Iterator[Path]:
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not _is_hidden(name))
        yield from (Path(place, name) for name in sorted(names) if not _is_hidden(name))


def _is_hidden(name: str) -> bool:
    # __MACOSX holds the resource forks that macOS puts into every zip.
    last = name.rsplit("!", 1)[-1].rsplit("/", 1)[-1]
    return last.startswith(".") or "__MACOSX/" in name or last == "__MACOSX"
