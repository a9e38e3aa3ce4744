"""flow.loading: what a worker process of `careloom load` opens: the same door as a listener's.

Room: flow.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

from careloom.flow import Flow
from careloom.logs import configure
from careloom.settings import Settings
from careloom.store import events
from careloom.store.database import Database
from careloom.store.event import Arrival, Receipt
from careloom.store.server import ensure


@dataclass(frozen=True, slots=True)
class Taker:
    """Called in each worker process; picklable."""

    settings: Settings

    def __call__(self) -> AbstractContextManager[Callable[[Arrival], Receipt]]:
        """Open the store; a context that gives `accept`."""
        return _opened(self.settings)


@contextmanager
def _opened(settings: Settings) -> Generator[Callable[[Arrival], Receipt]]:
    # A line for each event would bury the progress bar, and cost more than some events do.
    configure("warning" if settings.log_level == "info" else settings.log_level)
    server = ensure(settings)
    database = Database(server.url, size=2)
    try:
        yield Flow(database, settings).accept
    finally:
        database.close()
        server.stop()


@dataclass(frozen=True, slots=True)
class Settled:
    """Which arrivals are taken in already: asked before a resumed load reads them again."""

    database: Database

    def __call__(self, identities: Sequence[tuple[str, str, str]]) -> Collection[tuple[str, str, str]]:
        """Those of these (source, kind, key) that are settled."""
        with self.database.connection() as connection:
            return events.settled(connection, identities)
