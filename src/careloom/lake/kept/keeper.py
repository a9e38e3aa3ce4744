"""lake.kept.keeper: which views are kept, and how they follow: each batch goes through them, before readers see it.

Room: lake. May import: lake, store. Touches: the folder `_kept` of the lake.

The lake's writer calls: `take` while a batch is laid, `remake` when it was published. A table knows by itself how far in
the feed it is, so that no change goes through it twice, however often the writer is killed; what readers see of it is
named in the manifest, together with the tables of the same batch. For one changed resource the view is run on that
resource: nothing of the lake is read.
"""

# pyright: reportUnknownParameterType=false

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import msgspec
import pyarrow as pa
import structlog
from deltalake.exceptions import DeltaError

from careloom.fhir.outcome import OutcomeError
from careloom.lake import sight
from careloom.lake.fresh import replacing
from careloom.lake.intake import Placed, laid
from careloom.lake.kept.rows import KeptView, Whole, kept_view, of_batch
from careloom.lake.kept.table import File, KeptTable, Kind
from careloom.lake.known import view_of
from careloom.lake.manifest import Kept
from careloom.lake.session import opened
from careloom.lake.shelf import shelf
from careloom.lake.sight import Sources
from careloom.store.actor import STATION
from careloom.store.database import Database
from careloom.store.feed import Cursor

log = structlog.get_logger()

FOLDER = "_kept"
LIST = "views.json"
"""The names of the views that are kept; it outlives `careloom lake build --fresh`."""
MANY = 24
"""So many files of a batch each are made one."""
OFTEN = 0.2
"""What ended is dropped when so large a part of the rows may be marks, or ended."""
FEW = 20_000
DEEPEST = 60
"""Bits of a hash: a part of one resource is found long before."""

Told = Callable[[str], None]


@dataclass
class _Entry:
    view: KeptView
    table: KeptTable


class Keeper:
    """The kept views of a lake, for its one writer."""

    def __init__(
        self,
        database: Database,
        root: Path,
        live: Mapping[str, Kept],
        told: Told,
        views: Path | None = None,
    ) -> None:
        """`live`: what readers see. A table that they do not see may lack what came meanwhile, and is made anew.
        `views`: the folder of the site's own.
        """
        self._database = database
        self._root = root
        self._told = told
        self._views = views
        self._marks = shelf(views).marks
        self._entries: dict[str, _Entry] = {}
        self.failed: dict[str, str] = {}
        """Views that cannot be kept, and why; tried again when a ViewDefinition changes, or by the next writer."""
        self.is_stale = True
        """Whether definitions are to be looked at again."""
        self.ran = 0
        """Versions of resources that went through views since this writer began."""
        for name in names(root):
            if (kept := live.get(name)) is not None:
                self._tried(name, lambda name=name, kept=kept: self._opened(name, kept))

    def published(self) -> dict[str, Kept]:
        """What readers may see."""
        return {name: Kept(one.view.digest, one.table.version) for name, one in self._entries.items()}

    def take(self, rtype: str, placed: Sequence[Placed], reached: Cursor, table: pa.Table | None) -> None:
        """Run the views of a type on what a batch brings of it; `table`: all of it, if it was laid already."""
        for name, entry in self._entries.items():
            fresh = [one for one in placed if one[0] > entry.table.reached]
            if entry.view.rtype != rtype or not fresh:
                continue
            self._told(f"keeping {name}")
            batch = table if table is not None and len(fresh) == len(placed) else laid(rtype, fresh).table
            outline = sight.outline(self._root, rtype)
            file = entry.table.write("fed", [of_batch(entry.view, outline, batch, entry.table.schema)])
            self.ran += batch.num_rows
            if file:
                entry.table.commit([file], [], reached)
            self._told(f"kept {name}")

    def look(self, *, has_changed: bool) -> None:
        """Whether definitions may have changed: in the store, or in the folder."""
        marks = shelf(self._views).marks
        self.is_stale |= has_changed or marks != self._marks
        self._marks = marks

    def remake(self, sources: Callable[[str], Sources], at: Cursor) -> None:
        """Make what is new, or whose definition changed, of the published tables."""
        if not self.is_stale:
            return
        self.is_stale = False
        wanted = names(self._root)
        self._entries = {name: one for name, one in self._entries.items() if name in wanted}
        self.failed = {}
        for name in wanted:
            self._tried(name, lambda name=name: self._made(name, sources, at))

    def _tried(self, name: str, work: Callable[[], _Entry | None]) -> None:
        """A view that cannot be kept is no reason for the lake to stand still."""
        try:
            found = work()
        except (OutcomeError, DeltaError, duckdb.Error, pa.ArrowException) as error:
            found = None
            self.failed[name] = str(error) if isinstance(error, OutcomeError) else type(error).__name__
            log.warning("view_not_kept", view=name, reason=self.failed[name])
        if found is None:
            self._entries.pop(name, None)
        else:
            self._entries[name] = found

    def _view(self, name: str) -> KeptView:
        with self._database.connection() as connection:
            return kept_view(name, view_of(connection, STATION, name, self._views).definition)

    def _opened(self, name: str, kept: Kept) -> _Entry | None:
        view = self._view(name)
        if view.digest != kept.digest:
            return None
        return _Entry(view, KeptTable(folder_of(self._root, name, view.digest)))

    def _made(self, name: str, sources: Callable[[str], Sources], at: Cursor) -> _Entry:
        view, known = self._view(name), self._entries.get(name)
        if known and known.view.digest == view.digest:
            return known
        folder = folder_of(self._root, name, view.digest)
        folder.parent.mkdir(exist_ok=True)
        table = KeptTable(folder, view.schema(sight.outline(self._root, view.rtype)))
        self._told(f"making {name}")
        with opened(self._root, threads=1) as duck:
            whole = Whole(duck, view, sight.current(sources(view.rtype)))
            files = list(self._files(whole, table, 0, 0))
        table.commit(files, table.files(), at)
        self._told(f"made {name}")
        return _Entry(view, table)

    def tidy(self) -> bool:
        """Fewer files, without what ended; whether readers must be told."""
        return sum(self._tidied(one) for one in self._entries.values()) > 0

    def vacuum(self, hours: float) -> None:
        """Delete files and whole tables that no reader of the last hours can have open."""
        wanted = {one.table.folder for one in self._entries.values()}
        for one in self._entries.values():
            one.table.vacuum(hours)
        for folder in (self._root / FOLDER).glob("*-*"):
            if folder not in wanted and time.time() - folder.stat().st_mtime > hours * 3600:
                shutil.rmtree(folder, ignore_errors=True)

    def _files(self, whole: Whole, table: KeptTable, bits: int, value: int) -> list[File]:
        try:
            file = table.write("whole", whole.rows(bits, value))
        except OutcomeError as error:
            mark = whole.mark(bits, value, error, table.schema)
            if mark is not None:
                file = table.write("whole", [mark])
            elif bits < DEEPEST:
                halves = (value, value | 1 << bits)
                return [one for half in halves for one in self._files(whole, table, bits + 1, half)]
            else:
                raise
        return [file] if file else []

    def _tidied(self, entry: _Entry) -> bool:
        table, files = entry.table, entry.table.files()
        fed = [file for file in files if file.name.startswith("fed-")]
        enders = sum(file.rows for file in fed if file.may_end)
        rows = sum(file.rows for file in files)
        if enders > max(OFTEN * rows, FEW):
            # Of the marks those are kept that say why a resource is aside.
            sql = f"select * from ({table.unended()}) where not _is_gone or _aside is not null"
            self._rewritten(table, "whole", files, sql)
        elif len(fed) >= MANY:
            self._rewritten(table, "fed", fed, table.all(fed))
        else:
            return False
        return True

    def _rewritten(self, table: KeptTable, kind: Kind, old: Sequence[File], sql: str) -> None:
        with opened(self._root, threads=1) as duck:
            file = table.write(kind, duck.sql(sql).to_arrow_reader(10_000))
        table.commit([file] if file else [], old)


def names(root: Path) -> list[str]:
    """The views that are to be kept."""
    try:
        return msgspec.json.decode((root / FOLDER / LIST).read_bytes(), type=list[str])
    except (FileNotFoundError, msgspec.MsgspecError):
        return []


def wish(root: Path, wanted: Sequence[str]) -> None:
    """Have these views kept from now on."""
    path = root / FOLDER / LIST
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as fresh:
        fresh.write_bytes(msgspec.json.encode(sorted(set(wanted))))


def folder_of(root: Path, name: str, digest: str) -> Path:
    """Where the rows of one definition of a view stand."""
    return (
        root / FOLDER / f"{''.join(each if each.isalnum() or each == '_' else '_' for each in name)}-{digest}"
    )


def kept_table(root: Path, name: str, kept: Kept) -> KeptTable:
    """The table as readers see it."""
    return KeptTable(folder_of(root, name, kept.digest), version=kept.version)
