"""lake.parquet: one Parquet file of a table: written, made durable, and described for Delta's log.

Room: lake. May import: lake.encoding, pyarrow. Touches: the folder of the table.

A file holds only columns that have a value in it (lake.sparse): one Observation takes 6 KB instead of 160. Readers of
Delta give null for a column that a file lacks.
"""

# pyarrow has no types, and its functions of compute are made when it is imported.
# pyright: reportUnknownParameterType=false, reportAttributeAccessIssue=false

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from uuid import uuid4

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from deltalake.transaction import AddAction, RemoveAction

from careloom.lake.encoding import encodings

Kind = Literal["fed", "settled"]
"""fed: as it came from the feed, in its order; settled: rewritten by patient, and the ends of its versions are filled in."""

ROW_GROUP = 65_536
FORMAT: dict[Kind, dict[str, Any]] = {
    "fed": {"compression": "zstd", "compression_level": 3},
    # Written once and read for long: a tenth smaller, for a fraction of a millisecond a hundred rows.
    "settled": {"compression": "zstd", "compression_level": 9},
}
FEW = 2_000
"""Below so many rows a dictionary of a column costs more, in time and in bytes, than it saves."""


@dataclass(frozen=True, slots=True)
class Part:
    """One file of a table, as Delta's log describes it."""

    name: str
    size: int
    rows: int
    first_seq: int
    last_seq: int
    last_version: int
    """The highest number of a version in it: 1 means that no row of it ends another."""

    @property
    def is_settled(self) -> bool:
        """Whether it was rewritten with the ends of its versions."""
        return self.name.startswith("settled-")

    @property
    def shape(self) -> str:
        """The shape that its rows were laid in."""
        return self.name.split("-")[1]

    def added(self) -> AddAction:
        """The line of Delta's log that adds it."""
        stats = {
            "numRecords": self.rows,
            "minValues": {"seq_from": self.first_seq},
            "maxValues": {"seq_from": self.last_seq, "version_id": self.last_version},
        }
        return AddAction(self.name, self.size, {}, int(time.time() * 1000), True, json.dumps(stats))  # noqa: FBT003

    def removed(self) -> RemoveAction:
        """The line of Delta's log that removes it."""
        return RemoveAction(self.name, True, int(time.time() * 1000), self.size, {})  # noqa: FBT003


def write(
    folder: Path, kind: Kind, shape: str, tables: Iterable[pa.Table], schema: pa.Schema | None = None
) -> Part:
    """Write tables as one file. `schema`: that of all of them together, where each may lack parts of it."""
    name = f"{kind}-{shape}-{uuid4().hex}.parquet"
    rows, last_version = 0, 0
    seqs: list[int] = []
    with closing(_Writer(folder / name, kind)) as writer:
        for table in _grouped(tables, schema):
            writer.write(table)
            rows += table.num_rows
            seqs += pc.min_max(table["seq_from"]).as_py().values()
            last_version = max(last_version, pc.max(table["version_id"]).as_py())
    _sync(folder / name)
    return Part(name, (folder / name).stat().st_size, rows, min(seqs), max(seqs), last_version)


def _grouped(tables: Iterable[pa.Table], schema: pa.Schema | None) -> Iterator[pa.Table]:
    """As many together as make a row group: each has its price in bytes, and for who reads it."""
    first = [] if schema is None else [schema.empty_table()]
    held: list[pa.Table] = []
    for table in tables:
        held.append(table)
        if sum(each.num_rows for each in held) >= ROW_GROUP:
            yield _together([*first, *held])
            held = []
    if held:
        yield _together([*first, *held])


def _together(tables: Sequence[pa.Table]) -> pa.Table:
    return (
        tables[0]
        if len(tables) == 1
        else pa.concat_tables(tables, promote_options="permissive").combine_chunks()
    )


class _Writer:
    """Opens its file when the first table comes, for that has the schema."""

    def __init__(self, path: Path, kind: Kind) -> None:
        self._path = path
        self._kind: Kind = kind
        self._file: pq.ParquetWriter | None = None

    def write(self, table: pa.Table) -> None:
        if self._file is None:
            told = FORMAT[self._kind] | (
                encodings(table) if table.num_rows >= FEW else {"use_dictionary": []}
            )
            self._file = pq.ParquetWriter(self._path, table.schema, **told)
        self._file.write_table(table, row_group_size=ROW_GROUP)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
