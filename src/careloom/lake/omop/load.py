"""lake.omop.load: what SQL made of FHIR, put into one table of the CDM: keys become numbers, references are resolved.

Room: lake. May import: lake.omop, duckdb.

The SQL of etl/table/ gives a row a `key`, the text that says what it came from ("Observation/7#component2"), and says
by such keys what it refers to. The number of a key is kept in `careloom.key`: a row has the same id in every build,
and from an id one comes back to the resource. New keys are numbered in their order, so that equal data gives equal ids.
"""

from __future__ import annotations

from collections.abc import Iterable

import duckdb

from careloom.lake.omop.ddl import quoted
from careloom.lake.omop.facts import CdmField, CdmTable, tables

REFERENCES = {("cost", "cost_event_id"): "visit_occurrence"}
"""References that the CDM does not call so, as they may lead to several tables."""

DROPPED = "create table if not exists cdm.careloom.dropped (table_name varchar, reason varchar, rows bigint)"
KEYS = "create table if not exists cdm.careloom.key (table_name varchar, source varchar, id integer)"


def load(duck: duckdb.DuckDBPyConnection, name: str, sql: str) -> None:
    """Fill a table of the CDM with what this SQL selects; what lacks a required field is counted, and left out."""
    table = tables()[name]
    duck.execute(f"create or replace temp table staged as {sql}")
    given = {column[0] for column in duck.execute("describe staged").fetchall()}
    if table.key:
        _number(duck, name)
    columns = [field for field in table.fields if field.name in given or field.name == table.key]
    duck.execute(f"create or replace temp table resolved as {_resolving(table, columns)}")
    needed = [field.name for field in table.fields if field.is_required]
    _count_dropped(duck, name, needed)
    whole = " and ".join(f"{quoted(field)} is not null" for field in needed)
    names = ", ".join(quoted(field.name) for field in table.fields)
    duck.execute(f"insert into cdm.{name} ({names}) select {names} from resolved where {whole} order by all")
    if table.key:
        duck.execute(
            f"create or replace temp table kept_{name} as select source, id from cdm.careloom.key k"
            f" semi join cdm.{name} t on t.{table.key} = k.id where k.table_name = '{name}'"
        )
    duck.execute("drop table staged")
    duck.execute("drop table resolved")


def _number(duck: duckdb.DuckDBPyConnection, name: str) -> None:
    duck.execute(
        f"insert into cdm.careloom.key select k.* from known_key k"
        f" semi join staged s on s.key = k.source where k.table_name = '{name}'"
    )
    duck.execute(
        f"insert into cdm.careloom.key select '{name}', key,"
        f" coalesce((select max(id) from (from cdm.careloom.key union all from known_key) where table_name = '{name}'), 0)"
        " + row_number() over (order by key)"
        " from (select distinct key from staged where key is not null) s"
        f" anti join (select source from cdm.careloom.key where table_name = '{name}') k on k.source = s.key"
    )


def _resolving(table: CdmTable, given: Iterable[CdmField]) -> str:
    columns: list[str] = []
    joins: list[str] = []
    known = {field.name for field in given}
    for field in table.fields:
        if field.name not in known:
            columns.append(f"{_absent(field)} as {quoted(field.name)}")
        elif field.is_key:
            columns.append(f"own.id as {field.name}")
            joins.append(
                f"join cdm.careloom.key own on own.table_name = '{table.name}' and own.source = s.key"
            )
        elif target := _target(table, field):
            columns.append(f"r_{field.name}.id as {field.name}")
            # A table that refers to itself is not kept yet: its keys are numbered, and that is all there is to know.
            keys = f"(select source, id from cdm.careloom.key semi join staged on staged.key = source where table_name = '{target}')"
            other = keys if target == table.name else f"kept_{target}"
            joins.append(f"left join {other} r_{field.name} on r_{field.name}.source = s.{field.name}")
        else:
            columns.append(f"{_fitted(field)} as {quoted(field.name)}")
    return f"select {', '.join(columns)} from staged s {' '.join(joins)}"


def _target(table: CdmTable, field: CdmField) -> str:
    """The table that a field refers to by a key; empty for none, and for concepts, whose ids are numbers from the first."""
    if found := REFERENCES.get((table.name, field.name)):
        return found
    other = field.references.partition(".")[0]
    return other if other and tables()[other].schema == "CDM" else ""


def _absent(field: CdmField) -> str:
    return "0" if field.is_required and field.references == "concept.concept_id" else "null"


def _fitted(field: CdmField) -> str:
    """Texts no longer than the CDM allows, and an empty text is none."""
    column = f"s.{quoted(field.name)}"
    if field.type.startswith("varchar"):
        text = f"nullif(cast({column} as varchar), '')"
        return f"left({text}, {field.length})" if field.length else text
    return column


def _count_dropped(duck: duckdb.DuckDBPyConnection, name: str, needed: list[str]) -> None:
    cases = " ".join(f"when {quoted(field)} is null then 'no {field}'" for field in needed)
    duck.execute(
        f"insert into cdm.careloom.dropped select '{name}', reason, count(*)"
        f" from (select case {cases} end as reason from resolved) where reason is not null group by reason order by reason"
    )
