"""flow.transaction: FHIR bundles: a transaction as a whole or not at all, a batch entry by entry, a file as it is.

Room: flow. Standard: https://hl7.org/fhir/R4/http.html#transaction
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from urllib.parse import parse_qsl

from msgspec import structs

from careloom.fhir import bundle as bundles
from careloom.fhir import query
from careloom.fhir.bundle import Bundle, Entry
from careloom.fhir.etag import etag
from careloom.fhir.instant import instant
from careloom.fhir.outcome import Issue, OutcomeError, operation_outcome, status_of
from careloom.fhir.resource import dumps
from careloom.flow.retry import retried
from careloom.flow.searchset import searchset
from careloom.flow.writes import written
from careloom.store import events
from careloom.store.actor import Actor
from careloom.store.audit import Access, record
from careloom.store.blobs import Blobs
from careloom.store.commit import Committed, Origin
from careloom.store.database import Connection, Database
from careloom.store.event import Arrival
from careloom.store.read import Reader

AGENT = "fhir"
LIMIT = 100_000
"""Entries that one bundle may have."""


def transact(database: Database, blobs: Blobs, arrival: Arrival, actor: Actor, now: datetime) -> bytes:
    """Run a transaction or batch; return the response Bundle. Raises OutcomeError; then nothing of it is stored."""
    bundle = bundles.read(arrival.body)
    if bundle.type not in {"transaction", "batch"}:
        raise OutcomeError(Issue("value", "Post a Bundle of type transaction or batch here.", "Bundle.type"))
    if len(bundle.entries) > LIMIT:
        raise OutcomeError(Issue("too-costly", f"A bundle may have {LIMIT:,} entries; send it in parts."))
    if bundle.type == "batch":
        return _batch(database, blobs, bundle, arrival, Origin(now, actor.id, AGENT), actor)

    def once() -> bytes:
        with database.connection() as connection:
            event_id = events.keep(connection, arrival, now, blobs).event_id
            origin = Origin(now, actor.id, AGENT, event_id)
            answers = _transaction(connection, bundle.entries, actor, origin)
            record(connection, Access(now, actor.id, "transaction", event_id=event_id, number=len(answers)))
            events.settle(connection, event_id, "done", agent=AGENT)
        return _response("transaction-response", answers)

    return retried(once)


def commit_entries(
    connection: Connection, entries: Sequence[Entry], actor: Actor, origin: Origin, key: str
) -> int:
    """Commit the resources of a loaded file; return how many versions it made.

    A file has no server to name its resources: an entry keeps the id that its fullUrl (urn:uuid) or its body gives,
    and gets one made of `key` where it has neither. So loading it again writes nothing.
    """
    named = [_with_request(entry, _file_id(entry, key)) for entry in entries if entry.body is not None]
    return sum(1 for answer in written(connection, named, actor, origin).values() if answer.is_changed)


def _file_id(entry: Entry, key: str) -> str:
    if entry.full_url.startswith("urn:uuid:"):
        return entry.full_url.removeprefix("urn:uuid:")
    return entry.id or f"{key[:40]}-{entry.index}"


def _with_request(entry: Entry, id_: str) -> Entry:
    if entry.method == "DELETE" or (
        entry.method in {"PUT", "POST"} and (entry.is_conditional or entry.method == "PUT")
    ):
        return entry
    return structs.replace(entry, method="PUT", url=f"{entry.rtype}/{id_}", id=id_)


def _batch(
    database: Database, blobs: Blobs, bundle: Bundle, arrival: Arrival, origin: Origin, actor: Actor
) -> bytes:
    with database.connection() as connection:
        event_id = events.keep(connection, arrival, origin.now, blobs).event_id
        record(
            connection, Access(origin.now, actor.id, "batch", event_id=event_id, number=len(bundle.entries))
        )
        events.settle(connection, event_id, "done", agent=AGENT)
    answers: dict[int, bytes] = {}
    for entry in bundles.ordered(bundle.entries):
        answers |= _one_of_batch(database, entry, actor, replace(origin, event_id=event_id))
    return _response("batch-response", answers)


def _one_of_batch(database: Database, entry: Entry, actor: Actor, origin: Origin) -> dict[int, bytes]:
    def once() -> dict[int, bytes]:
        with database.connection() as connection:
            return _transaction(connection, [entry], actor, origin)

    try:
        return retried(once)
    except OutcomeError as error:
        response = {"status": str(status_of(error.issues)), "outcome": operation_outcome(error.issues)}
        return {entry.index: dumps({"response": response})}


def _transaction(
    connection: Connection, entries: Sequence[Entry], actor: Actor, origin: Origin
) -> dict[int, bytes]:
    """The response entry of each entry, by index."""
    done = written(connection, [e for e in entries if e.method not in {"GET", "HEAD"}], actor, origin)
    read = Reader(connection, actor)
    answers = {index: _written(answer) for index, answer in done.items()}
    for entry in entries:
        if entry.method in {"GET", "HEAD"}:
            answers[entry.index] = _read(entry, read)
        elif entry.index not in answers:
            answers[entry.index] = b'{"response":{"status":"204 No Content"}}'
    return answers


def _read(entry: Entry, read: Reader) -> bytes:
    path, _, condition = entry.url.partition("?")
    parts = path.split("/")
    if len(parts) == 1:
        search = query.parse(parts[0], parse_qsl(condition, keep_blank_values=True), strict=False)
        body = searchset("", parts[0], parse_qsl(condition), search, read.search(search))
        return b'{"resource":%b,"response":{"status":"200 OK"}}' % body
    is_version = len(parts) == 4 and parts[2] == "_history" and parts[3].isdecimal()  # noqa: PLR2004
    stored = (
        read.version(parts[0], parts[1], int(parts[3])) if is_version else read.stored(parts[0], parts[1])
    )
    if stored is None or stored.is_deleted:
        raise OutcomeError(
            Issue("not-found", "There is no such resource.", f"Bundle.entry[{entry.index}].request.url")
        )
    response = {
        "status": "200 OK",
        "etag": etag(stored.version),
        "lastModified": instant(stored.last_updated),
    }
    return b'{"resource":%b,"response":%b}' % (stored.body, dumps(response))


def _written(answer: Committed) -> bytes:
    status = b"201 Created" if answer.is_created else b"200 OK"
    place = f"{answer.rtype}/{answer.id}/_history/{answer.version}".encode()
    moment = instant(answer.last_updated).encode()
    return b'{"response":{"status":"%b","location":"%b","etag":"W/\\"%d\\"","lastModified":"%b"}}' % (
        status,
        place,
        answer.version,
        moment,
    )


def _response(kind: str, answers: Mapping[int, bytes]) -> bytes:
    entries = b",".join([answers[index] for index in sorted(answers)])
    return b'{"resourceType":"Bundle","type":"%b","entry":[%b]}' % (kind.encode(), entries)
