"""web.packing: a body that comes compressed, unpacked without ever growing beyond a bound.

Room: web. Standard: RFC 9110, section 8.4
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping

from careloom.fhir.outcome import Issue, OutcomeError

MAX_BODY = 256 * 1024 * 1024
"""Bytes of a body, packed or unpacked."""

GZIP = 31
"""zlib's word for a gzip header with the largest window."""


def unpacked(body: bytes, headers: Mapping[str, str], most: int = MAX_BODY) -> bytes:
    """The body without its Content-Encoding, which may be gzip. Raises OutcomeError: structure, too-long, not-supported.

    >>> import gzip
    >>> unpacked(gzip.compress(b"{}"), {"content-encoding": "gzip"})
    b'{}'
    """
    encoding = headers.get("content-encoding", "").strip().lower()
    if encoding in {"", "identity"} or not body:
        return body
    if encoding not in {"gzip", "x-gzip"}:
        raise OutcomeError(Issue("not-supported", "A body may come as it is, or as gzip."))
    unpacker = zlib.decompressobj(GZIP)
    try:
        plain = unpacker.decompress(body, most)
    except zlib.error:
        raise OutcomeError(Issue("structure", "The body is no gzip.")) from None
    if unpacker.unconsumed_tail:
        raise OutcomeError(Issue("too-long", f"A body may have {most} bytes unpacked; send it in parts."))
    if not unpacker.eof:
        raise OutcomeError(Issue("structure", "The body breaks off: its gzip has no end."))
    return plain
