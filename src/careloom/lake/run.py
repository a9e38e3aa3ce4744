"""lake.run: a view run for an actor, on the lake or on resources at hand: only rows of what the actor may see.

Room: lake. May import: lake, store. Standard: https://build.fhir.org/ig/HL7/sql-on-fhir/OperationDefinition-SQLRun.html

Row-level security is that of statements (lake.cut): what is hidden is in no file that the engine can open. To ask for
some patients is to ask as somebody who may see no others.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb

from careloom.fhir.facts import facts
from careloom.fhir.outcome import Issue, OutcomeError
from careloom.fhir.resource import Resource, dumps
from careloom.lake.cut import Maker, Table, bare, table
from careloom.lake.engine import connect
from careloom.lake.kept.ready import ready_rows
from careloom.lake.known import compiled
from careloom.lake.lake import Lake
from careloom.lake.order import SECONDS, Order, Wanted, unpacked
from careloom.lake.poison import named
from careloom.lake.row import Row, to_row, to_table
from careloom.lake.sandbox import Limits
from careloom.lake.session import opened, seal
from careloom.lake.stream import Pipe, piped, source_of, streamed
from careloom.lake.view.statement import Statement
from careloom.store.actor import Actor, refuse_sql
from careloom.store.database import Connection, Database

LIMITS = Limits(seconds=SECONDS, threads=1)
"""One thread: several would hold what they made until it is its turn, and a slow reader makes that all there is."""


def errand(told: Mapping[str, Any]) -> Iterator[bytes]:
    """What a process of its own does: run the view of a packed order."""
    url, root, actor, order = unpacked(told)
    database = Database(url, size=1)
    try:
        yield from delivered(database, root, actor, order)
    finally:
        database.close()


def delivered(
    database: Database, root: Path, actor: Actor, order: Order, limits: Limits = LIMITS
) -> Iterator[bytes]:
    """The rows as bytes, piece by piece.

    Raises OutcomeError: forbidden; the place in the view and the cause; not-found where there is no lake.
    """
    refuse_sql(actor)
    statement = compiled(dumps(order.definition))
    if order.resources is None:
        yield from _of_lake(database, Lake(root), actor, order, statement, limits)
    else:
        yield from of_resources(order.resources, statement, order.wanted, limits)


def of_resources(
    resources: Sequence[Resource], statement: Statement, wanted: Wanted, limits: Limits = LIMITS
) -> Iterator[bytes]:
    """The same on resources at hand; those of another type are left out."""
    rows = [
        row
        for number, one in enumerate(resources)
        for row in _row(number, one, statement.resource, wanted.since)
    ]
    with piped() as pipe, connect(threads=limits.threads, memory=limits.memory) as duck:
        duck.register("careloom_source", to_table(rows, statement.resource))
        seal(duck, None, [pipe.path])
        yield from _named(duck, statement, replace(wanted, since=None), pipe, "careloom_source")


def _named(
    duck: duckdb.DuckDBPyConnection, statement: Statement, wanted: Wanted, pipe: Pipe, source: str = ""
) -> Iterator[bytes]:
    """The rows; where the view stops the error names the resource, which is one of those that the actor sees."""
    try:
        yield from streamed(duck, statement, wanted, pipe, source)
    except OutcomeError as error:
        raise named(duck, statement, source_of(statement, wanted, source), error) from None


def _row(number: int, resource: Resource, wanted: str, since: datetime | None) -> Iterator[Row]:
    if resource.get("resourceType") != wanted:
        return
    told = resource.get("meta", {}).get("lastUpdated") if since else None
    try:
        # A resource that does not say when it was changed may be what is asked for.
        if told is None or since is None or datetime.fromisoformat(told) > since:
            row = to_row(resource)
            to_table([row], wanted)
            yield row
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, RecursionError) as error:
        text = f"This resource cannot be laid into columns ({type(error).__name__})."
        raise OutcomeError(Issue("processing", text, f"resource[{number}]")) from None


def _of_lake(
    database: Database, lake: Lake, actor: Actor, order: Order, statement: Statement, limits: Limits
) -> Iterator[bytes]:
    rtype = statement.resource
    who = _narrowed(actor, rtype, order.patients)
    with _maker(database, lake, limits) as (connection, maker):
        # Kept rows do not say when their resource was changed.
        kept = None if order.wanted.since else ready_rows(lake, connection, who, order.definition, maker)
        found = kept or (
            table(lake, connection, who, rtype, maker) if rtype in lake.types else bare(lake, rtype)
        )
    with piped() as pipe, _closed(lake, found, pipe, limits) as duck:
        if kept:
            yield from streamed(duck, statement, order.wanted, pipe, kept=kept.sql)
        else:
            yield from _named(duck, statement, order.wanted, pipe)


def _narrowed(actor: Actor, rtype: str, patients: frozenset[str] | None) -> Actor:
    """The actor, who sees no other patients than these; types that belong to no patient are seen as before."""
    if patients is None or rtype not in {"Patient", *facts().compartments["Patient"]}:
        return actor
    return replace(actor, patients=patients if actor.patients is None else patients & actor.patients)


@contextmanager
def _maker(database: Database, lake: Lake, limits: Limits) -> Generator[tuple[Connection, Maker]]:
    @contextmanager
    def maker() -> Generator[duckdb.DuckDBPyConnection]:
        with opened(lake.root, limits.memory, limits.threads) as duck:
            yield duck

    # No transaction: a cut may take minutes, and who waits for all transactions would wait for it.
    with database.autocommit() as connection:
        yield connection, maker


@contextmanager
def _closed(lake: Lake, found: Table, pipe: Pipe, limits: Limits) -> Generator[duckdb.DuckDBPyConnection]:
    """An engine that knows this table, and can open its files and the pipe alone."""
    with opened(lake.root, limits.memory, limits.threads, {"autoload_known_extensions": "false"}) as duck:
        duck.execute(f'create view "{found.rtype}" as {found.sql}')
        seal(duck, lake.root, [pipe.path, *found.files], limits.spill)
        yield duck
