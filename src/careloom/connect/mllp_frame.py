"""connect.mllp_frame: cut a byte stream into MLLP blocks (VT message FS CR), however the packets fall.

Room: connect. May import: nothing of careloom. Standard: HL7 v2 Transport Specification: MLLP, Release 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

VT, FS, CR = b"\x0b", b"\x1c", b"\r"
_BETWEEN = b"\r\n\t \x00\x1c"
_GARBAGE_BYTES = 64 * 1024
_HEAD_BYTES = 4 * 1024


@dataclass(frozen=True, slots=True)
class Frame:
    """What was cut. block: a whole block; stray: bytes outside a block, or a block cut off by the next one;
    too_long: a block beyond the limit, of which `body` is the first 4 KiB."""

    kind: Literal["block", "stray", "too_long"]
    body: bytes


def frame(message: bytes) -> bytes:
    """The message as one block."""
    return VT + message + FS + CR


class Deframer:
    r"""Feed it bytes as they come; it gives frames. A missing CR after FS is forgiven; empty blocks are passed over.

    >>> deframer = Deframer(100)
    >>> deframer.feed(b"\x0bMSH|a"), deframer.feed(b"\x1c\r\x0bMSH|b\x1c")
    ([], [Frame(kind='block', body=b'MSH|a'), Frame(kind='block', body=b'MSH|b')])
    """

    def __init__(self, limit_bytes: int) -> None:
        self._limit = limit_bytes
        self._buffer = bytearray()
        self._scanned = 0
        self._state: Literal["outside", "inside", "skipping"] = "outside"
        self._head = b""

    def feed(self, data: bytes) -> list[Frame]:
        """The frames that end within these bytes."""
        self._buffer += data
        frames: list[Frame] = []
        step = True
        while step:
            match self._state:
                case "outside":
                    step = self._outside(frames)
                case "inside":
                    step = self._inside(frames)
                case "skipping":
                    step = self._skipping(frames)
        return frames

    @property
    def has_stray(self) -> bool:
        """True if bytes wait that belong to no block."""
        return self._state == "outside" and bool(self._buffer.strip(_BETWEEN))

    @property
    def is_inside(self) -> bool:
        """True if a block has begun and not ended."""
        return self._state != "outside"

    def flush(self) -> list[Frame]:
        """At the end of the stream: stray bytes that still wait. A block that never ended is not a message."""
        stray = self._take(len(self._buffer)) if self.has_stray else b""
        return _stray(stray)

    def _outside(self, frames: list[Frame]) -> bool:
        start = self._buffer.find(VT, self._scanned)
        if len(self._buffer) >= _GARBAGE_BYTES and not 0 <= start < _GARBAGE_BYTES:
            frames += _stray(self._take(_GARBAGE_BYTES))
            return True
        if start < 0:
            self._scanned = len(self._buffer)
            return False
        frames += _stray(self._take(start))
        self._take(1)
        self._state = "inside"
        return True

    def _inside(self, frames: list[Frame]) -> bool:
        end = _first(self._buffer, self._scanned)
        length = end if end >= 0 else len(self._buffer)
        if length > self._limit:
            self._head = bytes(self._buffer[: min(_HEAD_BYTES, self._limit)])
            self._state = "skipping"
            return True
        if end < 0:
            self._scanned = len(self._buffer)
            return False
        cut_off = self._buffer.startswith(VT, end)
        body = self._take(end)
        self._take(1)
        self._state = "inside" if cut_off else "outside"
        if body.strip(_BETWEEN):
            frames.append(Frame("stray" if cut_off else "block", body))
        return True

    def _skipping(self, frames: list[Frame]) -> bool:
        end = _first(self._buffer, 0)
        if end < 0:
            self._take(len(self._buffer))
            return False
        cut_off = self._buffer.startswith(VT, end)
        self._take(end + 1)
        self._state = "inside" if cut_off else "outside"
        frames.append(Frame("too_long", self._head))
        return True

    def _take(self, count: int) -> bytes:
        taken = bytes(self._buffer[:count])
        del self._buffer[:count]
        self._scanned = 0
        return taken


def _first(buffer: bytearray, start: int) -> int:
    """Where the block ends: at FS, or at a VT, which says that the sender began anew."""
    end = buffer.find(FS, start)
    restart = buffer.find(VT, start) if end < 0 else buffer.find(VT, start, end)
    return restart if restart >= 0 else end


def _stray(raw: bytes) -> list[Frame]:
    body = raw.strip(_BETWEEN)
    return [Frame("stray", body)] if body else []
