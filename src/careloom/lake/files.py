"""lake.files: files of resources as a table of one type, for a view that is run on files.

Room: lake. May import: lake, fhir, pyarrow. Reads NDJSON (also .gz), single resources and Bundles, and folders of them.
"""

# pyarrow has no types.
# pyright: reportUnknownParameterType=false

from __future__ import annotations

import gzip
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
import pyarrow.parquet as pq

from careloom.fhir.outcome import Issue, OutcomeError
from careloom.fhir.resource import head_of, loads
from careloom.lake.row import Row, to_row, to_table
from careloom.lake.schema import arrow_schema

_NAMES = (".ndjson", ".ndjson.gz", ".jsonl", ".json")
_AT_ONCE = 5_000
"""Rows in memory at a time."""


@dataclass
class Found:
    """What was read: a Parquet file with the columns of the type, and what could not be read."""

    path: Path
    rows: int = 0
    unread: list[str] = field(default_factory=list[str])
    """The place of each line or file that is no resource: number of the file, and of the line. Names may be patients'."""


def typed(source: Path, resource_type: str, target: Path) -> Found:
    """Lay the resources of one type that a file or folder holds into a Parquet file.

    Raises OutcomeError(not-found) where there is no file to read.
    """
    found = Found(target)
    rows = _rows(source, resource_type, found)
    with pq.ParquetWriter(
        target, arrow_schema(resource_type), compression="zstd", compression_level=1
    ) as writer:
        while some := list(islice(rows, _AT_ONCE)):
            writer.write_table(to_table(some, resource_type))
            found.rows += len(some)
    return found


def _rows(source: Path, resource_type: str, found: Found) -> Iterator[Row]:
    paths = (
        sorted(each for each in source.rglob("*") if each.name.endswith(_NAMES))
        if source.is_dir()
        else [source]
    )
    if not paths or not all(path.exists() for path in paths):
        raise OutcomeError(
            Issue("not-found", f"In {source} there is no file that ends in {', '.join(_NAMES)}.")
        )
    for number, path in enumerate(paths, 1):
        for line, raw in _texts(path):
            place = f"file {number}" if line == 0 else f"file {number}, line {line}"
            yield from _of_text(raw, resource_type, place, found)


def _texts(path: Path) -> Iterator[tuple[int, bytes]]:
    """Each line of NDJSON with its number; another file whole, as line 0."""
    if path.name.endswith(".json"):
        yield 0, path.read_bytes()
        return
    with _opened(path) as lines:
        for number, line in enumerate(lines, 1):
            if line.strip():
                yield number, line


def _opened(path: Path) -> Any:
    return gzip.open(path, "rb") if path.name.endswith(".gz") else path.open("rb")


def _of_text(raw: bytes, resource_type: str, place: str, found: Found) -> Iterator[Row]:
    try:
        kind = head_of(raw).resourceType
        if kind == resource_type:
            yield to_row(loads(raw), raw.strip())
        elif kind == "Bundle":
            yield from _of_bundle(loads(raw), resource_type)
        elif not kind:
            found.unread.append(place)
    except (msgspec.DecodeError, OutcomeError):
        found.unread.append(place)


def _of_bundle(bundle: Any, resource_type: str) -> Iterator[Row]:
    entries = bundle.get("entry")
    for entry in entries if isinstance(entries, list) else []:
        resource = entry.get("resource") if isinstance(entry, dict) else None
        if isinstance(resource, dict) and resource.get("resourceType") == resource_type:
            yield to_row(resource)
