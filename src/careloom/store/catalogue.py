"""store.catalogue: the search parameters that this store has beside those of R4.

Room: store. Touches: the tables search_parameter, search_catalogue.
Standard: https://hl7.org/fhir/R4/searchparameter.html

A change of a parameter and the new stamp of the catalogue are one commit. Whoever writes resources reads the stamp in
the same transaction; whoever searches compares it before and after, if what is searched by could depend on it. So no
process needs to be told.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec

from careloom.fhir.catalogue import R4_ALONE, Catalogue
from careloom.fhir.outcome import Issue, OutcomeError
from careloom.fhir.searchdefinition import Base, Definition
from careloom.fhir.searchparam import FIRST_OWN, SearchParameter, of_r4
from careloom.store.database import Connection
from careloom.store.fetch import fetch

LAST = (1 << 15) - 1
"""The highest id: a smallint."""

_COLUMNS = "id, resource_id, url, code, type, targets, bases, status, job"


class Entry(NamedTuple):
    """One row of search_parameter."""

    id: int
    resource_id: str
    definition: Definition
    status: str
    """building, ready or retired."""
    job: str | None

    @property
    def parameters(self) -> tuple[SearchParameter, ...]:
        """The parameter of each of its types."""
        return tuple(self.definition.parameter(base, self.id) for base in self.definition.bases)


def stamp_of(connection: Connection) -> int:
    """The stamp of the catalogue now."""
    [(stamp,)] = fetch(connection, b"select stamp from search_catalogue")
    return stamp


def changed(connection: Connection) -> None:
    """Give the catalogue another stamp; others who would change it wait from here to the end of the transaction."""
    connection.execute("update search_catalogue set stamp = %s", [secrets.randbits(62)])


def entries(connection: Connection, condition: str = "true", values: Sequence[Any] = ()) -> list[Entry]:
    """The rows for which a condition holds, in the order of their ids."""
    sql = f"select {_COLUMNS} from search_parameter where {condition} order by id"
    return [_entry(row) for row in connection.execute(sql.encode(), values)]


def added(connection: Connection, resource_id: str, definition: Definition, now: datetime) -> int:
    """Add a definition that resources are to be indexed by; its id. Raises OutcomeError(too-costly): there are no more."""
    # An id that was freed is not in any row any more (flow.parameters), so that it can be given again.
    sql = "select n from generate_series(%s::int, %s::int) n where n not in (select id from search_parameter) limit 1"
    row = connection.execute(sql, [FIRST_OWN, LAST]).fetchone()
    if row is None:
        raise OutcomeError(Issue("too-costly", "There is no room for another search parameter."))
    connection.execute(
        "insert into search_parameter (id, resource_id, url, code, type, targets, bases, status, since)"
        " values (%s, %s, %s, %s, %s, %s, %s, 'building', %s)",
        [
            row[0],
            resource_id,
            definition.url,
            definition.code,
            definition.type,
            list(definition.targets),
            msgspec.json.encode(
                [(base.rtype, base.expression, base.components) for base in definition.bases]
            ).decode(),
            now,
        ],
    )
    return row[0]


def retired(connection: Connection, rows: Sequence[Entry]) -> bool:
    """Take these out of use; whether there were any. What is indexed by them is left to a job."""
    sql = "update search_parameter set status = 'retired', job = null where id = any(%s)"
    connection.execute(sql, [[row.id for row in rows]])
    return bool(rows)


def restored(connection: Connection, row: Entry) -> None:
    """Put one back as it was before it was retired in this transaction."""
    sql = "update search_parameter set status = %s, job = %s where id = %s"
    connection.execute(sql, [row.status, row.job, row.id])


def catalogue_of(connection: Connection) -> Catalogue:
    """The catalogue as it stands."""
    rows = entries(connection, "status <> 'retired'")
    return _catalogue(tuple(rows)) if rows else R4_ALONE


class Progress(NamedTuple):
    """How far a parameter is."""

    entry: Entry
    done: int = 0
    total: int | None = None
    """Rows of its types that the job goes through; None: nothing is being done, or it is not known yet."""
    is_stuck: bool = False
    """Its job failed: `careloom reindex` takes it on again."""

    @property
    def word(self) -> str:
        """building, ready, retired or failed."""
        return "failed" if self.is_stuck else self.entry.status


def progress(connection: Connection) -> list[Progress]:
    """Every parameter that R4 does not have, and how far the job is that works on it."""
    rows = entries(connection)
    sql = "select id, done, total, status in ('failed', 'cancelled') from job where id = any(%s)"
    told = {id_: more for id_, *more in connection.execute(sql, [[row.job for row in rows if row.job]])}
    return [Progress(row, *told.get(row.job or "", ())) for row in rows]


@lru_cache(maxsize=8)
def _catalogue(rows: tuple[Entry, ...]) -> Catalogue:
    """Made once for what it says, so that all connections of a process share what is compiled of it."""
    ready: dict[str, dict[str, SearchParameter]] = {}
    building: dict[str, set[str]] = {}
    written: dict[str, tuple[SearchParameter, ...]] = {}
    # Composites after what they are made of: one whose part cannot be used cannot be used either.
    for row in sorted(rows, key=lambda row: row.definition.type == "composite"):
        for parameter in row.parameters:
            rtype = parameter.rtype
            known = {**of_r4(rtype), **ready.get(rtype, {})}
            if row.status == "ready" and all(code in known for code, _ in parameter.components):
                ready.setdefault(rtype, {})[parameter.code] = parameter
            else:
                building.setdefault(rtype, set()).add(parameter.code)
            if parameter.is_indexed:
                written[rtype] = (*written.get(rtype, ()), parameter)
    return Catalogue(
        ready,
        {rtype: frozenset(codes) for rtype, codes in building.items()},
        written,
        {row.definition.url: row.definition.code for row in rows},
    )


def _entry(row: tuple[Any, ...]) -> Entry:
    id_, resource_id, url, code, kind, targets, bases, status, job = row
    made = tuple(
        Base(rtype, expression, tuple((one, path) for one, path in components))
        for rtype, expression, components in bases
    )
    return Entry(id_, resource_id, Definition(url, code, kind, tuple(targets), made), status, job)
