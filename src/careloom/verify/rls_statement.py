"""verify.rls_statement: statements of SQL drawn by lot: of every form, and with every trick to see what is not one's own.

Room: verify. `{root}` in a statement is the folder of the lake, `{file}` a file of a table in it.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

TEXTS = {
    "Patient": ("id", "name[1].family", "birthDate", "raw"),
    "Observation": ("id", "subject.reference", "code.text", "note[1].text", "raw"),
    "Condition": ("id", "subject.reference", "code.text", "raw"),
    "Encounter": ("id", "subject.reference", "serviceType.text", "raw"),
    "views.patient": ("id", "family", "birth_date"),
    "views.observation": ("id", "patient_id", "code_text"),
    "views.condition": ("id", "patient_id", "code_text"),
    "views.encounter": ("id", "patient_id", "service_type"),
    "marts.persons": ("person", "patients[1]", "birth_date::text", "postal_code"),
    "marts.stays": ("person", "stay", "encounters[1]", "place"),
    "marts.readmissions": ("person", "stay", "next_stay", "excluded"),
    "marts.utilisation": ("person", "month::text"),
    "marts.chronic_conditions": ("person", "condition", "first_known::text"),
    "omop.person": ("person_source_value", "birth_datetime::text", "gender_source_value"),
    "omop.visit_occurrence": ("visit_source_value", "visit_start_date::text"),
    "omop.condition_occurrence": ("condition_source_value", "condition_start_date::text"),
    "omop.measurement": ("measurement_source_value", "value_source_value", "measurement_date::text"),
    "omop.observation_period": ("observation_period_start_date::text", "observation_period_end_date::text"),
    "omop.condition_era": ("condition_era_start_date::text", "condition_era_end_date::text"),
}
"""Columns that are texts; of the CDM none that is a number of a row, for those count all rows of a store."""
NUMBERS = {
    "Patient": "length(name[1].family)",
    "Observation": "valueQuantity.value",
    "Condition": "length(code.text)",
    "Encounter": "length.value",
    "views.patient": "length(family)",
    "views.observation": "value",
    "views.condition": "length(code_text)",
    "views.encounter": "length(id)",
    "marts.persons": "len(patients)",
    "marts.stays": "days",
    "marts.readmissions": "days_between",
    "marts.utilisation": "stays",
    "marts.chronic_conditions": "records",
    "omop.person": "year_of_birth",
    "omop.visit_occurrence": "visit_concept_id",
    "omop.condition_occurrence": "length(condition_source_value)",
    "omop.measurement": "value_as_number",
    "omop.observation_period": "period_type_concept_id",
    "omop.condition_era": "condition_occurrence_count",
}
TABLES = tuple(TEXTS)
RAW = 0.5
"""So many tables are those of TYPES in any case."""
TYPES = ("Patient", "Observation", "Condition", "Encounter")
"""Those whose rows have an id and the resource as it came."""

ESCAPES = (
    "from read_parquet('{root}/*/*.parquet')",
    "from read_parquet('{file}')",
    "from '{file}'",
    'select * from "{file}"',
    "with q as (from read_parquet('{file}')) select count(*) from q",
    "select (select count(*) from read_parquet('{file}'))",
    "from parquet_metadata('{file}')",
    "from parquet_schema('{file}')",
    "from glob('{root}/**')",
    "from read_text('{root}/published.json')",
    "from read_blob('{file}')",
    "from read_csv('{file}', all_varchar = true)",
    "from read_json('{root}/published.json')",
    "from delta_scan('{root}/Patient')",
    "attach '{file}' as other",
    "copy (select 1) to '{root}/x.csv'",
    "copy {table} from '{file}'",
    "export database '{root}/x'",
    "import database '{root}'",
    "create view v as from read_parquet('{file}')",
    "create macro m() as table from read_parquet('{file}')",
    "create table t as from '{file}'",
    "create secret (type s3)",
    "set enable_external_access = true",
    "set lock_configuration = false",
    "reset allowed_paths",
    "set allowed_directories = ['/']",
    "pragma enable_profiling",
    "pragma database_list",
    "install httpfs",
    "load parquet",
    "prepare q as from '{file}'",
    "execute q",
    "call pragma_database_size()",
    "select current_setting('allowed_paths')",
    "select getvariable('x')",
    "from query('from ''{file}''')",
    "from query_table('{file}')",
    "from duckdb_views()",
    "from duckdb_tables()",
    "from duckdb_columns()",
    "from duckdb_settings()",
    "from duckdb_secrets()",
    "from duckdb_temporary_files()",
    "from duckdb_logs()",
    "from sqlite_master",
    "from pg_catalog.pg_views",
    "from information_schema.views",
    "from sniff_csv('{file}')",
    "from json_execute_serialized_sql(json_serialize_sql('from ''{file}'''))",
    "select 1; from '{file}'",
    "drop view {table}",
    "update {table} set id = 'x'",
    "delete from {table}",
    "explain analyze from '{file}'",
    "from res",
    "from main.rows",
    "from postgres_scan('', 'public', 'res')",
    "pivot {table} on id",
)


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement, and whether its answer depends on nothing but the rows that one sees."""

    sql: str
    is_exact: bool = True


class Lot:
    """Draws statements; `probes`: words that only rows of others hold."""

    def __init__(self, chance: random.Random, probes: Sequence[str]) -> None:
        self._chance = chance
        self._probes = probes
        self._forms: tuple[Callable[[], Statement], ...] = (
            self._plain, self._groups, self._join, self._subquery, self._set, self._cte, self._recursive,
            self._window, self._cast, self._oracle, self._lists, self._names, self._escape, self._escape,
        )  # fmt: skip

    def draw(self) -> Statement:
        """The next one."""
        return self._chance.choice(self._forms)()

    def _table(self) -> str:
        return self._chance.choice(TYPES if self._chance.random() < RAW else TABLES)

    def _type(self) -> str:
        return self._chance.choice(TYPES)

    def _id(self, table: str, alias: str = "t") -> str:
        return f"{alias}.{TEXTS[table][0]}"

    def _raw(self, table: str, alias: str = "t") -> str:
        return f"{alias}.{TEXTS[table][-1]}"

    def _text(self, table: str, alias: str = "t") -> str:
        return f"{alias}.{self._chance.choice(TEXTS[table])}"

    def _number(self, table: str, alias: str = "t") -> str:
        number = NUMBERS[table]
        return number.replace("(", f"({alias}.") if "(" in number else f"{alias}.{number}"

    def _where(self, table: str, alias: str = "t") -> str:
        text, probe = self._text(table, alias), self._chance.choice(self._probes)
        return self._chance.choice((
            "true", f"{text} is not null", f"{text} like '%{probe}%'", f"{text} = '{probe}'", f"{text} > 'm'",
            f"not ({text} like '%{probe}%')", f"{self._number(table, alias)} > {self._chance.randint(0, 9_000_000)}",
            f"{text} in (select id from {self._type()})", f"contains({self._raw(table, alias)}, '{probe}') or {text} < 'k'",
            f"regexp_matches({text}, '[0-9]{{1,}}')",
        ))  # fmt: skip

    def _plain(self) -> Statement:
        table = self._table()
        columns = ", ".join(self._text(table) for _ in range(self._chance.randint(1, 3)))
        distinct = self._chance.choice(("", "distinct "))
        return Statement(f"select {distinct}{columns} from {table} t where {self._where(table)}")

    def _groups(self) -> Statement:
        table = self._table()
        number, text = self._number(table), self._text(table)
        return Statement(
            f"select count(*), count(distinct {text}), min({text}), max({text}), sum({number}), max({number}),"
            f" count(*) filter (where {self._where(table)}), string_agg({text}, ',' order by {text})"
            f" from {table} t where {self._where(table)}"
            + self._chance.choice(
                ("", f" group by length({text})", " having count(*) > 1", f" group by rollup({text})")
            )
        )

    def _join(self) -> Statement:
        one, other = self._table(), self._table()
        kind = self._chance.choice(("join", "left join", "right join", "full join", "semi join", "anti join"))
        on = self._chance.choice((
            f"{self._id(one, 'a')} = {self._id(other, 'b')}", f"{self._text(one, 'a')} = {self._text(other, 'b')}",
            f"{self._id(one, 'a')} < {self._id(other, 'b')}", f"contains({self._raw(other, 'b')}, {self._id(one, 'a')}) or {self._where(one, 'a')}",
        ))  # fmt: skip
        seen = self._text(one, "a") + (
            "" if kind in {"semi join", "anti join"} else f", {self._text(other, 'b')}"
        )
        return Statement(f"select {seen} from {one} a {kind} {other} b on {on}")

    def _subquery(self) -> Statement:
        one, other = self._table(), self._table()
        return Statement(self._chance.choice((
            f"select {self._text(one)}, (select max({self._text(other, 'u')}) from {other} u where {self._id(other, 'u')} <> {self._id(one)}) from {one} t",
            f"select {self._text(one)} from {one} t where exists (select 1 from {other} u where {self._where(other, 'u')})",
            f"select count(*) from {one} t where {self._id(one)} not in (select {self._id(other, 'u')} from {other} u where {self._where(other, 'u')})",
            f"select x.* from {one} t, lateral (select {self._text(other, 'u')} as y from {other} u where {self._id(other, 'u')} > {self._id(one)}) x",
            f"select {self._number(one)} > all (select {self._number(other, 'u')} from {other} u) from {one} t",
        )))  # fmt: skip

    def _set(self) -> Statement:
        one, other = self._table(), self._table()
        kind = self._chance.choice(
            ("union", "union all", "intersect", "except", "except all", "union by name")
        )
        return Statement(
            f"select {self._text(one)} as x from {one} t where {self._where(one)} {kind}"
            f" select {self._text(other)} as x from {other} t where {self._where(other)}"
        )

    def _cte(self) -> Statement:
        one, other = self._table(), self._table()
        # A name of the statement's own may be that of a table: it stands before it.
        name = self._chance.choice(("q", one.rpartition(".")[2], other.rpartition(".")[2], "res"))
        kind = self._chance.choice(("", "materialized ", "not materialized "))
        return Statement(
            f"with {name} as {kind}(select {self._text(one)} as x, {self._number(one)} as n from {_whole(one)} t"
            f" where {self._where(one)}) select x, sum(n) from {name} group by x"
        )

    def _recursive(self) -> Statement:
        table = self._table()
        own = self._id(table)
        return Statement(
            f"with recursive r as (select min({own}) as id, 1 as n from {table} t union all"
            f" select (select min({own}) from {table} t where {own} > r.id), n + 1 from r where r.id is not null and n < 60)"
            " select * from r"
        )

    def _window(self) -> Statement:
        table = self._table()
        own, text = self._id(table), self._text(table)
        # Rows that are alike in the order could come in any.
        order = ", ".join(f"t.{each}" for each in TEXTS[table]) + f", {self._number(table)}"
        return Statement(
            f"select {own}, row_number() over (order by {order}), count(*) over (), lag({text}) over (order by {order}),"
            f" sum({self._number(table)}) over (order by {order} rows between 2 preceding and 2 following)"
            f" from {table} t" + self._chance.choice(("", f" qualify {self._where(table)}"))
        )

    def _cast(self) -> Statement:
        table = self._table()
        kind = self._chance.choice(
            ("int", "date", "double", "boolean", "uuid", "struct(a int)", "int[]", "json")
        )
        cast = self._chance.choice(("cast", "try_cast"))
        where = self._chance.choice(("", f" where {self._where(table)}"))
        return Statement(f"select {cast}({self._text(table)} as {kind}) from {table} t{where}")

    def _oracle(self) -> Statement:
        """Fails, or takes long, if there is a row of another."""
        table = self._table()
        text, raw, probe = self._text(table), self._raw(table), self._chance.choice(self._probes)
        return Statement(self._chance.choice((
            f"select count(*) from {table} t where case when {text} like '%{probe}%' then error('yes') else true end",
            f"select 1 from {table} t where {text} = '{probe}' and cast({text} as int) = 1",
            f"select count(*) from {table} t where cast(regexp_extract({raw}, 'canary([a-z]+)', 1) as int) = 1",
            f"select sum(cast('9223372036854775807' as bigint) + length({text})) from {table} t where {text} like '%{probe}%'",
            f"select count(*) from range(case when exists (from {table} t where contains({raw}, '{probe}')) then 3 else 2 end)",
            f"select max(case when contains({raw}, '{probe}') then repeat('x', 100) else '' end) from {table} t",
            f"select strptime({text}, '%Y') from {table} t where contains({raw}, '{probe}')",
        )))  # fmt: skip

    def _lists(self) -> Statement:
        table, any_ = self._type(), self._table()
        own = self._id(any_)
        return Statement(self._chance.choice((
            f"select unnest(json_keys(t.raw::json)) as k, count(*) from {table} t group by k",
            f"select list({own} order by {own}), histogram(length({self._raw(any_)})) from {any_} t",
            f"select unnest(t.meta, recursive := true) from {table} t",
            f"select columns('^(id|birthDate)$') from {table} t",
            f"from (unpivot (select id, raw from {table}) on id, raw) order by all",
            f"select count(*), approx_count_distinct({own}), any_value({own}) is null from {any_} t using sample 100%",
            f"select j.value from {table} t, json_each(t.raw::json) j where j.key = 'id'",
            f"select string_split(t.raw, '\"')[{self._chance.randint(2, 12)}] from {table} t",
        )))  # fmt: skip

    def _names(self) -> Statement:
        table = self._table()
        sql, is_exact = self._chance.choice((
            ("show tables", True), (f"describe {table}", True), ("show all tables", False),
            (f"summarize select {self._id(table)}, {self._raw(table)} from {table} t", True),
            (f"explain select * from {table} t where {self._id(table)} = 'x'", False),
            ("select table_name, count(*) from information_schema.columns group by all", True),
            ("select table_name from information_schema.tables", True), (f"select * from {table}", False),
            (f"from (describe {table})", True), (f"table {table}", False), (f"select count(*) from memory.{_whole(table)}", True),
        ))  # fmt: skip
        return Statement(sql, is_exact)

    def _escape(self) -> Statement:
        return Statement(self._chance.choice(ESCAPES).replace("{table}", self._table()))


def _whole(table: str) -> str:
    """A table with its schema."""
    return table if "." in table else f"main.{table}"
