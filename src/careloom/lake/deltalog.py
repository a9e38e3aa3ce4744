"""lake.deltalog: one line of a table's log, written by hand: files that were added, and how far the feed was read.

Room: lake. Touches: the folder `_delta_log` of a table. https://github.com/delta-io/delta/blob/master/PROTOCOL.md#delta-log-entries

An append says so little that reading the log before it, as the library does to look for conflicts, is most of its cost
(12 ms for a schema of 700 columns, against 0.3). The lake has one writer, and the name of a version is put only if it
is free: a second writer is refused, as the protocol asks.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

from deltalake.transaction import AddAction

from careloom.fhir.outcome import Issue, OutcomeError

LOG = "_delta_log"


def append(folder: Path, version: int, added: AddAction, marks: Mapping[str, int]) -> None:
    """Write the version of a log that adds one file, with these application transactions.

    Raises OutcomeError(conflict) if that version is there already.
    """
    now = int(time.time() * 1000)
    told = {
        "timestamp": now,
        "operation": "WRITE",
        "operationParameters": {"mode": "Append"},
        "engineInfo": "careloom",
    }
    lines: list[dict[str, Any]] = [
        {"commitInfo": told},
        {"add": {
            "path": added.path,
            "partitionValues": {},
            "size": added.size,
            "modificationTime": added.modification_time,
            "dataChange": True,
            "stats": added.stats,
        }},
        *({"txn": {"appId": name, "version": number, "lastUpdated": now}} for name, number in marks.items()),
    ]  # fmt: skip
    _put(folder / LOG / f"{version:020}.json", "\n".join(map(json.dumps, lines)))


def _put(path: Path, text: str) -> None:
    """The file as a whole under a name that is still free."""
    fresh = path.with_name(f"_{uuid4().hex}.new")
    try:
        fresh.write_text(text)
        os.link(fresh, path)
    except FileExistsError:
        text = f"Another process has written version {path.stem.lstrip('0')} of this table of the lake: try again."
        raise OutcomeError(Issue("conflict", text)) from None
    finally:
        fresh.unlink(missing_ok=True)
