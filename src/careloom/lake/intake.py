"""lake.intake: a stretch of the store's feed as Arrow tables, one for each type; what cannot be laid is set aside.

Room: lake. May import: lake.fit, lake.row, lake.column, lake.sparse, store.feed, pyarrow.
"""

# pyarrow has no types, and its functions of compute are made when it is imported.
# pyright: reportUnknownParameterType=false, reportAttributeAccessIssue=false

from __future__ import annotations

import gc
from collections import defaultdict
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from careloom.fhir.outcome import Issue, OutcomeError
from careloom.fhir.resource import loads
from careloom.lake.column import table_schema
from careloom.lake.fit import fitted
from careloom.lake.row import Misfit, Row, to_row
from careloom.lake.sparse import sparse
from careloom.store import feed
from careloom.store.database import Database
from careloom.store.feed import Cursor
from careloom.store.stored import Stored

PAGE_BYTES = 16 << 20
"""About how many bytes of resources are asked of the store at once."""
BATCH_BYTES = 48 << 20
"""A batch ends when its resources have so many bytes; as columns they take some three times as much memory."""
BATCH_ROWS = 50_000

_USUAL_BYTES = 8_000
_FAULTS = (OutcomeError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError, RecursionError)

Placed = tuple[Cursor, Stored]


@dataclass(slots=True)
class Batch:
    """A stretch of the feed, read and not yet laid."""

    began: Cursor
    reached: Cursor
    last: Cursor | None = None
    """The place of its last version."""
    versions: int = 0
    is_all: bool = False
    """Whether it is all that there was, so that what comes next has come meanwhile."""
    by_type: dict[str, list[Placed]] = field(default_factory=lambda: defaultdict(list))


@dataclass(slots=True)
class Laid:
    """Versions of one type as a table."""

    table: pa.Table
    aside: list[tuple[Stored, str]]
    """Those that could not be laid, with the reason; in the table they stand without columns, to end the one before."""


def read(database: Database, after: Cursor, rows: int = BATCH_ROWS) -> Batch:
    """The next stretch of the feed, at most about so many rows, and bounded in bytes."""
    batch = Batch(after, after)
    size, page = 0, PAGE_BYTES // _USUAL_BYTES
    while batch.versions < rows and size < BATCH_BYTES:
        page = min(page, rows - batch.versions)
        with database.connection() as connection:
            stretch = feed.stretch(connection, batch.reached, page)
        batch.reached = stretch.cursor
        for placed in stretch.versions:
            batch.by_type[placed[1].rtype].append(placed)
        told = len(stretch.versions)
        taken = sum(len(stored.body) for _, stored in stretch.versions)
        batch.versions += told
        size += taken
        if told:
            batch.last = stretch.versions[-1][0]
        if told < page:
            batch.is_all = True
            break
        # Resources may be of megabytes (Binary): so many are asked for as the last ones let expect.
        page = max(1, PAGE_BYTES // max(taken // told, 256))
    return batch


def laid(rtype: str, placed: Sequence[Placed]) -> Laid:
    """Versions of one type in columns, in the order of the feed."""
    with _uncollected():
        return _laid(rtype, placed)


@contextmanager
def _uncollected() -> Generator[None]:
    """Without Python's search for circles: there are none in rows, and to look at all of them is a quarter of the work."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def _laid(rtype: str, placed: Sequence[Placed]) -> Laid:
    try:
        return Laid(fitted(rtype, placed), [])
    except (*_FAULTS, Misfit, pa.ArrowException):
        return _key_by_key(rtype, placed)


def _key_by_key(rtype: str, placed: Sequence[Placed]) -> Laid:
    aside: list[tuple[Stored, str]] = []
    rows: list[Row] = []
    for cursor, stored in placed:
        try:
            rows.append(_row(cursor, stored))
        except _FAULTS as error:
            aside.append((stored, _reason(error)))
            rows.append(_bare(cursor, stored, is_aside=True))
    return Laid(_table(rtype, rows, placed, aside), aside)


def _table(
    rtype: str, rows: list[Row], placed: Sequence[Placed], aside: list[tuple[Stored, str]]
) -> pa.Table:
    """Rows as Arrow; where one does not go (a text that is no Unicode), it is found by halving."""
    try:
        return sparse(rows, table_schema(rtype))
    except _FAULTS as error:
        if len(rows) == 1:
            cursor, stored = placed[0]
            aside.append((stored, _reason(error)))
            bare = _bare(cursor, stored, is_aside=True)
            return sparse([bare], table_schema(rtype))
        half = len(rows) // 2
        parts = [
            _table(rtype, rows[:half], placed[:half], aside),
            _table(rtype, rows[half:], placed[half:], aside),
        ]
        return pa.concat_tables(parts, promote_options="permissive")


def _row(cursor: Cursor, stored: Stored) -> Row:
    bare = _bare(cursor, stored)
    if stored.is_deleted:
        return bare
    if not stored.body:
        raise OutcomeError(Issue("exception", "The body in the store cannot be restored."))
    resource: Any = loads(stored.body)
    # What the store says of a version holds, whatever the body says.
    row = to_row(resource, stored.body)
    row.update(bare)
    return row


def _bare(cursor: Cursor, stored: Stored, *, is_aside: bool = False) -> Row:
    return {
        "id": stored.id,
        "version_id": stored.version,
        "last_updated": stored.last_updated,
        "seq_from": cursor.tx,
        "event_id": stored.event_id,
        "agent": stored.agent or stored.actor_id,
        "is_deleted": stored.is_deleted,
        "is_aside": is_aside,
    }


def _reason(error: BaseException) -> str:
    """Never the error's own words: they may quote a value."""
    if isinstance(error, OutcomeError) and all(issue.code != "structure" for issue in error.issues):
        return str(error)
    return f"It could not be laid into columns ({type(error).__name__})."
