"""store.current: the resources that stand now, for which a condition holds, as far as an actor may see them.

Room: store. Touches: the table res.
"""

from __future__ import annotations

from careloom.store.actor import Actor
from careloom.store.condition import Condition, all_of
from careloom.store.database import Connection
from careloom.store.fetch import fetch
from careloom.store.stored import FIELDS, Stored, stored_of
from careloom.store.visible import visible


def current(
    connection: Connection, actor: Actor, condition: Condition, limit: int | None = None
) -> list[Stored]:
    """Those for which it holds on their row of res, alias r, in no order; at most `limit`."""
    where = all_of([condition, Condition("not r.is_deleted"), visible(actor)])
    end = "" if limit is None else f" limit {limit:d}"
    sql = f"select {FIELDS} from res r where {where.sql}{end}"
    return stored_of(connection, fetch(connection, sql.encode(), where.values))
