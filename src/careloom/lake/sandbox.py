"""lake.sandbox: one statement of SQL for one actor on the lake: it reads what the actor may see, and can do nothing else.

Room: lake. May import: lake, store, duckdb. https://duckdb.org/docs/stable/operations_manual/securing_duckdb/overview

Each statement has a DuckDB of its own, in memory. Its views are made first; then all files but those of its views are
closed to it and its configuration is locked. There is no way back, in any SQL.
"""

# pyarrow has no types.
# pyright: reportUnknownParameterType=false

from __future__ import annotations

import threading
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import pyarrow as pa

from careloom.fhir.outcome import Issue, OutcomeError
from careloom.lake.lake import Lake
from careloom.lake.offer import offered_to
from careloom.lake.prepared import Prepared, prepared
from careloom.lake.question import Question, placed, question
from careloom.lake.session import opened, seal
from careloom.store.actor import Actor, refuse_sql
from careloom.store.database import Database

AT_ONCE = 2
"""Statements that run at the same time in a process."""
BATCH = 2_000
WAIT_S = 3.0
"""So long a statement waits for others: whoever serves pages has few threads."""
EXPLAIN = "explain "

_places = threading.BoundedSemaphore(AT_ONCE)


@dataclass(frozen=True, slots=True)
class Limits:
    """What one statement may take."""

    rows: int = 10_000
    """What comes after so many rows is left out."""
    seconds: float = 30.0
    memory: str = "512MB"
    spill: str = "2GB"
    """What does not fit the memory goes to disk, up to this."""
    threads: int = 2
    alarm: Alarm | None = None
    """By which it is stopped; None: by one of its own, after `seconds`."""


class Rows:
    """The answer: its columns at once, its rows as they are asked for."""

    def __init__(self, sql: str, relation: duckdb.DuckDBPyRelation, most: int, alarm: Alarm) -> None:
        self.columns = [
            (name, str(kind)) for name, kind in zip(relation.columns, relation.types, strict=True)
        ]
        """Names and DuckDB's types."""
        self.is_cut = False
        """Whether there are more rows than were given; known when the last was given."""
        self.count = 0
        """How many were given so far."""
        self._sql = sql
        self._relation = relation
        self._most = most
        self._alarm = alarm

    @property
    def schema(self) -> pa.Schema:
        """The columns as Arrow has them, for an answer without a row. Several may be called the same: DuckDB would rename them."""
        found = self._relation.limit(0).to_arrow_reader(1).schema
        return pa.schema([
            field.with_name(name) for field, (name, _) in zip(found, self.columns, strict=True)
        ])  # fmt: skip

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Some rows at a time; none is kept. Raises OutcomeError."""
        with _errors(self._sql, is_bound=True):
            for batch in self._relation.to_arrow_reader(BATCH):
                self._alarm.go_on()
                left = self._most - self.count
                self.is_cut = batch.num_rows > left
                part = batch.slice(0, left) if self.is_cut else batch
                self.count += part.num_rows
                if part.num_rows:
                    yield part
                if self.is_cut:
                    return

    def rows(self) -> Iterator[tuple[Any, ...]]:
        """Row by row."""
        for batch in self.batches():
            yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)


@contextmanager
def asked(
    database: Database,
    at: Path | Lake,
    actor: Actor,
    sql: str,
    values: Mapping[str, Any] | None = None,
    limits: Limits | None = None,
) -> Generator[Rows]:
    """Ask what is published now; `at`: a lake, or its folder; `values` are those of the statement's `$name`. What runs longer
    than it may is stopped.

    Raises OutcomeError: forbidden, invalid, not-supported, not-found, too-costly, throttled. No text holds a value.
    """
    limits = limits or Limits()
    refuse_sql(actor)
    lake = at.anew() if isinstance(at, Lake) else Lake(at)
    with database.autocommit() as connection:
        offered = offered_to(lake, connection, actor, sql)
    asks = question(sql, [*lake.types, *offered])
    given = _given(asks, values or {})
    if not _places.acquire(timeout=WAIT_S):
        raise OutcomeError(Issue("throttled", "Other statements are running: ask again in a moment."))
    try:
        with nullcontext(limits.alarm) if limits.alarm else alarmed(limits.seconds) as alarm:

            @contextmanager
            def maker() -> Generator[duckdb.DuckDBPyConnection]:
                with opened(lake.root, limits.memory, limits.threads) as duck, alarm.watching(duck):
                    yield duck

            # No transaction: a cut may take minutes, and who waits for all transactions would wait for it.
            with _errors(sql, is_bound=True), database.autocommit() as connection:
                ready = prepared(lake, connection, actor, asks, offered, maker)
            with sealed(lake.root, ready, limits) as duck, alarm.watching(duck):
                yield Rows(sql, _bound(duck, sql, given), limits.rows, alarm)
    finally:
        _places.release()


def _bound(duck: duckdb.DuckDBPyConnection, sql: str, given: Mapping[str, Any]) -> duckdb.DuckDBPyRelation:
    """The statement as a relation, of which rows are drawn as they are wanted: `execute` would hold them all."""
    try:
        return duck.sql(sql, params=given) if given else duck.sql(sql)
    except duckdb.Error as error:
        with _errors(EXPLAIN + sql, is_bound=False, skip=len(EXPLAIN)):
            # A relation does not say where it is wrong; a plan does.
            duck.execute(EXPLAIN + sql, given) if given else duck.execute(EXPLAIN + sql)
        raise OutcomeError(_issue(error, sql, is_bound=True)) from None


@contextmanager
def sealed(root: Path, ready: Prepared, limits: Limits) -> Generator[duckdb.DuckDBPyConnection]:
    """A DuckDB that was told this and can open these files, and can reach nothing else."""
    # Objects of Python must not stand for tables: SQL could name any variable of this program.
    config: dict[str, Any] = {"python_enable_replacements": "false", "autoload_known_extensions": "false"}
    with opened(root, limits.memory, limits.threads, config) as duck:
        for statement in ready.statements:
            duck.execute(statement)
        duck.execute("set errors_as_json = true")
        seal(duck, root, ready.files, limits.spill)
        yield duck


def _given(asks: Question, values: Mapping[str, Any]) -> dict[str, Any]:
    missing = [name for name in asks.parameters if name not in values]
    if missing:
        raise OutcomeError(Issue("required", f"A value is missing for ${', $'.join(missing)}."))
    return {name: values[name] for name in asks.parameters}


class Alarm:
    """Interrupts the engine that it watches when the time is up."""

    def __init__(self, seconds: float) -> None:
        self._duck: duckdb.DuckDBPyConnection | None = None
        self._reason: Issue | None = None
        self._guard = threading.Lock()
        self.timer = threading.Timer(seconds, self.ring, (TOO_LONG,))
        self.timer.daemon = True

    @contextmanager
    def watching(self, duck: duckdb.DuckDBPyConnection) -> Generator[None]:
        """While this lasts."""
        with self._guard:
            self._duck = duck
        self.go_on()
        try:
            yield
        finally:
            with self._guard:
                self._duck = None

    def go_on(self) -> None:
        """Raise OutcomeError(too-costly) when the time is up: an engine that waits for its reader is not interrupted."""
        if self._reason:
            raise OutcomeError(self._reason)

    def ring(self, reason: Issue) -> None:
        """Stop the engine, now or when it starts, for this reason."""
        with self._guard:
            self._reason = self._reason or reason
            if self._duck is not None:
                self._duck.interrupt()


TOO_LONG = Issue("too-costly", "The statement took longer than it may: narrow it, or ask for less.")


@contextmanager
def alarmed(seconds: float) -> Generator[Alarm]:
    """An alarm that rings when the time is up."""
    alarm = Alarm(seconds)
    alarm.timer.start()
    try:
        yield alarm
    finally:
        alarm.timer.cancel()


_SPEAKS_OF_SQL = (duckdb.ParserException, duckdb.BinderException, duckdb.CatalogException)

_KINDS: dict[type[duckdb.Error], Issue] = {
    duckdb.InterruptException: TOO_LONG,
    duckdb.OutOfMemoryException: Issue("too-costly", "The statement needs more memory than it may have."),
    duckdb.PermissionException: Issue(
        "forbidden", "A statement can open no file and no network, and changes nothing."
    ),
    duckdb.ConversionException: Issue(
        "processing", "a value cannot be cast to the type; try_cast gives null instead."
    ),
    duckdb.OutOfRangeException: Issue("processing", "a value is out of range."),
    duckdb.InvalidInputException: Issue("processing", "a function was given what it does not take."),
}
"""The words for what goes wrong with rows: DuckDB's own may hold a value of one."""


@contextmanager
def _errors(sql: str, *, is_bound: bool, skip: int = 0) -> Generator[None]:
    """Errors of DuckDB as outcomes with place and cause; once rows are read its words are not told."""
    try:
        yield
    except duckdb.Error as error:
        raise OutcomeError(_issue(error, sql, is_bound=is_bound, skip=skip)) from None


def _issue(error: duckdb.Error, sql: str, *, is_bound: bool, skip: int = 0) -> Issue:
    told = _told(error)
    at = str(told.get("position", ""))
    place = f"At {placed(sql[skip:], max(0, int(at) - skip))}: " if at.isdecimal() else ""
    if not is_bound and isinstance(error, _SPEAKS_OF_SQL):
        return Issue("invalid", f"{place}{told.get('exception_message', 'the statement cannot be read')}")
    known = _KINDS.get(type(error), Issue("processing", f"the statement failed ({type(error).__name__})."))
    return Issue(known.code, f"{place}{known.text}") if place else known


def _told(error: duckdb.Error) -> Mapping[str, Any]:
    try:
        found = msgspec.json.decode(str(error).partition(": ")[2])
    except msgspec.MsgspecError:
        return {}
    return found if isinstance(found, dict) else {}
