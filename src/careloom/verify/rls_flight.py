"""verify.rls_flight: the statements of `rls` asked over Arrow Flight, each user signed in by name and password.

Room: verify.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime
from typing import Any

from careloom.lake.flight.client import Client
from careloom.lake.flight.server import LakeServer
from careloom.lake.sandbox import Limits
from careloom.store.accounts import create_account
from careloom.store.actor import Actor
from careloom.store.confinement import confine
from careloom.verify.lake_store import Shore

Ask = Callable[[str, str], tuple[str, Any]]
"""Name of a user and a statement -> `rows` and the rows, or the kind of error and its words."""


@contextmanager
def asking(store: Shore, users: Sequence[Actor], limits: Limits) -> Generator[Ask]:
    """A server on a free port of this machine, with an account for each user."""
    password = secrets.token_urlsafe(16)
    with store.database.connection() as connection:
        for user in users:
            create_account(connection, user.id, password, sorted(user.roles))
            within = None if user.patients is None else sorted(user.patients)
            confine(connection, "account", user.id, within, "verify", datetime.now(UTC))
    server = LakeServer(store.database, store.root, "127.0.0.1", 0, lambda: datetime.now(UTC))
    server.limits = limits
    threading.Thread(target=server.serve, daemon=True).start()
    with ExitStack() as stack:
        stack.callback(server.shutdown)
        clients = {
            user.id: stack.enter_context(closing(Client(server.port, user.id, password))) for user in users
        }
        yield lambda user, sql: clients[user].told(sql)
