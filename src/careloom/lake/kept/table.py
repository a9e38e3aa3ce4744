"""lake.kept.table: the Delta table of a kept view: its rows, each with the resource and the version that it came of.

Room: lake. May import: lake.reading, store.feed, pyarrow, deltalake. Touches: the folder of the table.
https://github.com/delta-io/delta/blob/master/PROTOCOL.md

As in the tables of resources, a file only ever gains rows: those of a later version of a resource end those of all
earlier ones. A version that gives no row (a deletion, a `where` that no longer holds) leaves a mark instead, `_is_gone`.
Each commit carries how far in the feed it reaches, in the same line of Delta's log as its file. `tidied` drops what ended.
"""

# pyarrow has no types, and its functions of compute are made when it is imported.
# pyright: reportUnknownParameterType=false, reportAttributeAccessIssue=false

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from uuid import uuid4

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from deltalake import CommitProperties, DeltaTable, Schema, Transaction
from deltalake.transaction import AddAction, RemoveAction

from careloom.fhir.outcome import Issue, OutcomeError
from careloom.lake.reading import literal
from careloom.store.feed import START, Cursor

KEY = pa.schema([
    ("_id", pa.string()),
    ("_version", pa.int32()),
    ("_is_gone", pa.bool_()),
    ("_aside", pa.string()),
])  # fmt: skip
"""Beside the view's columns, whose names never begin with `_`: the resource; its version; whether this is a mark that it
has no rows; and where the view could not be run on it, why."""

Kind = Literal["fed", "whole"]
"""fed: what a batch brought, which may end rows of other files; whole: ends nothing."""

_MARKS = ("reached.tx", "reached.rid")


@dataclass(frozen=True, slots=True)
class File:
    """One file, as Delta's log describes it."""

    name: str
    size: int
    rows: int
    last_version: int
    """The highest version in it: rows of version 1 end nothing."""

    @property
    def may_end(self) -> bool:
        """Whether rows of other files may be ended by it."""
        return self.name.startswith("fed-") and self.last_version > 1

    def added(self) -> AddAction:
        """The line of Delta's log that adds it."""
        stats = {"numRecords": self.rows, "maxValues": {"_version": self.last_version}}
        return AddAction(self.name, self.size, {}, int(time.time() * 1000), True, json.dumps(stats))  # noqa: FBT003

    def removed(self) -> RemoveAction:
        """The line of Delta's log that removes it."""
        return RemoveAction(self.name, True, int(time.time() * 1000), self.size, {})  # noqa: FBT003


class KeptTable:
    """The table of one definition of a view. The lake's writer writes it; many read it."""

    def __init__(self, folder: Path, schema: pa.Schema | None = None, version: int | None = None) -> None:
        """Open it, as of a version of Delta's log; with a `schema`, make it where it is not there."""
        self.folder = folder
        if schema is not None and not (folder / "_delta_log").is_dir():
            _create(folder, schema)
        self._delta = DeltaTable(folder, version=version)
        self.schema: pa.Schema = pa.schema(self._delta.schema().to_arrow())
        tx, rid = (self._delta.transaction_version(name) for name in _MARKS)
        self.reached = START if tx is None or rid is None else Cursor(tx, rid)
        """Up to here in the feed it has all rows."""
        self.is_made = tx is not None
        """Whether it was ever filled."""

    @property
    def version(self) -> int:
        """The version of Delta's log."""
        return self._delta.version()

    def write(self, kind: Kind, tables: Iterable[pa.Table | pa.RecordBatch]) -> File | None:
        """A file of these rows, durable and in no commit yet; None where there are none."""
        name, rows, last = f"{kind}-{uuid4().hex}.parquet", 0, 0
        path = self.folder / name
        try:
            with pq.ParquetWriter(path, self.schema, compression="zstd") as file:
                for each in tables:
                    table = pa.table(each) if isinstance(each, pa.RecordBatch) else each
                    file.write_table(table.select(self.schema.names).cast(self.schema))
                    rows += table.num_rows
                    last = max(last, pc.max(table["_version"]).as_py() or 0)
        except BaseException:
            path.unlink()
            raise
        if not rows:
            path.unlink()
            return None
        with path.open("rb") as written:
            os.fsync(written.fileno())
        return File(name, path.stat().st_size, rows, last)

    def commit(self, new: Sequence[File], old: Sequence[File], reached: Cursor | None = None) -> None:
        """Put files in the place of others; `reached`: how far in the feed they bring the table."""
        actions = [*(file.removed() for file in old), *(file.added() for file in new)]
        marks = [Transaction(*mark) for mark in zip(_MARKS, reached, strict=True)] if reached else []
        told = CommitProperties(app_transactions=marks) if marks else None
        self._delta.create_write_transaction(actions, "append", self._delta.schema(), commit_properties=told)
        self._delta.update_incremental()
        if reached:
            self.reached, self.is_made = reached, True

    def files(self) -> list[File]:
        """Those of which it is made."""
        found = pa.table(self._delta.get_add_actions(flatten=True))
        if not found.num_rows:
            return []
        names = ("path", "size_bytes", "num_records", "max._version")
        return sorted(
            (File(*row.values()) for row in found.select(names).to_pylist()), key=lambda one: one.name
        )

    def vacuum(self, hours: float) -> int:
        """Delete files that no reader of the last hours has open, and those of a killed writer; how many."""
        return len(
            self._delta.vacuum(
                retention_hours=int(hours), dry_run=False, enforce_retention_duration=False, full=True
            )
        )

    def current(self, columns: Sequence[str] = ()) -> str:
        """A SELECT of the rows as they are: those that no later version has ended."""
        names = ", ".join(f'v."{name}"' for name in columns or self.view_columns)
        return f"select {names} from ({self.unended()}) v where not v._is_gone"

    @property
    def view_columns(self) -> list[str]:
        """Those of the view."""
        return [name for name in self.schema.names if name not in KEY.names]

    def unended(self) -> str:
        """The same with the marks."""
        files = self.files()
        if not files:
            nothing = ", ".join(f'null as "{name}"' for name in self.schema.names if name != "_is_gone")
            return f"select {nothing}, true as _is_gone where false"
        enders = [file for file in files if file.may_end]
        sql = f"select v.* from {_reading(self.folder, files)} v"
        if not enders:
            return sql
        return (
            f"{sql} anti join (select _id, max(_version) as _version from {_reading(self.folder, enders)} group by _id) e"
            " on e._id = v._id and e._version > v._version"
        )

    def all(self, files: Sequence[File]) -> str:
        """All rows of some files."""
        return f"select * from {_reading(self.folder, files)}"


def _create(folder: Path, schema: pa.Schema) -> None:
    try:
        DeltaTable.create(folder, Schema.from_arrow(schema), mode="ignore")
    except Exception as error:  # noqa: BLE001 - deltalake has no class for a type that Delta has not
        text = f"A table of Delta cannot hold the columns of the view ({type(error).__name__})."
        raise OutcomeError(Issue("not-supported", text)) from None


def _reading(folder: Path, files: Sequence[File]) -> str:
    return f"read_parquet([{', '.join(literal(folder / file.name) for file in files)}])"
