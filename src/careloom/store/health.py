"""store.health: how the store does: version, size, connections, how far each station is behind.

Room: store. Touches: the tables station, res, hist, and the server's own views. No patient's value is read.
https://www.postgresql.org/docs/current/monitoring-stats.html
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from careloom.fhir.outcome import Issue, OutcomeError
from careloom.store.actor import Actor, may
from careloom.store.database import Connection

SERVER = """
SELECT current_setting('server_version'), pg_database_size(current_database()),
  (SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()), current_setting('max_connections')::int,
  (SELECT coalesce(sum(reltuples), 0)::bigint FROM pg_class WHERE relname = 'res' AND reltuples > 0)
"""

MOST_BEHIND = 10_000
"""A station further behind is not counted to the end: `10000` then means that many or more."""

# What a cursor has not passed yet, of the current versions and of the older ones.
BEHIND = """
SELECT name, (SELECT count(*) FROM (
    (SELECT FROM res WHERE (res.tx, res.rid) > (station.tx, station.rid) AND res.tx >= station.tx LIMIT %(most)s)
    UNION ALL
    (SELECT FROM hist WHERE (hist.tx, hist.rid) > (station.tx, station.rid) AND hist.tx >= station.tx
      LIMIT %(most)s)) ahead)
FROM station ORDER BY name
"""


@dataclass(frozen=True, slots=True)
class Health:
    """The state of the store at one moment."""

    version: str
    size_bytes: int
    connections: int
    most_connections: int
    resources: int
    """As the server estimates it; counting would read them all."""
    behind: tuple[tuple[str, int], ...]
    """Station -> changes that it has not heard yet, of all types."""


def health(connection: Connection, actor: Actor) -> Health:
    """Look. Raises OutcomeError(forbidden) for who may not see the pages."""
    if not may(actor, "page"):
        raise OutcomeError(Issue("forbidden", "The state of the store is for those who work here."))
    row = cast("tuple[str, int, int, int, int]", connection.execute(SERVER).fetchone())
    behind = tuple(
        (str(name), int(count))
        for name, count in connection.execute(BEHIND, {"most": MOST_BEHIND}).fetchall()
    )
    return Health(*row, behind=behind)
