"""lake.omop.ddl: the tables of CDM 5.4 as SQL, printed from the facts for DuckDB and PostgreSQL.

Room: lake. May import: lake.omop.facts. Source: the DDL that OHDSI publishes with github.com/OHDSI/CommonDataModel.

The DDL that is printed says what the official one says. The tables that careloom itself fills differ in one point: NUMERIC
without a scale is DECIMAL(18, 3) in DuckDB and would round 0.0004 to nothing, so it has DOUBLE there.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from careloom.lake.omop.facts import CdmField, CdmTable, tables

Dialect = Literal["duckdb", "postgresql", "careloom"]

_TYPES = {"datetime": "TIMESTAMP", "float": "NUMERIC", "varchar(max)": "TEXT"}
_RESERVED = frozenset({"offset"})


def ddl(dialect: Dialect, schema: str = "cdm") -> Iterator[str]:
    """Statements: the tables, then for PostgreSQL also keys and references.

    >>> next(ddl("duckdb")).splitlines()[:2]
    ['CREATE TABLE cdm.person (', '    person_id integer NOT NULL,']
    """
    for table in tables().values():
        yield create(table, dialect, schema)
    # DuckDB adds no foreign key to a table that stands, and the published DDL for it has no other way either.
    if dialect == "postgresql":
        yield from _keys(schema)
        yield from _references(schema)


def create(table: CdmTable, dialect: Dialect, schema: str) -> str:
    """The statement that makes one table."""
    columns = ",\n".join(f"    {_column(field, dialect)}" for field in table.fields)
    return f"CREATE TABLE {schema}.{table.name} (\n{columns}\n)"


def column_type(field: CdmField, dialect: Dialect) -> str:
    """The type of a column."""
    kind = _TYPES.get(field.type, field.type)
    return "DOUBLE" if dialect == "careloom" and kind == "NUMERIC" else kind


def quoted(name: str) -> str:
    """A name as SQL takes it."""
    return f'"{name}"' if name in _RESERVED else name


def _column(field: CdmField, dialect: Dialect) -> str:
    null = "NOT NULL" if field.is_required else "NULL"
    return f"{quoted(field.name)} {column_type(field, dialect)} {null}"


def _keys(schema: str) -> Iterator[str]:
    for table in tables().values():
        if table.key:
            yield f"ALTER TABLE {schema}.{table.name} ADD CONSTRAINT xpk_{table.name} PRIMARY KEY ({table.key})"


def _references(schema: str) -> Iterator[str]:
    for table in tables().values():
        for field in table.fields:
            if field.references:
                other, _, key = field.references.partition(".")
                yield (
                    f"ALTER TABLE {schema}.{table.name} ADD CONSTRAINT fpk_{table.name}_{field.name}"
                    f" FOREIGN KEY ({field.name}) REFERENCES {schema}.{other} ({key})"
                )
