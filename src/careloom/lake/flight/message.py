"""lake.flight.message: the messages of Flight SQL that are spoken here, read and written without a library of protobuf.

Room: lake. Pure. https://arrow.apache.org/docs/format/FlightSql.html and https://protobuf.dev/programming-guides/encoding/

A message here has texts, bytes and booleans under numbers below 16, and travels in an Any: its type and its bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

_TYPE = "type.googleapis.com/arrow.flight.protocol.sql."
_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5
_WIDTH = {_FIXED64: 8, _FIXED32: 4}

Value = bytes | int
Fields = Mapping[int, Sequence[Value]]


class NotAMessage(ValueError):  # noqa: N818 - it is what it is called
    """The bytes are no message."""


def opened(body: bytes) -> tuple[str, Fields] | None:
    """The name of a message of Flight SQL in an Any, and its fields; None if the bytes are something else.

    >>> opened(closed("CommandStatementQuery", {1: b"select 1"}))
    ('CommandStatementQuery', {1: [b'select 1']})
    >>> opened(b"select 1") is None
    True
    """
    try:
        outer = fields(body)
        kind = outer.get(1, [b""])[0]
        inner = outer.get(2, [b""])[0]
        if not isinstance(kind, bytes) or not isinstance(inner, bytes):
            return None
        name = kind.decode()
        return (name.removeprefix(_TYPE), fields(inner)) if name.startswith(_TYPE) else None
    except (NotAMessage, UnicodeDecodeError):
        return None


def closed(name: str, told: Mapping[int, bytes]) -> bytes:
    """A message in an Any."""
    return _field(1, f"{_TYPE}{name}".encode()) + _field(2, written(told))


def written(told: Mapping[int, bytes]) -> bytes:
    """A message by itself.

    >>> fields(written({1: b"select 1"}))
    {1: [b'select 1']}
    """
    return b"".join(_field(number, value) for number, value in told.items())


def fields(body: bytes) -> dict[int, list[Value]]:
    """The fields of a message by number, each as often as it comes. Raises NotAMessage."""
    found: dict[int, list[Value]] = {}
    at = 0
    while at < len(body):
        tag, at = _varint(body, at)
        number, wire = tag >> 3, tag & 7
        if wire == _VARINT:
            value, at = _varint(body, at)
        elif wire == _LENGTH or wire in _WIDTH:
            size, at = _varint(body, at) if wire == _LENGTH else (_WIDTH[wire], at)
            if at + size > len(body):
                raise NotAMessage
            value, at = body[at : at + size], at + size
        else:
            raise NotAMessage
        if number == 0:
            raise NotAMessage
        found.setdefault(number, []).append(value)
    return found


def text(told: Fields, number: int) -> str:
    """A field that is a text; "" if it is not there. Raises NotAMessage for one that is none."""
    value = told.get(number, [b""])[-1]
    if not isinstance(value, bytes):
        raise NotAMessage
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise NotAMessage from None


def is_true(told: Fields, number: int) -> bool:
    """A field that is a boolean."""
    return bool(told.get(number, [0])[-1])


def _varint(body: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(body) and shift < 64:  # noqa: PLR2004 - ten bytes at most
        byte = body[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:  # noqa: PLR2004
            return value, at
    raise NotAMessage


def _field(number: int, value: bytes) -> bytes:
    size, head = len(value), bytearray([number << 3 | _LENGTH])
    while size > 0x7F:  # noqa: PLR2004
        head.append(size & 0x7F | 0x80)
        size >>= 7
    head.append(size)
    return bytes(head) + value
