"""store.look: one search under way: where it reads, for whom, and how long it may take.

Room: store. Touches: whatever table a statement names.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from careloom.fhir.outcome import Issue, OutcomeError
from careloom.store.actor import Actor
from careloom.store.database import Connection, Slow

TIME_LIMIT_S = 30.0
"""How long one search may look at resources."""
CHUNK = 500
"""Rows that are read at once where resources must be looked at."""


@dataclass(frozen=True, slots=True)
class Look:
    """One search under way: where it reads, for whom, until when (time.monotonic)."""

    connection: Connection
    actor: Actor
    until: float

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
