from __future__ import annotations

from careloom.store.database import Database
from careloom.store.turn import turn_held


def test_a_turn_is_held_by_one_at_a_time(database: Database) -> None:
    with turn_held(database, "one") as is_ours, turn_held(database, "one") as is_theirs:
        assert (is_ours, is_theirs) == (True, False)
        with turn_held(database, "other") as is_another:
            assert is_another


def test_a_turn_that_was_given_back_is_free_at_once(database: Database) -> None:
    for _ in range(200):
        with turn_held(database, "one") as is_ours:
            assert is_ours
