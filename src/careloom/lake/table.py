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
from deltalake import CommitProperties, DeltaTable, Schema, Transaction, write_deltalake
from deltalake.exceptions import DeltaError

from careloom.fhir.outcome import Issue, OutcomeError
from careloom.lake.column import digest_of, table_schema
from careloom.lake.parquet import Part, sparse, write
from careloom.store.feed import START, Cursor

_MARKS = ("began.tx", "began.rid", "reached.tx", "reached.rid")
_COLUMNS = ("path", "size_bytes", "num_records", "min.seq_from", "max.seq_from", "max.version_id")


class Table:
    """The table of one type. One process writes it (lake.build holds the turn); many read it."""

    def __init__(self, root: Path, rtype: str, version: int | None = None) -> None:
        """Open, or make, the table; `version`: as it was at this version of Delta's log."""
        self.rtype = rtype
        self.folder = root / rtype
        if version is None and not (self.folder / "_delta_log").is_dir():
            DeltaTable.create(self.folder, Schema.from_arrow(table_schema(rtype)), mode="ignore")
        try:
            self._delta = DeltaTable(self.folder, version=version)
        except DeltaError as error:
            text = (
                f"The table {rtype} of the lake cannot be read ({type(error).__name__}): build the lake anew."
            )
            raise OutcomeError(Issue("exception", text)) from None
        self.began = self._mark(0)
        """The beginning of the stretch of the feed that the last commit covered."""
        self.reached = self._mark(2)
        """Up to here the table has all that the feed told of its type."""

    @property
    def version(self) -> int:
        """The version of Delta's log."""
        return self._delta.version()

    def append(self, rows: pa.Table, began: Cursor, reached: Cursor) -> None:
        """Add versions, and with them in one commit that the feed was read so far."""
        self.grow()
        part = write(self.folder, "fed", digest_of(self.rtype), [sparse(rows)])
        marks = dict(zip(_MARKS, (*began, *reached), strict=True))
        self._commit([part], [], [Transaction(name, number) for name, number in marks.items()])
        self.began, self.reached = began, reached

    def replace(self, old: Sequence[Part], new: Sequence[Part]) -> None:
        """Put files in the place of others that hold the same versions."""
        self._commit(new, old, [])

    def parts(self) -> list[Part]:
        """The files, in the order of the feed."""
        found = pa.table(self._delta.get_add_actions(flatten=True))
        if not found.num_rows:
            return []
        parts = [Part(*row.values()) for row in found.select(_COLUMNS).to_pylist()]
        return sorted(parts, key=lambda part: (part.first_seq, part.last_seq, part.name))

    def commits(self) -> int:
        """How many commits Delta's log still tells of."""
        return len(self._delta.history())

    def vacuum(self, hours: float, keep: Sequence[int] = (), *, dry_run: bool = False) -> list[str]:
        """Delete files that no table version of the last hours needs, and those that a killed writer left."""
        names = self._delta.vacuum(
            retention_hours=int(hours),
            dry_run=dry_run,
            enforce_retention_duration=False,
            full=True,
            keep_versions=list(keep) or None,
        )
        self._delta.update_incremental()
        return names

    def _mark(self, at: int) -> Cursor:
        tx, rid = (self._delta.transaction_version(name) for name in _MARKS[at : at + 2])
        return START if tx is None or rid is None else Cursor(tx, rid)

    def grow(self) -> None:
        """Let the table have the columns of a new shape; rows that it has get them when they are laid anew."""
        schema = table_schema(self.rtype)
        if pa.schema(self._delta.schema().to_arrow()) == schema:
            return
        try:
            write_deltalake(self._delta, schema.empty_table(), mode="append", schema_mode="merge")
        except DeltaError as error:
            text = (
                f"The table {self.rtype} cannot take the new columns ({type(error).__name__}): build it anew."
            )
            raise OutcomeError(Issue("exception", text)) from None
        self._delta.update_incremental()

    def _commit(self, new: Sequence[Part], old: Sequence[Part], marks: list[Transaction]) -> None:
        actions = [*(part.removed() for part in old), *(part.added() for part in new)]
        properties = CommitProperties(app_transactions=marks) if marks else None
        self._delta.create_write_transaction(
            actions, "append", self._delta.schema(), commit_properties=properties
        )
        self._delta.update_incremental()


def tables_of(root: Path) -> list[str]:
    """The types that have a table."""
    return sorted(path.parent.name for path in root.glob("*/_delta_log"))
