"""store.turn: who works on something alone, of all processes: messages of one source, deliveries to one destination.

Room: store. https://www.postgresql.org/docs/current/explicit-locking.html#ADVISORY-LOCKS
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager, suppress
from hashlib import blake2b

import psycopg

from careloom.store.database import Connection, Database, connect
from careloom.store.fetch import fetch


def take_turn(connection: Connection, name: str) -> None:
    """Wait until no other transaction holds the turn of this name; hold it until this transaction ends."""
    fetch(connection, b"select pg_advisory_xact_lock(%s)", [_number(name)])


@contextmanager
def turn_held(database: Database, name: str) -> Generator[bool]:
    """True while this process holds the turn; False if another one does. No transaction stays open for it."""
    # A connection of its own: the lock lasts as long as it does, and ends with the process.
    connection = connect(database.url)
    try:
        connection.autocommit = True
        [(is_ours,)] = fetch(connection, b"select pg_try_advisory_lock(%s)", [_number(name)])
        try:
            yield is_ours
        finally:
            # Told, not only implied: a server hears of a closed connection a moment later, and who asks next would
            # find the turn still taken.
            if is_ours:
                with suppress(psycopg.Error):
                    fetch(connection, b"select pg_advisory_unlock(%s)", [_number(name)])
    finally:
        connection.close()


def _number(name: str) -> int:
    digest = blake2b(name.encode(), digest_size=8, person=b"careloom").digest()
    return int.from_bytes(digest, "big", signed=True)
