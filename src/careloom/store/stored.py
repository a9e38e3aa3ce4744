"""store.stored: one version of a resource as it is read: its bytes, and what stands beside them.

Room: store. Touches: the tables res, hist, maker.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from zstandard import ZstdError

from careloom.fhir.resource import Resource, loads
from careloom.store.body import spliced
from careloom.store.database import Connection
from careloom.store.deed import Deed, deed
from careloom.store.hashes import hash64
from careloom.store.resource_type import RESOURCE_TYPES
from careloom.store.session import session_of

FIELDS = (
    "r.rid, r.rtype, r.id, r.ver, r.lm, r.is_deleted, r.dict, r.body, r.event_id, r.maker, r.depth, r.deed"
)
"""Columns that `stored_of` reads, of res or of hist, aliased r; a query may add more behind them."""


class Stored(NamedTuple):
    """One version."""

    rtype: str
    id: str
    version: int
    last_updated: datetime
    is_deleted: bool
    body: bytes
    """The whole resource as JSON, id and meta in it; empty for a deletion."""
    event_id: int | None
    """The Event it came from."""
    actor_id: str
    agent: str
    """Name and version of what wrote it: a mapper, a station, a client."""
    depth: int
    seq: int
    """Rises with each version that one connection writes; the feed's order is in `store.feed`."""
    deed: Deed
    """By which interaction it was made."""

    @property
    def key(self) -> int:
        """Column `key` of its row."""
        return hash64(f"{self.rtype}/{self.id}")

    def resource(self) -> Resource:
        """The parsed body; of a deletion only its type and id."""
        if self.is_deleted:
            return {"resourceType": self.rtype, "id": self.id}
        return loads(self.body)


class Shown(NamedTuple):
    """A current version as a search shows it: what stands beside it costs the search as much as what it is."""

    rtype: str
    id: str
    version: int
    last_updated: datetime
    body: bytes
    seq: int

    @property
    def key(self) -> int:
        """Column `key` of its row."""
        return hash64(f"{self.rtype}/{self.id}")

    def resource(self) -> Resource:
        """The parsed body."""
        return loads(self.body)


class Match(Protocol):
    """What a search finds, as `Stored` or as `Shown`."""

    @property
    def rtype(self) -> str: ...  # noqa: D102
    @property
    def id(self) -> str: ...  # noqa: D102
    @property
    def body(self) -> bytes: ...  # noqa: D102
    @property
    def seq(self) -> int: ...  # noqa: D102
    @property
    def key(self) -> int: ...  # noqa: D102
    def resource(self) -> Resource: ...  # noqa: D102


M = TypeVar("M", bound=Match)


class Kind(NamedTuple, Generic[M]):
    """In what form a search gives what it finds: the columns it needs (aliased r), and what is made of rows that begin so."""

    fields: str
    read: Callable[[Connection, Sequence[tuple[Any, ...]]], list[M]]


_made = tuple.__new__


def stored_of(connection: Connection, rows: Sequence[tuple[Any, ...]]) -> list[Stored]:
    """Decode rows that begin with FIELDS."""
    session = session_of(connection)
    makers = session.makers_of(connection, {row[9] for row in rows})
    restore = session.codec.restorer(connection, {row[6] for row in rows if row[7]})
    found: list[Stored] = []
    for row in rows:
        # All columns, in the order of FIELDS.
        (
            rid,
            number,
            id_,
            version,
            moment,
            is_deleted,
            dictionary,
            frame,
            event_id,
            maker,
            depth,
            done,
        ) = row[:12]
        rtype = RESOURCE_TYPES[number - 1]
        body = spliced(restore[dictionary](frame), rtype, id_, version, moment) if frame else b""
        actor, agent = makers[maker]
        by = deed(done, version=version, is_deleted=is_deleted)
        # The type's own constructor, which calls this, takes twice the time.
        values = (rtype, id_, version, moment, is_deleted, body, event_id, actor, agent, depth, rid, by)
        found.append(_made(Stored, values))
    return found


def shown_of(connection: Connection, rows: Sequence[tuple[Any, ...]]) -> list[Shown]:
    """Decode rows that begin with the fields of SHOWN."""
    restore = session_of(connection).codec.restorer(connection, {row[5] for row in rows})
    found: list[Shown] = []
    for row in rows:
        rid, number, id_, version, moment, dictionary, frame = row[:7]
        rtype = RESOURCE_TYPES[number - 1]
        body = spliced(restore[dictionary](frame), rtype, id_, version, moment)
        found.append(_made(Shown, (rtype, id_, version, moment, body, rid)))
    return found


STORED = Kind(FIELDS, stored_of)
SHOWN = Kind("r.rid, r.rtype, r.id, r.ver, r.lm, r.dict, r.body", shown_of)
"""Of rows that are no deletions."""


def stored_one_by_one(connection: Connection, rows: Sequence[tuple[Any, ...]]) -> list[Stored]:
    """As `stored_of`; a version whose body cannot be restored has an empty one, and is no deletion."""
    try:
        return stored_of(connection, rows)
    except (ZstdError, LookupError):
        pass
    found: list[Stored] = []
    for row in rows:
        try:
            found += stored_of(connection, [row])
        except (ZstdError, LookupError):
            # An empty frame is an empty body.
            found += stored_of(connection, [(*row[:7], b"", *row[8:])])
    return found
