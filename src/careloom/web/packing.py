"""web.packing: a body that comes compressed, unpacked piece by piece without ever growing beyond a bound.

Room: web. Standard: RFC 9110, section 8.4, and RFC 1952 (a gzip may have several members)
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping

from careloom.fhir.outcome import Issue, OutcomeError

MAX_BODY = 256 * 1024 * 1024
"""Bytes of a body that is held in memory, packed or unpacked."""

PIECE = 1 << 20
"""Bytes that are unpacked at once."""

GZIP = 31
"""zlib's word for a gzip header with the largest window."""


class Unpacker:
    """Takes a body as it comes and gives it without its Content-Encoding. Raises OutcomeError(not-supported).

    >>> import gzip
    >>> packed = gzip.compress(b"{}") + gzip.compress(b"[]")
    >>> unpacker = Unpacker({"content-encoding": "gzip"}, most=100)
    >>> b"".join(part for byte in packed for part in unpacker.fed(bytes([byte])))
    b'{}[]'
    """

    def __init__(self, headers: Mapping[str, str], most: int) -> None:
        encoding = headers.get("content-encoding", "").strip().lower()
        if encoding not in {"", "identity", "gzip", "x-gzip"}:
            raise OutcomeError(Issue("not-supported", "A body may come as it is, or as gzip."))
        self._most = most
        self._size = 0
        self._member = None if encoding in {"", "identity"} else zlib.decompressobj(GZIP)
        self._is_begun = False

    def fed(self, piece: bytes) -> Iterator[bytes]:
        """The pieces that this one makes. Raises OutcomeError: structure, too-long."""
        if self._member is None:
            yield self._counted(piece)
            return
        while piece:
            if self._member.eof:
                self._member = zlib.decompressobj(GZIP)
            self._is_begun = True
            try:
                plain = self._member.decompress(piece, PIECE)
            except zlib.error:
                raise OutcomeError(Issue("structure", "The body is no gzip.")) from None
            yield self._counted(plain)
            piece = self._member.unused_data if self._member.eof else self._member.unconsumed_tail

    def end(self) -> None:
        """That was all. Raises OutcomeError(structure) where something is missing."""
        if self._member is not None and self._is_begun and not self._member.eof:
            raise OutcomeError(Issue("structure", "The body breaks off: its gzip has no end."))

    def _counted(self, plain: bytes) -> bytes:
        self._size += len(plain)
        if self._size > self._most:
            raise OutcomeError(
                Issue("too-long", f"A body may have {self._most} bytes unpacked; send it in parts.")
            )
        return plain


def unpacked(body: bytes, headers: Mapping[str, str], most: int = MAX_BODY) -> bytes:
    """The body without its Content-Encoding, which may be gzip. Raises OutcomeError: structure, too-long, not-supported.

    >>> import gzip
    >>> unpacked(gzip.compress(b"{}"), {"content-encoding": "gzip"})
    b'{}'
    """
    if not body or "content-encoding" not in headers:
        return body
    unpacker = Unpacker(headers, most)
    plain = b"".join(unpacker.fed(body))
    unpacker.end()
    return plain
