"""lake.compaction: fewer and larger files, versions with their ends filled in, rows laid anew in a new shape.

Room: lake. May import: lake, duckdb, pyarrow. Touches: the lake's folder.

Each replaces files by others with the same versions, in one commit: a kill leaves the old ones in place, and at worst
files that `vacuum` deletes. What readers have opened stays until then.
"""

# pyarrow has no types, and its functions of compute are made when it is imported.
# pyright: reportUnknownParameterType=false, reportAttributeAccessIssue=false

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from careloom.fhir.outcome import Issue, OutcomeError
from careloom.fhir.resource import loads
from careloom.lake import sight
from careloom.lake.build import Writer
from careloom.lake.column import OWN, digest_of, table_schema
from careloom.lake.parquet import ROW_GROUP, Kind, Part, write
from careloom.lake.reading import reading
from careloom.lake.row import Row, to_row
from careloom.lake.session import opened
from careloom.lake.shape import shape_of
from careloom.lake.sight import Sources
from careloom.lake.sparse import sparse
from careloom.lake.table import Table

TARGET_ROWS = 1_000_000
TARGET_BYTES = 256 << 20
MANY = 24
"""So many small files of a table are gathered into one while the lake follows the feed."""
LITTLE = 10_000
"""A file of so few rows is joined with whatever stands beside it."""
OFTEN = 0.2
"""The ends of versions are filled in when so large a part of the rows may end others."""
RELAID_ROWS = 20_000


def tidy(writer: Writer) -> int:
    """What keeps reads fast while the lake follows the feed; how many tables it rewrote."""
    touched = 0
    for rtype in writer.types:
        table = writer.table(rtype)
        parts = table.parts()
        rows = sum(part.rows for part in parts)
        enders = sum(part.rows for part in parts if not part.is_settled and part.last_version > 1)
        if enders > max(OFTEN * rows, 10 * ROW_GROUP):
            touched += settle(writer, rtype) > 0
        elif len(newest := _newest(_small(parts))) >= MANY:
            touched += _gather(writer, rtype, newest) > 0
    if writer.kept.tidy():
        writer.publish()
        touched += 1
    return touched


def gather(writer: Writer, rtype: str) -> int:
    """Join small files that follow one another; how many there are fewer."""
    return _gather(writer, rtype, _small(writer.table(rtype).parts()))


def _gather(writer: Writer, rtype: str, small: Sequence[Part]) -> int:
    table = writer.table(rtype)
    fewer = 0
    for group in _groups(small):
        paths = [table.folder / part.name for part in group]
        schema = pa.unify_schemas(map(pq.read_schema, paths), promote_options="permissive")
        _replace(table, group, [write(table.folder, "fed", group[0].shape, _rows(paths), schema)])
        fewer += len(group) - 1
    if fewer:
        writer.publish()
    return fewer


def _rows(paths: Sequence[Path]) -> Iterator[pa.Table]:
    for path in paths:
        with pq.ParquetFile(path) as file:
            yield from map(pa.table, file.iter_batches(ROW_GROUP))


def settle(writer: Writer, rtype: str, *, is_whole: bool = False) -> int:
    """Fill in the ends of all versions that have one; how many rows were rewritten (0: nothing to do).

    `is_whole`: also what ends nothing, and small settled files with it. What is rewritten stands by patient: rows of one
    patient are alike, which halves what they take where many patients' come by turns, and who asks for one reads less.
    """
    relay(writer, rtype)
    table = writer.table(rtype)
    parts = table.parts()
    enders = Sources(rtype, sight.outline(writer.root, rtype), table.folder, parts).enders()
    fresh = [part for part in parts if not part.is_settled]
    if enders is None and not (is_whole and fresh):
        return 0
    touched = _ended(writer.root, table, parts, enders) if enders else set()
    old = [
        part
        for part in parts
        if not part.is_settled or part.name in touched or (is_whole and fresh and _is_small(part))
    ]
    rows = f"select v.* from {_reading(table, old)} v"
    if enders:
        rows = (
            f"select v.* replace (coalesce(v.seq_to, e.seq_from) as seq_to,"
            f" coalesce(v.replaced_at, e.last_updated) as replaced_at)"
            f" from {_reading(table, old)} v left join"
            f" (select id, version_id - 1 as version_id, seq_from, last_updated from {enders} where version_id > 1) e"
            " on e.id = v.id and e.version_id = v.version_id"
        )
    _rewrite(writer, table, old, f"{rows} order by {_by_patient(writer, table, old)}v.seq_from, v.id")
    return sum(part.rows for part in old)


def relay(writer: Writer, rtype: str) -> int:
    """Lay rows of an older shape anew, from their raw JSON; how many there were."""
    table = writer.table(rtype)
    shape = digest_of(rtype)
    stale = [part for part in table.parts() if part.shape != shape]
    for part in stale:
        kind: Kind = "settled" if part.is_settled else "fed"
        table.grow()
        new = [write(table.folder, kind, shape, [each]) for each in _relaid(table.folder / part.name, rtype)]
        _replace(table, [part], new)
    if stale:
        writer.publish()
    return sum(part.rows for part in stale)


def vacuum(writer: Writer, hours: float) -> int:
    """Delete the files that no reader of the last hours can have open; how many."""
    keep = writer.published.versions
    found = sum(
        len(writer.table(rtype).vacuum(hours, [keep[rtype]] if rtype in keep else []))
        for rtype in writer.types
    )
    writer.kept.vacuum(hours)
    wanted = {sight.outline(writer.root, rtype) for rtype in writer.types}
    for path in (writer.root / sight.OUTLINES).glob("*"):
        # Two readers of different versions of careloom may look at one lake while it is brought up to date.
        if path not in wanted and time.time() - path.stat().st_mtime > hours * 3600:
            path.unlink(missing_ok=True)
    writer.publish()
    return found


def _small(parts: Sequence[Part]) -> list[Part]:
    return [part for part in parts if not part.is_settled and _is_small(part)]


def _is_small(part: Part) -> bool:
    return part.rows < TARGET_ROWS // 2 and part.size < TARGET_BYTES // 2


PATIENT = ("subject", "patient", "beneficiary")
"""The elements that name whom a resource is about; a type has at most one of them."""


def _by_patient(writer: Writer, table: Table, parts: Sequence[Part]) -> str:
    """What rows are sorted by first; empty for a type that is about nobody, and where no row says about whom."""
    for name in PATIENT:
        field = shape_of(table.rtype).field(name)
        if field is None or field.type != "Reference" or field.many:
            continue
        with opened(writer.root) as duck:
            held = dict(
                row[:2] for row in duck.execute(f"describe select * from {_reading(table, parts)}").fetchall()
            )
        if "reference" in held.get(name, ""):
            return f'v."{name}".reference, '
    return ""


def _newest(parts: Sequence[Part]) -> list[Part]:
    """The newest files, as far back as each is not larger than all that are newer: so what was joined once is joined
    again only when its like has come, and a row is rewritten as often as its table doubles, not at every turn.
    """
    taken: list[Part] = []
    rows = 0
    for part in reversed(parts):
        if part.rows > max(rows, LITTLE):
            break
        taken.append(part)
        rows += part.rows
    return taken[::-1]


def _groups(parts: Sequence[Part]) -> Iterator[list[Part]]:
    """Parts in the order of the feed, as many together as make one file; a part alone is no group."""
    group: list[Part] = []
    rows = size = 0
    for part in parts:
        is_other = group and part.shape != group[0].shape
        if is_other or rows + part.rows > TARGET_ROWS or size + part.size > TARGET_BYTES:
            if len(group) > 1:
                yield group
            group, rows, size = [], 0, 0
        group.append(part)
        rows += part.rows
        size += part.size
    if len(group) > 1:
        yield group


def _ended(root: Path, table: Table, parts: Sequence[Part], enders: str) -> set[str]:
    """The settled files in which the ends of some versions are still to be filled in."""
    settled = [part for part in parts if part.is_settled]
    if not settled:
        return set()
    named = reading((table.folder / part.name for part in settled), with_name=True)
    sql = (
        f"select distinct v.filename from {named} v semi join"
        f" (select id, version_id - 1 as version_id from {enders} where version_id > 1) e"
        " on e.id = v.id and e.version_id = v.version_id"
    )
    with opened(root) as duck:
        return {Path(name).name for (name,) in duck.execute(sql).fetchall()}


def _reading(table: Table, parts: Sequence[Part]) -> str:
    """The rows of some files, in the columns that those have and those that are to be filled in."""
    rows = reading(table.folder / part.name for part in parts)
    nothing = "select null::bigint as seq_to, null::timestamptz as replaced_at where false"
    return f"(({nothing}) union all by name (from {rows}))"


def _rewrite(writer: Writer, table: Table, old: Sequence[Part], sql: str) -> None:
    shape = old[0].shape
    new: list[Part] = []
    with opened(writer.root) as duck:
        batches = iter(duck.sql(sql).to_arrow_reader(ROW_GROUP))
        for first in batches:
            rest = _until_full(first, batches)
            new.append(write(table.folder, "settled", shape, map(_typed, chain([first], rest))))
    _replace(table, old, new)
    writer.publish()


def _until_full(first: pa.RecordBatch, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The batches that go into the same file."""
    rows, size = first.num_rows, first.nbytes
    # What DuckDB gives is uncompressed: some tenth of it is left.
    while rows < TARGET_ROWS and size < 10 * TARGET_BYTES:
        batch = next(batches, None)
        if batch is None:
            return
        yield batch
        rows += batch.num_rows
        size += batch.nbytes


def _typed(batch: pa.RecordBatch) -> pa.Table:
    """With the types of our own columns, which DuckDB may have put in words of its own."""
    table = pa.table(batch)
    for field in OWN:
        at = table.schema.get_field_index(field.name)
        if at >= 0:
            table = table.set_column(at, field, table.column(at).cast(field.type))
    return table


def _replace(table: Table, old: Sequence[Part], new: Sequence[Part]) -> None:
    if sum(part.rows for part in old) != sum(part.rows for part in new):
        text = f"Rewriting the table {table.rtype} would have changed its rows: nothing was replaced."
        raise OutcomeError(Issue("exception", text))
    table.replace(old, new)


def _relaid(path: Path, rtype: str) -> Iterator[pa.Table]:
    with pq.ParquetFile(path) as file:
        names = [name for name in file.schema_arrow.names if name in {*OWN.names, "id", "raw"}]
        for batch in file.iter_batches(RELAID_ROWS, columns=names):
            rows = [_again(row) for row in batch.to_pylist()]
            yield sparse(rows, table_schema(rtype))


def _again(row: Row) -> Row:
    raw = row.pop("raw", None)
    return to_row(loads(raw), raw) | row if raw else row
