"""lake.prepared: what an engine must be told and may open before a statement is asked: views over what the actor may see.

Room: lake. May import: lake, store. A type that is only listed, or stands in a mart that does not read it, is a view
without rows: no table is cut for a name.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from careloom.lake import sight
from careloom.lake.cut import Maker, Table, bare, table
from careloom.lake.kept.ready import ready_rows
from careloom.lake.lake import Lake
from careloom.lake.marts import mart
from careloom.lake.offer import Column, Offer
from careloom.lake.omop import portion
from careloom.lake.omop.ddl import create
from careloom.lake.omop.facts import tables
from careloom.lake.question import Question
from careloom.lake.session import opened
from careloom.lake.view.statement import Statement
from careloom.store.actor import Actor
from careloom.store.database import Connection


@dataclass(frozen=True, slots=True)
class Prepared:
    """Statements for an engine, in order, and the files that they read."""

    statements: tuple[str, ...]
    files: tuple[Path, ...]


def prepared(
    lake: Lake,
    connection: Connection,
    actor: Actor,
    asks: Question,
    offered: Mapping[str, Offer],
    maker: Maker,
) -> Prepared:
    """What `asks` needs, as `actor` may see it; `maker` opens an engine that sees all, if something must be cut."""
    named = [offered[name] for name in asks.tables if name in offered]
    marts = [one.name for one in named if one.group == "marts"]
    kept = {
        one.name: rows for one in named
        if one.definition is not None and (rows := ready_rows(lake, connection, actor, one.definition, maker))
    }  # fmt: skip
    views = {one.name: one.statement for one in named if one.statement is not None and one.name not in kept}
    cdm = [one.name for one in named if one.group == "omop"]
    read = {name for name in asks.tables if name not in offered}
    read.update(*(mart.READS[name] for name in marts), (statement.resource for statement in views.values()))
    bound = set[str](mart.TYPES if marts else ())
    bound.update(lake.types if asks.is_listing else ())
    types = [_table(lake, connection, actor, rtype, maker, read) for rtype in sorted(read | bound)]
    told = portion.portion(lake, connection, actor, cdm, maker) if cdm else portion.NOTHING
    made = {*asks.tables, *(f"marts.{name}" for name in mart.needed(marts))}
    listed = [one for one in offered.values() if asks.is_listing and one.full not in made]
    groups = dict.fromkeys(one.group for one in (*named, *listed) if one.group != "marts" or not marts)
    statements = [
        *(f'create view main."{one.rtype}" as {one.sql}' for one in types),
        *(mart.views(marts) if marts else ()),
        *(f"create schema {group}" for group in groups),
        *(f'create view views."{name}" as {_flat(statement)}' for name, statement in views.items()),
        *(f'create view views."{name}" as {one.sql}' for name, one in kept.items()),
        *told.statements,
        *(_empty(lake, one) for one in listed),
    ]
    files = [*(file for one in (*types, *kept.values()) for file in one.files), *told.files]
    return Prepared(tuple(statements), tuple(files))


def _empty(lake: Lake, one: Offer) -> str:
    """A table of its columns, and of no row: all there is to a name."""
    if one.group == "omop":
        return create(tables()[one.name], "careloom", "omop")
    columns = _types_of(lake, one.statement) if one.statement is not None else one.columns
    lines = ", ".join(f'"{column.name}" {column.type}' for column in columns)
    return f'create table {one.group}."{one.name}" ({lines})'


def _table(
    lake: Lake, connection: Connection, actor: Actor, rtype: str, maker: Maker, read: Collection[str]
) -> Table:
    if rtype in read:
        return table(lake, connection, actor, rtype, maker)
    return bare(lake, rtype)


def _flat(statement: Statement) -> str:
    return statement.sql("duckdb", f'main."{statement.resource}"')


_known: dict[str, tuple[Column, ...]] = {}


def _types_of(lake: Lake, statement: Statement) -> tuple[Column, ...]:
    """The columns of a view with the types that an engine gives them; asked once."""
    rtype, sql = statement.resource, _flat(statement)
    if sql not in _known:
        with opened(None, "", 1) as duck:
            duck.execute(f'create view "{rtype}" as {sight.plain(rtype, [sight.outline(lake.root, rtype)])}')
            found = duck.execute(f"describe {sql}").fetchall()
        _known[sql] = tuple(Column(str(row[0]), str(row[1])) for row in found)
    return _known[sql]
