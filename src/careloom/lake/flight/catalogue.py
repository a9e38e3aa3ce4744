"""lake.flight.catalogue: what tools ask about the lake before they ask it: tables, schemas, what the server is.

Room: lake. May import: lake, pyarrow. https://arrow.apache.org/docs/format/FlightSql.html#sql-metadata
Names and types only: they are those of R4, and the same for everybody who may ask.
"""

# pyarrow has no types.
# pyright: reportUnknownParameterType=false, reportAttributeAccessIssue=false

from __future__ import annotations

import re
from typing import Any

import pyarrow as pa

from careloom import __version__
from careloom.fhir.outcome import Issue, OutcomeError
from careloom.lake.column import OWN, PLAIN
from careloom.lake.flight.message import Fields, is_true, text
from careloom.lake.lake import Lake
from careloom.lake.offer import GROUPS, Offer, offers
from careloom.lake.schema import arrow_schema

CATALOG, SCHEMA, TABLE = "lake", "main", "TABLE"

_TEXT = pa.utf8()
_VALUE = pa.dense_union([
    pa.field("string_value", pa.utf8()),
    pa.field("bool_value", pa.bool_()),
    pa.field("bigint_value", pa.int64()),
    pa.field("int32_bitmask", pa.int32()),
    pa.field("string_list", pa.list_(pa.utf8())),
    pa.field("int32_to_int32_list_map", pa.map_(pa.int32(), pa.list_(pa.int32()))),
])  # fmt: skip
_KINDS = {
    "boolean": pa.bool_(),
    "integer": pa.int32(),
    "positiveInt": pa.int32(),
    "unsignedInt": pa.int32(),
    "bigint": pa.int64(),
    "double": pa.float64(),
    "decimal": pa.float64(),
    "timestamp": pa.timestamp("us"),
}
_INFO: dict[int, str | bool] = {0: "careloom", 1: __version__, 2: pa.__version__, 3: True}
"""SqlInfo: name, version, version of Arrow, whether it only reads."""


def table(lake: Lake, name: str, told: Fields) -> pa.Table:
    """The answer to a question of the catalogue. Raises OutcomeError(not-supported) for one that is not known."""
    match name:
        case "CommandGetCatalogs":
            return pa.table({"catalog_name": [CATALOG]}, _schema(catalog_name=False))
        case "CommandGetDbSchemas":
            ours = [one for one in (SCHEMA, *GROUPS) if _is_ours(told, 1) and _matches(one, told, 2)]
            columns = {"catalog_name": [CATALOG] * len(ours), "db_schema_name": ours}
            return pa.table(columns, _schema(catalog_name=True, db_schema_name=False))
        case "CommandGetTableTypes":
            return pa.table({"table_type": [TABLE]}, _schema(table_type=False))
        case "CommandGetTables":
            return _tables(lake, told)
        case "CommandGetSqlInfo":
            return _info(told)
        case _:
            raise OutcomeError(Issue("not-supported", f"{name[:64]} of Flight SQL is not answered here."))


def columns_of(rtype: str) -> pa.Schema:
    """The columns of a table, as a statement sees them."""
    return pa.schema([*(OWN.field(name) for name in PLAIN), *arrow_schema(rtype)])


def _columns_of(offer: Offer) -> pa.Schema:
    """Of what a statement makes when it names it. FHIR's own types that are not here are texts."""
    fields: list[pa.Field] = []
    for column in offer.columns:
        word = column.type.removesuffix("[]").partition("(")[0]
        kind = _KINDS.get(word, _TEXT)
        fields.append(pa.field(column.name, pa.list_(kind) if column.type.endswith("[]") else kind))
    return pa.schema(fields)


def _tables(lake: Lake, told: Fields) -> pa.Table:
    types = [one for one in told.get(4, ()) if isinstance(one, bytes)]
    is_wanted = _is_ours(told, 1) and (not types or TABLE.encode() in types)
    of_types = [(SCHEMA, name, columns_of(name)) for name in lake.types]
    made = [(one.group, one.name, _columns_of(one)) for one in offers(lake).values()]
    found = [
        one
        for one in [*of_types, *made]
        if is_wanted and _matches(one[0], told, 2) and _matches(one[1], told, 3)
    ]
    columns: dict[str, list[Any]] = {
        "catalog_name": [CATALOG] * len(found),
        "db_schema_name": [schema for schema, _, _ in found],
        "table_name": [name for _, name, _ in found],
        "table_type": [TABLE] * len(found),
    }
    schema = _schema(catalog_name=True, db_schema_name=True, table_name=False, table_type=False)
    if is_true(told, 5):
        columns["table_schema"] = [names.serialize().to_pybytes() for _, _, names in found]
        schema = schema.append(pa.field("table_schema", pa.binary(), nullable=False))
    return pa.table(columns, schema)


def _info(told: Fields) -> pa.Table:
    packed = told.get(1, [])
    # Numbers below 128 come packed, a byte each, or one by one.
    asked = {number for one in packed for number in ([one] if isinstance(one, int) else list(one))}
    known = {number: value for number, value in _INFO.items() if not asked or number in asked}
    texts = [value for value in known.values() if isinstance(value, str)]
    flags = [value for value in known.values() if isinstance(value, bool)]
    kinds = [int(isinstance(value, bool)) for value in known.values()]
    seen = [0, 0]
    offsets: list[int] = []
    for kind in kinds:
        offsets.append(seen[kind])
        seen[kind] += 1
    values = pa.UnionArray.from_dense(
        pa.array(kinds, pa.int8()),
        pa.array(offsets, pa.int32()),
        [
            pa.array(texts, pa.utf8()),
            pa.array(flags, pa.bool_()),
            *(pa.array([], field.type) for field in list(_VALUE)[2:]),
        ],
        [field.name for field in _VALUE],
    )
    schema = pa.schema(
        [pa.field("info_name", pa.uint32(), nullable=False), pa.field("value", values.type, nullable=False)]
    )
    return pa.Table.from_arrays([pa.array(list(known), pa.uint32()), values], schema=schema)


def _schema(**is_nullable: bool) -> pa.Schema:
    return pa.schema([pa.field(name, _TEXT, nullable=nullable) for name, nullable in is_nullable.items()])


def _is_ours(told: Fields, number: int) -> bool:
    return text(told, number) in {"", CATALOG}


def _matches(name: str, told: Fields, number: int) -> bool:
    """Whether a name is like a pattern of SQL; no pattern is like any."""
    pattern = text(told, number)
    if number not in told:
        return True
    parts = {"%": ".*", "_": "."}
    return re.fullmatch("".join(parts.get(one, re.escape(one)) for one in pattern), name) is not None
