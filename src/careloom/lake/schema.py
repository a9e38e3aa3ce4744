"""lake.schema: a shape printed for an engine: Arrow schema, DuckDB types, Spark DDL.

Room: lake. May import: lake.shape, pyarrow. Sources: https://duckdb.org/docs/stable/sql/data_types/overview and
https://spark.apache.org/docs/latest/sql-ref-datatypes.html

Everything may be null: what a Resource lacks has no value, and whether it should have one is the validator's word.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import pyarrow as pa

from careloom.lake.shape import Field, Leaf, Struct, shape_of

_ARROW = {
    Leaf.TEXT: pa.string(),
    Leaf.JSON: pa.string(),
    Leaf.BOOLEAN: pa.bool_(),
    Leaf.INTEGER: pa.int32(),
    Leaf.DOUBLE: pa.float64(),
}
DUCKDB = {
    Leaf.TEXT: "VARCHAR",
    Leaf.JSON: "VARCHAR",
    Leaf.BOOLEAN: "BOOLEAN",
    Leaf.INTEGER: "INTEGER",
    Leaf.DOUBLE: "DOUBLE",
}
SPARK = {
    Leaf.TEXT: "STRING",
    Leaf.JSON: "STRING",
    Leaf.BOOLEAN: "BOOLEAN",
    Leaf.INTEGER: "INT",
    Leaf.DOUBLE: "DOUBLE",
}

TIME = pa.timestamp("us", "UTC")

OWN = pa.schema([
    ("version_id", pa.int32()),
    ("last_updated", TIME),
    ("seq_from", pa.int64()),
    ("seq_to", pa.int64()),
    ("replaced_at", TIME),
    ("event_id", pa.int64()),
    ("agent", pa.string()),
    ("is_deleted", pa.bool_()),
    ("is_aside", pa.bool_()),
])  # fmt: skip
"""Of each version: its number; when it was written; the transactions of the store from which on, and up to which, not
with, it was current (`seq_to` null: no later one was known when the file was written); when the next was written; the
Event it came from; what made it; whether it is a deletion; whether it could not be laid into columns."""

_SPARK_OWN = {
    pa.int32(): "INT",
    pa.int64(): "BIGINT",
    TIME: "TIMESTAMP",
    pa.string(): "STRING",
    pa.bool_(): "BOOLEAN",
}


@cache
def arrow_schema(resource_type: str) -> pa.Schema:  # pyright: ignore[reportUnknownParameterType] - pyarrow has no types
    """The schema of the table of a resource type.

    >>> arrow_schema("Patient").field("active").type
    DataType(bool)
    """
    return pa.schema([arrow_field(field) for field in shape_of(resource_type).fields])


def arrow_field(field: Field) -> pa.Field:  # pyright: ignore[reportUnknownParameterType]
    """One column."""
    held = field.holds
    kind = (
        pa.struct([arrow_field(each) for each in held.fields]) if isinstance(held, Struct) else _ARROW[held]
    )
    return pa.field(field.name, pa.list_(kind) if field.many else kind)


@dataclass(frozen=True, slots=True)
class _Engine:
    """How an engine writes types; {0} is the name, {1} the type of a field."""

    leaves: dict[Leaf, str]
    field: str
    struct: str
    many: str

    def type(self, field: Field) -> str:
        held = field.holds
        if isinstance(held, Struct):
            inner = ", ".join(self.field.format(each.name, self.type(each)) for each in held.fields)
            kind = self.struct.format(inner)
        else:
            kind = self.leaves[held]
        return self.many.format(kind) if field.many else kind


_DUCKDB = _Engine(DUCKDB, field='"{0}" {1}', struct="STRUCT({0})", many="{0}[]")
_SPARK = _Engine(SPARK, field="`{0}`: {1}", struct="STRUCT<{0}>", many="ARRAY<{0}>")


def duckdb_type(field: Field) -> str:
    """The type of a column for DuckDB.

    >>> duckdb_type(shape_of("Patient").field("active"))
    'BOOLEAN'
    """
    return _DUCKDB.type(field)


def spark_type(field: Field) -> str:
    """The type of a column for Spark.

    >>> spark_type(shape_of("HealthcareService").field("extraDetails"))
    'STRING'
    """
    return _SPARK.type(field)


def duckdb_columns(resource_type: str) -> str:
    """The columns of a table, as CREATE TABLE wants them in DuckDB."""
    return ", ".join(f'"{field.name}" {duckdb_type(field)}' for field in shape_of(resource_type).fields)


def spark_ddl(resource_type: str) -> str:
    """The whole schema of a table as a DDL string of Spark: its own columns first (`spark.read.schema(ddl)`).

    >>> spark_ddl("Patient")[:48]
    '`version_id` INT, `last_updated` TIMESTAMP, `seq'
    """
    own = [f"`{field.name}` {_SPARK_OWN[field.type]}" for field in OWN]
    return ", ".join(
        [*own, *(f"`{field.name}` {spark_type(field)}" for field in shape_of(resource_type).fields)]
    )
