"""A Bearer token is remembered for a moment, and never longer than its revocation may wait."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from careloom.store import accounts
from careloom.store.database import Database
from careloom.web.tokens import MEMORY, Tokens

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_a_revoked_token_is_refused_when_the_memory_ends(database: Database) -> None:
    tokens = Tokens(database)
    with database.connection() as connection:
        token = accounts.create_token(connection, "clinic", ["source"])
    actor = tokens.actor(token, NOW)
    assert actor is not None
    assert actor.id == "clinic"
    with database.connection() as connection:
        accounts.revoke_token(connection, "clinic")
    assert tokens.actor(token, NOW + MEMORY / 2) == actor
    assert tokens.actor(token, NOW + MEMORY) is None
    assert tokens.actor(token, NOW + MEMORY / 2) is None


def test_a_clock_that_goes_back_makes_it_ask_again(database: Database) -> None:
    tokens = Tokens(database)
    with database.connection() as connection:
        token = accounts.create_token(connection, "clinic", ["source"])
    assert tokens.actor(token, NOW)
    with database.connection() as connection:
        accounts.revoke_token(connection, "clinic")
    assert tokens.actor(token, NOW - timedelta(hours=1)) is None


def test_a_new_token_serves_at_once(database: Database) -> None:
    tokens = Tokens(database)
    assert tokens.actor("not yet", NOW) is None
    with database.connection() as connection:
        token = accounts.create_token(connection, "clinic", ["source"])
    assert tokens.actor(token, NOW) is not None
