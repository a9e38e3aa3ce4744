"""store.fetch: rows of a query at a third of what a psycopg cursor costs, for the statements that are asked all day.

Room: store. Touches: the database. https://www.psycopg.org/psycopg3/docs/api/pq.html

A cursor spends some 60 us of Python on a statement, the server 30 us on a read. This sends the same values through the
same adapters, straight to libpq. A statement that comes a third time on a connection is prepared, unless its plan depends
on its values. psycopg's own preparing is switched off (store.database), for it drops all prepared statements at each
rollback.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import psycopg
from psycopg.adapt import PyFormat, Transformer
from psycopg.pq import ExecStatus, Format, TransactionStatus

from careloom.store.database import Connection, Slow

PREPARED = 200
"""Statements that one connection keeps prepared."""
USES = 3
"""A statement is prepared when it comes for this many times."""


class Statements:
    """What one connection knows of the statements it was asked."""

    def __init__(self) -> None:
        self.uses: dict[tuple[bytes, tuple[int, ...]], int] = {}
        self.names: dict[tuple[bytes, tuple[int, ...]], bytes] = {}
        self.adapters: dict[bytes, Any] = {}
        """Of each statement what turns its values and its rows: to find that out anew costs a sixth of a read."""
        self.count = 0


def fetch(
    connection: Connection, sql: bytes, values: Sequence[Any] | Mapping[str, Any] = ()
) -> list[tuple[Any, ...]]:
    """The rows of a query with %s, or %(name)s, for its values; opens a transaction as a cursor would.

    Raises psycopg.Error as a cursor would, and Slow where the connection has a patience and the answer does not come
    within it; nothing more can be asked on that connection then.
    """
    text, names, is_steady = _numbered(sql)
    if isinstance(values, Mapping):
        values = [values[name] for name in names]
    pgconn = connection.pgconn
    if not connection.autocommit and pgconn.transaction_status == TransactionStatus.IDLE:
        _checked(connection, pgconn.exec_(b"BEGIN"))
    adapters = _adapters(connection, text)
    # The stubs forget that a parameter of libpq may be NULL.
    params: Any = adapters.dump_sequence(values, [PyFormat.AUTO] * len(values)) if values else []
    types = tuple(adapters.types or ())
    name = _name(connection, text, types) if is_steady else b""
    if connection.patience_s is not None:
        if name:
            pgconn.send_query_prepared(name, params, adapters.formats, Format.BINARY)
        else:
            pgconn.send_query_params(text, params, types, adapters.formats, Format.BINARY)
        result = _answer(connection, connection.patience_s)
    elif name:
        result = pgconn.exec_prepared(name, params, adapters.formats, Format.BINARY)
    else:
        result = pgconn.exec_params(text, params, types, adapters.formats, Format.BINARY)
    try:
        _checked(connection, result)
    except psycopg.Error:
        # Whatever it was, also a plan that a migration made obsolete: it is prepared anew when it comes again.
        if connection.prepared is not None:
            connection.prepared.names.pop((text, types), None)
        raise
    adapters.set_pgresult(result)
    rows = adapters.load_rows(0, result.ntuples, tuple)
    # Else it would be kept until the same is asked again.
    adapters.set_pgresult(None)
    return rows


def _statements(connection: Connection) -> Statements:
    known: Statements | None = connection.prepared
    if known is None:
        known = connection.prepared = Statements()
    return known


def _adapters(connection: Connection, text: bytes) -> Any:
    known = _statements(connection).adapters
    found = known.get(text)
    if found is None:
        if len(known) >= PREPARED:
            known.clear()
        found = known[text] = Transformer(connection)
    return found


def _answer(connection: Connection, patience_s: float) -> Any:
    """The result of what was sent. Raises Slow."""
    pgconn = connection.pgconn
    if pgconn.flush():
        raise Slow
    # It looks before it waits; a short statement is often answered by then.
    while pgconn.is_busy():
        if not connection.watch.poll(patience_s * 1000):
            raise Slow
        pgconn.consume_input()
    result = pgconn.get_result()
    while pgconn.get_result() is not None:
        pass
    return result


def _name(connection: Connection, sql: bytes, types: tuple[int, ...]) -> bytes:
    """The name of the prepared statement; b"" while it is not worth one."""
    known = _statements(connection)
    key = (sql, types)
    name = known.names.get(key)
    if name is not None:
        return name
    uses = known.uses.get(key, 0) + 1
    if uses < USES or connection.pgconn.transaction_status == TransactionStatus.INERROR:
        if len(known.uses) >= 5 * PREPARED:
            known.uses.clear()
        known.uses[key] = uses
        return b""
    if len(known.names) >= PREPARED:
        oldest = next(iter(known.names))
        _checked(connection, connection.pgconn.exec_(b"DEALLOCATE " + known.names.pop(oldest)))
    known.uses.pop(key, None)
    known.count += 1
    name = b"careloom_%d" % known.count
    _checked(connection, connection.pgconn.prepare(name, sql, types))
    known.names[key] = name
    return name


@lru_cache(maxsize=1_000)
def _numbered(sql: bytes) -> tuple[bytes, tuple[str, ...], bool]:
    """The query with $1, $2 ... for its placeholders and % for %%; the names behind the numbers, where it has names;
    whether one plan is good for all values.
    """
    names: list[str] = []

    def numbered(found: re.Match[bytes]) -> bytes:
        if found[0] == b"%%":
            return b"%"
        name = found[1].decode() if found[1] else f" {len(names)}"
        if name not in names:
            names.append(name)
        return b"$%d" % (names.index(name) + 1)

    return _PLACEHOLDER.sub(numbered, sql), tuple(names), _UNSTEADY.search(sql) is None


# Of what stands in an array of hashes, in a table beside or in rows that are joined or gathered, some values have a few rows and some
# have half of all. A prepared statement soon has one plan for all values: among a million resources a chained search took
# 43 ms by it, and takes 2 ms by a plan of its own, which costs 0.2 ms to make.
_UNSTEADY = re.compile(rb"&&|any\(%s::bigint\[\]\)|from (?:res \w\w|s_str|s_qty|s_dat) ")
_PLACEHOLDER = re.compile(rb"%(?:%|s|\((\w+)\)s)")


def _checked(connection: Connection, result: Any) -> None:
    if result.status in {ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK}:
        return
    if connection.closed:
        if connection.patience_s is not None:
            # It was not looked at before it was used (store.database); a thread gets another one.
            raise Slow
        raise psycopg.OperationalError("the connection to the database is lost")
    raise psycopg.errors.error_from_result(result, encoding=connection.info.encoding)
