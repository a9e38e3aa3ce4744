"""lake.kept.ready: the rows of a kept view in the place of a run of it, for who may see them: the same rows, at the price of reading them.

Room: lake. May import: lake, store.seen, pyarrow. Touches: the folder `_cuts` of the lake.

They are published with the tables that they were made of, so they are never older than a run. They are not taken where the
definition is another one, or where some resource was set aside: a run says so. What is hidden from an actor is in no
file that their engine can open, as with tables (lake.cut).
"""

# pyarrow has no types.
# pyright: reportUnknownParameterType=false

from __future__ import annotations

import os
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path

import pyarrow.parquet as pq

from careloom.fhir.resource import Resource
from careloom.lake.cut import CUTS, Maker, Table, copied, tidy
from careloom.lake.kept.keeper import kept_table
from careloom.lake.kept.rows import KeptView, kept_view
from careloom.lake.kept.table import KeptTable
from careloom.lake.lake import Lake
from careloom.lake.reading import literal
from careloom.store.actor import Actor
from careloom.store.database import Connection
from careloom.store.seen import Seen, seen


def ready_rows(
    lake: Lake, connection: Connection, actor: Actor, definition: Resource, maker: Maker
) -> Table | None:
    """A SELECT of the rows of a view as `actor` may see them, and its files; None: run the view.

    Raises OutcomeError(forbidden) for an actor without clinical.read.
    """
    if not lake.published.kept:
        return None
    view = kept_view("", definition)
    found = next((pair for pair in lake.published.kept.items() if pair[1].digest == view.digest), None)
    if found is None:
        return None
    table = kept_table(lake.root, *found)
    paths = tuple(table.folder / file.name for file in table.files())
    if not paths or not all(map(_has_all, paths)):
        return None
    sees = seen(connection, actor, view.rtype)
    if sees.is_all:
        return Table(view.rtype, table.current(view.statement.columns), paths)
    whole = f"{found[0]} {view.digest} {table.version} {sees.digest()}"
    path = lake.root / CUTS / f"kept-{blake2b(whole.encode(), digest_size=16).hexdigest()}.parquet"
    if path.exists():
        os.utime(path)
    else:
        _cut(table, view, sees, path, maker)
    return Table(view.rtype, f"select * from read_parquet({literal(path)})", (path,))


def _cut(table: KeptTable, view: KeptView, sees: Seen, path: Path, maker: Maker) -> None:
    columns = ", ".join(f'v."{name}"' for name in view.statement.columns)
    kind = "anti" if sees.is_rest else "semi"
    sql = (
        f"select {columns} from (select * from ({table.unended()}) where not _is_gone) v"
        f" {kind} join sees s on s.id = v._id and s.version_id = v._version"
    )
    with maker() as duck:
        copied(duck, sql, sees, path)
    tidy(path.parent)


@lru_cache(maxsize=4096)
def _has_all(path: Path) -> bool:
    """Whether no resource is aside in a file, as its footer has it; a file is never changed."""
    told = pq.read_metadata(path)
    groups = [told.row_group(number) for number in range(told.num_row_groups)]
    # The last of KEY is the last of all.
    leaves = [each.column(each.num_columns - 1) for each in groups]
    return all(
        leaf.path_in_schema == "_aside"
        and leaf.statistics is not None
        and leaf.statistics.null_count == each.num_rows
        for leaf, each in zip(leaves, groups, strict=True)
    )
