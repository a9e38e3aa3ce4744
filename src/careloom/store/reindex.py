"""store.reindex: search values of resources that stand already, made anew by the rules of this version.

Room: store. Touches: the tables res, s_str, s_qty, s_dat, s_second.

The rows that stood when it began are gone through by their rid. A version that is written meanwhile was indexed by the
new rules when it was written, has a higher rid, and is left alone; so is one that is replaced while its turn comes.
"""

from __future__ import annotations

from typing import NamedTuple

from careloom.store.copying import copy_values
from careloom.store.database import Connection
from careloom.store.fetch import fetch
from careloom.store.row import Row, row_of
from careloom.store.session import session_of
from careloom.store.stored import FIELDS, stored_of

NEXT = "select rid from res where rid > %s and rid <= %s order by rid limit %s"
# In the order of keys, as a commit takes its locks: the two wait for one another, never crosswise.
LOCKED = f"""
select {FIELDS} from res r where r.rid = any(%s) and not r.is_deleted order by r.key for no key update"""
WRITE = """
update res set pat = %s, code = %s, dlo = coalesce(%s, '-infinity'::timestamptz), dhi = %s, present = %s,
  is_restricted = %s, also = %s::bigint[], ix = %s::bigint[] where rid = %s"""


class Extent(NamedTuple):
    """What there is to be done."""

    upto: int
    """The highest rid that stood at the beginning."""
    total: int


def extent(connection: Connection) -> Extent:
    """All rows that stand now."""
    row = connection.execute("select coalesce(max(rid), 0), count(*) from res").fetchone()
    return Extent(*row) if row else Extent(0, 0)


def reindexed(connection: Connection, after: int, upto: int, limit: int) -> tuple[int, int]:
    """Make the next rows anew, `limit` at most; the rid of the last and their number (0: there are no more)."""
    rids = [rid for (rid,) in connection.execute(NEXT, [after, upto, limit])]
    if not rids:
        return upto, 0
    found = stored_of(connection, fetch(connection, LOCKED.encode(), [rids]))
    written = session_of(connection).current(connection).written
    rows = [
        (stored.seq, row_of(stored.resource(), stored.key, written.get(stored.rtype, ()))) for stored in found
    ]
    for table in ("s_str", "s_qty", "s_dat", "s_second"):
        connection.execute(f"delete from {table} where rid = any(%s)".encode(), [[rid for rid, _ in rows]])
    with connection.cursor() as cursor:
        cursor.executemany(WRITE, [(*_values(row), rid) for rid, row in rows])
    copy_values(connection, rows)
    return rids[-1], len(rids)


def _values(row: Row) -> tuple[object, ...]:
    return (
        row.pat,
        row.code,
        row.dlo,
        row.dhi,
        row.present,
        row.is_restricted,
        row.also or None,
        list(row.ix),
    )
