r"""connect.hl7_batch: cut a file, stream or MLLP block into HL7 v2 messages, batch envelopes taken off.

Room: connect. May import: fhir. Standard: HL7 v2.9 chapter 2, section 2.10.3 (FHS, BHS, BTS, FTS).

Segments may end in \r (the standard), \n or \r\n. The bytes of a message are left as they came, but for the end
of its last segment.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from careloom.fhir.outcome import Issue, OutcomeError

_LINE = re.compile(rb"[^\r\n\x1c]*(?:\r\n|[\r\n\x1c])")
_ENVELOPE = (b"FHS", b"BHS", b"BTS", b"FTS")
_BOM = b"\xef\xbb\xbf"


def messages_of(chunks: Iterable[bytes], limit_bytes: int) -> Iterator[bytes]:
    r"""The messages, one by one, in bounded memory.

    Bytes before the first MSH that are no envelope are given as a message too, so that nothing is lost; whoever
    reads it will say that it has no MSH. Raises OutcomeError(too-long) at a message beyond the limit, and
    OutcomeError(incomplete), after the last message, if a batch trailer (BTS-1) counts other than what came.

    >>> list(messages_of([b"BHS|^~\\&\rMSH|^~\\&|a\rPID|1\rMSH|^~\\&|b\rBTS|2\r"], 100))
    [b'MSH|^~\\&|a\rPID|1', b'MSH|^~\\&|b']
    """
    message = bytearray()
    in_batch = wrong = 0
    for line in _lines(chunks, limit_bytes):
        name = line[:3]
        if name == b"MSH" or name in _ENVELOPE:
            if message.strip():
                in_batch += 1
                yield bytes(message.rstrip(b"\r\n"))
            message.clear()
        if name == b"BHS":
            in_batch = 0
        elif name == b"BTS":
            wrong += _is_miscounted(line, in_batch)
            in_batch = 0
        if name not in _ENVELOPE:
            message += line
        if len(message) > limit_bytes:
            raise OutcomeError(_too_long(limit_bytes))
    if message.strip():
        yield bytes(message.rstrip(b"\r\n"))
    if wrong:
        raise OutcomeError(
            Issue("incomplete", "The batch trailer counts other messages than came.", "BTS-1", "warning")
        )


def is_batch(block: bytes) -> bool:
    """True if the block begins with a file or batch header.

    >>> is_batch(b"BHS|^~\\\\&|LAB")
    True
    """
    return block.lstrip(b"\r\n\t ").startswith((b"FHS", b"BHS"))


def _lines(chunks: Iterable[bytes], limit_bytes: int) -> Iterator[bytes]:
    """Lines with their ends; MLLP framing (VT, FS) and a byte-order mark are taken off."""
    rest = b""
    is_first = True
    for chunk in chunks:
        data = rest + chunk
        end = 0
        # A \r at the very end may be half of a \r\n: it waits for the next chunk.
        for match in _LINE.finditer(data, 0, len(data) - data.endswith(b"\r")):
            end = match.end()
            yield _bare(match[0], is_first=is_first)
            is_first = False
        rest = data[end:]
        if len(rest) > limit_bytes:
            raise OutcomeError(_too_long(limit_bytes))
    if rest:
        yield _bare(rest, is_first=is_first)


def _bare(line: bytes, *, is_first: bool) -> bytes:
    return (line.removeprefix(_BOM) if is_first else line).removeprefix(b"\x0b").rstrip(b"\x1c")


def _is_miscounted(trailer: bytes, counted: int) -> bool:
    count = trailer[4:].split(trailer[3:4] or b"|")[0].strip()
    return count.isdigit() and int(count) != counted


def _too_long(limit_bytes: int) -> Issue:
    return Issue("too-long", f"A message is longer than {limit_bytes} bytes; raise the limit or split it.")
