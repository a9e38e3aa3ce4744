"""store.audit: who did what, when, to which record: an append-only, hash-chained trail.

Room: store. May import: fhir. Touches: the tables audit, audit_seal.
Standard: https://hl7.org/fhir/R4/auditevent.html

What writes is recorded in the same transaction (`record`); what reads is collected and written at most 200 ms later
(`AuditBuffer`). A chain that each row joined would let one writer pass at a time; instead a sealer links what has
been committed, some seconds later (docs/decisions/0021-audit-chain.md). No names of patients, no values of searches.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, LiteralString, NamedTuple, cast

import structlog

from careloom.fhir.outcome import Issue, OutcomeError
from careloom.store import copying
from careloom.store.actor import Actor, may
from careloom.store.database import Connection, Database
from careloom.store.fetch import fetch

log = structlog.get_logger()

FLUSH_EVERY_S = 0.2
SEAL_EVERY_S = 5.0
MOST_WAITING = 20_000
"""So many accesses may wait to be written; then nobody reads any more until the database takes them."""

SEAL_LOCK = 4_214_002

Interaction = Literal[
    "read", "vread", "history-instance", "history-type", "search-type", "create", "update", "patch", "delete",
    "transaction", "batch", "operation", "login", "logout",
]  # fmt: skip


class Access(NamedTuple):
    """One line of the trail."""

    recorded: datetime
    actor: str
    interaction: Interaction
    outcome: Literal[0, 4, 8] = 0
    """0 success, 4 the caller's mistake, 8 ours."""
    what: str = ""
    """`Patient/7`, or the type that was searched."""
    patient: str = ""
    """`Patient/7`, when the record is about one patient."""
    event_id: int | None = None
    number: int | None = None
    """How many resources were written or given."""
    parameters: str = ""
    """Names of the search parameters, with a comma between; never their values."""
    address: str = ""
    """The caller's network address."""


COLUMNS: LiteralString = (
    "recorded, actor, interaction, outcome, what, patient, event_id, number, parameters, address"
)
"""The fields of Access, in their order."""

INSERT = f"INSERT INTO audit ({COLUMNS}) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)".encode()

COPY_MANY: LiteralString = f"copy audit (tx, {COLUMNS}) from stdin (format binary)"

# Times as microseconds and a JSON array: the text that is hashed depends on no setting of the session.
ROW_TEXT = """json_build_array(tx, id, (extract(epoch FROM recorded) * 1000000)::bigint, actor, interaction,
  outcome, what, patient, event_id, number, parameters, address)::text"""

DIGEST = (
    f"sha256(coalesce(string_agg(sha256(convert_to({ROW_TEXT}, 'UTF8')), ''::bytea ORDER BY tx, id), ''))"
)

UNSEALED = f"SELECT count(*), min(id), {DIGEST} FROM audit WHERE tx >= %s AND tx < %s"

LAST_SEAL = "SELECT n, tx_to, hash FROM audit_seal ORDER BY n DESC LIMIT 1"

CHAIN = f"""
SELECT n, tx_from, tx_to, first_id, number, hash, found, digest FROM audit_seal
CROSS JOIN LATERAL (
  SELECT count(*) AS found, {DIGEST} AS digest FROM audit WHERE tx >= tx_from AND tx < tx_to) AS rows
ORDER BY n
"""

LIST = f"""
SELECT id, {COLUMNS} FROM audit
WHERE id < coalesce(%(before)s, 9223372036854775807)
  AND (%(who)s::text IS NULL OR actor = %(who)s)
  AND (%(patient)s::text IS NULL OR patient = %(patient)s)
  AND (%(since)s::timestamptz IS NULL OR recorded >= %(since)s)
  AND (%(until)s::timestamptz IS NULL OR recorded < %(until)s)
  AND (%(number)s::bigint IS NULL OR id = %(number)s)
ORDER BY id DESC LIMIT %(limit)s
"""


def record(connection: Connection, access: Access) -> None:
    """Write one line in the caller's transaction: it is there exactly if what it tells of is."""
    fetch(connection, INSERT, _row(access))


def record_many(connection: Connection, accesses: Sequence[Access]) -> None:
    """Write many lines at once: by COPY, at a tenth of what an INSERT of arrays takes of Python."""
    if not accesses:
        return
    [(tx,)] = fetch(connection, b"select feed_now()")
    # Most texts come again: who asks, from where, by what.
    texts: dict[str, bytes] = {}
    packed = [_packed(tx, access, texts) for access in accesses]
    with connection.cursor().copy(COPY_MANY) as stream:
        stream.write(b"".join((copying.HEADER, *packed, copying.TRAILER)))


def _packed(tx: int, access: Access, texts: dict[str, bytes]) -> bytes:
    """A line as COPY takes it."""

    def told(value: str) -> bytes:
        found = texts.get(value)
        if found is None:
            found = texts[value] = copying.text(_clean(value))
        return found

    return b"".join(
        (
            copying.fields(len(access) + 1),
            copying.int8(tx),
            copying.time(access.recorded),
            told(access.actor),
            told(access.interaction),
            copying.int2(access.outcome),
            told(access.what),
            told(access.patient),
            copying.int8(access.event_id),
            copying.int4(access.number),
            told(access.parameters),
            told(access.address),
        )
    )


def _row(access: Access) -> list[Any]:
    """Its columns."""
    return [_clean(value) if isinstance(value, str) else value for value in access]


def _clean(text: str) -> str:
    """What a client names may hold what PostgreSQL's text cannot, and must not keep others' lines out."""
    return text.replace("\0", "\ufffd")


@dataclass(frozen=True, slots=True)
class Lines:
    """Which lines of the trail; an empty field admits all."""

    who: str = ""
    patient: str = ""
    since: datetime | None = None
    until: datetime | None = None
    number: int | None = None


EVERY = Lines()


def accesses(
    connection: Connection,
    actor: Actor,
    which: Lines = EVERY,
    *,
    before: int | None = None,
    limit: int = 50,
) -> list[tuple[int, Access]]:
    """Lines with their ids, newest first; `before` is the last id of the page before.

    Raises OutcomeError `forbidden` for who has not the right audit.read.
    """
    if not may(actor, "audit.read"):
        raise OutcomeError(
            Issue("forbidden", "The audit trail is open to those with the right audit.read only.")
        )
    values = {
        "who": which.who or None,
        "patient": which.patient or None,
        "since": which.since,
        "until": which.until,
        "number": which.number,
        "before": before,
        "limit": limit,
    }
    return [(row[0], Access(*row[1:])) for row in connection.execute(LIST, values)]


class AuditBuffer:
    """Collects accesses of readers and writes them together, at most 200 ms later.

    A reader's page does not wait for its line; the price is that kill -9 loses the lines of the last 200 ms.
    """

    def __init__(self, database: Database, every_s: float = FLUSH_EVERY_S) -> None:
        self._database = database
        self._every_s = every_s
        self._waiting: list[Access] = []
        self._guard = threading.Lock()
        self._writing = threading.Lock()
        self._something = threading.Event()
        self._leaving = threading.Event()
        self._thread = threading.Thread(target=self._run, name="audit", daemon=True)
        self._thread.start()

    def add(self, access: Access) -> None:
        """Take one line. Raises OutcomeError `transient` when too many wait: who cannot be audited does not read."""
        with self._guard:
            if len(self._waiting) >= MOST_WAITING:
                raise OutcomeError(
                    Issue("transient", "The audit trail cannot be written: try again in a moment.")
                )
            self._waiting.append(access)
        if not self._something.is_set():
            self._something.set()

    def flush(self) -> None:
        """Write what waits, now. What cannot be written stays and waits on."""
        with self._writing:
            with self._guard:
                batch, self._waiting = self._waiting, []
            try:
                if batch:
                    with self._database.connection() as connection:
                        record_many(connection, batch)
            except BaseException:
                with self._guard:
                    self._waiting[:0] = batch
                raise

    def close(self) -> None:
        """Write what waits and stop."""
        self._leaving.set()
        self._something.set()
        self._thread.join()
        self.flush()

    def _run(self) -> None:
        while not self._leaving.is_set():
            self._something.wait()
            self._something.clear()
            self._leaving.wait(self._every_s)
            try:
                self.flush()
            except Exception as error:  # noqa: BLE001 - the lines are kept; the database may come back
                log.warning("audit_not_written", kind=type(error).__name__)
                self._something.set()


def seal(connection: Connection, now: datetime) -> int:
    """Link the rows of all transactions that have ended to the chain; how many rows that were.

    Only one sealer works at a time; a second one returns 0 at once.
    """
    (mine,) = cast(
        "tuple[bool]", connection.execute("SELECT pg_try_advisory_xact_lock(%s)", [SEAL_LOCK]).fetchone()
    )
    if not mine:
        return 0
    n, start, before = connection.execute(LAST_SEAL).fetchone() or (0, 0, b"")
    (horizon,) = cast("tuple[int]", connection.execute("SELECT feed_horizon()").fetchone())
    row = connection.execute(UNSEALED, [start, horizon]).fetchone()
    number, first_id, digest = cast("tuple[int, int | None, bytes]", row)
    if first_id is None:
        return 0
    link = _link(before, n + 1, start, horizon, first_id, number, digest)
    values = [n + 1, start, horizon, first_id, number, now, link]
    connection.execute("INSERT INTO audit_seal VALUES (%s, %s, %s, %s, %s, %s, %s)", values)
    # Whoever keeps this log elsewhere can prove that the end of the chain was not cut off.
    log.debug("audit_sealed", seal=n + 1, rows=number, hash=link.hex())
    return number


def seal_until(database: Database, leaving: threading.Event) -> None:
    """Seal every few seconds until `leaving` is set, and once more then."""
    while True:
        is_last = leaving.wait(SEAL_EVERY_S)
        try:
            with database.connection() as connection:
                seal(connection, datetime.now(UTC))
        except Exception as error:  # noqa: BLE001 - what is not sealed now is sealed later
            log.warning("audit_not_sealed", kind=type(error).__name__)
        if is_last:
            return


def verify_chain(connection: Connection) -> int | None:
    """None if every sealed row is as it was sealed; else the first id of the first link that does not hold.

    A row that was changed, removed or put between breaks its link. Rows not yet sealed are not judged.
    """
    before, expected, start = b"", 1, 0
    with connection.cursor(name="audit_chain") as chain:
        for n, tx_from, tx_to, first_id, number, kept, found, digest in chain.execute(CHAIN):
            link = _link(before, n, tx_from, tx_to, first_id, number, digest)
            if (n, tx_from, number, kept) != (expected, start, found, link):
                return first_id
            before, expected, start = kept, n + 1, tx_to
    return None


def _link(before: bytes, *numbers: Any) -> bytes:
    *integers, digest = numbers
    return hashlib.sha256(before + b"|".join(b"%d" % number for number in integers) + b"|" + digest).digest()
