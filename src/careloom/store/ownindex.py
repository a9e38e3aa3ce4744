"""store.ownindex: resources that stand already, indexed by search parameters that are new, and no longer by those that left.

Room: store. Touches: the tables res, s_str, s_qty, s_dat, search_parameter.

What a parameter adds to a row is salted by its id in `ix` and bears its id beside, so that it is put in and taken out
without a look at the rest. Rows by which nothing is found are read and left alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from careloom.fhir.searchparam import SearchParameter
from careloom.store.catalogue import Entry, changed, entries
from careloom.store.copying import copy_values
from careloom.store.database import Connection
from careloom.store.fetch import fetch
from careloom.store.reindex import LOCKED
from careloom.store.resource_type import number_of
from careloom.store.row import Row, row_by
from careloom.store.stored import Stored, stored_of

STRETCH = 50_000
"""Row ids that one step goes over at most, so that rows of other types do not make it long."""

NEXT = b"""
select rid from res where rid > %s and rid <= %s and rtype = any(%s) and not is_deleted order by rid limit %s"""
CHANGE = """
with entry as (select rid, array_agg(ix) as ix from unnest(%s::bigint[], %s::bigint[]) as t(rid, ix) group by rid)
update res r set ix = array(select unnest(r.ix) {how} select unnest(entry.ix)) from entry where r.rid = entry.rid"""
# What a job that failed or was cancelled has left undone is taken on as well.
CLAIM = """
update search_parameter set job = %s
where status in ('building', 'retired')
  and not exists (select from job j where j.id = search_parameter.job and j.status in ('queued', 'running'))"""
TABLES = ("s_str", "s_qty", "s_dat")


class Work(NamedTuple):
    """What is to be done to each row: parameters that come, parameters that go; by type."""

    coming: Mapping[str, tuple[SearchParameter, ...]]
    going: Mapping[str, tuple[SearchParameter, ...]]

    @property
    def types(self) -> list[int]:
        """Numbers of the types that it concerns."""
        return sorted(number_of(rtype) for rtype in {*self.coming, *self.going})


class Passed(NamedTuple):
    """What one step came past."""

    last: int
    """The rid up to which all is done."""
    rows: int
    """Rows of the types that it concerns."""
    is_end: bool


def work_of(rows: Sequence[Entry]) -> Work:
    """What follows from these rows of search_parameter: those being built come, those retired go."""
    coming: dict[str, tuple[SearchParameter, ...]] = {}
    going: dict[str, tuple[SearchParameter, ...]] = {}
    for entry in rows:
        into = {"building": coming, "retired": going}.get(entry.status)
        for parameter in entry.parameters if into is not None else ():
            if into is not None and parameter.is_indexed:
                into[parameter.rtype] = (*into.get(parameter.rtype, ()), parameter)
    return Work(coming, going)


def claim(connection: Connection, job: str) -> list[Entry]:
    """Take on all that nobody does yet."""
    connection.execute(CLAIM, [job])
    return entries(connection, "job = %s", [job])


def extent(connection: Connection, work: Work) -> tuple[int, int]:
    """The highest rid, and how many rows there are of the types that it concerns."""
    sql = "select coalesce(max(rid), 0), count(*) filter (where rtype = any(%s) and not is_deleted) from res"
    row = connection.execute(sql, [work.types]).fetchone()
    return (row[0], row[1]) if row else (0, 0)


def passed(connection: Connection, work: Work, after: int, upto: int, limit: int) -> Passed:
    """Do the next `limit` rows of its types, or come past so many others that it is time for a commit."""
    end = min(upto, after + STRETCH)
    meant = [rid for (rid,) in fetch(connection, NEXT, [after, end, work.types, limit])]
    last = meant[-1] if len(meant) == limit else end
    if meant:
        stored = stored_of(connection, fetch(connection, LOCKED.encode(), [meant]))
        _take(connection, work.going, stored)
        _put(connection, work.coming, stored)
    elif last < upto:
        # Row ids have gaps, which nobody need walk through.
        [(following,)] = fetch(connection, b"select min(rid) from res where rid > %s", [last])
        last = upto if following is None else min(upto, following - 1)
    return Passed(last, len(meant), is_end=last >= upto)


def finished(connection: Connection, job: str) -> None:
    """All rows are done: what was built is ready, and what went is forgotten."""
    changed(connection)
    connection.execute(
        "update search_parameter set status = 'ready', job = null where job = %s and status = 'building'",
        [job],
    )
    connection.execute("delete from search_parameter where job = %s and status = 'retired'", [job])


def _put(
    connection: Connection, coming: Mapping[str, tuple[SearchParameter, ...]], stored: Sequence[Stored]
) -> None:
    rows = [(one.seq, row_by(one.resource(), coming[one.rtype])) for one in stored if one.rtype in coming]
    # A row that was written since it began bears the values already: they are put in once.
    numbers = sorted({parameter.id for some in coming.values() for parameter in some})
    _strike(connection, numbers, [rid for rid, _ in rows])
    _change(connection, "union", rows)
    copy_values(connection, ((rid, row) for rid, row in rows if _is_beside(row)))


def _take(
    connection: Connection, going: Mapping[str, tuple[SearchParameter, ...]], stored: Sequence[Stored]
) -> None:
    rows = [(one.seq, row_by(one.resource(), going[one.rtype])) for one in stored if one.rtype in going]
    numbers = sorted({parameter.id for some in going.values() for parameter in some})
    _strike(connection, numbers, [rid for rid, _ in rows])
    _change(connection, "except", rows)


def _strike(connection: Connection, numbers: Sequence[int], rids: Sequence[int]) -> None:
    for table in TABLES if rids and numbers else ():
        connection.execute(
            f"delete from {table} where rid = any(%s) and sp = any(%s)".encode(), [list(rids), list(numbers)]
        )


def _change(connection: Connection, how: str, rows: Sequence[tuple[int, Row]]) -> None:
    """Put the entries of these rows into theirs (union), or take them out (except)."""
    pairs = [(rid, entry) for rid, row in rows for entry in row.ix]
    if pairs:
        rids, hashes = zip(*pairs, strict=True)
        connection.execute(CHANGE.format(how=how).encode(), [list(rids), list(hashes)])


def _is_beside(row: Row) -> bool:
    return bool(row.strings or row.quantities or row.dates)
