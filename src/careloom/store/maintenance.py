"""store.maintenance: what the resource tables need from time to time: dictionaries, and sweeping of stale search values.

Room: store. Touches: the tables res, s_*, dictionary.
"""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from careloom.store.database import Connection
from careloom.store.dictionary import train
from careloom.store.session import session_of

ROWS_TO_TRAIN = 400
"""A type with so many rows written since its last dictionary may be worth a new one."""
GROWTH = 8
"""A type is trained again when it has this many times the rows that its dictionary was trained on."""

DUE = """
select r.rtype from (select rtype, count(*) as rows from res group by rtype) r
left join (select rtype, max(rows) as rows from dictionary group by rtype) d using (rtype)
where r.rows >= greatest(%s, %s * coalesce(d.rows, 0)) order by r.rtype"""


class Maintained(NamedTuple):
    """What was done."""

    dictionaries: int
    swept: int


def maintain(connection: Connection, now: datetime) -> Maintained:
    """Train the dictionaries that are due, and sweep search values of versions that are no longer current."""
    codec = session_of(connection).codec
    due = connection.execute(DUE, [ROWS_TO_TRAIN, GROWTH]).fetchall()
    trained = [train(connection, codec, rtype, now) for (rtype,) in due]
    return Maintained(sum(number is not None for number in trained), sweep(connection))


def sweep(connection: Connection) -> int:
    """Delete rows of the tables beside res whose version is no longer current; their number."""
    swept = 0
    for table in ("s_str", "s_qty", "s_dat", "s_second"):
        sql = f"delete from {table} s where not exists (select from res r where r.rid = s.rid)"
        swept += connection.execute(sql.encode()).rowcount
    return swept
