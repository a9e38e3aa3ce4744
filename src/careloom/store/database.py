"""store.database: connections to PostgreSQL, transactions, migrations and notifications.

Room: store. May import: fhir.outcome. Touches: the database.
https://www.psycopg.org/psycopg3/docs/basic/transactions.html

The pool is our own sixty lines rather than a package with worker threads: bounded, last in first out, safe among
threads, and a connection that the server has closed meanwhile is seen before it is handed out.
"""

from __future__ import annotations

import hashlib
import os
import select
from collections.abc import Generator
from contextlib import contextmanager, suppress
from importlib.resources import files
from queue import Empty, SimpleQueue
from time import monotonic, sleep
from types import TracebackType
from typing import Any, NamedTuple

import psycopg
from psycopg.pq import TransactionStatus
from psycopg.sql import SQL, Identifier

from careloom.fhir.outcome import Issue, OutcomeError


class Connection(psycopg.Connection[tuple[Any, ...]]):
    """What `Database.connection()` gives, with what the process remembers of it."""

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.watch = select.poll()
        """Tells whether the server said something. A selector would be five calls to the system, this is one."""
        self.watch.register(self.fileno(), select.POLLIN)
        self.prepared: Any = None
        """What it has prepared: of store.fetch."""
        self.patience_s: float | None = None
        """How long store.fetch waits for an answer; None: as long as it takes."""

    def execute(self, *arguments: Any, **more: Any) -> psycopg.Cursor[tuple[Any, ...]]:
        """As psycopg's. Raises Slow on a connection that has a patience, which a cursor would not keep."""
        self._refuse_haste()
        return super().execute(*arguments, **more)

    def cursor(self, *arguments: Any, **more: Any) -> Any:
        """As psycopg's. Raises Slow on a connection that has a patience, which a cursor would not keep."""
        self._refuse_haste()
        return super().cursor(*arguments, **more)

    def _refuse_haste(self) -> None:
        if self.patience_s is not None:
            raise Slow

    @property
    def is_quiet(self) -> bool:
        """False if the server has closed it (or said something unasked): then it is not worth reusing."""
        return not self.closed and not self.watch.poll(0)


DatabaseError = psycopg.DatabaseError
"""Whatever PostgreSQL refuses. Its text may quote a row, so nobody shows it: the kind is enough (`logs.place_of`)."""

MIGRATION_LOCK = 4_214_001
"""An arbitrary number: whoever migrates this database holds the advisory lock of it."""

SIZE = 16
"""Connections of a pool at most."""
_TOO_LARGE = psycopg.errors.ProgramLimitExceeded
_FULL = psycopg.errors.DiskFull
_AWAY_WAIT_S = 0.5

DDL_OF_MIGRATIONS = """
CREATE TABLE IF NOT EXISTS migration (
  name text PRIMARY KEY, checksum text NOT NULL, applied timestamptz NOT NULL DEFAULT now())
"""


class Slow(Exception):  # noqa: N818 (nothing is wrong: it takes longer than one wanted to wait)
    """There is no answer, or no connection, within the patience of `Database.glimpse`."""


class Notification(NamedTuple):
    """One NOTIFY."""

    channel: str
    payload: str


class Database:
    """A bounded pool of connections to one database. Threads share it; each process opens its own."""

    def __init__(
        self, url: str, *, size: int = SIZE, wait_s: float = 30.0, statement_limit_s: float = 0.0
    ) -> None:
        """`statement_limit_s`: PostgreSQL gives up a statement after so long; 0: never."""
        self.url = url
        self._statement_limit_s = statement_limit_s
        self._wait_s = wait_s
        self._free: SimpleQueue[None] = SimpleQueue()
        for _ in range(size):
            self._free.put(None)
        self._idle: list[Connection] = []
        self._pid = os.getpid()

    @contextmanager
    def connection(self) -> Generator[Connection]:
        """One transaction: committed at the end of the block, rolled back when it raises.

        Raises OutcomeError `transient` when the database does not answer or a race was lost, `no-store` when its disk
        is full, `throttled` when no connection gets free; what is wrong with a statement or its values stays a
        DatabaseError.
        """
        with Loan(self, autocommit=False) as connection:
            try:
                yield connection
            except BaseException:
                with suppress(psycopg.Error):
                    connection.rollback()
                raise
            connection.commit()

    def autocommit(self) -> Loan:
        """A connection whose every statement is its own transaction."""
        return Loan(self, autocommit=True)

    def glimpse(self, patience_s: float) -> Loan:
        """The same for who must not be kept waiting: raises Slow if none is idle, and so does store.fetch on it if
        an answer takes longer than the patience; a cursor raises it at once.
        """
        return Loan(self, autocommit=True, patience_s=patience_s)

    def migrate(self) -> list[str]:
        """Apply the numbered files of `store/migrations` that this database has not seen; return their names.

        All or none, once, however many processes ask. Raises OutcomeError `conflict` when a file that was applied
        has changed since, or when the database has seen one that this version of careloom does not know.
        """
        scripts = migrations()
        with self.connection() as connection:
            connection.execute("SELECT pg_advisory_xact_lock(%s)", [MIGRATION_LOCK])
            connection.execute(DDL_OF_MIGRATIONS)
            seen = dict(connection.execute("SELECT name, checksum FROM migration").fetchall())
            _refuse_drift(seen, scripts)
            missing = [name for name in sorted(scripts) if name not in seen]
            for name in missing:
                connection.execute(scripts[name])
                connection.execute("INSERT INTO migration VALUES (%s, %s)", [name, _checksum(scripts[name])])
        return missing

    @contextmanager
    def listen(self, *channels: str) -> Generator[Listener]:
        """Hear NOTIFY on these channels, on a connection outside of the pool."""
        listener = Listener(self.url, channels)
        try:
            yield listener
        finally:
            listener.close()

    def close(self) -> None:
        """Close the idle connections; those in use close when they come back."""
        idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def borrow(self, *, autocommit: bool, is_hasty: bool = False) -> Connection:
        """A connection, to be given back: for `Loan`. Raises OutcomeError(throttled), (transient); Slow in haste."""
        try:
            self._free.get(timeout=0 if is_hasty else self._wait_s)
        except Empty:
            if is_hasty:
                raise Slow from None
            text = f"No database connection got free within {self._wait_s:.0f} s: try again."
            raise OutcomeError(Issue("throttled", text)) from None
        try:
            connection = self._taken(is_hasty=is_hasty)
            if connection is None and is_hasty:
                raise Slow
            connection = connection or connect(self.url, self._statement_limit_s)
            if connection.autocommit != autocommit:
                connection.autocommit = autocommit
        except BaseException:
            self._free.put(None)
            raise
        return connection

    def give_back(self, connection: Connection) -> None:
        """Take a borrowed connection back; one that is in the middle of something is closed."""
        try:
            if connection.pgconn.transaction_status == TransactionStatus.IDLE:
                self._idle.append(connection)
            else:
                connection.close()
        finally:
            self._free.put(None)

    def _taken(self, *, is_hasty: bool) -> Connection | None:
        if self._pid != os.getpid():
            # A fork shares its parent's sockets: forget them without closing, for they are the parent's.
            self._idle, self._pid = [], os.getpid()
        # Threads share the list without a lock: to append and to pop are each one step for all of them.
        with suppress(IndexError):
            while True:
                connection = self._idle.pop()
                # To look costs a call to the system. Who is in haste does not need to: a lost one is as good as Slow.
                if is_hasty or connection.is_quiet:
                    return connection
                connection.close()
        return None


class Loan:
    """A connection for the length of a block. A class, for a generator's context costs thrice as much."""

    __slots__ = ("_autocommit", "_connection", "_database", "_patience_s")

    def __init__(self, database: Database, *, autocommit: bool, patience_s: float | None = None) -> None:
        self._database = database
        self._autocommit = autocommit
        self._patience_s = patience_s
        self._connection: Connection | None = None

    def __enter__(self) -> Connection:
        patience_s = self._patience_s
        connection = self._database.borrow(autocommit=self._autocommit, is_hasty=patience_s is not None)
        connection.patience_s = patience_s
        self._connection = connection
        return connection

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._connection is not None:
            self._database.give_back(self._connection)
        if isinstance(error, psycopg.Error):
            said = _in_words(error)
            if said is not None:
                raise OutcomeError(said) from error


class Listener:
    """Hears NOTIFY; opens its connection again when the server went away."""

    def __init__(self, url: str, channels: tuple[str, ...]) -> None:
        self._url = url
        self._channels = channels
        self._connection: Connection | None = self._opened()
        self._inside, self._outside = os.pipe()

    def wait(self, timeout_s: float) -> list[Notification]:
        """What was notified, as soon as there is something; empty after `timeout_s`.

        A notification may be lost while the server is away: ask the tables at each return, not only at news.
        """
        try:
            if self._connection is None:
                self._connection = self._opened()
            return self._heard(self._connection, monotonic() + timeout_s)
        except (psycopg.OperationalError, OutcomeError):
            self._hang_up()
            # A server that is away is not asked in a frenzy.
            sleep(min(timeout_s, _AWAY_WAIT_S))
            return []

    def _heard(self, connection: Connection, until: float) -> list[Notification]:
        # Not psycopg's own waiting, which nobody but the server ends.
        watch = select.poll()
        watch.register(connection.pgconn.socket, select.POLLIN)
        watch.register(self._inside, select.POLLIN)
        while ready := watch.poll(max(0.0, until - monotonic()) * 1000):
            connection.pgconn.consume_input()
            notices = iter(connection.pgconn.notifies, None)
            heard = [Notification(one.relname.decode(), one.extra.decode()) for one in notices if one]
            if heard or any(number == self._inside for number, _ in ready):
                return heard
        return []

    def wake(self) -> None:
        """Let `wait` return at once, now and from now on: for who is to stop. Called from another thread."""
        with suppress(OSError):
            os.write(self._outside, b".")

    def close(self) -> None:
        """Close the connection."""
        self._hang_up()
        inside, outside = self._inside, self._outside
        self._inside = self._outside = -1
        os.close(inside)
        os.close(outside)

    def _hang_up(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _opened(self) -> Connection:
        connection = connect(self._url)
        connection.autocommit = True
        for channel in self._channels:
            connection.execute(SQL("LISTEN {}").format(Identifier(channel)))
        return connection


def connect(url: str, statement_limit_s: float = 0.0) -> Connection:
    """A new connection in UTC. Raises OutcomeError `transient` when the database does not answer."""
    options = f"-c timezone=UTC -c statement_timeout={statement_limit_s * 1000:.0f}"
    if statement_limit_s:
        # Who has little time reads no whole table, however soon PostgreSQL hopes to come upon enough rows in it.
        options += " -c enable_seqscan=off"
    try:
        connection = Connection.connect(url, connect_timeout=10, application_name="careloom", options=options)
    except psycopg.OperationalError as error:
        why = " ".join(str(error).split())
        raise OutcomeError(Issue("transient", f"The database does not answer: {why}")) from error
    # store.fetch prepares what is asked often; psycopg would drop that, too, at each rollback.
    connection.prepare_threshold = None
    return connection


def is_transient(error: BaseException) -> bool:
    """True if doing the same again may help: a lost connection, a deadlock, a full disk."""
    if isinstance(error, OutcomeError):
        return any(issue.code in ("transient", "throttled", "lock-error") for issue in error.issues)
    # Of operational errors one lies in the values: something is too large for an index.
    return isinstance(error, psycopg.OperationalError) and not isinstance(error, _TOO_LARGE)


def _in_words(error: psycopg.Error) -> Issue | None:
    """A database that is away, or full, is said in one sentence; None for what is wrong with a statement."""
    if isinstance(error, _FULL):
        return Issue("no-store", "The disk of the database is full: free some room, then try again.")
    if not is_transient(error):
        return None
    kind = type(error).__name__
    text = f"The database gave up in the middle ({kind}); nothing was changed: try again."
    return Issue("transient", text)


def migrations() -> dict[str, bytes]:
    """Name -> SQL of every migration this version brings."""
    folder = files("careloom.store") / "migrations"
    return {entry.name: entry.read_bytes() for entry in folder.iterdir() if entry.name.endswith(".sql")}


def _refuse_drift(seen: dict[str, str], scripts: dict[str, bytes]) -> None:
    unknown = sorted(set(seen) - set(scripts))
    if unknown:
        text = f"The database was migrated by a newer careloom ({unknown[0]}): install that version."
        raise OutcomeError(Issue("conflict", text))
    changed = sorted(name for name, checksum in seen.items() if checksum != _checksum(scripts[name]))
    if changed:
        text = f"The migration {changed[0]} has changed since it was applied: a migration is never edited."
        raise OutcomeError(Issue("conflict", text))


def _checksum(script: bytes) -> str:
    return hashlib.sha256(script).hexdigest()
