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
}
NUMBERS = {
    "Patient": "length(name[1].family)",
    "Observation": "valueQuantity.value",
    "Condition": "length(code.text)",
    "Encounter": "length.value",
}
TABLES = tuple(TEXTS)

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
        return self._chance.choice(TABLES)

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
            f"{text} in (select id from {self._table()})", f"contains({alias}.raw, '{probe}') or {text} < 'k'",
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
            "a.id = b.id", f"{self._text(one, 'a')} = {self._text(other, 'b')}", "a.id < b.id",
            f"contains(b.raw, a.id) or {self._where(one, 'a')}",
        ))  # fmt: skip
        seen = self._text(one, "a") + (
            "" if kind in {"semi join", "anti join"} else f", {self._text(other, 'b')}"
        )
        return Statement(f"select {seen} from {one} a {kind} {other} b on {on}")

    def _subquery(self) -> Statement:
        one, other = self._table(), self._table()
        return Statement(self._chance.choice((
            f"select {self._text(one)}, (select max({self._text(other, 'u')}) from {other} u where u.id <> t.id) from {one} t",
            f"select {self._text(one)} from {one} t where exists (select 1 from {other} u where {self._where(other, 'u')})",
            f"select count(*) from {one} t where t.id not in (select u.id from {other} u where {self._where(other, 'u')})",
            f"select x.* from {one} t, lateral (select {self._text(other, 'u')} as y from {other} u where u.id > t.id) x",
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
        name = self._chance.choice(("q", one, other, "res"))
        kind = self._chance.choice(("", "materialized ", "not materialized "))
        return Statement(
            f"with {name} as {kind}(select {self._text(one)} as x, {self._number(one)} as n from main.{one} t"
            f" where {self._where(one)}) select x, sum(n) from {name} group by x"
        )

    def _recursive(self) -> Statement:
        table = self._table()
        return Statement(
            f"with recursive r as (select min(t.id) as id, 1 as n from {table} t union all"
            f" select (select min(t.id) from {table} t where t.id > r.id), n + 1 from r where r.id is not null and n < 60)"
            " select * from r"
        )

    def _window(self) -> Statement:
        table = self._table()
        return Statement(
            f"select t.id, row_number() over (order by t.id), count(*) over (), lag({self._text(table)}) over (order by t.id),"
            f" sum({self._number(table)}) over (order by t.id rows between 2 preceding and 2 following)"
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
        text, probe = self._text(table), self._chance.choice(self._probes)
        return Statement(self._chance.choice((
            f"select count(*) from {table} t where case when {text} like '%{probe}%' then error('yes') else true end",
            f"select 1 from {table} t where {text} = '{probe}' and cast({text} as int) = 1",
            f"select count(*) from {table} t where cast(regexp_extract(t.raw, 'canary([a-z]+)', 1) as int) = 1",
            f"select sum(cast('9223372036854775807' as bigint) + length({text})) from {table} t where {text} like '%{probe}%'",
            f"select count(*) from range(case when exists (from {table} t where contains(t.raw, '{probe}')) then 3 else 2 end)",
            f"select max(case when contains(t.raw, '{probe}') then repeat('x', 100) else '' end) from {table} t",
            f"select strptime({text}, '%Y') from {table} t where contains(t.raw, '{probe}')",
        )))  # fmt: skip

    def _lists(self) -> Statement:
        table = self._table()
        return Statement(self._chance.choice((
            f"select unnest(json_keys(t.raw::json)) as k, count(*) from {table} t group by k",
            f"select list(t.id order by t.id), histogram(length(t.raw)) from {table} t",
            f"select unnest(t.meta, recursive := true) from {table} t",
            f"select columns('^(id|birthDate)$') from {table} t",
            f"from (unpivot (select id, raw from {table}) on id, raw) order by all",
            f"select count(*), approx_count_distinct(id), any_value(id) is null from {table} using sample 100%",
            f"select j.value from {table} t, json_each(t.raw::json) j where j.key = 'id'",
            f"select string_split(t.raw, '\"')[{self._chance.randint(2, 12)}] from {table} t",
        )))  # fmt: skip

    def _names(self) -> Statement:
        table = self._table()
        sql, is_exact = self._chance.choice((
            ("show tables", True), (f"describe {table}", True), ("show all tables", False),
            (f"summarize select id, raw from {table}", True), (f"explain select * from {table} where id = 'x'", False),
            ("select table_name, count(*) from information_schema.columns group by all", True),
            ("select table_name from information_schema.tables", True), (f"select * from {table}", False),
            (f"from (describe {table})", True), (f"table {table}", False), (f"select count(*) from memory.main.{table}", True),
        ))  # fmt: skip
        return Statement(sql, is_exact)

    def _escape(self) -> Statement:
        return Statement(self._chance.choice(ESCAPES).replace("{table}", self._table()))
