"""web.tokens: who holds a Bearer token, remembered for a moment: a program sends the same one with each request.

Room: web. May import: store.accounts. Standard: RFC 6750. A token that is revoked is refused after `MEMORY` at the
latest; one that is unknown is asked for each time, so that a new token serves at once.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from hashlib import sha256

from careloom.store.accounts import actor_of_token
from careloom.store.actor import Actor
from careloom.store.database import Database, Slow

MEMORY = timedelta(seconds=2)
LIMIT = 1_000
"""Tokens that are remembered at most."""


class Tokens:
    """Token -> actor. Safe among threads: an entry is replaced whole. Holds hashes, never a token."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: dict[bytes, tuple[datetime, Actor]] = {}

    def actor(self, token: str, now: datetime, *, is_hasty: bool = False) -> Actor | None:
        """Who holds it; None for one that is unknown, revoked or has ended. In haste raises Slow if it must ask."""
        key = sha256(token.encode()).digest()
        known = self._known.get(key)
        if known is not None and timedelta() <= now - known[0] < MEMORY:
            return known[1]
        if is_hasty:
            raise Slow
        with self._database.autocommit() as connection:
            actor = actor_of_token(connection, token, now)
        self._known.pop(key, None)
        if actor is not None:
            if len(self._known) >= LIMIT:
                self._known.clear()
            self._known[key] = (now, actor)
        return actor
