"""store.copying: rows in PostgreSQL's binary COPY format, packed by struct.

Room: store. Touches: the tables res, s_str, s_qty, s_dat, s_second.
https://www.postgresql.org/docs/current/sql-copy.html#id-1.9.55.9.4

psycopg's own row writer spends some 15 us on a row with an array; packing by hand spends 3.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache

from careloom.store.database import Connection
from careloom.store.row import Row, Version

HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
TRAILER = b"\xff\xff"
NULL = b"\xff\xff\xff\xff"

_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_INT8_OID = 20
_MINUS_INFINITY = -(1 << 63)

_COPY = {
    table: f"copy {table} from stdin (format binary)".encode()
    for table in ("res", "s_str", "s_qty", "s_dat", "s_second")
}

_int8 = struct.Struct(">iq").pack
_int4 = struct.Struct(">ii").pack
_count = struct.Struct(">h").pack
_int2 = struct.Struct(">ih").pack
_length = struct.Struct(">i").pack
_head = struct.Struct(">hiqiqiqiq").pack
_tail = struct.Struct(">iiihihihi?i?").pack
_string_row = struct.Struct(">hiqih").pack
_quantity_row = struct.Struct(">hiqiqididiiih").pack
_second_row = struct.Struct(">hiqiq").pack
_date_row = struct.Struct(">hiqiqiqih").pack


def copy_versions(connection: Connection, versions: Sequence[Version]) -> None:
    """Copy versions and their search values into their tables.

    In the order of their keys: two commits of the same new resources then wait for one another, never crosswise.
    """
    rows: dict[str, list[bytes]] = {table: [] for table in _COPY}
    for version in sorted(versions, key=lambda version: version.key):
        rows["res"].append(res_row(version))
        _side_rows(version.rid, version.row, rows)
    _copied(connection, rows)


def copy_values(connection: Connection, rows: Iterable[tuple[int, Row]]) -> None:
    """Copy the search values of versions that stand in res already, by their rid."""
    packed: dict[str, list[bytes]] = {table: [] for table in _COPY}
    for rid, row in rows:
        _side_rows(rid, row, packed)
    _copied(connection, packed)


def _copied(connection: Connection, rows: dict[str, list[bytes]]) -> None:
    for table, packed in rows.items():
        if packed:
            with connection.cursor().copy(_COPY[table]) as stream:
                stream.write(b"".join((HEADER, *packed, TRAILER)))


def res_row(version: Version) -> bytes:
    """A row of res."""
    row = version.row
    return b"".join(
        (
            _head(22, 8, version.rid, 8, version.key, 8, version.tx, 8, micros(version.last_updated)),
            int8(version.event_id),
            _int8(8, version.maker),
            int8(row.pat),
            int8(row.code),
            _int8(8, _MINUS_INFINITY if row.dlo is None else micros(row.dlo)),
            time(row.dhi),
            _int8(8, row.present),
            _tail(
                *(4, version.number, 2, version.type_number, 2, version.dictionary, 2, version.depth),
                *(1, version.is_deleted, 1, row.is_restricted),
            ),
            text(version.id),
            int8_array(row.also) if row.also else NULL,
            int8_array(row.ix),
            data(version.frame),
            _int2(2, version.deed),
        )
    )


def _side_rows(rid: int, row: Row, rows: dict[str, list[bytes]]) -> None:
    for parameter, value in row.strings:
        rows["s_str"].append(_string_row(3, 8, rid, 2, parameter) + text(value))
    for unit, lo, hi, system, parameter in row.quantities:
        rows["s_qty"].append(_quantity_row(6, 8, rid, 8, unit, 8, lo, 8, hi, 4, system, 2, parameter))
    for lo, hi, parameter in row.dates:
        rows["s_dat"].append(_date_row(4, 8, rid, 8, micros(lo), 8, micros(hi), 2, parameter))
    for code in row.second_codes:
        rows["s_second"].append(_second_row(2, 8, rid, 8, code))


def fields(count: int) -> bytes:
    """The head of a row of so many fields."""
    return _count(count)


def int2(value: int) -> bytes:
    """A smallint field."""
    return _int2(2, value)


def int4(value: int | None) -> bytes:
    """An int field."""
    return NULL if value is None else _int4(4, value)


def int8(value: int | None) -> bytes:
    """A bigint field."""
    return NULL if value is None else _int8(8, value)


def data(value: bytes) -> bytes:
    """A field of bytes or UTF-8 text."""
    return _length(len(value)) + value


def text(value: str) -> bytes:
    """A text field."""
    return data(value.encode("utf-8", "replace"))


def time(value: datetime | None) -> bytes:
    """A timestamptz field."""
    return NULL if value is None else _int8(8, micros(value))


def micros(value: datetime) -> int:
    """Microseconds since 2000, as PostgreSQL counts."""
    return (value - _EPOCH) // _MICROSECOND


def int8_array(numbers: Collection[int]) -> bytes:
    """A bigint[] field."""
    if not numbers:
        return _length(12) + struct.pack(">iii", 0, 0, _INT8_OID)
    interleaved = [8] * (2 * len(numbers))
    interleaved[1::2] = numbers
    return _array(len(numbers)).pack(20 + 12 * len(numbers), 1, 0, _INT8_OID, len(numbers), 1, *interleaved)


@cache
def _array(count: int) -> struct.Struct:
    return struct.Struct(">iiiiii" + "iq" * count)
