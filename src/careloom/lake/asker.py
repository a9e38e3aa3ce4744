"""lake.asker: the process that runs statements, one after the other, so that nobody who serves pages waits for an engine.

Room: lake. May import: lake, store. Touches: standard input and output. What is said there: lake.asking.

It stands back for who serves pages, leaves when its input closes or after a while without work, and is ended by whoever
started it when a statement outlasts its time for all that.
"""

from __future__ import annotations

import os
import queue
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import BinaryIO

import msgspec

from careloom.fhir.outcome import Issue, OutcomeError
from careloom.lake import asking
from careloom.lake.asking import LENGTH, Request
from careloom.lake.delivery import Answer, delivered, kept, text_of
from careloom.lake.lake import Lake
from careloom.lake.listing import listing
from careloom.lake.offer import offered_to
from careloom.lake.question import question
from careloom.lake.sandbox import Alarm, Limits, alarmed, asked
from careloom.lake.session import SCRATCH
from careloom.logs import configure, place_of
from careloom.store.actor import refuse_sql
from careloom.store.database import Database

NICENESS = 5
IDLE_S = 900.0
MOST = 200
"""Statements after which another process takes over: whatever an engine keeps, it does not keep it for ever."""
LEAVE_S = 3.0
"""So long an engine may take to stop when its asker has gone."""

Told = Callable[[bytes, bytes], None]


def main() -> None:
    """Answer until the input ends."""
    configure("warning")
    os.nice(NICENESS)
    out = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    # What a library prints must not stand between frames.
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    _write(out, asking.READY, b"")
    desk = _Desk()
    # Not by sys.stdin, which is closed at the end, and would stop the process in its tracks while the thread reads.
    threading.Thread(target=desk.read, args=(os.fdopen(os.dup(0), "rb"),), daemon=True).start()
    databases: dict[str, Database] = {}
    for request in desk.requests():
        database = databases.get(request.database)
        if database is None:
            database = databases[request.database] = Database(request.database, size=1)
        try:
            _answer(request, database, desk, lambda letter, raw: _write(out, letter, raw))
        except BrokenPipeError:
            return


def _write(out: BinaryIO, letter: bytes, raw: bytes) -> None:
    out.write(asking.framed(letter, raw))
    out.flush()


class _Desk:
    """What comes in: requests in order, and the word that the one at work is no longer wanted."""

    def __init__(self) -> None:
        self._waiting: queue.SimpleQueue[Request | None] = queue.SimpleQueue()
        self._guard = threading.Lock()
        self.alarm: Alarm | None = None

    def read(self, source: BinaryIO) -> None:
        """In a thread of its own, to hear at any time."""
        while raw := source.read(LENGTH):
            length = int.from_bytes(raw)
            if length:
                self._waiting.put(asking.read_request(source.read(length)))
            else:
                self.stop()
        self._waiting.put(None)
        self.stop()
        # An engine that does not hear the bell must not outlive its asker.
        timer = threading.Timer(LEAVE_S, os._exit, (0,))
        timer.daemon = True
        timer.start()

    def stop(self) -> None:
        with self._guard:
            if self.alarm is not None:
                self.alarm.ring(CANCELLED)

    def watch(self, alarm: Alarm | None) -> None:
        with self._guard:
            self.alarm = alarm

    def requests(self) -> Iterator[Request]:
        for _ in range(MOST):
            try:
                request = self._waiting.get(timeout=IDLE_S)
            except queue.Empty:
                return
            if request is None:
                return
            yield request


CANCELLED = Issue("processing", "The statement was stopped.")


def _answer(request: Request, database: Database, desk: _Desk, say: Told) -> None:
    try:
        refuse_sql(request.who)
        with alarmed(request.seconds) as alarm:
            desk.watch(alarm)
            _WORKS[request.work](request, database, alarm, say)
    except OutcomeError as error:
        say(asking.WRONG, msgspec.json.encode(error.issues))
    except BrokenPipeError:
        raise
    except Exception as error:  # noqa: BLE001 - the asker must hear of it, and the process goes on
        text = f"The statement failed ({place_of(error)})."
        say(asking.WRONG, msgspec.json.encode((Issue("exception", text),)))
    finally:
        desk.watch(None)


def _tables(request: Request, database: Database, alarm: Alarm, say: Told) -> None:
    del alarm
    lake = _lake(request)
    with database.autocommit() as connection:
        found = offered_to(lake, connection, request.who)
    say(asking.END, msgspec.json.encode(listing(lake, found.values())))


def _check(request: Request, database: Database, alarm: Alarm, say: Told) -> None:
    """What the statement is judged to be, without asking it: the names of its values."""
    del alarm
    lake = _lake(request)
    with database.autocommit() as connection:
        offered = offered_to(lake, connection, request.who, request.sql)
    found = question(request.sql, [*lake.types, *offered])
    say(asking.END, msgspec.json.encode({"parameters": found.parameters, "tables": found.tables}))


def _lake(request: Request) -> Lake:
    return Lake(Path(request.root), Path(request.views) if request.views else None)


def _rows(request: Request, database: Database, alarm: Alarm, say: Told) -> None:
    limits = Limits(rows=request.rows, seconds=request.seconds, alarm=alarm)
    values = {
        name: date.fromisoformat(str(value)) if name in request.dates and value is not None else value
        for name, value in request.values.items()
    }
    with asked(database, _lake(request), request.who, request.sql, values, limits) as rows:
        _tell(rows, request, say)


def _kept(request: Request, database: Database, alarm: Alarm, say: Told) -> None:
    del database, alarm
    _tell(kept(request.kept, request.columns, request.rows), request, say)


def _tell(rows: Answer, request: Request, say: Told) -> None:
    say(asking.HEAD, msgspec.json.encode({"columns": rows.columns}))
    if request.form == "page":
        for batch in rows.batches():
            columns = [column.to_pylist() for column in batch.columns]
            say(
                asking.BODY,
                msgspec.json.encode(
                    [[text_of(value) for value in row] for row in zip(*columns, strict=True)]
                ),
            )
    else:
        for piece in delivered(rows, request.form, Path(request.root) / SCRATCH):
            say(asking.BODY, piece)
    say(asking.END, msgspec.json.encode({"count": rows.count, "isCut": rows.is_cut}))


_WORKS: dict[asking.Work, Callable[[Request, Database, Alarm, Told], None]] = {
    "tables": _tables,
    "check": _check,
    "rows": _rows,
    "kept": _kept,
}


if __name__ == "__main__":
    main()
