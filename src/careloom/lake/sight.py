"""lake.sight: what a reader sees of the lake in SQL: a view for each type, of what is current or of what was at a time.

Room: lake. May import: fhir.facts, lake.column, lake.schema, lake.shape, lake.table. Pure but for the list of files.

Files only ever gain rows, so the end of a version (`seq_to`) stands in its row only if the file was rewritten since.
Else the version that came next tells it: versions of a resource are numbered without gaps, and so a row with version 7
ends the one with version 6. Rows with a version above 1 are few, and files that have none are left out of the search.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path

import pyarrow.parquet as pq

from careloom.fhir.facts import resource_types
from careloom.lake.column import PLAIN, digest_of, table_schema
from careloom.lake.fresh import replacing
from careloom.lake.parquet import Part
from careloom.lake.reading import reading
from careloom.lake.shape import shape_of

OUTLINES = "_outlines"
"""A folder of files without rows, one for each shape: they give a view all its columns."""

When = int | datetime | None
"""A transaction of the store, as in `seq_from`; a time; or now."""


@dataclass(frozen=True, slots=True)
class Sources:
    """The files of one table."""

    rtype: str
    outline: Path
    folder: Path
    parts: Sequence[Part]

    def all(self) -> str:
        """All rows, in the columns of the shape."""
        return reading([self.outline, *(self.folder / part.name for part in self.parts)])

    def enders(self) -> str | None:
        """The rows that may end versions whose own rows do not say so; None: there is none."""
        found = [
            self.folder / part.name for part in self.parts if not part.is_settled and part.last_version > 1
        ]
        return reading(found) if found else None

    def before(self, when: When) -> Sources:
        """Without files that hold only what came later."""
        if not isinstance(when, int):
            return self
        parts = [part for part in self.parts if part.first_seq <= when]
        return Sources(self.rtype, self.outline, self.folder, parts)


def current(sources: Sources) -> str:
    """The resources as they are: one row each, in the columns of the shape and PLAIN."""
    columns = _columns(sources.rtype, PLAIN)
    sql = f"select {columns} from {sources.all()} v"
    enders = sources.enders()
    if enders:
        sql += (
            f" anti join (select id, version_id - 1 as version_id from {enders} where version_id > 1) e"
            " on e.id = v.id and e.version_id = v.version_id"
        )
    return f"{sql} where v.seq_to is null and not v.is_deleted and not v.is_aside"


def as_of(sources: Sources, when: int | datetime) -> str:
    """The resources as they were: after this transaction, or at this time. The columns are those of `current`."""
    columns = _columns(sources.rtype, PLAIN)
    start, end = ("seq_from", "seq_to") if isinstance(when, int) else ("last_updated", "replaced_at")
    moment = str(when) if isinstance(when, int) else f"timestamptz '{when.isoformat()}'"
    return (
        f"select {columns} from ({history(sources.before(when))}) v"
        f" where v.{start} <= {moment} and (v.{end} is null or v.{end} > {moment})"
        " and not v.is_deleted and not v.is_aside"
    )


def history(sources: Sources) -> str:
    """All versions, deletions and what was set aside with them, each with its end where there is one."""
    columns = _columns(sources.rtype, tuple(table_schema(sources.rtype).names[:9]))
    enders = sources.enders()
    if not enders:
        return f"select {columns} from {sources.all()} v"
    columns = columns.replace('v."seq_to"', "coalesce(v.seq_to, e.seq_from) as seq_to")
    columns = columns.replace('v."replaced_at"', "coalesce(v.replaced_at, e.last_updated) as replaced_at")
    return (
        f"select {columns} from {sources.all()} v left join"
        f" (select id, version_id - 1 as version_id, seq_from, last_updated from {enders} where version_id > 1) e"
        " on e.id = v.id and e.version_id = v.version_id"
    )


def outline(root: Path, rtype: str) -> Path:
    """The file that has all columns of a type and no row."""
    path = root / OUTLINES / f"{rtype}-{digest_of(rtype)}.parquet"
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        with replacing(path) as fresh:
            pq.write_table(table_schema(rtype).empty_table(), fresh)
    return path


def columns_of(rtype: str) -> list[tuple[str, str]]:
    """The columns that a view has, each with its type in the words of R4, `[]` for a list."""
    own = [
        (name, "bigint" if name in {"seq_from", "event_id"} else "text")
        for name in ("agent", "event_id", "seq_from")
    ]
    own += [("last_updated", "timestamp"), ("version_id", "integer")]
    fields = [
        (field.name, (field.type or "text") + ("[]" if field.many else ""))
        for field in shape_of(rtype).fields
    ]
    return [*fields, *own]


@cache
def common_columns() -> list[tuple[str, str]]:
    """Those of `columns_of` that every type has."""
    return [
        one for one in columns_of("Patient") if all(one in columns_of(rtype) for rtype in resource_types())
    ]


def plain(rtype: str, paths: Sequence[Path]) -> str:
    """All rows of files that hold only what is current, in the columns of `current`."""
    return f"select {_columns(rtype, PLAIN)} from {reading(paths)} v"


def _columns(rtype: str, own: tuple[str, ...]) -> str:
    names = [*own, *(field.name for field in shape_of(rtype).fields)]
    return ", ".join(f'v."{name}"' for name in names)
