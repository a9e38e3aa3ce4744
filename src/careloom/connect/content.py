"""connect.content: what a file holds, told by its first bytes: HL7 v2 messages, FHIR in JSON, NDJSON or XML -> Arrivals.

Room: connect. May import: fhir, store.

A key is the hash of the bytes, so that the same file loaded twice is kept once, wherever it lies.
"""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterator
from dataclasses import dataclass

from careloom.connect.hl7_batch import messages_of
from careloom.connect.mllp_reply import content_key
from careloom.connect.msh import UNKNOWN_SOURCE, msh_of, source_of
from careloom.fhir.outcome import Issue, OutcomeError
from careloom.store.event import Arrival

FILES = "files"
"""Source of FHIR files for which no source is named."""
NDJSON = "ndjson"
"""Kind of an arrival of several resources, one a line."""

XML = "application/fhir+xml"
FHIR_NAMESPACE = b"http://hl7.org/fhir"

_BOM = b"\xef\xbb\xbf"
_HL7 = (b"MSH", b"FHS", b"BHS", b"\x0bMSH", b"\x0bFHS", b"\x0bBHS")
_PEEK_BYTES = 4096
_CHUNK_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Sizes:
    """How content is cut. The same sizes give the same arrivals and the same keys."""

    item_bytes: int = 256 * 1024 * 1024
    """A resource, bundle or message beyond this is refused."""
    chunk_lines: int = 500
    """Resources of an NDJSON file in one arrival."""
    chunk_bytes: int = 4 * 1024 * 1024
    """An NDJSON arrival ends, too, when it has become this long."""


DEFAULT_SIZES = Sizes()


def arrivals(stream: io.BufferedReader, source: str = "", sizes: Sizes = DEFAULT_SIZES) -> Iterator[Arrival]:
    r"""The arrivals in one file, in order. Empty `source`: of HL7 the sender that MSH names, of FHIR `files`.

    Raises OutcomeError: not-supported if it is neither HL7 v2 nor FHIR, too-long at an item beyond the size,
    incomplete if a batch counts other messages than it has (after they were given).

    >>> stream = io.BufferedReader(io.BytesIO(b'{"resourceType":"Patient"}\n{"resourceType":"Group"}\n'))
    >>> [(arrival.kind, arrival.source) for arrival in arrivals(stream)]
    [('ndjson', 'files')]
    """
    head = stream.peek(_PEEK_BYTES).removeprefix(_BOM).lstrip()
    if head.startswith(_HL7):
        chunks = iter(lambda: stream.read(_CHUNK_BYTES), b"")
        for message in messages_of(chunks, sizes.item_bytes):
            yield Arrival(source or _sender(message), "hl7v2", message, content_key(message))
    elif head.startswith(b"{"):
        yield from _json(stream, source or FILES, sizes)
    elif head.startswith(b"<") and FHIR_NAMESPACE in head:
        body = stream.read(sizes.item_bytes + 1)
        if len(body) > sizes.item_bytes:
            raise _too_long(sizes.item_bytes)
        yield Arrival(source or FILES, "fhir", body, content_key(body), media=XML)
    elif head:
        text = "The file is neither HL7 v2 nor FHIR in JSON, NDJSON or XML."
        raise OutcomeError(Issue("not-supported", text))


def _json(stream: io.BufferedReader, source: str, sizes: Sizes) -> Iterator[Arrival]:
    lines = _lines(stream, sizes.item_bytes)
    first = next(lines, b"").removeprefix(_BOM)
    second = next(lines, b"")
    # A line that ends an object and a line that begins one: no JSON text has that, every NDJSON file does.
    if first.rstrip().endswith(b"}") and second.lstrip().startswith(b"{"):
        for body in _chunks(itertools.chain((first, second), lines), sizes):
            yield Arrival(source, NDJSON, body, content_key(body))
        return
    body = first + second + stream.read(max(0, sizes.item_bytes - len(first) - len(second)) + 1)
    if len(body) > sizes.item_bytes:
        raise _too_long(sizes.item_bytes)
    yield Arrival(source, "fhir", body, content_key(body))


def _lines(stream: io.BufferedReader, limit_bytes: int) -> Iterator[bytes]:
    """Lines that are not blank."""
    while line := stream.readline(limit_bytes + 1):
        if len(line) > limit_bytes:
            raise _too_long(limit_bytes)
        if line.strip():
            yield line


def _chunks(lines: Iterator[bytes], sizes: Sizes) -> Iterator[bytes]:
    chunk: list[bytes] = []
    length = 0
    for line in lines:
        chunk.append(line)
        length += len(line)
        if len(chunk) >= sizes.chunk_lines or length >= sizes.chunk_bytes:
            yield b"".join(chunk)
            chunk, length = [], 0
    if chunk:
        yield b"".join(chunk)


def _sender(message: bytes) -> str:
    try:
        return source_of(msh_of(message))
    except OutcomeError:
        return UNKNOWN_SOURCE


def _too_long(limit_bytes: int) -> OutcomeError:
    return OutcomeError(Issue("too-long", f"One item is longer than {limit_bytes} bytes; split the file."))
