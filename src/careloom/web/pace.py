"""web.pace: which requests the event loop answers itself: those that have been quick of late.

Room: web. May import: nothing of careloom.

To hand a read to a thread and its answer back costs more than the read. But who answers in the loop keeps all others
waiting, so that only what is brief is tried there, with the patience of `Database.glimpse`; and a kind of request that
takes long on the average goes to the threads for a while.
"""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import NamedTuple

PATIENCE_S = 0.1
"""The longest that a statement may keep the event loop waiting."""
QUICK_S = 0.01
"""What the loop answers takes less than this on the average ..."""
SHARE = 0.1
"""... of the last ten, about."""
REST_S = 2.0
"""How long a kind that is slow goes to the threads before it is tried again, at most ..."""
FIRST_REST_S = 0.05
"""... and at first: a machine that stalls for once is no reason for more. It doubles each time that the trial is slow."""
LIMIT = 1_000
"""Kinds that are remembered at most."""


class Rest(NamedTuple):
    """Until when a kind goes to the threads, and for how long it has been sent there."""

    until: float
    length: float


class Pace:
    """How long each kind of request takes. For one thread only, the loop's."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._mean: dict[str, float] = {}
        self._rests: dict[str, Rest] = {}

    def is_quick(self, kind: str) -> bool:
        """True if the loop may answer it."""
        rest = self._rests.get(kind)
        return rest is None or self._clock() >= rest.until

    def took(self, kind: str, seconds: float) -> None:
        """The loop answered one, or gave it up, after so many seconds."""
        mean = self._mean.get(kind, 0.0)
        mean += SHARE * (seconds - mean)
        if len(self._mean) >= LIMIT:
            self._mean.clear()
        self._mean[kind] = mean
        rest = self._rests.get(kind)
        if mean > QUICK_S or seconds >= PATIENCE_S:
            length = FIRST_REST_S if rest is None else min(2 * rest.length, REST_S)
            if len(self._rests) >= LIMIT:
                self._rests.clear()
            self._rests[kind] = Rest(self._clock() + length, length)
            del self._mean[kind]
        elif rest is not None and self._clock() >= rest.until + rest.length:
            # It has been quick for as long as it rested.
            del self._rests[kind]


def kind_of(path: str, query: bytes) -> str:
    """What a request is alike to: its road, or its address without an id, the names it asks by and how many it wants.

    >>> kind_of("/fhir/Observation", b"patient=7&_count=20&code=8867-4")
    '/fhir/Observation?patient&_count=20&code'
    """
    if not query:
        return path
    names = [
        one if one.startswith("_count=") else one.partition("=")[0]
        for one in query.decode("latin-1").split("&")
    ]
    return f"{path}?{'&'.join(names)}"
