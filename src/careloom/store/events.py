"""store.events: keep arrivals byte for byte, say what became of them, and list them for those who may look.

Room: store. May import: fhir.outcome. Touches: the table `event`, and blobs for large bodies.

Keeping is idempotent: the same bytes under the same source, kind and key are kept once, and the second time answers
with the first receipt. Other bytes under the same key are kept as an event of their own, with a note.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

import msgspec
import zstandard

from careloom.fhir.outcome import Issue, OutcomeError
from careloom.store.actor import Actor, may
from careloom.store.blobs import Blob, Blobs
from careloom.store.database import Connection
from careloom.store.event import Arrival, Event, EventStatus, Receipt
from careloom.store.fetch import fetch
from careloom.store.ledger import LedgerLine

INLINE_LIMIT = 1 << 20
"""A body whose zstd frame is larger than this goes to a blob, if there is a place for blobs."""

WHOLE = 256 << 20
"""Bytes that an event has in memory at most; of a larger one the beginning is read."""
BEGINNING = 1 << 20

FRAME_READ = 1 << 16
"""Bytes of a frame that are looked at for its beginning: messages of HL7 v2 are far smaller."""

LEVEL = 3
"""On 60 Synthea bundles level 3 left 7.0 % of the minified size at 1 ms each, level 9 5.6 % at 5 ms."""

KEEP = b"""
WITH earlier AS (
  SELECT id FROM event WHERE source = %(source)s AND kind = %(kind)s AND key = %(key)s AND key <> ''
  ORDER BY id DESC LIMIT 1)
INSERT INTO event (source, kind, key, hash, size, body, received, media, request)
VALUES (%(source)s, %(kind)s, %(key)s, %(hash)s, %(size)s, %(body)s, %(received)s, %(media)s, %(request)s)
ON CONFLICT (source, kind, key, hash) WHERE key <> '' DO NOTHING
RETURNING id, (SELECT id FROM earlier)
"""

TWIN = """
SELECT id, status, issues FROM event WHERE source = %s AND kind = %s AND key = %s AND key <> '' AND hash = %s
"""

SETTLE = b"""
UPDATE event SET status = %s, issues = %s, ledger = %s, agent = %s, attempts = attempts + 1
WHERE id = %s
"""

SETTLED = """
SELECT source, kind, key FROM event
JOIN unnest(%s::text[], %s::text[], %s::text[]) AS asked (source, kind, key) USING (source, kind, key)
WHERE key <> '' AND status <> 'received'
"""

READ = (
    "SELECT id, source, kind, body, hash, key, received, status, attempts, issues, media, request, size"
    " FROM event WHERE id = %s"
)

# Each filter is off when it is NULL; ids grow with time, so that paging by id is paging by time.
LIST = """
SELECT id, source, kind, key, size, received, status, attempts, agent, issues
FROM event
WHERE id < coalesce(%(before)s, 9223372036854775807)
  AND (%(source)s::text IS NULL OR source = %(source)s)
  AND (%(status)s::text IS NULL OR status = %(status)s)
  AND (%(kind)s::text IS NULL OR kind = %(kind)s)
  AND (%(key)s::text IS NULL OR strpos(lower(key), lower(%(key)s)) > 0)
  AND (%(since)s::timestamptz IS NULL OR received >= %(since)s)
  AND (%(until)s::timestamptz IS NULL OR received < %(until)s)
ORDER BY id DESC LIMIT %(limit)s
"""

# Bodies are stored as they are compressed, out of line: only the chunks of the beginning are read.
BEGINNINGS = "SELECT id, substring(body FOR %s) FROM event WHERE id = ANY(%s) AND body IS NOT NULL"

COUNT = "SELECT source, status, count(*) FROM event GROUP BY source, status ORDER BY source, status"

# The last of each source is found from the end of the primary key, not by reading all.
LATEST = """
SELECT source, (SELECT received FROM event e WHERE e.source = names.source ORDER BY id DESC LIMIT 1)
FROM (SELECT DISTINCT source FROM event) names
"""

OLDEST = "SELECT min(received) FROM event WHERE status = 'received'"

_thread = threading.local()


@dataclass(frozen=True, slots=True)
class Filter:
    """Which events a list shows; an empty field admits all."""

    source: str = ""
    status: str = ""
    kind: str = ""
    key: str = ""
    """Text that stands in the key, in any case of letters."""
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class EventLine:
    """One line of the list: an event without its bytes."""

    id: int
    source: str
    kind: str
    key: str
    size_bytes: int
    received: datetime
    status: EventStatus
    attempts: int
    agent: str
    issues: tuple[Issue, ...]


def keep(connection: Connection, arrival: Arrival, now: datetime, blobs: Blobs | None = None) -> Receipt:
    """Keep one arrival; the receipt says whether it is a resend (`is_duplicate`, with what became of the first).

    `received` is the arrival's own time, else `now`. It is safe once the transaction of `connection` is committed.
    """
    digest = hashlib.sha256(arrival.body).digest()
    frame = _packed(arrival.body)
    row = _row(arrival, now, digest, len(arrival.body))
    if blobs is not None and len(frame) > INLINE_LIMIT:
        blobs.put(arrival.body)
    else:
        row["body"] = frame
    kept = fetch(connection, KEEP, row)
    if not kept:
        twin = connection.execute(TWIN, [arrival.source, arrival.kind, arrival.key, digest]).fetchone()
        event_id, status, issues = cast("tuple[int, EventStatus, list[Any]]", twin)
        return Receipt(event_id, status, is_duplicate=True, issues=_issues(issues))
    [(event_id, earlier)] = kept
    return Receipt(event_id, "received", issues=() if earlier is None else (_other_bytes(earlier),))


def keep_blob(connection: Connection, arrival: Arrival, blob: Blob, now: datetime) -> int:
    """Keep an arrival without a key whose bytes lie in a blob already; the number of its event."""
    row = _row(arrival, now, bytes.fromhex(blob.name), blob.size) | {"key": ""}
    [(event_id, _)] = fetch(connection, KEEP, row)
    return event_id


def _row(arrival: Arrival, now: datetime, digest: bytes, size: int) -> dict[str, object]:
    """What is kept of an arrival whose bytes lie in a blob."""
    return {
        "source": arrival.source,
        "kind": arrival.kind,
        "key": arrival.key,
        "hash": digest,
        "size": size,
        "body": None,
        "received": arrival.received or now,
        "media": arrival.media,
        "request": arrival.request,
    }


def settle(
    connection: Connection,
    event_id: int,
    status: EventStatus,
    issues: Sequence[Issue] = (),
    ledger: Sequence[LedgerLine] = (),
    agent: str = "",
) -> None:
    """Say what became of an event. Each call counts as one attempt and replaces what was said before."""
    values = [status, _json(issues).decode(), _packed_ledger(ledger), agent, event_id]
    fetch(connection, SETTLE, values)


def settled(connection: Connection, identities: Sequence[tuple[str, str, str]]) -> set[tuple[str, str, str]]:
    """Of these (source, kind, key), those of which an event is done or quarantined: a load skips them.

    It serves keys that are hashes of content; under a sender's own id other bytes may stand.
    """
    columns = [list(column) for column in zip(*identities, strict=True)] or [[], [], []]
    return {(source, kind, key) for source, kind, key in connection.execute(SETTLED, columns)}


def event(connection: Connection, event_id: int, actor: Actor, blobs: Blobs | None = None) -> Event:
    """One event with its bytes, or the beginning of more than WHOLE. Raises OutcomeError `not-found`, or `forbidden` for who may not read events."""
    _refuse_without_right(actor)
    row = connection.execute(READ, [event_id]).fetchone()
    if row is None:
        raise OutcomeError(Issue("not-found", f"There is no event {event_id}."))
    number, source, kind, frame, digest, key, received, status, attempts, issues, *more = row
    media, request, size = more
    if frame is not None:
        body = _unpacked(frame)
    elif blobs is not None:
        body = blobs.read(digest.hex()) if size <= WHOLE else blobs.beginning(digest.hex(), BEGINNING)
    else:
        raise OutcomeError(
            Issue("exception", f"Event {event_id} lies in a blob, and no folder of blobs was given.")
        )
    return Event(
        number, source, kind, body, key, received, status, attempts, _issues(issues), media, request, size
    )


def digest(connection: Connection, event_id: int) -> str:
    """SHA-256 of the bytes of an event, in hex: the name of its blob, if it has one."""
    row = connection.execute("SELECT hash FROM event WHERE id = %s", [event_id]).fetchone()
    if row is None:
        raise OutcomeError(Issue("not-found", f"There is no event {event_id}."))
    return row[0].hex()


def ledger(connection: Connection, event_id: int, actor: Actor) -> tuple[LedgerLine, ...]:
    """What became of each field of an event; empty for one that is not settled. Rights as for `event`."""
    _refuse_without_right(actor)
    row = connection.execute("SELECT ledger FROM event WHERE id = %s", [event_id]).fetchone()
    if row is None:
        raise OutcomeError(Issue("not-found", f"There is no event {event_id}."))
    if row[0] is None:
        return ()
    return tuple(LedgerLine(*line) for line in zip(*msgspec.json.decode(_unpacked(row[0])), strict=True))


def events(
    connection: Connection,
    actor: Actor,
    which: Filter = Filter(),
    *,
    before: int | None = None,
    limit: int = 50,
) -> list[EventLine]:
    """Events, newest first; for the next page, `before` is the last id of this one. Rights as for `event`."""
    _refuse_without_right(actor)
    rows = connection.execute(
        LIST,
        {
            "source": which.source or None,
            "status": which.status or None,
            "kind": which.kind or None,
            "key": which.key or None,
            "since": which.since,
            "until": which.until,
            "before": before,
            "limit": limit,
        },
    ).fetchall()
    return [EventLine(*row[:-1], issues=_issues(row[-1])) for row in rows]


def beginnings(connection: Connection, actor: Actor, ids: Sequence[int], size: int = 512) -> dict[int, bytes]:
    """How the bodies of these events begin; one that lies in a blob, or is packed in larger blocks, is left out."""
    _refuse_without_right(actor, "event.read")
    rows = connection.execute(BEGINNINGS, [FRAME_READ, list(ids)]).fetchall()
    begun = (
        (number, zstandard.ZstdDecompressor().decompressobj().decompress(frame)) for number, frame in rows
    )
    return {number: content[:size] for number, content in begun if content}


def counts(connection: Connection, actor: Actor) -> dict[tuple[str, str], int]:
    """(source, status) -> how many. Asked by who may read events or watch over the system."""
    _refuse_without_right(actor, "event.read", "system.read")
    return {(source, status): number for source, status, number in connection.execute(COUNT)}


def latest(connection: Connection, actor: Actor) -> dict[str, datetime]:
    """Source -> when its last message came. Asked by whom `counts` may be."""
    _refuse_without_right(actor, "event.read", "system.read")
    return dict(cast("list[tuple[str, datetime]]", connection.execute(LATEST).fetchall()))


def waiting_s(connection: Connection, now: datetime) -> float:
    """For how many seconds the oldest event waits that is kept and not settled; 0 when none does."""
    (oldest,) = cast("tuple[datetime | None]", connection.execute(OLDEST).fetchone())
    return 0.0 if oldest is None else max(0.0, (now - oldest).total_seconds())


def _refuse_without_right(actor: Actor, *rights: str) -> None:
    # An event may speak of any patient, so who is held to some patients reads none.
    if actor.patients is not None or not any(may(actor, right) for right in rights or ("event.read",)):
        raise OutcomeError(Issue("forbidden", "Events are open to those with the right event.read only."))


def _other_bytes(earlier: int) -> Issue:
    text = f"The sender used the same id for other bytes before: event {earlier}; both are kept."
    return Issue("informational", text, severity="information")


def _packed(content: bytes) -> bytes:
    # A compressor serves one thread at a time.
    compressor: zstandard.ZstdCompressor | None = getattr(_thread, "compressor", None)
    if compressor is None:
        compressor = _thread.compressor = zstandard.ZstdCompressor(level=LEVEL)
    return compressor.compress(content)


def _unpacked(frame: bytes) -> bytes:
    return zstandard.ZstdDecompressor().decompress(frame)


def _packed_ledger(lines: Sequence[LedgerLine]) -> bytes | None:
    if not lines:
        return None
    columns = [[line.where for line in lines], [line.fate for line in lines], [line.target for line in lines]]
    return _packed(msgspec.json.encode(columns))


def _json(issues: Sequence[Issue]) -> bytes:
    # What is wrong may be named by an element of the sender's own; jsonb takes every character but U+0000.
    return msgspec.json.encode(issues).replace(b"\\u0000", b"\\ufffd")


def _issues(values: list[Any]) -> tuple[Issue, ...]:
    return tuple(msgspec.convert(values, list[Issue])) if values else ()
