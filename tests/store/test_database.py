from __future__ import annotations

import threading
import time

import psycopg
import pytest
from tests.waiting import WAIT_S

from careloom.fhir.outcome import OutcomeError
from careloom.store import database as database_module
from careloom.store.database import Database


def test_a_block_that_ends_commits_and_one_that_raises_rolls_back(database: Database) -> None:
    with database.connection() as connection:
        connection.execute("CREATE TABLE t (n int)")
        connection.execute("INSERT INTO t VALUES (1)")
    with pytest.raises(psycopg.errors.DivisionByZero), database.connection() as connection:
        connection.execute("INSERT INTO t SELECT 2 / n - 2 / (n - 1) FROM t")
    with database.connection() as connection:
        assert connection.execute("SELECT n FROM t").fetchall() == [(1,)]


@pytest.fixture
def scripts(monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    scripts = database_module.migrations() | {
        "9001_a.sql": b"CREATE TABLE a ()",
        "9002_b.sql": b"CREATE TABLE b ()",
    }
    monkeypatch.setattr(database_module, "migrations", lambda: scripts)
    return scripts


def test_migrating_at_once_and_again_applies_each_file_once(
    database: Database, scripts: dict[str, bytes]
) -> None:
    applied: list[list[str]] = []
    threads = [threading.Thread(target=lambda: applied.append(database.migrate())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(applied) == [[], [], [], ["9001_a.sql", "9002_b.sql"]]
    assert database.migrate() == []


def test_a_migration_that_fails_leaves_none_of_its_fellows(
    database: Database, scripts: dict[str, bytes]
) -> None:
    scripts["9003_c.sql"] = b"CREATE TABLE a ()"
    with pytest.raises(psycopg.errors.DuplicateTable):
        database.migrate()
    del scripts["9003_c.sql"]
    assert database.migrate() == ["9001_a.sql", "9002_b.sql"]


def test_a_migration_of_a_lower_number_that_comes_late_is_applied(
    database: Database, scripts: dict[str, bytes]
) -> None:
    database.migrate()
    scripts["9000_late.sql"] = b"CREATE TABLE late ()"
    assert database.migrate() == ["9000_late.sql"]


def test_an_edited_migration_and_an_unknown_one_are_refused(
    database: Database, scripts: dict[str, bytes]
) -> None:
    database.migrate()
    scripts["9001_a.sql"] = b"CREATE TABLE a (n int)"
    with pytest.raises(OutcomeError, match="never edited"):
        database.migrate()
    del scripts["9001_a.sql"]
    with pytest.raises(OutcomeError, match="newer careloom"):
        database.migrate()


def test_a_connection_closed_by_the_server_is_replaced_before_use(database: Database) -> None:
    with database.connection() as connection:
        pid = connection.info.backend_pid
    with psycopg.connect(database.url, autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
    with database.connection() as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
        assert connection.info.backend_pid != pid


def test_the_pool_is_bounded_and_says_so(database: Database) -> None:
    small = Database(database.url, size=1, wait_s=0.05)
    with small.connection(), pytest.raises(OutcomeError, match="try again"), small.connection():
        pass
    small.close()


def test_a_listener_hears_what_is_notified_and_survives_its_connection(database: Database) -> None:
    with database.listen("news") as listener:
        with database.autocommit() as connection:
            connection.execute("NOTIFY news, 'first'")
        assert [notice.payload for notice in listener.wait(WAIT_S)] == ["first"]
        assert listener.wait(0.01) == []
        with database.autocommit() as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'"
            )
        assert listener.wait(0.2) == []
        assert listener.wait(0.01) == []
        with database.autocommit() as connection:
            connection.execute("NOTIFY news, 'second'")
        assert [notice.payload for notice in listener.wait(WAIT_S)] == ["second"]


def test_a_listener_that_is_woken_waits_no_longer(database: Database) -> None:
    with database.listen("news") as listener:
        waker = threading.Timer(0.1, listener.wake)
        waker.start()
        began = time.monotonic()
        assert listener.wait(30) == listener.wait(30) == []
        assert time.monotonic() - began < 10
    listener.wake()


def test_a_database_that_is_not_there_is_one_sentence() -> None:
    with (
        pytest.raises(OutcomeError, match="does not answer"),
        Database("postgresql://127.0.0.1:1/x").connection(),
    ):
        pass


def test_a_database_that_goes_away_in_the_middle_is_one_sentence(database: Database) -> None:
    with pytest.raises(OutcomeError, match="try again") as lost, database.connection() as connection:
        connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")
    assert database_module.is_transient(lost.value)


def test_what_is_too_large_for_an_index_is_no_passing_trouble(database: Database) -> None:
    with database.connection() as connection:
        connection.execute("CREATE TABLE t (v text PRIMARY KEY)")
    large = "".join(f"{n:x}" for n in range(10_000))
    with pytest.raises(psycopg.errors.ProgramLimitExceeded) as refused, database.connection() as connection:
        connection.execute(
            "INSERT INTO t SELECT string_agg(md5(n::text || %s), '') FROM generate_series(1, 900) n", [large]
        )
    assert not database_module.is_transient(refused.value)


def test_a_listener_waits_for_a_server_that_is_away(database: Database) -> None:
    with database.listen("news") as listener:
        listener._url = "postgresql://127.0.0.1:1/away"
        with database.autocommit() as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'"
            )
        assert listener.wait(0.2) == []
        assert listener.wait(0.2) == []
        listener._url = database.url
        assert listener.wait(0.01) == []
        with database.autocommit() as connection:
            connection.execute("NOTIFY news, 'back'")
        assert [notice.payload for notice in listener.wait(WAIT_S)] == ["back"]
