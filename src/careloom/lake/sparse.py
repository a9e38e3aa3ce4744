"""lake.sparse: rows as an Arrow table with the columns that have a value in it, and no others.

Room: lake. May import: pyarrow.

A type of FHIR has up to 1,182 columns and a resource fills some thirty. Which they are Arrow tells in one pass over the
rows; to build all columns and leave out the empty ones took three times as long for 5,000 Observations, and 30 times for
ten.
"""

# pyarrow has no types.
# pyright: reportUnknownParameterType=false, reportAttributeAccessIssue=false

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa


def sparse(rows: Sequence[dict[str, Any]], schema: pa.Schema) -> pa.Table:
    """Rows as a table, without the columns, and without the fields of structs, that have no value in any of them.

    >>> whole = pa.schema([("id", pa.string()), ("name", pa.struct([("given", pa.string()), ("family", pa.string())]))])
    >>> sparse([{"id": "p1", "name": {"family": "Chalmers"}}], whole).schema.field("name").type
    StructType(struct<family: string>)
    """
    kind = filled(pa.infer_type(rows), pa.struct(schema))
    kept = kind if kind is not None else pa.struct([schema.field(0)])
    return pa.Table.from_struct_array(pa.array(rows, kept))


def filled(found: pa.DataType, whole: pa.DataType) -> pa.DataType | None:
    """What of a type has values, going by the type that Arrow found in them; None if nothing has."""
    if pa.types.is_null(found):
        return None
    if pa.types.is_struct(whole):
        has = {field.name: field.type for field in found}
        fields: list[pa.Field] = []
        for field in whole:
            kind = filled(has[field.name], field.type) if field.name in has else None
            if kind is not None:
                fields.append(pa.field(field.name, kind))
        return pa.struct(fields) if fields else least(whole)
    if pa.types.is_list(whole):
        return pa.list_(filled(found.value_type, whole.value_type) or least(whole.value_type))
    return whole


def least(whole: pa.DataType) -> pa.DataType:
    """As little of a type as Parquet can write: it knows no struct without fields."""
    if not pa.types.is_struct(whole):
        return whole
    first = whole[0]
    return pa.struct([pa.field(first.name, least(first.type))])
