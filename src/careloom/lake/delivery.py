"""lake.delivery: the rows of a statement as bytes, some at a time: JSON, CSV, Parquet or a workbook.

Room: lake. May import: pyarrow.
"""

# pyarrow has no types.
# pyright: reportUnknownParameterType=false

from __future__ import annotations

import csv
import io
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq


class Answer(Protocol):
    """What can be delivered: columns with DuckDB's types, rows batch by batch, and whether there were more."""

    columns: list[tuple[str, str]]
    is_cut: bool
    count: int

    @property
    def schema(self) -> pa.Schema:
        """The columns as Arrow has them."""
        ...

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Some rows at a time."""
        ...


Form = Literal["json", "csv", "parquet", "xlsx"]
MEDIA: dict[Form, str] = {
    "json": "application/json",
    "csv": "text/csv; charset=utf-8",
    "parquet": "application/vnd.apache.parquet",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}


def delivered(rows: Answer, form: Form, scratch: Path, line_end: str = "\r\n") -> Iterator[bytes]:
    """The answer, piece by piece; `scratch`: where a workbook is written; `line_end`: of CSV, by default that of RFC 4180. Raises OutcomeError if a row cannot be made."""
    if form == "xlsx":
        from careloom.lake.sheet import workbook  # 0.1 s, which few need

        return workbook(rows, scratch)
    return _csv(rows, line_end) if form == "csv" else _FORMS[form](rows)


class _Kept:
    def __init__(self, file: pq.ParquetFile, columns: Sequence[tuple[str, str]], most: int) -> None:
        self.columns = list(columns)
        self.is_cut = False
        self.count = 0
        self.schema = file.schema_arrow
        self._file = file
        self._most = most

    def batches(self) -> Iterator[pa.RecordBatch]:
        for batch in self._file.iter_batches(2_000):
            left = self._most - self.count
            self.is_cut = batch.num_rows > left
            self.count += min(left, batch.num_rows)
            yield batch.slice(0, left)
            if self.is_cut:
                return


def kept(raw: bytes, columns: Sequence[tuple[str, str]], most: int) -> Answer:
    """An answer that was delivered as Parquet, to be delivered again."""
    return _Kept(pq.ParquetFile(io.BytesIO(raw)), columns, most)


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


def _json(rows: Answer) -> Iterator[bytes]:
    encode = msgspec.json.Encoder(enc_hook=str).encode
    columns = [{"name": name, "type": kind} for name, kind in rows.columns]
    yield b'{"columns":' + encode(columns) + b',"rows":['
    is_first = True
    for batch in rows.batches():
        lines = b",\n".join(encode(row) for row in _tuples(batch))
        yield lines if is_first else b",\n" + lines
        is_first = False
    yield b'],"isCut":' + encode(rows.is_cut) + b"}"


def _csv(rows: Answer, line_end: str) -> Iterator[bytes]:
    yield _lines([[name for name, _ in rows.columns]], line_end)
    for batch in rows.batches():
        yield _lines(([text_of(value) for value in row] for row in _tuples(batch)), line_end)


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


def _parquet(rows: Answer) -> Iterator[bytes]:
    sink = _Sink()
    batches = rows.batches()
    first = next(batches, None)
    schema = rows.schema if first is None else first.schema
    with pq.ParquetWriter(sink, schema, compression="zstd") as writer:
        for batch in () if first is None else itertools.chain([first], batches):
            writer.write_batch(batch)
            yield sink.taken()
    yield sink.taken()


_FORMS: dict[str, Callable[[Answer], Iterator[bytes]]] = {"json": _json, "parquet": _parquet}


def _tuples(batch: pa.RecordBatch) -> Iterable[tuple[Any, ...]]:
    return zip(*(column.to_pylist() for column in batch.columns), strict=True)


def _lines(rows: Iterable[list[str]], line_end: str) -> bytes:
    out = io.StringIO()
    csv.writer(out, lineterminator=line_end).writerows(rows)
    return out.getvalue().encode()
