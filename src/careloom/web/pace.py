"""web.pace: which requests the event loop answers itself: those that have been quick of late.

Room: web. May import: nothing of careloom.

To hand a read to a thread and its answer back costs more than the read. But who answers in the loop keeps all others
waiting, so that only what is brief is tried there, with the patience of `Database.glimpse`; and a kind of request that
takes long on the average goes to the threads for a while.
"""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic

PATIENCE_S = 0.1
"""The longest that a statement may keep the event loop waiting."""
QUICK_S = 0.01
"""What the loop answers takes less than this on the average ..."""
SHARE = 0.1
"""... of the last ten, about."""
REST_S = 2.0
"""How long a kind that was slow goes to the threads before it is tried again."""
LIMIT = 1_000
"""Kinds that are remembered at most."""


class Pace:
    """How long each kind of request takes. For one thread only, the loop's."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._mean: dict[str, float] = {}
        self._rests: dict[str, float] = {}

    def is_quick(self, kind: str) -> bool:
        """True if the loop may answer it."""
        until = self._rests.get(kind)
        if until is None:
            return True
        if self._clock() < until:
            return False
        del self._rests[kind]
        return True

    def took(self, kind: str, seconds: float) -> None:
        """The loop answered one, or gave it up, after so many seconds."""
        mean = self._mean.get(kind, 0.0)
        mean += SHARE * (seconds - mean)
        if len(self._mean) >= LIMIT:
            self._mean.clear()
        self._mean[kind] = mean
        if mean > QUICK_S or seconds >= PATIENCE_S:
            if len(self._rests) >= LIMIT:
                self._rests.clear()
            self._rests[kind] = self._clock() + REST_S
            del self._mean[kind]


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
