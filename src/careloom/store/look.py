"""store.look: one search under way: where it reads, for whom, and how long it may take.

Room: store. Touches: whatever table a statement names.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from careloom.fhir.outcome import Issue, OutcomeError
from careloom.store.actor import Actor
from careloom.store.database import Connection, Slow

TIME_LIMIT_S = 30.0
"""How long one search may look at resources."""
CHUNK = 500
"""Rows that are read at once where resources must be looked at."""


HASTE_S = 0.3
"""How long a walk may take that might be fast."""


def never() -> bool:
    """What is asked for is not known to leave but a few rows."""
    return False


@dataclass(frozen=True, slots=True)
class Look:
    """One search under way: where it reads, for whom, until when (time.monotonic)."""

    connection: Connection
    actor: Actor
    until: float
    is_whole: bool = False
    """Whether every match is wanted, rather than the first few in the order of an index."""
    is_narrow: Callable[[], bool] = never
    """Whether what else is asked for leaves but a few rows."""
    gathered: dict[tuple[str, str], list[tuple[Any, ...]] | None] = field(
        default_factory=dict[tuple[str, str], list[tuple[Any, ...]] | None]
    )
    """What store.chain has gathered for this search; None: it was too much."""

    @property
    def whole(self) -> Look:
        """The same search, where every match is wanted."""
        return replace(self, is_whole=True)

    def go_on(self) -> None:
        """Raise OutcomeError(too-costly) when the time is up; Slow for who is in haste."""
        if self.connection.patience_s is not None:
            raise Slow
        if time.monotonic() > self.until:
            text = "This search must look at too many resources: add a parameter that narrows it."
            raise OutcomeError(Issue("too-costly", text))


def chunks(look: Look, sql: str, values: Sequence[Any]) -> Iterator[list[tuple[Any, ...]]]:
    """The rows of a statement, some at a time, so that memory stays small and the time is watched."""
    with look.connection.transaction(), look.connection.cursor("careloom_look", binary=True) as cursor:
        cursor.execute(sql.encode(), values)
        while rows := cursor.fetchmany(CHUNK):
            look.go_on()
            yield rows


@contextmanager
def hurried(look: Look) -> Generator[None]:
    """Statements in the block are given up soon (psycopg.errors.QueryCanceled); it is as if they had not been asked."""
    connection = look.connection
    if connection.patience_s is not None:
        # Who is in greater haste still is told so (Slow).
        yield
        return
    with connection.transaction(force_rollback=True):
        connection.execute(f"set local statement_timeout = {HASTE_S * 1000:.0f}".encode())
        yield
