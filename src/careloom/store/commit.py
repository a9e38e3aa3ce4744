"""store.commit: the only writer of resources.

Room: store. Imported by flow only. Touches: the tables res, hist, s_str, s_qty, s_dat, maker.
Standard: https://hl7.org/fhir/R4/http.html#concurrency

A commit locks the rows that exist in the order of their keys, moves their versions to hist, and writes new rows with
binary COPY. Search values of old versions stay behind as stale rows (see migrations/0010_resources.sql).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NamedTuple

import psycopg

from careloom.fhir.outcome import Issue, OutcomeError
from careloom.fhir.resource import Resource
from careloom.fhir.searchparam import SearchParameter
from careloom.store.body import kept_of, kept_of_bytes
from careloom.store.copying import copy_versions
from careloom.store.database import Connection
from careloom.store.deed import Method
from careloom.store.deed import number_of as number_of_deed
from careloom.store.fetch import fetch
from careloom.store.hashes import hash64
from careloom.store.resource_type import number_of
from careloom.store.row import Row, Version, row_of, tombstone_of
from careloom.store.session import session_of

CHANNEL = "careloom_feed"
"""NOTIFY channel: something was committed."""

RACES = 100
"""How often a commit looks again because somebody else created one of its resources meanwhile."""

# A row that somebody else replaces while we wait for it vanishes, for its successor is another row: such a key comes
# back without a rid.
LOCK = b"""
with locked as materialized (
  select key, rid, tx, ver, lm, is_deleted, pat, is_restricted, also, dict, body
  from res where key = any(%(keys)s) order by key for no key update)
select * from locked
union all
select key, null, null, null, null, null, null, null, null, null, null
from res where key = any(%(keys)s) and key not in (select key from locked)"""

TO_HISTORY = b"""
insert into hist
select rid, key, tx, lm, event_id, maker, pat, ver, rtype, dict, depth, is_deleted, is_restricted, id, also, body, deed
from res where rid = any(%s)"""

_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")


@dataclass(frozen=True, slots=True)
class Write:
    """One change of one resource, whose id is known."""

    resource: Resource
    """The parsed resource; for a deletion `resourceType` and `id` suffice."""
    body: bytes | None = None
    """The client's own bytes, kept as they are, already without white space between tokens; None: made from `resource`."""
    verb: Literal["put", "create", "delete"] = "put"
    """put: create or replace; create: refused when the id stands."""
    method: Method = "PUT"
    """By which method of HTTP it is written, or would be; a deletion is one."""
    if_match: Collection[int] | None = None
    """The versions that the client saw: any other current version is a conflict."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Why and by whom: what Provenance says of each version of this commit."""

    now: datetime
    actor_id: str
    agent: str = ""
    """Name and version of the mapper, station or client: `hl7v2/1`."""
    event_id: int | None = None
    depth: int = 0
    """How many stations lie between the Event and this commit."""


class Committed(NamedTuple):
    """What became of one Write."""

    rtype: str
    id: str
    version: int
    last_updated: datetime
    is_changed: bool
    """False: the same body stood already (or nothing was there to delete); no version was made."""
    is_created: bool
    """True: the id was new, or had been deleted."""


class Standing(NamedTuple):
    """The current version of a resource, locked: the columns of LOCK."""

    key: int
    rid: int
    tx: int
    number: int
    last_updated: datetime
    is_deleted: bool
    pat: int | None
    is_restricted: bool
    also: list[int] | None
    dictionary: int
    frame: bytes


def commit(connection: Connection, writes: Sequence[Write], origin: Origin) -> list[Committed]:
    """Write all of it or nothing, in the transaction of `connection`; answers in the order of `writes`.

    Raises OutcomeError: `conflict` (If-Match, or create of what stands), `invalid` (id), `not-supported` (type),
    `duplicate` (one resource twice in one commit), `transient` (a deadlock: do the whole transaction again).
    """
    if not writes:
        return []
    keys = [_key(write) for write in writes]
    if len(set(keys)) < len(keys):
        raise OutcomeError(Issue("duplicate", "A commit holds the same resource twice: send it once."))
    # What is to be created is not looked for, unless that went wrong once.
    sought = [key for key, write in zip(keys, writes, strict=True) if write.verb != "create"]
    try:
        for _ in range(RACES):
            fetch(connection, b"savepoint careloom_commit")
            standing = _locked(connection, sought)
            if standing is not None:
                batch = _Batch(connection, origin)
                answers = [
                    batch.add(write, key, standing.get(key)) for write, key in zip(writes, keys, strict=True)
                ]
                with suppress(psycopg.errors.UniqueViolation):
                    batch.write()
                    return answers
                sought = keys
            # This lets go of the locks: they must be taken in the order of the keys, or two commits deadlock.
            fetch(connection, b"rollback to savepoint careloom_commit")
    except psycopg.errors.DeadlockDetected:
        pass
    text = "Another commit wrote the same resources at the same time: send it again."
    raise OutcomeError(Issue("transient", text))


def _locked(connection: Connection, keys: Sequence[int]) -> dict[int, Standing] | None:
    """The current versions of those that stand; nobody else can replace them before this transaction ends.

    None if one was replaced while this waited for it.
    """
    if not keys:
        return {}
    rows = fetch(connection, LOCK, {"keys": list(keys)})
    if any(row[1] is None for row in rows):
        return None
    return {row[0]: Standing(*row) for row in rows}


class _Batch:
    """The versions of one commit, gathered and then written."""

    def __init__(self, connection: Connection, origin: Origin) -> None:
        self._connection = connection
        self._origin = origin
        self._session = session_of(connection)
        self._codec = self._session.codec
        self._codec.refresh(connection, origin.now)
        # FHIR instants are written in milliseconds here: what is stored is what is shown and searched.
        self._now = origin.now.replace(microsecond=origin.now.microsecond // 1000 * 1000)
        self._tx, self._maker = self._session.sign(connection, origin.actor_id, origin.agent)
        self._versions: list[Version] = []
        self._replaced: list[int] = []

    def add(self, write: Write, key: int, before: Standing | None) -> Committed:
        """Decide what becomes of one Write."""
        _refuse_conflict(write, before)
        body = _kept(write)
        if self._is_same(before, body):
            return self._answer(write, before, is_changed=False)
        type_number = number_of(write.resource["resourceType"])
        # A commit that waited for another of the same resource has the lower transaction number, for it began
        # first: it takes the other's, so that the feed tells the versions of a resource in their order.
        is_late = before is not None and before.tx >= self._tx
        dictionary, frame = self._codec.compress(self._connection, type_number, body) if body else (0, b"")
        version = Version(
            rid=self._session.rid(self._connection, above=before.rid if before and is_late else 0),
            key=key,
            tx=before.tx if before and is_late else self._tx,
            last_updated=self._now,
            event_id=self._origin.event_id,
            maker=self._maker,
            number=before.number + 1 if before else 1,
            type_number=type_number,
            deed=number_of_deed(write.method if body else "DELETE", is_created=_is_created(before)),
            dictionary=dictionary,
            depth=self._origin.depth,
            is_deleted=not body,
            id=write.resource["id"],
            frame=frame,
            row=row_of(write.resource, key, self._own(write)) if body else _tombstone(before),
        )
        self._versions.append(version)
        if before:
            self._replaced.append(before.rid)
        return self._answer(write, before, is_changed=True)

    def _own(self, write: Write) -> tuple[SearchParameter, ...]:
        """The search parameters of its type that R4 does not have."""
        return self._session.catalogue.written.get(write.resource["resourceType"], ())

    def write(self) -> None:
        """Move what is replaced to hist, copy what is new, and say so."""
        if not self._versions:
            return
        if self._replaced:
            fetch(self._connection, TO_HISTORY, [self._replaced])
            fetch(self._connection, b"delete from res where rid = any(%s)", [self._replaced])
        copy_versions(self._connection, self._versions)
        self._codec.train_firsts(self._connection, self._now)
        fetch(self._connection, b"select pg_notify(%s, '')", [CHANNEL])

    def _is_same(self, before: Standing | None, body: bytes) -> bool:
        if before is None or before.is_deleted:
            return not body
        return self._codec.restore(self._connection, before.dictionary, before.frame) == body

    def _answer(self, write: Write, before: Standing | None, *, is_changed: bool) -> Committed:
        number = before.number if before else 0
        return Committed(
            rtype=write.resource["resourceType"],
            id=write.resource["id"],
            version=number + is_changed,
            last_updated=self._now if is_changed or before is None else before.last_updated,
            is_changed=is_changed,
            is_created=is_changed and write.verb != "delete" and _is_created(before),
        )


def _key(write: Write) -> int:
    rtype, id_ = write.resource["resourceType"], write.resource.get("id")
    number_of(rtype)
    if not isinstance(id_, str) or not _ID.fullmatch(id_):
        text = "An id has 1 to 64 letters, digits, '-' or '.'."
        raise OutcomeError(Issue("invalid", text, f"{rtype}.id"))
    return hash64(f"{rtype}/{id_}")


def _kept(write: Write) -> bytes:
    if write.verb == "delete":
        return b""
    return kept_of(write.resource) if write.body is None else kept_of_bytes(write.body)


def _refuse_conflict(write: Write, before: Standing | None) -> None:
    stands = before is not None and not before.is_deleted
    if write.verb == "create" and stands:
        raise OutcomeError(Issue("conflict", "A resource with this id stands already: update it instead."))
    if write.if_match is not None and not (before and stands and before.number in write.if_match):
        text = "The resource was changed meanwhile: read it again, and repeat your change on the current version."
        raise OutcomeError(Issue("conflict", text))


def _is_created(before: Standing | None) -> bool:
    """Whether what is written now begins anew."""
    return before is None or before.is_deleted


def _tombstone(before: Standing | None) -> Row:
    if before is None:
        return Row()
    return tombstone_of(before.pat, before.also or [], is_restricted=before.is_restricted)
