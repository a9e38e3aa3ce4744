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


WRITTEN_TO_HISTORY = "select n_tup_ins from pg_stat_user_tables where relname = 'hist'"

REPLACED = 10_000
"""So many versions replaced since the last sweep make another one worth its reading of the side tables."""


class Maintained(NamedTuple):
    """What was done."""

    dictionaries: int
    swept: int


class Upkeep:
    """Maintains when enough has changed since it last did; at its first call anyway."""

    def __init__(self) -> None:
        self._replaced = -REPLACED

    def keep(self, connection: Connection, now: datetime) -> Maintained:
        """Train the dictionaries that are due; sweep, if many versions were replaced."""
        codec = session_of(connection).codec
        due = connection.execute(DUE, [ROWS_TO_TRAIN, GROWTH]).fetchall()
        trained = [train(connection, codec, rtype, now) for (rtype,) in due]
        return Maintained(sum(number is not None for number in trained), self._swept(connection))

    def _swept(self, connection: Connection) -> int:
        # The counter starts again after a crash of the server: lower means anew.
        [(replaced,)] = connection.execute(WRITTEN_TO_HISTORY).fetchall()
        if 0 <= replaced - self._replaced < REPLACED:
            return 0
        self._replaced = replaced
        return sweep(connection)


def sweep(connection: Connection) -> int:
    """Delete rows of the tables beside res whose version is no longer current; their number."""
    swept = 0
    for table in ("s_str", "s_qty", "s_dat", "s_second"):
        sql = f"delete from {table} s where not exists (select from res r where r.rid = s.rid)"
        swept += connection.execute(sql.encode()).rowcount
    return swept
