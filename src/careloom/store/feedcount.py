"""store.feedcount: how many versions of each type stand before a place of the feed, and how many wait behind it.

Room: store. Touches: the tables res, hist.
"""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from careloom.store.database import Connection
from careloom.store.feed import Cursor
from careloom.store.fetch import fetch
from careloom.store.resource_type import RESOURCE_TYPES

MOST = 10_000
"""Nothing is counted beyond: a lag is too long then anyway."""

UP_TO = b"""
select rtype, sum(n)::bigint from (
  select rtype, count(*) as n from res where (tx, rid) <= (%(tx)s, %(rid)s) group by rtype
  union all
  select rtype, count(*) as n from hist where (tx, rid) <= (%(tx)s, %(rid)s) group by rtype) counted
group by rtype"""

BEHIND = b"""
select rtype, count(*), min(lm) from (
  (select rtype, lm from res where (tx, rid) > (%(tx)s, %(rid)s) and tx >= %(tx)s order by tx, rid limit %(most)s)
  union all
  (select rtype, lm from hist where (tx, rid) > (%(tx)s, %(rid)s) and tx >= %(tx)s order by tx, rid limit %(most)s)) ahead
group by rtype"""


class Waiting(NamedTuple):
    """Versions of one type behind a place."""

    changes: int
    since: datetime
    """When the oldest of them was written."""


def up_to(connection: Connection, cursor: Cursor) -> dict[str, int]:
    """Versions of each type up to a place of the feed: current ones, older ones, deletions. It reads all of them."""
    rows = fetch(connection, UP_TO, {"tx": cursor.tx, "rid": cursor.rid})
    return {RESOURCE_TYPES[number - 1]: count for number, count in rows}


def behind(connection: Connection, cursor: Cursor) -> dict[str, Waiting]:
    """What waits behind a place, by type; at most some MOST versions are looked at."""
    rows = fetch(connection, BEHIND, {"tx": cursor.tx, "rid": cursor.rid, "most": MOST})
    return {RESOURCE_TYPES[number - 1]: Waiting(count, since) for number, count, since in rows}
