"""lake.table: one Delta table: the versions of all resources of one type.

Room: lake. May import: lake.column, lake.parquet, store.feed, deltalake. Touches: the folder of the table.
https://github.com/delta-io/delta/blob/master/PROTOCOL.md

Each commit that adds what the feed told carries the stretch of the feed that it covers, as application transactions of
Delta: they are in the same atomic line of the log, and outlive checkpoints and compaction. So a table itself knows what
it has, and no version is added twice or forgotten, whenever the writer is killed.
"""

# pyarrow has no types, and its functions of compute are made when it is imported.
# pyright: reportUnknownParameterType=false, reportAttributeAccessIssue=false

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
from deltalake import DeltaTable, Schema, write_deltalake
from deltalake.exceptions import DeltaError

from careloom.fhir.outcome import Issue, OutcomeError
from careloom.lake import deltalog
from careloom.lake.column import digest_of, table_schema
from careloom.lake.parquet import Part, write
from careloom.store.feed import START, Cursor

_MARKS = ("began.tx", "began.rid", "reached.tx", "reached.rid")
CHECKPOINT_EVERY = 100
"""Commits after which the log is summed up, so that who opens the table reads few of them."""
_COLUMNS = ("path", "size_bytes", "num_records", "min.seq_from", "max.seq_from", "max.version_id")


class Table:
    """The table of one type. One process writes it (lake.build holds the turn); many read it."""

    def __init__(self, root: Path, rtype: str, version: int | None = None) -> None:
        """Open, or make, the table; `version`: as it was at this version of Delta's log."""
        self.rtype = rtype
        self.folder = root / rtype
        self._delta = self._opened(version)
        self._version = self._delta.version()
        self._is_grown = False
        self._rows: int | None = None
        self.began = self._mark(0)
        """The beginning of the stretch of the feed that the last commit covered."""
        self.reached = self._mark(2)
        """Up to here the table has all that the feed told of its type."""

    @property
    def version(self) -> int:
        """The version of Delta's log."""
        return self._version

    @property
    def rows(self) -> int:
        """How many rows it has; files that are replaced by others have as many."""
        if self._rows is None:
            self._rows = sum(part.rows for part in self.parts())
        return self._rows

    def append(self, rows: pa.Table, began: Cursor, reached: Cursor) -> None:
        """Add versions, and with them in one commit that the feed was read so far."""
        self.grow()
        part = write(self.folder, "fed", digest_of(self.rtype), [rows])
        marks: dict[str, int] = dict(zip(_MARKS, (*began, *reached), strict=True))
        deltalog.append(self.folder, self._version + 1, part.added(), marks)
        self._version += 1
        if self._rows is not None:
            self._rows += part.rows
        self.began, self.reached = began, reached
        if self._version % CHECKPOINT_EVERY == 0:
            self._newest().create_checkpoint()

    def replace(self, old: Sequence[Part], new: Sequence[Part]) -> None:
        """Put files in the place of others that hold the same versions."""
        delta = self._newest()
        actions = [*(part.removed() for part in old), *(part.added() for part in new)]
        delta.create_write_transaction(actions, "append", delta.schema())
        self._told()

    def parts(self) -> list[Part]:
        """The files, in the order of the feed."""
        found = pa.table(self._newest().get_add_actions(flatten=True))
        if not found.num_rows:
            return []
        parts = [Part(*row.values()) for row in found.select(_COLUMNS).to_pylist()]
        return sorted(parts, key=lambda part: (part.first_seq, part.last_seq, part.name))

    def commits(self) -> int:
        """How many commits Delta's log still tells of."""
        return len(self._newest().history())

    def vacuum(self, hours: float, keep: Sequence[int] = (), *, dry_run: bool = False) -> list[str]:
        """Delete files that no table version of the last hours needs, and those that a killed writer left."""
        names = self._newest().vacuum(
            retention_hours=int(hours),
            dry_run=dry_run,
            enforce_retention_duration=False,
            full=True,
            keep_versions=list(keep) or None,
        )
        self._told()
        return names

    def _mark(self, at: int) -> Cursor:
        tx, rid = (self._delta.transaction_version(name) for name in _MARKS[at : at + 2])
        return START if tx is None or rid is None else Cursor(tx, rid)

    def grow(self) -> None:
        """Let the table have the columns of a new shape; rows that it has get them when they are laid anew."""
        if self._is_grown:
            return
        self._is_grown = True
        schema = table_schema(self.rtype)
        if pa.schema(self._newest().schema().to_arrow()) == schema:
            return
        try:
            write_deltalake(self._delta, schema.empty_table(), mode="append", schema_mode="merge")
        except DeltaError as error:
            text = (
                f"The table {self.rtype} cannot take the new columns ({type(error).__name__}): build it anew."
            )
            raise OutcomeError(Issue("exception", text)) from None
        self._told()

    def _opened(self, version: int | None) -> DeltaTable:
        try:
            if version is None and not (self.folder / deltalog.LOG).is_dir():
                schema = Schema.from_arrow(table_schema(self.rtype))
                return DeltaTable.create(self.folder, schema, mode="ignore")
            return DeltaTable(self.folder, version=version)
        except DeltaError as error:
            text = f"The table {self.rtype} of the lake cannot be read ({type(error).__name__}): build the lake anew."
            raise OutcomeError(Issue("exception", text)) from None

    def _newest(self) -> DeltaTable:
        """As the library has it, with what was appended without it."""
        if self._delta.version() != self._version:
            self._told()
        return self._delta

    def _told(self) -> None:
        self._delta.update_incremental()
        self._version = self._delta.version()


def tables_of(root: Path) -> list[str]:
    """The types that have a table."""
    return sorted(path.parent.name for path in root.glob("*/_delta_log"))
