"""store.feed: every version ever committed, in the order of commits, without gaps.

Room: store. Touches: the tables res, hist, station. https://www.postgresql.org/docs/current/functions-info.html

A bare sequence would lose changes: a transaction that took number 5 may commit after one that took 6 was read. Here
a version carries the number of its transaction, and a reader sees only transactions below the horizon, the oldest
that still runs: whatever is below it has ended, so nothing can appear behind a cursor. Versions of one resource come
in their order (store.commit sees to it). The price: one long transaction holds back what committed after it began.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from careloom.fhir.resource import Resource
from careloom.store.condition import ALWAYS, Condition
from careloom.store.database import Connection
from careloom.store.fetch import fetch
from careloom.store.interest import Interest
from careloom.store.stored import FIELDS, Stored, stored_of, stored_one_by_one

CHANNEL = "careloom_feed"
"""NOTIFY channel: something was committed."""


class Cursor(NamedTuple):
    """A place in the feed: after this version of this transaction."""

    tx: int = 0
    rid: int = 0


START = Cursor()


@dataclass(frozen=True, slots=True)
class Change:
    """One version that was committed."""

    cursor: Cursor
    rtype: str
    id: str
    version: int
    resource: Resource
    """Parsed; of a deletion only its type and id."""
    is_deleted: bool
    recorded: datetime
    event_id: int | None
    depth: int


class Stretch(NamedTuple):
    """Versions with the place of each, undecoded, and where to go on."""

    versions: list[tuple[Cursor, Stored]]
    cursor: Cursor


class Batch(NamedTuple):
    """Changes, and where to go on: beyond the last change when nobody asked for the rest up to the horizon."""

    changes: list[Change]
    cursor: Cursor


NEXT = f"""
(select {FIELDS}, r.tx from res r where {{where}} and {{current}} order by r.tx, r.rid limit %s)
union all
(select {FIELDS}, r.tx from hist r where {{where}} and {{older}} order by r.tx, r.rid limit %s)
order by tx, rid limit %s"""
# The second comparison restates the first for the index on tx alone.
BEHIND = "(r.tx, r.rid) > (%s, %s) and r.tx >= %s and r.tx < %s"


def begun(connection: Connection) -> int:
    """The number of this transaction: every one that wrote something before it has a lower one (`settled`)."""
    [(number,)] = fetch(connection, b"select pg_current_xact_id()::text::bigint")
    return number


def settled(connection: Connection, number: int) -> bool:
    """Whether every transaction with a lower number has ended."""
    [(oldest,)] = fetch(connection, b"select pg_snapshot_xmin(pg_current_snapshot())::text::bigint")
    return oldest >= number


def changes(
    connection: Connection, after: Cursor, limit: int = 500, interest: Interest | None = None
) -> list[Change]:
    """The next versions after a cursor, at most `limit`, of what is asked for (None: all)."""
    return batch(connection, after, limit, interest).changes


def batch(connection: Connection, after: Cursor, limit: int = 500, interest: Interest | None = None) -> Batch:
    """As `changes`, with the cursor from which to go on, which moves even when nothing that is asked for came."""
    rows, cursor = _rows(connection, after, limit, interest)
    found = zip(stored_of(connection, rows), rows, strict=True)
    return Batch([_change(stored, Cursor(row[-1], row[0])) for stored, row in found], cursor)


def stretch(connection: Connection, after: Cursor, limit: int = 500) -> Stretch:
    """As `batch`, of all types, for who takes bodies as they are; one that cannot be restored is empty."""
    rows, cursor = _rows(connection, after, limit, None)
    found = zip(stored_one_by_one(connection, rows), rows, strict=True)
    return Stretch([(Cursor(row[-1], row[0]), stored) for stored, row in found], cursor)


def _rows(
    connection: Connection, after: Cursor, limit: int, interest: Interest | None
) -> tuple[list[tuple[Any, ...]], Cursor]:
    """The rows behind a cursor, and where to go on."""
    [(horizon,)] = fetch(connection, b"select feed_horizon()")
    if horizon <= after.tx:
        return [], after
    behind = Condition(BEHIND, (*after, after.tx, horizon))
    current, older = (interest.current, interest.older) if interest else (ALWAYS, ALWAYS)
    sql = NEXT.format(where=behind.sql, current=current.sql, older=older.sql)
    values = [*behind.values, *current.values, limit, *behind.values, *older.values, limit, limit]
    rows = fetch(connection, sql.encode(), values)
    if len(rows) == limit:
        return rows, Cursor(rows[-1][-1], rows[-1][0])
    return rows, max(after, Cursor(horizon, 0))


HOLDS = b"""
select exists (select from res where tx = %(tx)s and rid = %(rid)s)
    or exists (select from hist where tx = %(tx)s and rid = %(rid)s)"""


def holds(connection: Connection, cursor: Cursor) -> bool:
    """Whether a version stands at this place: False in another store, or in one that was restored from before it."""
    [(is_there,)] = fetch(connection, HOLDS, {"tx": cursor.tx, "rid": cursor.rid})
    return is_there


def ahead(connection: Connection, after: Cursor) -> int:
    """About how many versions wait behind a cursor, as the planner's statistics have it beyond ten thousand."""
    sql = b"select count(*) from (select from res where tx >= %(tx)s and (tx, rid) > (%(tx)s, %(rid)s) limit 10000) r"
    [(count,)] = fetch(connection, sql, {"tx": after.tx, "rid": after.rid})
    if count < 10_000:  # noqa: PLR2004
        return count
    sql = b"select sum(reltuples)::bigint from pg_class where oid in ('res'::regclass, 'hist'::regclass)"
    [(rows,)] = fetch(connection, sql)
    return max(count, rows or 0)


def head(connection: Connection) -> Cursor:
    """The cursor behind all that has been committed below the horizon: where a new listener begins."""
    [(horizon,)] = fetch(connection, b"select feed_horizon()")
    return Cursor(horizon, 0)


def standing(connection: Connection, station: str) -> Cursor | None:
    """Where a station stands now, for who only looks: nothing is locked, and so nothing written. None: it never ran."""
    rows = fetch(connection, b"select tx, rid from station where name = %s", [station])
    return Cursor(*rows[0]) if rows else None


def cursor_of(connection: Connection, station: str) -> Cursor:
    """Where a station stands; it is locked until this transaction ends, so that two engines never run it at once."""
    look = b"select tx, rid from station where name = %s for update"
    rows = fetch(connection, look, [station])
    if not rows:
        connection.execute("insert into station values (%s, 0, 0) on conflict do nothing", [station])
        rows = fetch(connection, look, [station])
    return Cursor(*rows[0]) if rows else START


def advance(connection: Connection, station: str, cursor: Cursor) -> None:
    """Set where a station stands, in the transaction that commits its work."""
    sql = b"insert into station values (%s, %s, %s) on conflict (name) do update set tx = excluded.tx, rid = excluded.rid"
    fetch(connection, sql, [station, cursor.tx, cursor.rid])


def rebase(connection: Connection) -> None:
    """After a dump was restored into another cluster: let numbers of transactions go on rising from where they were."""
    connection.execute(
        "update feed_base set base = base + greatest(0, 1 + (select max(tx) from (select max(tx) as tx from res"
        " union all select max(tx) from hist union all select max(tx) from station) t) - feed_now())"
    )


def _change(stored: Stored, cursor: Cursor) -> Change:
    return Change(
        cursor=cursor,
        rtype=stored.rtype,
        id=stored.id,
        version=stored.version,
        resource=stored.resource(),
        is_deleted=stored.is_deleted,
        recorded=stored.last_updated,
        event_id=stored.event_id,
        depth=stored.depth,
    )
