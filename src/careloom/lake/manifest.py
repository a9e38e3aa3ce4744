"""lake.manifest: what readers see: for each table the version of its log, published when a whole batch stands.

Room: lake. May import: store.feed. Touches: the file `published.json` of the lake.

A batch of changes touches several tables, one commit each. Readers open the versions named here, so they see all of a
batch or nothing. It is replaced as a whole; lost, it is made anew from the tables.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import msgspec

from careloom.store.feed import START, Cursor

NAME = "published.json"


@dataclass(frozen=True, slots=True)
class Kept:
    """The rows of a view as they are kept (lake.kept)."""

    digest: str
    """Of its definition: where the table is."""
    version: int
    """Of Delta's log."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """A consistent state of the lake."""

    cursor: Cursor = START
    """Up to here the feed was read."""
    last: Cursor = START
    """The last version that was read: by it a store is known again."""
    at: datetime | None = None
    """When it was published."""
    versions: dict[str, int] = field(default_factory=dict[str, int])
    """Type -> version of Delta's log."""
    kept: dict[str, Kept] = field(default_factory=dict[str, Kept])
    """Name of a view -> its rows."""
    rows: dict[str, int] = field(default_factory=dict[str, int])
    """Type -> versions of resources in its table: who only counts need not read the logs."""


def read(root: Path) -> Manifest | None:
    """What was published last; None if nothing was, or the file cannot be read."""
    try:
        return msgspec.json.decode((root / NAME).read_bytes(), type=Manifest)
    except (FileNotFoundError, msgspec.MsgspecError):
        return None


def publish(root: Path, manifest: Manifest) -> None:
    """Let readers see it, from one moment to the next."""
    fresh = root / f"{NAME}.new"
    with fresh.open("wb") as file:
        file.write(msgspec.json.encode(manifest))
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(root / NAME)
