"""lake.flight.handle: a prepared statement with the values that were bound to it, as the bytes that a client carries.

Room: lake. May import: pyarrow. https://arrow.apache.org/docs/format/FlightSql.html#query-execution

The handle of a statement is the statement. When values are bound the answer is a handle that holds them too; for clients
that go on with the old one (before Arrow 18) they are also remembered here for a while, under a number that is in it.
"""

# pyarrow has no types.
# pyright: reportUnknownParameterType=false, reportAttributeAccessIssue=false

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from careloom.fhir.outcome import Issue, OutcomeError
from careloom.lake.flight import message
from careloom.lake.flight.message import NotAMessage
from careloom.lake.question import Parameter

MOST = 1_000
"""Statements whose values are remembered."""
LARGEST = 1_000_000
"""Bytes of values that may be bound."""
_MARK = b"\0"
"""No statement begins so."""
_TYPES = {
    "BOOLEAN": pa.bool_(),
    "TINYINT": pa.int8(),
    "SMALLINT": pa.int16(),
    "INTEGER": pa.int32(),
    "BIGINT": pa.int64(),
    "FLOAT": pa.float32(),
    "DOUBLE": pa.float64(),
    "DATE": pa.date32(),
    "TIMESTAMP": pa.timestamp("us"),
    "TIMESTAMP WITH TIME ZONE": pa.timestamp("us", "UTC"),
}


@dataclass(frozen=True, slots=True)
class Handle:
    """A statement, and what was bound."""

    sql: str
    number: bytes = b""
    """Of a statement that needs values."""
    values: bytes = b""
    """A row as an Arrow stream; empty: nothing was bound."""

    def written(self) -> bytes:
        """As bytes; a statement that needs no values is the statement."""
        if not self.number:
            return self.sql.encode()
        return _MARK + message.written({1: self.sql.encode(), 2: self.number, 3: self.values})

    @property
    def row(self) -> list[tuple[str, Any]]:
        """The columns of what was bound, in order, with their values; several may be called the same."""
        if not self.values:
            return []
        try:
            table = pa.ipc.open_stream(self.values).read_all()
            return [
                (name, column[0].as_py())
                for name, column in zip(table.column_names, table.columns, strict=True)
            ]
        except (pa.ArrowException, ValueError, IndexError):
            raise NotAMessage from None

    def given(self, parameters: Sequence[Parameter]) -> dict[str, Any]:
        """Name of a parameter -> value: by name where the columns are called so, else in their order. Raises OutcomeError."""
        row, named = self.row, dict(self.row)
        names = [one.name for one in parameters]
        if named.keys() >= set(names) and not all(name.isdecimal() for name in names):
            return {name: named[name] for name in names}
        if len(row) != len(names):
            text = f"The statement needs {len(names)} values, {len(row)} are bound."
            raise OutcomeError(Issue("required", text))
        return dict(zip(names, (value for _, value in row), strict=True))


def new(sql: str) -> Handle:
    """The handle of a statement that needs values."""
    return Handle(sql, secrets.token_bytes(16))


def read(raw: bytes) -> Handle:
    """A handle that came back. Raises NotAMessage."""
    if not raw.startswith(_MARK):
        return Handle(raw.decode())
    told = message.fields(raw[1:])
    number, values = (told.get(at, [b""])[-1] for at in (2, 3))
    if not isinstance(number, bytes) or not isinstance(values, bytes):
        raise NotAMessage
    return Handle(message.text(told, 1), number, values)


def schema_of(parameters: Sequence[Parameter]) -> pa.Schema:
    """What may be bound: the type that the statement casts a parameter to, else a text."""
    return pa.schema([pa.field(one.name, _TYPES.get(one.type, pa.utf8())) for one in parameters])


class Bound:
    """What was bound lately, for clients that do not carry it."""

    def __init__(self) -> None:
        self._held: OrderedDict[tuple[str, bytes], bytes] = OrderedDict()
        self._guard = threading.Lock()

    def bind(self, who: str, one: Handle, batches: Iterator[pa.RecordBatch]) -> Handle:
        """The statement with these values. Raises OutcomeError for several rows, or too much."""
        found = replace(one, values=_stream(batches))
        with self._guard:
            self._held[who, one.number] = found.values
            while len(self._held) > MOST:
                self._held.popitem(last=False)
        return found

    def filled(self, who: str, one: Handle) -> Handle:
        """The statement with the values that it carries, or that its asker bound."""
        if one.values or not one.number:
            return one
        with self._guard:
            return replace(one, values=self._held.get((who, one.number), b""))

    def forget(self, who: str, one: Handle) -> None:
        """It is closed."""
        with self._guard:
            self._held.pop((who, one.number), None)


def _stream(batches: Iterator[pa.RecordBatch]) -> bytes:
    rows: list[pa.RecordBatch] = []
    size = 0
    for batch in batches:
        size += batch.nbytes
        rows += [batch] if batch.num_rows else []
        if size > LARGEST:
            raise OutcomeError(Issue("too-costly", f"At most {LARGEST // 1_000_000} MB of values are bound."))
        if sum(one.num_rows for one in rows) > 1:
            text = "One row of values is bound at a time: ask once for each row, or with a list as one value."
            raise OutcomeError(Issue("not-supported", text))
    if not rows:
        return b""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows[0].schema) as out:
        out.write_batch(rows[0])
    return sink.getvalue().to_pybytes()
