"""Fixtures of all rooms: one PostgreSQL for the test run, a fresh migrated database for each test that asks."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
import structlog
from hypothesis import settings as hypothesis_settings
from tests.waiting import WAIT_S

from careloom import registry
from careloom.fhir.resource import Resource
from careloom.flow.station import hears
from careloom.settings import Settings
from careloom.store import feed
from careloom.store.actor import STATION
from careloom.store.commit import Origin, Write, commit
from careloom.store.database import Connection, Database, migrations
from careloom.store.postmaster import Place, halt
from careloom.store.read import Reader
from careloom.store.server import ensure

# A crash of the machine may cost the test database; a crash of a server under test has its own server.
FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "shared_buffers": "128MB"}


# `up` would make a secret; what runs without it is told one.
os.environ.setdefault("CARELOOM_IDENTITY_SALT", "a secret of the tests")

# A busy machine is no failed law.
hypothesis_settings.register_profile("unhurried", deadline=None)
hypothesis_settings.load_profile("unhurried")


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        _sweep()


@pytest.fixture(autouse=True)
def _logs_of_its_own() -> Iterator[None]:
    """What a test configures of the log would write to that test's own streams for ever."""
    yield
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def postgres_home(request: pytest.FixtureRequest) -> Path:
    """The home of the run's server. Not under tmp_path, which the server's own user may not enter when root tests."""
    # One server for each worker: the feed's horizon waits for every transaction of a server, whatever its database.
    worker = os.environ.get("PYTEST_XDIST_WORKER", "single")
    return Path(tempfile.gettempdir()) / f"careloom-test-{worker}-{os.getpid()}"


@pytest.fixture(scope="session")
def postgres_url(postgres_home: Path) -> Iterator[str]:
    """The URL of an embedded server of this process, gone at the end of the run."""
    server = ensure(Settings(home=postgres_home), options=FAST)
    yield server.url
    server.stop()
    if server.place and not (server.place.data / "postmaster.pid").exists():
        shutil.rmtree(postgres_home, ignore_errors=True)


@pytest.fixture(scope="session")
def template(postgres_url: str, postgres_home: Path) -> str:
    """The name of a database that has every migration."""
    checksum = hashlib.sha256(b"".join(script for _, script in sorted(migrations().items()))).hexdigest()
    name = f"template_{checksum[:12]}"
    with (
        (postgres_home / "template.lock").open("a") as lock,
        psycopg.connect(postgres_url, autocommit=True) as root,
    ):
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not root.execute("SELECT FROM pg_database WHERE datname = %s", [name]).rowcount:
            root.execute(f'CREATE DATABASE "{name}_half"'.encode())
            half = Database(named(postgres_url, f"{name}_half"))
            half.migrate()
            half.close()
            root.execute(f'ALTER DATABASE "{name}_half" RENAME TO "{name}"'.encode())
    return name


@pytest.fixture
def database(request: pytest.FixtureRequest, postgres_url: str, template: str) -> Iterator[Database]:
    """A fresh database with every migration applied, and what is `served` with its accounts; gone after the test."""
    is_served = "served" in request.fixturenames
    yield from _fresh(postgres_url, request.getfixturevalue("peopled") if is_served else template)


@pytest.fixture(scope="module")
def module_database(postgres_url: str, template: str) -> Iterator[Database]:
    """The same for all tests of a file, which share what the first of them put in."""
    yield from _fresh(postgres_url, template)


@pytest.fixture(scope="session")
def peopled(postgres_url: str, template: str) -> Iterator[str]:
    """The name of a database that has the demo's accounts, too: their passwords are dear to hash, as they should be."""
    from careloom.store.accounts import ensure_demo_accounts

    name = f"{template}_peopled_{os.getpid()}"
    with psycopg.connect(postgres_url, autocommit=True) as root:
        root.execute(_copy(name, template))
        database = Database(named(postgres_url, name))
        ensure_demo_accounts(database)
        database.close()
    return name


def _copy(name: str, template: str) -> bytes:
    # Files are copied faster than they are written to a log that nobody will read.
    return f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY FILE_COPY'.encode()


def _fresh(postgres_url: str, template: str) -> Iterator[Database]:
    name = f"test_{uuid.uuid4().hex}"
    with psycopg.connect(postgres_url, autocommit=True) as root:
        root.execute(_copy(name, template))
        fresh = Database(named(postgres_url, name))
        yield fresh
        fresh.close()
        root.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())


def named(url: str, database: str) -> str:
    """The same server, another database."""
    return url.replace("/careloom?", f"/{database}?")


class Rooms:
    """Stations and timers at work on a database, as flow runs them: each change once, in order, its result committed."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self._cursors: dict[str, feed.Cursor] = {}

    def say(self, now: datetime, *resources: Resource) -> None:
        """A source states resources."""
        with self.database.connection() as connection:
            commit(connection, [Write(resource) for resource in resources], Origin(now, "ehr"))

    def delete(self, now: datetime, rtype: str, id_: str) -> None:
        with self.database.connection() as connection:
            gone = Write({"resourceType": rtype, "id": id_}, verb="delete")
            commit(connection, [gone], Origin(now, "ehr"))

    def run(self, now: datetime, *stations: str) -> list[Resource]:
        """Let stations hear what is new, in this order; what they made, over all."""
        made: list[Resource] = []
        for name in stations:
            function = registry.load(registry.STATIONS[name])
            with self.database.connection() as connection:
                batch = feed.batch(connection, self._cursors.get(name, feed.START), 10_000, hears(name))
                self._cursors[name] = batch.cursor
                for change in batch.changes:
                    made += self._commit(connection, function(change, Reader(connection, STATION)), now, name)
        return made

    def tick(self, now: datetime, **options: float) -> list[Resource]:
        """Ask the escalation timer."""
        with self.database.connection() as connection:
            found = registry.load(registry.TIMERS["escalation"])(now, Reader(connection, STATION), **options)
            return self._commit(connection, found, now, "escalation")

    def find(self, rtype: str, *pairs: tuple[str, str], sort: str = "") -> list[Resource]:
        with self.database.connection() as connection:
            return Reader(connection, STATION).find(rtype, *pairs, count=1000, sort=sort)

    def forget(self, station: str) -> None:
        """The cursor of a station is lost: it hears everything again."""
        del self._cursors[station]

    @staticmethod
    def _commit(
        connection: Connection, resources: list[Resource], now: datetime, name: str
    ) -> list[Resource]:
        answers = commit(connection, [Write(each) for each in resources], Origin(now, "careloom", name))
        return [each for each, answer in zip(resources, answers, strict=True) if answer.is_changed]


@pytest.fixture
def rooms(database: Database) -> Rooms:
    """Stations and timers at work on a fresh database."""
    return Rooms(database)


def _sweep() -> None:
    """Stop and remove servers of earlier runs that were killed: nobody holds their lock any more."""
    for home in Path(tempfile.gettempdir()).glob("careloom-test-*"):
        with contextlib.suppress(OSError), (home / "database" / "users.lock").open("r+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            halt(Place(home / "database"))
            shutil.rmtree(home, ignore_errors=True)


@dataclass(frozen=True)
class Served:
    """A running web server with its database and its way in."""

    url: str
    settings: Settings
    database: Database
    flow: Any
    live: Any


@pytest.fixture
def served(database: Database, tmp_path: Path) -> Iterator[Served]:
    """The web server on a free port of loopback, in demo mode, with the demo's accounts and no clinical data."""
    with serving(database, Settings(home=tmp_path, port=0, demo=True, time_zone="Europe/Berlin")) as opened:
        yield opened


@contextlib.contextmanager
def serving(database: Database, settings: Settings, roads: Any = None) -> Iterator[Served]:
    """The web server on a free port of loopback, as these settings have it; `roads` beside its own."""
    from careloom.flow import Flow
    from careloom.web.routes import ROADS
    from careloom.web.server import Server, app

    flow = Flow(database, settings)
    application = app(settings, database, flow, [*ROADS, *(roads or ())])
    server = Server(application, settings)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive(), "the server did not start"
        time.sleep(0.02)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield Served(f"http://127.0.0.1:{port}", settings, database, flow, application.state.site.live)
    server.should_exit = True
    thread.join(timeout=WAIT_S)
    assert not thread.is_alive(), "the server did not stop"


@pytest.fixture(name="serving", scope="session")
def _serving() -> Any:
    """`serving(database, settings)`: a server of the test's own settings."""
    return serving
