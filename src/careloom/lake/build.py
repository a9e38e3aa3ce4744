"""lake.build: the lake follows the feed: batch by batch, each change once, however often the writer is killed.

Room: lake. May import: lake, store, structlog. Touches: the lake's folder, the table set_aside.

A batch goes through four phases: read; set aside what cannot be laid; commit to each table; publish. A kill before the
last leaves some tables ahead of what is published. The next writer reads the same stretch again, and a table skips what
its own log says it has.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import structlog

from careloom.fhir.outcome import Issue, OutcomeError
from careloom.lake import intake, manifest, sight
from careloom.lake.kept.keeper import FOLDER, Keeper
from careloom.lake.known import RTYPE as VIEW
from careloom.lake.manifest import Manifest
from careloom.lake.sight import Sources
from careloom.lake.table import Table, tables_of
from careloom.store import feed
from careloom.store.aside import set_aside, taken_back
from careloom.store.database import Database
from careloom.store.feed import START, Cursor
from careloom.store.turn import turn_held

log = structlog.get_logger()

STATION = "lake"
"""The name under which changes are set aside."""

HEARTBEAT = timedelta(seconds=30)
"""How often a lake to which nothing comes says that it is fresh."""

Told = Callable[[str, int], None]
"""What is done now, and how many versions are in the lake since this writer began."""


def quiet(_phase: str, _done: int) -> None:
    """Tell nobody."""


class Writer:
    """The one writer of a lake; `writing` gives it."""

    def __init__(self, database: Database, root: Path, told: Told = quiet, views: Path | None = None) -> None:
        self.database = database
        self.root = root
        self._told = told
        self._done = 0
        self._tables = {rtype: Table(root, rtype) for rtype in tables_of(root)}
        self.published = manifest.read(root) or _recovered(self._tables)
        self._told_readers = self.published
        self._farthest = max((table.reached for table in self._tables.values()), default=START)
        self.has_all = False
        """Whether the last step took in all that there was."""
        self._refuse_another_store()
        self.kept = Keeper(
            database, root, self.published.kept, lambda said: self._told(said, self._done), views
        )

    def step(self, rows: int = intake.BATCH_ROWS) -> int:
        """Take in the next batch; how many versions it had (0: the lake has all)."""
        self._told("reading", self._done)
        batch = intake.read(self.database, self.published.cursor, rows)
        self.has_all = batch.is_all
        for rtype in sorted(batch.by_type):
            self._take(rtype, batch)
        self.kept.look(has_changed=VIEW in batch.by_type)
        last = batch.last or self.published.last
        # A writer that was killed may have brought some tables farther than this batch, and others not.
        if (batch.versions or self._is_due(batch.reached)) and batch.reached >= self._farthest:
            self._told("publishing", self._done)
            self.publish(cursor=batch.reached, last=last)
        else:
            # Nothing came: where to go on is kept in mind, and not worth a write.
            self.published = replace(self.published, cursor=batch.reached, last=last)
        if batch.reached >= self._farthest:
            self.kept.remake(self._sources, self.published.cursor)
            if self.kept.published() != self._told_readers.kept:
                self.publish()
        self._done += batch.versions
        self._told("published", self._done)
        return batch.versions

    def is_current(self) -> bool:
        """Whether nobody else has published since: else this writer knows tables that are no longer so."""
        told = manifest.read(self.root)
        return told is not None and told == self._told_readers

    @property
    def types(self) -> list[str]:
        """The types that have a table."""
        return sorted(self._tables)

    def table(self, rtype: str) -> Table:
        """The table of a type, as far as it was written."""
        if rtype not in self._tables:
            self._tables[rtype] = Table(self.root, rtype)
        return self._tables[rtype]

    def publish(self, cursor: Cursor | None = None, last: Cursor | None = None) -> None:
        """Let readers see the tables as they are now."""
        versions = dict(self.published.versions)
        versions |= {rtype: table.version for rtype, table in self._tables.items()}
        rows = self.published.rows | {rtype: table.rows for rtype, table in self._tables.items()}
        self.published = Manifest(
            cursor or self.published.cursor,
            last or self.published.last,
            datetime.now(UTC),
            versions,
            self.kept.published(),
            rows,
        )
        manifest.publish(self.root, self.published)
        self._told_readers = self.published

    def _is_due(self, reached: Cursor) -> bool:
        """Whether readers should be told although nothing came: that a transaction is whole, or that all is fresh."""
        at = self.published.at
        is_whole = self.published.cursor.rid != 0 and reached.rid == 0
        return is_whole or at is None or datetime.now(UTC) - at > HEARTBEAT

    def _take(self, rtype: str, batch: intake.Batch) -> None:
        table, whole = self.table(rtype), batch.by_type[rtype]
        placed = [each for each in whole if each[0] > table.reached]
        found = self._append(table, placed, batch) if placed else None
        self.kept.take(rtype, whole, batch.reached, found if len(placed) == len(whole) else None)

    def _append(self, table: Table, placed: Sequence[intake.Placed], batch: intake.Batch) -> pa.Table:  # pyright: ignore[reportUnknownParameterType]
        rtype = table.rtype
        self._told(f"laying {rtype}", self._done)
        laid = intake.laid(rtype, placed)
        if laid.aside:
            with self.database.connection() as connection:
                for stored, reason in laid.aside:
                    log.warning("change_set_aside", station=STATION, event_id=stored.event_id)
                    set_aside(connection, STATION, stored, reason)
        self._told(f"writing {rtype}", self._done)
        table.append(laid.table, batch.began, batch.reached)
        self._told(f"committed {rtype}", self._done)
        return laid.table

    def _sources(self, rtype: str) -> Sources:
        parts = self._tables[rtype].parts() if rtype in self._tables else []
        return Sources(rtype, sight.outline(self.root, rtype), self.root / rtype, parts)

    def _refuse_another_store(self) -> None:
        last = self.published.last
        if last == START:
            return
        with self.database.connection() as connection:
            is_known = feed.holds(connection, last)
        if not is_known:
            text = (
                "The lake was fed by another store, or the store was restored from an older backup: "
                "build the lake anew with `careloom lake build --fresh`."
            )
            raise OutcomeError(Issue("conflict", text))


@contextmanager
def writing(  # noqa: PLR0913 - how one writer begins
    database: Database,
    root: Path,
    told: Told = quiet,
    *,
    is_fresh: bool = False,
    wait_s: float = 0.0,
    again: Writer | None = None,
    views: Path | None = None,
) -> Generator[Writer]:
    """The writer of a lake, alone. `is_fresh`: what is there is thrown away first; `again`: one that was used before;
    `views`: the folder of the site's own.

    Raises OutcomeError: `lock-error` while another process writes, after `wait_s`; `conflict` if the lake is of
    another store.
    """
    with _alone(database, root, wait_s):
        try:
            if is_fresh:
                _clear(database, root)
            root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            text = (
                f"The lake's folder {root} cannot be written ({error.strerror}): see the setting lake_folder."
            )
            raise OutcomeError(Issue("no-store", text)) from None
        yield again if again is not None and again.is_current() else Writer(database, root, told, views)


@contextmanager
def _alone(database: Database, root: Path, wait_s: float) -> Generator[None]:
    deadline = time.monotonic() + wait_s
    while True:
        with turn_held(database, f"lake {root.resolve()}") as is_ours:
            if is_ours:
                yield
                return
        if time.monotonic() >= deadline:
            text = "Another process writes the lake now (a build, or the lake of `careloom up`): try again later."
            raise OutcomeError(Issue("lock-error", text))
        time.sleep(min(0.2, wait_s))


def _clear(database: Database, root: Path) -> None:
    # The list of tables goes first: readers find no lake rather than half of one.
    (root / manifest.NAME).unlink(missing_ok=True)
    for rtype in tables_of(root):
        shutil.rmtree(root / rtype)
    for folder in (root / FOLDER).glob("*-*"):
        shutil.rmtree(folder)
    with database.connection() as connection:
        taken_back(connection, STATION)


def _recovered(tables: dict[str, Table]) -> Manifest:
    """What the tables say where nothing is published: all is complete up to where the farthest commit began."""
    farthest = max(tables.values(), key=lambda table: table.reached, default=None)
    return Manifest(cursor=farthest.began if farthest else START)
