"""cli.opened: the store of a home, opened for one command and let go afterwards.

Room: cli.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from careloom.settings import Settings
from careloom.store.database import Database
from careloom.store.server import ensure


@contextmanager
def opened(settings: Settings) -> Generator[Database]:
    """A migrated database; a server that was started for it is stopped again when nobody else uses it."""
    server = ensure(settings)
    try:
        database = Database(server.url)
        try:
            database.migrate()
            yield database
        finally:
            database.close()
    finally:
        server.stop()
