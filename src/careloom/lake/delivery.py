"""lake.delivery: the rows of a statement as bytes, some at a time: JSON, CSV or Parquet.

Room: lake. May import: lake.sandbox, pyarrow.
"""

# pyarrow has no types.
# pyright: reportUnknownParameterType=false

from __future__ import annotations

import csv
import io
import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Literal

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from careloom.lake.sandbox import Rows

Form = Literal["json", "csv", "parquet"]
MEDIA: dict[Form, str] = {
    "json": "application/json",
    "csv": "text/csv; charset=utf-8",
    "parquet": "application/vnd.apache.parquet",
}


def delivered(rows: Rows, form: Form) -> Iterator[bytes]:
    """The answer, piece by piece. Raises OutcomeError if a row cannot be made."""
    return _FORMS[form](rows)


def text_of(value: Any) -> str:
    """A cell as one reads it; lists and structs as JSON, null as nothing.

    >>> text_of({"a": [1, None]}), text_of(None), text_of(1.5)
    ('{"a":[1,null]}', '', '1.5')
    """
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bool | dict | list | bytes):
        return msgspec.json.encode(value, enc_hook=str).decode()
    return str(value)


def _json(rows: Rows) -> Iterator[bytes]:
    encode = msgspec.json.Encoder(enc_hook=str).encode
    columns = [{"name": name, "type": kind} for name, kind in rows.columns]
    yield b'{"columns":' + encode(columns) + b',"rows":['
    is_first = True
    for batch in rows.batches():
        lines = b",\n".join(encode(row) for row in _tuples(batch))
        yield lines if is_first else b",\n" + lines
        is_first = False
    yield b'],"isCut":' + encode(rows.is_cut) + b"}"


def _csv(rows: Rows) -> Iterator[bytes]:
    yield _lines([[name for name, _ in rows.columns]])
    for batch in rows.batches():
        yield _lines([text_of(value) for value in row] for row in _tuples(batch))


class _Sink(io.RawIOBase):
    """What a writer of Parquet writes to: it remembers how far it is, and keeps only what was not yet taken."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._at = 0

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def write(self, piece: Any) -> int:
        self._pieces.append(bytes(piece))
        self._at += len(self._pieces[-1])
        return len(self._pieces[-1])

    def taken(self) -> bytes:
        """What came since the last time."""
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)


def _parquet(rows: Rows) -> Iterator[bytes]:
    sink = _Sink()
    batches = rows.batches()
    first = next(batches, None)
    schema = rows.schema if first is None else first.schema
    with pq.ParquetWriter(sink, schema, compression="zstd") as writer:
        for batch in () if first is None else itertools.chain([first], batches):
            writer.write_batch(batch)
            yield sink.taken()
    yield sink.taken()


_FORMS: dict[Form, Callable[[Rows], Iterator[bytes]]] = {"json": _json, "csv": _csv, "parquet": _parquet}


def _tuples(batch: pa.RecordBatch) -> Iterable[tuple[Any, ...]]:
    return zip(*(column.to_pylist() for column in batch.columns), strict=True)


def _lines(rows: Iterable[list[str]]) -> bytes:
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerows(rows)
    return out.getvalue().encode()
