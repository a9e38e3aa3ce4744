"""lake.encoding: how each column of a Parquet file is written, by what a sample of it holds.

Room: lake. May import: pyarrow. https://parquet.apache.org/docs/file-format/data-pages/encodings

A dictionary makes codes, units and references small. Where most values differ (ids, raw JSON, measured values) it is dead
weight: such texts are written with their lengths apart, which leaves a third less of an id to zstd; numbers that rise, as
differences. All of these are read by DuckDB, Spark and pyarrow; BYTE_STREAM_SPLIT is not used, for it gained nothing here.
"""

# pyarrow has no types, and its functions of compute are made when it is imported.
# pyright: reportUnknownParameterType=false, reportAttributeAccessIssue=false

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

SAMPLE = 4_096
"""Rows that are looked at."""
FEW = 256
"""Of fewer values nothing is concluded."""


def encodings(table: pa.Table) -> dict[str, Any]:
    """What ParquetWriter is to be told of the columns.

    >>> encodings(pa.table({"id": [f"{n:x}" for n in range(1000)], "code": ["a", "b"] * 500}))
    {'use_dictionary': ['code'], 'column_encoding': {'id': 'DELTA_LENGTH_BYTE_ARRAY'}}
    """
    some = table.slice(0, SAMPLE).combine_chunks()
    dictionary: list[str] = []
    chosen: dict[str, str] = {}
    for name in some.column_names:
        for path, values in _leaves(name, some[name].chunk(0)) if some.num_rows else ():
            if not _differ(values):
                dictionary.append(path)
            elif pa.types.is_string(values.type):
                chosen[path] = "DELTA_LENGTH_BYTE_ARRAY"
            elif pa.types.is_integer(values.type) or pa.types.is_timestamp(values.type):
                chosen[path] = "DELTA_BINARY_PACKED"
    # An empty list means the dictionary for none, and so does False.
    return {"use_dictionary": dictionary, "column_encoding": chosen} if chosen else {"use_dictionary": True}


def _leaves(path: str, array: pa.Array) -> Iterator[tuple[str, pa.Array]]:
    """The leaves of a column, by the path that Parquet has for them."""
    kind = array.type
    if pa.types.is_struct(kind):
        for number, field in enumerate(kind):
            yield from _leaves(f"{path}.{field.name}", pc.struct_field(array, [number]))
    elif pa.types.is_list(kind):
        yield from _leaves(f"{path}.list.element", array.flatten())
    else:
        yield path, array


def _differ(values: pa.Array) -> bool:
    held = len(values) - values.null_count
    return held >= FEW and 2 * pc.count_distinct(values).as_py() > held
