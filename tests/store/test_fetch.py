"""What is fetched past the cursor is what a cursor gives, in the same transaction and with the same errors."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest

from careloom.store import fetch as module
from careloom.store.database import Database, Slow, connect
from careloom.store.fetch import fetch

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
CASES: list[tuple[str, list[Any]]] = [
    ("select 1", []),
    ("select %s::bigint, %s::text, %s::timestamptz", [1 << 40, "wörd", NOW]),
    ("select %s::bigint = any(%s), %s::bool, %s::float8", [3, [1, 2, 3], True, 1.5]),
    ("select %s::text is null, '{}'::bigint[], '\\x00ff'::bytea", [None]),
    ("select n, n %% 2 from generate_series(1, %s) n", [5]),
    ("select 1 where false", []),
]


@pytest.mark.parametrize(("sql", "values"), CASES)
def test_rows_are_those_of_a_cursor_prepared_or_not(database: Database, sql: str, values: list[Any]) -> None:
    with database.connection() as connection:
        wanted = connection.execute(sql.encode(), values or None, binary=True).fetchall()
        for _ in range(module.USES + 2):
            assert fetch(connection, sql.encode(), values) == wanted


def test_it_opens_the_transaction_that_a_cursor_would(database: Database) -> None:
    with database.connection() as connection:
        [(first,)] = fetch(connection, b"select pg_current_xact_id()::text")
        assert fetch(connection, b"select pg_current_xact_id()::text") == [(first,)]
        assert connection.execute("select pg_current_xact_id()::text").fetchall() == [(first,)]
    with database.autocommit() as connection:
        fetch(connection, b"select 1")
        assert connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE


def test_an_error_is_that_of_a_cursor_and_the_connection_lives_on(database: Database) -> None:
    for _ in range(module.USES + 1):
        with pytest.raises(psycopg.errors.DivisionByZero), database.connection() as connection:
            fetch(connection, b"select 1 / %s::int", [0])
    with pytest.raises(psycopg.errors.UndefinedTable), database.connection() as connection:
        fetch(connection, b"select 1 from nothing_of_that_name")
    with database.connection() as connection:
        assert fetch(connection, b"select 2") == [(2,)]


def test_prepared_statements_outlive_a_rollback(database: Database) -> None:
    with database.connection() as connection:
        for _ in range(module.USES):
            fetch(connection, b"select 1")
        with suppress(psycopg.errors.DivisionByZero), connection.transaction():
            connection.execute("select 1 / 0")
        connection.execute("select 2")
        assert fetch(connection, b"select 1") == [(1,)]


def test_names_may_stand_for_values_and_more_than_once(database: Database) -> None:
    with database.connection() as connection:
        sql = b"select %(b)s::text, %(a)s::bigint, %(b)s::text, 7 %% 4"
        assert fetch(connection, sql, {"a": 5, "b": "x", "unused": None}) == [("x", 5, "x", 3)]


def test_a_lost_connection_is_an_operational_error(database: Database) -> None:
    connection = connect(database.url)
    [(pid,)] = fetch(connection, b"select pg_backend_pid()")
    with database.autocommit() as other:
        other.execute("select pg_terminate_backend(%s)", [pid])
    with pytest.raises(psycopg.OperationalError):
        fetch(connection, b"select 1")


def test_a_connection_keeps_so_many_statements_and_no_more(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PREPARED", 4)
    with database.connection() as connection:
        for number in range(9):
            for _ in range(module.USES + 1):
                assert fetch(connection, b"select %d" % number) == [(number,)]
        names = connection.execute("select count(*) from pg_prepared_statements").fetchall()
        assert names == [(4,)]


def test_statements_that_psycopg_threw_away_after_a_rollback_are_prepared_again(database: Database) -> None:
    connection = connect(database.url)
    for _ in range(3):
        for _ in range(module.USES + 1):
            assert fetch(connection, b"select 7") == [(7,)]
        connection.execute("select 1", prepare=True)
        connection.execute("savepoint here")
        connection.execute("rollback to savepoint here")
        connection.execute("select 2")
        assert fetch(connection, b"select 7") == [(7,)]
    connection.rollback()
    connection.execute("select 3")
    assert fetch(connection, b"select 7") == [(7,)]
    connection.close()


def test_who_is_in_haste_gets_rows_or_is_told_that_it_takes_longer(database: Database) -> None:
    with pytest.raises(Slow), database.glimpse(1.0):
        pytest.fail("no connection was idle")
    with database.autocommit():
        pass
    for sql, values in CASES * (module.USES + 1):
        with database.glimpse(5.0) as connection:
            rows = fetch(connection, sql.encode(), values)
        with database.autocommit() as connection:
            assert fetch(connection, sql.encode(), values) == rows
    with pytest.raises(Slow), database.glimpse(0.02) as connection:
        fetch(connection, b"select pg_sleep(5)")
    with pytest.raises(Slow), database.glimpse(1.0):
        pytest.fail("the connection that still waits was handed out")


def test_in_haste_an_error_is_that_of_a_cursor_and_a_cursor_is_refused(database: Database) -> None:
    with database.autocommit():
        pass
    with pytest.raises(psycopg.errors.DivisionByZero), database.glimpse(5.0) as connection:
        fetch(connection, b"select 1 / %s::int", [0])
    with database.glimpse(5.0) as connection:
        with pytest.raises(Slow):
            connection.execute("select 1")
        with pytest.raises(Slow):
            connection.cursor()
        assert fetch(connection, b"select 2") == [(2,)]
    with database.autocommit() as connection:
        assert connection.execute("select 3").fetchall() == [(3,)]


def test_a_search_whose_plan_depends_on_its_values_is_planned_for_them(database: Database) -> None:
    steady = "select rid from res r where r.key = %s"
    unsteady = (
        "select rid from res r where r.ix && %s::bigint[]",
        "select rid from res r where r.pat in (select rc.key from res rc where rc.id = %s)",
        "select rid from res r where exists (select from s_str s where s.rid = r.rid and s.v = %s)",
    )
    with database.connection() as connection:
        for _ in range(module.USES + 1):
            fetch(connection, steady.encode(), [7])
            for sql, value in zip(unsteady, ([7], "x", "x"), strict=True):
                fetch(connection, sql.encode(), [value])
        prepared = connection.execute("select statement from pg_prepared_statements").fetchall()
    assert [sql.replace("$1", "%s") for (sql,) in prepared] == [steady]
