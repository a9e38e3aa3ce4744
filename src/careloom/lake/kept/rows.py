"""lake.kept.rows: a view run on some resources: its rows with the resource and version that each came of.

Room: lake. May import: lake, duckdb, pyarrow.

One resource on which a view cannot be run (a cell with several values) would stop it for all: it is found by halving,
gets a mark that says why, and the others have their rows.
"""

# pyarrow has no types, and its functions of compute are made when it is imported.
# pyright: reportUnknownParameterType=false, reportAttributeAccessIssue=false

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from careloom.fhir.outcome import Issue, OutcomeError
from careloom.fhir.resource import Resource, dumps
from careloom.lake.column import digest_of
from careloom.lake.engine import outcomes
from careloom.lake.kept.table import KEY
from careloom.lake.known import compiled
from careloom.lake.reading import literal
from careloom.lake.schema import TIME
from careloom.lake.session import opened
from careloom.lake.view.statement import Statement

MOST_ASIDE = 100
"""So many resources on which a view cannot be run are set aside while it is made; with more it is the view that is wrong."""
_BATCH = "careloom_batch"
_ROWS = 10_000


@dataclass(frozen=True)
class KeptView:
    """A view that is kept, compiled so that each row has the key of its resource."""

    name: str
    definition: Resource
    statement: Statement
    keyed: Statement
    key: str
    """The column of `keyed` that holds the id."""

    @property
    def rtype(self) -> str:
        """The type that it is about."""
        return self.statement.resource

    @property
    def digest(self) -> str:
        """Another one for another definition, or another shape of the type: then its rows are made anew."""
        told = self.keyed.sql() + digest_of(self.rtype)
        return blake2b(told.encode(), digest_size=8).hexdigest()

    def schema(self, outline: Path) -> pa.Schema:
        """The columns of its table, the keys last."""
        with opened(None, threads=1) as duck, outcomes():
            sql = self.statement.sql("duckdb", f"read_parquet({literal(outline)})")
            found = duck.sql(sql).limit(0).to_arrow_table().schema
        return pa.schema([*(pa.field(one.name, _of_delta(one.type)) for one in found), *KEY])


def _of_delta(kind: pa.DataType) -> pa.DataType:
    """An engine names the zone of its instants; Delta has UTC alone."""
    if pa.types.is_list(kind):
        return pa.list_(_of_delta(kind.value_type))
    return TIME if pa.types.is_timestamp(kind) and kind.tz else kind


def kept_view(name: str, definition: Resource) -> KeptView:
    """Compile it. Raises OutcomeError with place and cause."""
    statement = compiled(dumps(definition))
    taken = {column.lower() for column in statement.columns}
    key = next(one for one in (f"careloom_id{'_' * number}" for number in range(100)) if one not in taken)
    # A further select at the root multiplies nothing: each row gets the id of the resource that it is of.
    more = {"column": [{"name": key, "path": "id"}]}
    keyed = compiled(dumps({**definition, "select": [*definition["select"], more]}))
    return KeptView(name, definition, statement, keyed, key)


def of_batch(view: KeptView, outline: Path, batch: pa.Table, schema: pa.Schema) -> pa.Table:
    """The rows of the last version of each resource in a batch, and marks for those that have none (any longer)."""
    last = {id_: at for at, id_ in enumerate(batch["id"].to_pylist())}
    newest = batch.combine_chunks().take(pa.array(sorted(last.values()), pa.int64()))
    keys = newest.select(["id", "version_id", "is_deleted", "is_aside"]).to_pylist()
    live = [at for at, one in enumerate(keys) if not one["is_deleted"] and not one["is_aside"]]
    why: dict[str, str] = {}
    with opened(None, threads=1) as duck:
        found = _halving(duck, _Run(view, outline, schema, why), newest.take(pa.array(live, pa.int64())))
    seen = {id_ for table in found for id_ in table["_id"].to_pylist()}
    # What is new and has no row ends nothing, and needs no mark.
    marks = [one for one in keys if one["id"] not in seen and (one["version_id"] > 1 or one["id"] in why)]
    return pa.concat_tables([*found, _marks(marks, why, schema)])


def _marks(keys: list[dict[str, Any]], why: dict[str, str], schema: pa.Schema) -> pa.Table:
    told = [
        {"_id": one["id"], "_version": one["version_id"], "_is_gone": True, "_aside": why.get(one["id"])}
        for one in keys
    ]
    return pa.Table.from_pylist(told, schema=schema)


@dataclass(frozen=True)
class _Run:
    view: KeptView
    outline: Path
    schema: pa.Schema
    why: dict[str, str]
    """Id of a resource on which the view cannot be run -> the reason."""


def _halving(duck: duckdb.DuckDBPyConnection, run: _Run, live: pa.Table) -> list[pa.Table]:
    if not live.num_rows:
        return []
    duck.register(_BATCH, live)
    # A batch has the columns that have a value in it; the view may ask for others.
    source = f"(select * from read_parquet({literal(run.outline)}) union all by name select * from {_BATCH})"
    try:
        with outcomes():
            found = duck.sql(keyed_sql(run.view, source)).to_arrow_table()
            return [found.select(run.schema.names).cast(run.schema)]
    except OutcomeError as error:
        if live.num_rows == 1:
            run.why[live["id"][0].as_py()] = str(error)
            return []
    finally:
        duck.unregister(_BATCH)
    half = live.num_rows // 2
    return _halving(duck, run, live.slice(0, half)) + _halving(duck, run, live.slice(half))


def keyed_sql(view: KeptView, source: str) -> str:
    """The rows of the view over a source that has `id` and `version_id`, with their keys."""
    columns = ", ".join(f'v."{name}"' for name in view.statement.columns)
    return (
        f'select {columns}, v."{view.key}" as _id, t.version_id as _version, false as _is_gone,'
        f" null::varchar as _aside from ({view.keyed.sql('duckdb', source)}) v"
        f' join (select id, version_id from {source}) t on t.id = v."{view.key}"'
    )


@dataclass(slots=True)
class Whole:
    """A view over all resources of its type, a part of them at a time: parts are told apart by the hash of the id."""

    duck: duckdb.DuckDBPyConnection
    view: KeptView
    current: str
    """A SELECT of the resources."""
    aside: int = 0

    def rows(self, bits: int, value: int) -> Iterator[pa.RecordBatch]:
        """The rows of a part. Raises OutcomeError where the view cannot be run on one of its resources."""
        with outcomes():
            yield from self.duck.sql(keyed_sql(self.view, self._part(bits, value))).to_arrow_reader(_ROWS)

    def mark(self, bits: int, value: int, error: OutcomeError, schema: pa.Schema) -> pa.Table | None:
        """A mark for the one resource of this part; None if it has several."""
        keys = self.duck.execute(f"select id, version_id from {self._part(bits, value)} limit 2").fetchall()
        if len(keys) != 1:
            return None
        self.aside += 1
        if self.aside > MOST_ASIDE:
            text = f"The view cannot be run on more than {MOST_ASIDE} resources: {error}"
            raise OutcomeError(Issue("processing", text))
        [(id_, version)] = keys
        return _marks([{"id": id_, "version_id": version}], {id_: str(error)}, schema)

    def _part(self, bits: int, value: int) -> str:
        part = f" where hash(id) % {1 << bits} = {value}" if bits else ""
        return f"(select * from ({self.current}){part})"
