"""store.body: a body is kept without id and version, which stand in columns, and is read with them.

Room: store. May import: fhir. Standard: https://hl7.org/fhir/R4/resource.html#Meta

What is kept is the client's own bytes, so 1.50 stays 1.50: `"meta":{...},"status":...}`, everything after the id.
"""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from careloom.fhir.outcome import Issue, OutcomeError
from careloom.fhir.resource import Resource, dumps, minify

_elements = msgspec.json.Decoder(dict[str, msgspec.Raw])
_META = b'"meta":{'


def kept_of_bytes(raw: bytes) -> bytes:
    """The kept form of a resource that came as JSON.

    >>> kept_of_bytes(b'{"resourceType":"Basic", "id":"7", "meta":{"versionId":"3"}, "x": 1.50}')
    b'"x":1.50}'
    """
    try:
        elements = _elements.decode(minify(raw))
        meta = elements.get("meta")
        kept_meta = {} if meta is None else _elements.decode(meta)
    except msgspec.DecodeError:
        raise OutcomeError(Issue("structure", "The body is not a JSON object.")) from None
    for name in ("versionId", "lastUpdated"):
        kept_meta.pop(name, None)
    for name in ("resourceType", "id", "meta"):
        elements.pop(name, None)
    parts = [b'"meta":{' + _joined(kept_meta) + b"}"] if kept_meta else []
    if elements:
        parts.append(_joined(elements))
    return b",".join(parts) + b"}"


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

    >>> spliced(b'"x":1.50}', "Basic", "7", 2, datetime(2026, 1, 2, tzinfo=UTC))
    b'{"resourceType":"Basic","id":"7","meta":{"versionId":"2","lastUpdated":"2026-01-02T00:00:00.000Z"},"x":1.50}'
    """
    time = last_updated.astimezone(UTC).isoformat(timespec="milliseconds")[:-6]
    head = (
        f'{{"resourceType":"{rtype}","id":"{id_}","meta":{{"versionId":"{version}","lastUpdated":"{time}Z"'
    ).encode()
    if kept.startswith(_META):
        return b"%b,%b" % (head, kept[len(_META) :])
    return b"%b}}" % head if kept == b"}" else b"%b},%b" % (head, kept)


def _joined(elements: dict[str, msgspec.Raw]) -> bytes:
    return b",".join([b'"%b":%b' % (_name(name), raw) for name, raw in elements.items()])


def _name(name: str) -> bytes:
    # A name of an element is a word; anything else is written as JSON would.
    return name.encode() if name.isidentifier() and name.isascii() else msgspec.json.encode(name)[1:-1]
