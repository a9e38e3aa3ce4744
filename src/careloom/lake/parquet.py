"""lake.parquet: one Parquet file of a table: written sparse, made durable, and described for Delta's log.

Room: lake. May import: pyarrow. Touches: the folder of the table.

A type of FHIR has up to 1,182 columns and a resource fills some thirty. A file holds only columns that have a value in
it: one Observation takes 6 KB instead of 160. Readers of Delta give null for a column that a file lacks.
"""

# pyarrow has no types, and its functions of compute are made when it is imported.
# pyright: reportUnknownParameterType=false, reportAttributeAccessIssue=false

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from uuid import uuid4

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from deltalake.transaction import AddAction, RemoveAction

Kind = Literal["fed", "settled"]
"""fed: as it came from the feed, in its order; settled: rewritten, and the ends of its versions are filled in."""

ROW_GROUP = 65_536
FORMAT: dict[str, Any] = {"compression": "zstd", "compression_level": 3}


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


def write(folder: Path, kind: Kind, shape: str, tables: Iterable[pa.Table]) -> Part:
    """Write tables of one schema as one file, a row group each at least."""
    name = f"{kind}-{shape}-{uuid4().hex}.parquet"
    rows, last_version = 0, 0
    seqs: list[int] = []
    with closing(_Writer(folder / name)) as writer:
        for table in tables:
            writer.write(table)
            rows += table.num_rows
            seqs += pc.min_max(table["seq_from"]).as_py().values()
            last_version = max(last_version, pc.max(table["version_id"]).as_py())
    _sync(folder / name)
    return Part(name, (folder / name).stat().st_size, rows, min(seqs), max(seqs), last_version)


def sparse(table: pa.Table) -> pa.Table:
    """The table without columns, and without fields of structs, that have no value in it."""
    table = table.combine_chunks()
    kept: dict[str, pa.Array] = {}
    for name in table.column_names:
        column = table[name]
        array = column.chunk(0) if column.num_chunks else None
        if array is not None and (slim := _slim(array)) is not None:
            kept[name] = slim
    return pa.table(kept)


class _Writer:
    """Opens its file when the first table comes, for that has the schema."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: pq.ParquetWriter | None = None

    def write(self, table: pa.Table) -> None:
        if self._file is None:
            self._file = pq.ParquetWriter(self._path, table.schema, **FORMAT)
        self._file.write_table(table, row_group_size=ROW_GROUP)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


def _slim(array: pa.Array) -> pa.Array | None:
    """The array without what is null throughout; None if that is all of it."""
    if array.null_count == len(array):
        return None
    kind = array.type
    if pa.types.is_struct(kind):
        inner = {field.name: _slim(pc.struct_field(array, [n])) for n, field in enumerate(kind)}
        kept = {name: values for name, values in inner.items() if values is not None}
        # Parquet knows no struct without fields: one that is empty wherever it stands keeps its first.
        kept = kept or {kind[0].name: pc.struct_field(array, [0])}
        return pa.StructArray.from_arrays(list(kept.values()), list(kept), mask=array.is_null())
    if pa.types.is_list(kind):
        values = array.flatten()
        slim = _slim(values) if len(values) else None
        return _listed(array, _first(values) if slim is None else slim)
    return array


def _first(values: pa.Array) -> pa.Array:
    """Of values that are all null, or absent, as little as Parquet can write."""
    kind = values.type
    if not pa.types.is_struct(kind):
        return values
    return pa.StructArray.from_arrays(
        [_first(pc.struct_field(values, [0]))], [kind[0].name], mask=values.is_null()
    )


def _listed(array: pa.Array, values: pa.Array) -> pa.Array:
    """The list of these values, which are the flattened ones of `array`, with its lengths and its nulls."""
    lengths = pc.fill_null(pc.list_value_length(array), 0).cast(pa.int32())
    ends = pc.cumulative_sum(lengths)
    offsets = pa.concat_arrays([pa.array([0], pa.int32()), ends])
    return pa.ListArray.from_arrays(offsets, values, mask=array.is_null())


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
