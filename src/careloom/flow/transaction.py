"""flow.transaction: FHIR bundles: a transaction as a whole or not at all, a batch entry by entry, a file as it is.

Room: flow. Standard: https://hl7.org/fhir/R4/http.html#transaction
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import structlog
from msgspec import structs

from careloom.fhir import bundle as bundles
from careloom.fhir.bundle import Bundle, Entry
from careloom.fhir.instant import instant
from careloom.fhir.outcome import Issue, OutcomeError, operation_outcome, our_fault, status_of
from careloom.fhir.resource import dumps
from careloom.flow.guides import Demand
from careloom.flow.interaction import AGENT, Desk
from careloom.flow.retry import retried
from careloom.flow.writes import written
from careloom.logs import place_of
from careloom.store import events
from careloom.store.actor import Actor
from careloom.store.audit import Access, record
from careloom.store.commit import Committed, Origin
from careloom.store.database import Connection, is_transient
from careloom.store.event import Arrival
from careloom.store.read import Reader

log = structlog.get_logger(__name__)

LIMIT = 100_000
"""Entries that one bundle may have."""


Answer = Callable[[Entry, Connection], bytes]
"""Gives the response entry of what reads or operates; the connection is that of the transaction."""


def no_answer(entry: Entry, _connection: Connection) -> bytes:
    """Refuse: nobody here answers reads and operations."""
    text = "This entry is neither a create, update, patch nor delete."
    raise OutcomeError(Issue("not-supported", text, f"Bundle.entry[{entry.index}].request"))


def transact(desk: Desk, body: bytes, arrival: Arrival, answer: Answer = no_answer) -> bytes:
    """Run a transaction or batch; return the response Bundle. Raises OutcomeError; then nothing of it is stored.

    `body` is the Bundle in JSON, `arrival` what came.
    """
    bundle = bundles.read(body, desk.base)
    if bundle.type not in {"transaction", "batch"}:
        raise OutcomeError(Issue("value", "Post a Bundle of type transaction or batch here.", "Bundle.type"))
    if len(bundle.entries) > LIMIT:
        raise OutcomeError(Issue("too-costly", f"A bundle may have {LIMIT:,} entries; send it in parts."))
    if bundle.type == "batch":
        return _batch(desk, bundle, arrival, answer)

    def once() -> bytes:
        with desk.database.connection() as connection:
            event_id = events.keep(connection, arrival, desk.now, desk.blobs).event_id
            origin = Origin(desk.now, desk.actor.id, AGENT, event_id)
            answers = _transaction(connection, bundle.entries, desk, origin, answer)
            number = len(answers)
            record(
                connection, Access(desk.now, desk.actor.id, "transaction", event_id=event_id, number=number)
            )
            events.settle(connection, event_id, "done", agent=AGENT)
        return _response("transaction-response", answers)

    return retried(once)


def commit_entries(
    connection: Connection,
    entries: Sequence[Entry],
    actor: Actor,
    origin: Origin,
    key: str,
    demand: Demand,
) -> int:
    """Commit the resources of a loaded file; return how many versions it made.

    A file has no server to name its resources: an entry keeps the id that its fullUrl (urn:uuid) or its body gives,
    and gets one made of `key` where it has neither. So loading it again writes nothing.
    """
    named = [
        _with_request(entry, _file_id(entry, key))
        for entry in entries
        if entry.body is not None or entry.method == "DELETE"
    ]
    done = written(connection, named, actor, origin, demand)
    return sum(answer.is_changed for answer in done.values())


def _file_id(entry: Entry, key: str) -> str:
    if entry.full_url.startswith("urn:uuid:"):
        return entry.full_url.removeprefix("urn:uuid:")
    return entry.id or f"{key[:40]}-{entry.index}"


def _with_request(entry: Entry, id_: str) -> Entry:
    if entry.method in {"DELETE", "PATCH", "PUT"} or (entry.method == "POST" and entry.is_conditional):
        return entry
    return structs.replace(entry, method="PUT", url=f"{entry.rtype}/{id_}", id=id_)


def _batch(desk: Desk, bundle: Bundle, arrival: Arrival, answer: Answer) -> bytes:
    number = len(bundle.entries)
    with desk.database.connection() as connection:
        event_id = events.keep(connection, arrival, desk.now, desk.blobs).event_id
        record(connection, Access(desk.now, desk.actor.id, "batch", event_id=event_id, number=number))
        events.settle(connection, event_id, "done", agent=AGENT)
    origin = Origin(desk.now, desk.actor.id, AGENT, event_id)
    answers = dict(_refused(bundle.faults))
    for entry in bundles.ordered(bundle.entries):
        if entry.index not in answers:
            answers |= _one_of_batch(desk, entry, origin, answer)
    return _response("batch-response", answers)


def _one_of_batch(desk: Desk, entry: Entry, origin: Origin, answer: Answer) -> dict[int, bytes]:
    def once() -> dict[int, bytes]:
        with desk.database.connection() as connection:
            return _transaction(connection, [entry], desk, origin, answer)

    try:
        return retried(once)
    except OutcomeError as error:
        if codes := our_fault(error.issues):
            log.warning("entry_not_served", method=entry.method, codes=codes, error=place_of(error))
        return dict(_refused({entry.index: error.issues}))
    except Exception as error:
        if is_transient(error):
            raise
        # One entry must not take from the others the answers to what they did.
        log.error("entry_failed", method=entry.method, error=place_of(error))  # noqa: TRY400 - a traceback may hold values
        issue = Issue("exception", f"careloom could not do this entry ({type(error).__name__}).")
        return dict(_refused({entry.index: (issue,)}))


def _refused(faults: Mapping[int, Sequence[Issue]]) -> Iterator[tuple[int, bytes]]:
    for index, issues in faults.items():
        response = {"status": str(status_of(issues)), "outcome": operation_outcome(issues)}
        yield index, dumps({"response": response})


def _transaction(
    connection: Connection, entries: Sequence[Entry], desk: Desk, origin: Origin, answer: Answer
) -> dict[int, bytes]:
    """The response entry of each entry, by index; what reads sees what was written."""
    done = written(
        connection, [entry for entry in entries if entry.is_write], desk.actor, origin, desk.demand, desk.base
    )
    answers = {index: _written(one, _beside(one, desk, connection)) for index, one in done.items()}
    for entry in entries:
        if not entry.is_write:
            answers[entry.index] = answer(entry, connection)
        elif entry.method == "DELETE" or entry.index not in answers:
            answers[entry.index] = b'{"response":{"status":"204 No Content"}}'
    return answers


def _beside(one: Committed, desk: Desk, connection: Connection) -> tuple[bytes, bytes]:
    """What the client prefers to get beside the status: members of the entry, and of its response."""
    if desk.returns == "OperationOutcome":
        told = operation_outcome([Issue("informational", "Done.", severity="information")])
        return b"", b',"outcome":' + dumps(told)
    stored = None
    if desk.returns == "representation":
        stored = Reader(connection, desk.actor).version(one.rtype, one.id, one.version)
    return (b'"resource":%b,' % stored.body if stored and stored.body else b""), b""


def _written(answer: Committed, beside: tuple[bytes, bytes]) -> bytes:
    status = b"201 Created" if answer.is_created else b"200 OK"
    place = f"{answer.rtype}/{answer.id}/_history/{answer.version}".encode()
    moment = instant(answer.last_updated).encode()
    response = b'"status":"%b","location":"%b","etag":"W/\\"%d\\"","lastModified":"%b"%b' % (
        status,
        place,
        answer.version,
        moment,
        beside[1],
    )
    return b'{%b"response":{%b}}' % (beside[0], response)


def _response(kind: str, answers: Mapping[int, bytes]) -> bytes:
    entries = b",".join([answers[index] for index in sorted(answers)])
    # In FHIR there are no empty arrays.
    held = b',"entry":[%b]' % entries if entries else b""
    return b'{"resourceType":"Bundle","type":"%b"%b}' % (kind.encode(), held)
