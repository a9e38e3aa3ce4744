"""store.body: a body is kept without id and version, which stand in columns, and is read with them.

Room: store. May import: fhir. Standard: https://hl7.org/fhir/R4/resource.html#Meta

What is kept is the client's own bytes, so 1.50 stays 1.50: `"meta":{...},"status":...}`, everything after the id.
"""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache

import msgspec

from careloom.fhir.instant import instant
from careloom.fhir.outcome import Issue, OutcomeError
from careloom.fhir.resource import Resource, dumps

_elements = msgspec.json.Decoder(dict[str, msgspec.Raw])
_META = b'"meta":{'
_WIDTH = len(_META)


def kept_of_bytes(raw: bytes) -> bytes:
    """The kept form of a resource that came as JSON, without white space between tokens.

    >>> kept_of_bytes(b'{"resourceType":"Basic","id":"7","meta":{"versionId":"3"},"x":1.50}')
    b'"x":1.50}'
    """
    try:
        elements = _elements.decode(raw)
        meta = elements.pop("meta", None)
        kept_meta = {} if meta is None else _elements.decode(meta)
    except msgspec.DecodeError:
        raise OutcomeError(Issue("structure", "The body is not a JSON object.")) from None
    for name in ("versionId", "lastUpdated"):
        kept_meta.pop(name, None)
    for name in ("resourceType", "id"):
        elements.pop(name, None)
    if kept_meta:
        meta = msgspec.Raw(b"{%b}" % _joined(kept_meta))
        elements = {"meta": meta, **elements}
    return _joined(elements) + b"}"


def kept_of(resource: Resource) -> bytes:
    """The kept form of a resource that was made here.

    >>> kept_of({"resourceType": "Basic", "id": "7", "language": "en", "meta": {"source": "urn:x"}})
    b'"meta":{"source":"urn:x"},"language":"en"}'
    """
    meta = {k: v for k, v in resource.get("meta", {}).items() if k not in ("versionId", "lastUpdated")}
    kept: Resource = {"meta": meta} if meta else {}
    kept.update((k, v) for k, v in resource.items() if k not in ("resourceType", "id", "meta"))
    return dumps(kept)[1:]


def spliced(kept: bytes, rtype: str, id_: str, version: int, last_updated: datetime) -> bytes:
    """The whole resource: a kept body with its type, id, version and time.

    >>> from datetime import UTC
    >>> spliced(b'"x":1.50}', "Basic", "7", 2, datetime(2026, 1, 2, tzinfo=UTC))
    b'{"resourceType":"Basic","id":"7","meta":{"versionId":"2","lastUpdated":"2026-01-02T00:00:00.000Z"},"x":1.50}'
    """
    head = (
        f'{{"resourceType":"{rtype}","id":"{id_}","meta":{{"versionId":"{version}",'
        f'"lastUpdated":"{_instant(last_updated)}"'
    ).encode()
    if kept[:_WIDTH] == _META:
        return head + b"," + kept[_WIDTH:]
    return head + (b"}}" if kept == b"}" else b"}," + kept)


# The rows of a page often share their time, and writing a time is the dearest part of a splice.
_instant = lru_cache(maxsize=1024)(instant)


def _joined(elements: dict[str, msgspec.Raw]) -> bytes:
    pieces: list[bytes | msgspec.Raw] = []
    for name, raw in elements.items():
        pieces.append(_label(name))
        pieces.append(raw)
    return b"".join(pieces)[1:]


@lru_cache(maxsize=4096)
def _label(name: str) -> bytes:
    return b",%b:" % msgspec.json.encode(name)
