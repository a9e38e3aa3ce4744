"""store.outbox: what is to be delivered to other systems, in order, at least once.

Room: store. Touches: the table outbox. https://microservices.io/patterns/data/transactional-outbox.html

A parcel is posted in the transaction that causes it. One process at a time serves a destination; it reads the first
parcel that waits, sends it outside of any transaction (an open one would hold up the feed), and writes down what came
of it. A kill between sending and writing sends once more: a receiver knows a message by its control id.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from careloom.store.database import Connection

CHANNEL = "careloom_outbox"
"""NOTIFY channel: there is something to deliver."""

ParcelStatus = Literal["waiting", "delivered", "refused"]

POST = """
insert into outbox (destination, event_id, posted) select name, %s, %s from unnest(%s::text[]) name
on conflict do nothing"""

FIRST = """
select id, event_id, attempts, tried from outbox where destination = %s and status = 'waiting' order by id limit 1"""

STATE = """
select destination, count(*) filter (where status = 'waiting'), count(*) filter (where status = 'refused'),
  min(posted) filter (where status = 'waiting')
from outbox where status in ('waiting', 'refused') group by destination order by destination"""


# Of all destinations that ever had a parcel; the answer to the last try of what waits says what is wrong.
STATES = """
select d.destination, d.delivered, d.waiting, d.refused, d.oldest, coalesce(f.attempts, 0), coalesce(f.answer, '')
from (
  select destination, count(*) filter (where status = 'delivered') as delivered,
    count(*) filter (where status = 'waiting') as waiting, count(*) filter (where status = 'refused') as refused,
    min(posted) filter (where status = 'waiting') as oldest
  from outbox group by destination) d
left join lateral (
  select attempts, answer from outbox where destination = d.destination and status = 'waiting' order by id limit 1) f
on true order by d.destination"""


@dataclass(frozen=True, slots=True)
class Parcel:
    """One Event that one destination is to have."""

    id: int
    event_id: int
    attempts: int
    tried: datetime | None


@dataclass(frozen=True, slots=True)
class Queue:
    """How one destination stands."""

    destination: str
    waiting: int
    refused: int
    oldest: datetime | None
    """When the first of those that wait was posted."""


@dataclass(frozen=True, slots=True)
class State:
    """All that one destination was ever to have."""

    destination: str
    delivered: int
    waiting: int
    refused: int
    oldest: datetime | None
    """When the first of those that wait was posted."""
    attempts: int
    """How often the first of those that wait was tried in vain."""
    trouble: str
    """The answer to the last of these tries, or why there was none."""


@dataclass(frozen=True, slots=True)
class Refused:
    """One Event that a destination would not have."""

    destination: str
    event_id: int
    answer: str
    tried: datetime | None


@dataclass(frozen=True, slots=True)
class Delivery:
    """What became of one Event at one destination."""

    destination: str
    status: ParcelStatus
    answer: str
    attempts: int
    tried: datetime | None


def post(connection: Connection, destinations: Sequence[str], event_id: int, now: datetime) -> None:
    """Promise an Event to destinations; one that has it already, or waits for it, is left as it is."""
    if destinations:
        connection.execute(POST, [event_id, now, list(destinations)])
        connection.execute("select pg_notify(%s, '')", [CHANNEL])


def first(connection: Connection, destination: str) -> Parcel | None:
    """The parcel that is due next; None: nothing waits."""
    row = connection.execute(FIRST, [destination]).fetchone()
    return Parcel(*row) if row else None


def tried(connection: Connection, parcel: Parcel, status: ParcelStatus, answer: str, now: datetime) -> None:
    """Write down what came of an attempt."""
    sql = "update outbox set status = %s, answer = %s, attempts = attempts + 1, tried = %s where id = %s"
    connection.execute(sql, [status, answer, now, parcel.id])


def again(connection: Connection, event_id: int) -> int:
    """Let what was refused of an Event wait again; how many destinations."""
    sql = "update outbox set status = 'waiting', tried = null where event_id = %s and status = 'refused'"
    return connection.execute(sql, [event_id]).rowcount


def queues(connection: Connection) -> list[Queue]:
    """The destinations for which something waits or was refused."""
    return [Queue(*row) for row in connection.execute(STATE)]


def states(connection: Connection) -> list[State]:
    """Every destination that ever had something to receive."""
    return [State(*row) for row in connection.execute(STATES)]


def refused(connection: Connection, limit: int) -> list[Refused]:
    """What was refused, the newest first."""
    sql = "select destination, event_id, answer, tried from outbox where status = 'refused' order by id desc limit %s"
    return [Refused(*row) for row in connection.execute(sql, [limit])]


def deliveries(connection: Connection, event_id: int) -> list[Delivery]:
    """What became of an Event at each destination."""
    sql = "select destination, status, answer, attempts, tried from outbox where event_id = %s order by id"
    return [Delivery(*row) for row in connection.execute(sql, [event_id])]
