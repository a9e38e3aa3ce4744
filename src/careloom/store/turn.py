"""store.turn: messages of one source are taken one after the other, by whichever process holds the turn.

Room: store. https://www.postgresql.org/docs/current/explicit-locking.html#ADVISORY-LOCKS
"""

from __future__ import annotations

from hashlib import blake2b

from careloom.store.database import Connection
from careloom.store.fetch import fetch


def take_turn(connection: Connection, source: str) -> None:
    """Wait until no other transaction holds this source's turn; hold it until this transaction ends."""
    digest = blake2b(source.encode(), digest_size=8, person=b"careloom").digest()
    number = int.from_bytes(digest, "big", signed=True)
    fetch(connection, b"select pg_advisory_xact_lock(%s)", [number])
