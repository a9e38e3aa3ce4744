"""store.health: how the store does: version, size, connections, how far each station is behind.

Room: store. Touches: the tables station, res, hist, and the server's own views. No patient's value is read.
https://www.postgresql.org/docs/current/monitoring-stats.html
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from careloom.fhir.outcome import Issue, OutcomeError
from careloom.store.actor import Actor, may
from careloom.store.database import Connection
from careloom.store.interest import Interest

SERVER = """
SELECT current_setting('server_version'), pg_database_size(current_database()),
  (SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()), current_setting('max_connections')::int,
  (SELECT count(*) FROM (SELECT FROM res LIMIT %(most)s) counted),
  (SELECT greatest(reltuples, 0)::bigint FROM pg_class WHERE oid = 'res'::regclass)
"""

MOST_COUNTED = 10_000
"""Nothing is counted beyond: for resources the server's estimate is good enough then, a lag is too long anyway."""

# What a cursor has not passed yet of what the station hears, current versions and older ones; a station that never ran
# has heard nothing. The oldest of these says for how long the station has been behind.
BEHIND = """
WITH s AS (SELECT coalesce(max(tx), 0) AS tx, coalesce(max(rid), 0) AS rid FROM station WHERE name = %s)
SELECT count(*), coalesce(extract(epoch FROM clock_timestamp() - min(lm)), 0)::float8 FROM (
  (SELECT lm FROM res r, s
    WHERE (r.tx, r.rid) > (s.tx, s.rid) AND r.tx >= s.tx AND {current}
    ORDER BY r.tx, r.rid LIMIT %s)
  UNION ALL
  (SELECT lm FROM hist r, s
    WHERE (r.tx, r.rid) > (s.tx, s.rid) AND r.tx >= s.tx AND {older}
    ORDER BY r.tx, r.rid LIMIT %s)) ahead
"""

HEARD = "SELECT name FROM station"


@dataclass(frozen=True, slots=True)
class Lag:
    """How far a station is behind."""

    changes: int
    """Changes that it has not heard yet, counted up to twice MOST_COUNTED."""
    seconds: float
    """For how long the oldest of them has waited."""
    has_run: bool


@dataclass(frozen=True, slots=True)
class Health:
    """The state of the store at one moment."""

    version: str
    size_bytes: int
    connections: int
    most_connections: int
    resources: int
    """Counted up to MOST_COUNTED, then as the server estimates it."""
    behind: dict[str, Lag]
    """By station."""


def health(connection: Connection, actor: Actor, hears: Mapping[str, Interest]) -> Health:
    """Look; `hears` names the stations and what each wants to hear of.

    Raises OutcomeError(forbidden) for who may not see the pages.
    """
    if not may(actor, "page"):
        raise OutcomeError(Issue("forbidden", "The state of the store is for those who work here."))
    row = cast(
        "tuple[str, int, int, int, int, int]", connection.execute(SERVER, {"most": MOST_COUNTED}).fetchone()
    )
    *server, counted, estimated = row
    behind: dict[str, Lag] = {}
    ran = {name for (name,) in connection.execute(HEARD)}
    for name, interest in hears.items():
        current, older = interest.current, interest.older
        sql = BEHIND.format(current=current.sql, older=older.sql)
        values = [name, *current.values, MOST_COUNTED, *older.values, MOST_COUNTED]
        count, seconds = cast("tuple[int, float]", connection.execute(sql, values).fetchone())
        behind[name] = Lag(count, max(seconds, 0.0), name in ran)
    version, size_bytes, connections, most_connections = server
    resources = counted if counted < MOST_COUNTED else max(counted, estimated)
    return Health(str(version), int(size_bytes), int(connections), int(most_connections), resources, behind)
