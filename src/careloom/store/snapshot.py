"""store.snapshot: the store as it was at one place of the feed, read in steps while others write.

Room: store. Touches: the tables res, hist.

A version belongs to the snapshot if its transaction lies below the place and that of its successor does not: what is
changed or deleted meanwhile is still found, in hist. So an export is the same however long it takes, and however
often it is killed and taken up again.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from careloom.fhir.facts import resource_types
from careloom.store.actor import Actor
from careloom.store.condition import Condition, all_of
from careloom.store.database import Connection
from careloom.store.fetch import fetch
from careloom.store.hashes import hash64
from careloom.store.resource_type import number_of
from careloom.store.stored import FIELDS, Stored, stored_of
from careloom.store.visible import versions


@dataclass(frozen=True, slots=True)
class Scope:
    """Which part of a snapshot; absent choices are empty or None."""

    types: Collection[str] = ()
    since: datetime | None = None
    """Written at or after this; deletions since then are told too."""
    patients: Sequence[str] | None = None
    """`Patient/7`: what belongs to one of these; empty: to any patient; None: all."""


def place(connection: Connection) -> int:
    """The place of this moment: whatever was committed before lies below it."""
    (number,) = cast("tuple[int]", connection.execute("select feed_now()").fetchone())
    return number


def is_settled(connection: Connection, at: int) -> bool:
    """False while a transaction below the place still runs: then it is not yet known what the snapshot holds."""
    (horizon,) = cast("tuple[int]", connection.execute("select feed_horizon()").fetchone())
    return horizon >= at


def snapshot(
    connection: Connection, actor: Actor, at: int, scope: Scope, after: int = 0, count: int = 1_000
) -> list[Stored]:
    """The next versions of the snapshot behind the one whose `seq` is `after`, as far as the actor may see them."""
    sql, values = versions(actor, FIELDS, _within(at, scope, after))
    rows = fetch(connection, f"{sql} order by rid limit %s".encode(), [*values, count])
    return stored_of(connection, rows)


def size(connection: Connection, at: int, scope: Scope) -> int:
    """About how many there are: the current rows, whoever may see them."""
    where = _of_scope(at, scope, 0)
    row = connection.execute(
        f"select count(*) from res r where {where.sql}".encode(), where.values
    ).fetchone()
    return row[0] if row else 0


def _within(at: int, scope: Scope, after: int) -> Condition:
    next_of = "n where n.key = r.key and n.ver = r.ver + 1 and n.tx < %s"
    last = f"not exists (select from res {next_of}) and not exists (select from hist {next_of})"
    return all_of([_of_scope(at, scope, after), Condition(last, (at, at))])


def _of_scope(at: int, scope: Scope, after: int) -> Condition:
    types = [number_of(rtype) for rtype in sorted(scope.types or resource_types())]
    conditions = [Condition("r.rid > %s and r.tx < %s and r.rtype = any(%s::smallint[])", (after, at, types))]
    if scope.since is None:
        conditions.append(Condition("not r.is_deleted"))
    else:
        conditions.append(Condition("r.lm >= %s", (scope.since,)))
    if scope.patients:
        keys = [hash64(patient) for patient in scope.patients]
        sql = "(r.pat = any(%s) or coalesce(r.also && %s::bigint[], false))"
        conditions.append(Condition(sql, (keys, keys)))
    elif scope.patients is not None:
        conditions.append(Condition("(r.pat is not null or r.also is not null)"))
    return all_of(conditions)
