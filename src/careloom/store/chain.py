"""store.chain: chained criteria and _has as conditions on a row: what is at the other end is gathered, or looked for.

Room: store. Touches: the table res. Standard: https://hl7.org/fhir/R4/search.html#chaining and #has

Nobody can tell beforehand whether three resources at the other end meet a criterion or half of the store: the statistics
of a table know of single columns, not of how they hang together, and a plan made by them may take a thousand times as
long as another. So it is tried. If they are few, their keys are gathered and an index leads from these to the rows. If
they are many, a page of rows is soon full: rows are walked in their order, and from each is looked to the other end.
Where every match is wanted (a total, an order that no index has), and where a walk did not come upon enough in its time,
many are joined instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from careloom.fhir.searchparam import SearchParameter
from careloom.store.condition import NEVER, Condition, all_of, any_of
from careloom.store.fetch import fetch
from careloom.store.hashes import salt
from careloom.store.look import Look
from careloom.store.resource_type import columns_of, number_of

SOME = 100
"""So many are gathered in any case; more only if the rows of the search are not few by themselves."""
FEW = 1_000
"""So many rows are few: their keys are read, and a column is compared to them."""
SOME_PATIENTS = 100
"""The same where an index tells patients apart: the walk that follows if they are more costs as much."""
NEWEST = 1_000
"""So many rows are looked at to see whether a criterion is met by many."""
FEW_ENTRIES = 200
"""The same where an array of hashes is searched for them, or where each row names many."""


class Way(NamedTuple):
    """What rows at the other end must meet, twice: as an index finds them, and for a row to which another one led."""

    drive: Condition
    probe: Condition
    is_of_patient: bool = False
    """An index has what must be met within a patient."""
    is_common: bool = False
    """Half of all rows may meet it: some are looked at before an index is asked for all."""


class Far(NamedTuple):
    """Rows of a type at the other end of a reference, which go one of the ways."""

    rtype: str
    row: str
    """Their alias."""
    is_seen: Condition
    """They stand, and the actor may see them."""
    ways: tuple[Way, ...]

    def of_type(self, row: str) -> Condition:
        """They are of the type."""
        return Condition(f"{row}.rtype = %s", (number_of(self.rtype),))


def refers(look: Look, parameter: SearchParameter, far: Far, row: str) -> Condition:
    """The row refers by the parameter to one of these."""
    is_column = far.rtype == "Patient" and parameter.id in columns_of(parameter.rtype).single_patients
    salted = salt(parameter.id)
    keys: set[int] = set()
    others: list[Condition] = []
    for way in far.ways:
        found = _gathered(look, f"{far.row}.key", far, way, FEW if is_column else FEW_ENTRIES)
        if found is not None:
            keys |= {key for (key,) in found}
        elif look.is_whole:
            others.append(
                _joined_column(far, way, row) if is_column else _joined_entries(far, way, row, salted)
            )
        else:
            others.append(_from_column(far, way, row) if is_column else _from_entries(far, way, row, salted))
    direct = _is_one_of(f"{row}.pat", keys) if is_column else _holds(row, {key ^ salted for key in keys})
    return any_of([direct, *others] if keys or not others else others)


def is_referred_to(look: Look, rtype: str, parameter: SearchParameter, far: Far, row: str) -> Condition:
    """One of these refers by the parameter to the row, which is of a type (or of "Resource": of any)."""
    columns = columns_of(far.rtype)
    by_column = parameter.id in columns.single_patients and rtype in {"Patient", "Resource"}
    by_entry = rtype != "Patient" or parameter.id not in columns.sole_patients
    salted = salt(parameter.id)
    is_walked = not look.is_whole and look.is_narrow()
    keys: set[int] = set()
    selects: list[Condition] = []
    probes: list[Condition] = []
    for way in far.ways:
        what = f"{far.row}.pat, {far.row}.ix" if by_entry else f"{far.row}.pat"
        # Of rows that are few each is looked from; it is not even asked how many are at the other end.
        found = None if is_walked else _gathered(look, what, far, way, FEW_ENTRIES if by_entry else FEW)
        if found is not None:
            keys |= {one[0] for one in found if by_column and one[0] is not None}
            keys |= {entry ^ salted for one in found if by_entry for entry in one[1]}
            continue
        if by_column:
            selects.append(_selected(f"{far.row}.pat", far, way.drive))
            probes.append(_of_patient(far, way, row))
        if by_entry:
            selects.append(_selected(f"unnest({far.row}.ix) # '{salted}'::bigint", far, way.drive))
            # What must be met is no way to them here: `offset 0` keeps PostgreSQL from taking it for one.
            source = f"select * from res x where x.ix && array[{row}.key # '{salted}'::bigint] offset 0"
            probes.append(_found(Condition(f"({source}) {far.row} where true"), far, way))
    direct = _is_one_of(f"{row}.key", keys)
    if not look.is_whole:
        return any_of([direct, *probes] if keys or not probes else probes)
    # One list of keys, so that the index on keys is walked by it; two joined by `or` would be a look at every row.
    if keys and selects:
        selects.append(Condition("select unnest(%s::bigint[])", (sorted(keys),)))
    return _in(f"{row}.key", selects) if selects else direct


def _gathered(look: Look, what: str, far: Far, way: Way, limit: int) -> list[tuple[Any, ...]] | None:
    """What is selected of all of these; None if they are more than the limit, or too many for rows that are few."""
    if way.is_common and not look.is_whole and _is_usual(look, far, way):
        return None
    if way.is_of_patient and what == f"{far.row}.pat":
        return _at_most(look, _patients(far, way), SOME_PATIENTS)
    selected = _selected(what, far, way.drive)
    found = _at_most(look, selected, min(SOME, limit))
    if found is None and not look.is_narrow():
        found = _at_most(look, selected, limit)
    return found


def _is_usual(look: Look, far: Far, way: Way) -> bool:
    """Whether many of the newest rows of the type go this way."""
    of_type = far.of_type("x")
    newest = f"select * from res x where {of_type.sql} order by x.dlo desc, x.key desc limit {NEWEST:d}"
    where = all_of([far.is_seen, way.probe])
    usual = Condition(f"select 1 from ({newest}) {far.row} where {where.sql}", of_type.values + where.values)
    return _at_most(look, usual, SOME) is None


def _patients(far: Far, way: Way) -> Condition:
    """Which patients have the code: the index is asked for one after the other, however much each has of it."""
    where = all_of([way.drive, far.is_seen, Condition(f"{far.row}.pat is not null")])
    one = f"select {far.row}.pat from res {far.row} where {where.sql}"
    rest = f"{one} and {far.row}.pat > p.pat order by {far.row}.pat limit 1"
    sql = f"""with recursive p(pat) as (
        ({one} order by {far.row}.pat limit 1) union all select ({rest}) from p where p.pat is not null)
        select pat from p where pat is not null"""
    return Condition(sql, where.values + where.values)


def _at_most(look: Look, selected: Condition, limit: int) -> list[tuple[Any, ...]] | None:
    question = f"{selected.sql} limit {limit + 1:d}"
    known = (question, repr(selected.values))
    if known not in look.gathered:
        found = fetch(look.connection, question.encode(), selected.values)
        look.gathered[known] = found if len(found) <= limit else None
    return look.gathered[known]


def _selected(what: str, far: Far, met: Condition) -> Condition:
    of_type = far.of_type(far.row)
    if met.sql.startswith(f"{far.row}.ix && "):
        # What is of the parameter is of the type, mostly: no index need tell beside which rows are of the type.
        of_type = Condition(f"({of_type.sql}) is true", of_type.values)
    where = all_of([of_type, far.is_seen, met])
    return Condition(f"select {what} from res {far.row} where {where.sql}", where.values)


def _of_patient(far: Far, way: Way, row: str) -> Condition:
    near = [Condition(f"x.pat = {row}.key"), far.of_type("x")]
    if way.is_of_patient:
        near.append(Condition(way.probe.sql.replace(f"{far.row}.", "x."), way.probe.values))
    where = all_of(near)
    # As below: within a patient nothing else is a way that is short.
    return _found(
        Condition(f"(select * from res x where {where.sql} offset 0) {far.row} where true", where.values),
        far,
        way,
    )


def _from_column(far: Far, way: Way, row: str) -> Condition:
    return _found(Condition(f"res {far.row} where {far.row}.key = {row}.pat"), far, way)


def _from_entries(far: Far, way: Way, row: str, salted: int) -> Condition:
    # Of what an array holds nobody knows what is a reference by this parameter; all else leads nowhere.
    source = f"unnest({row}.ix) entry join res {far.row} on {far.row}.key = entry # '{salted}'::bigint"
    return _found(Condition(f"{source} where true"), far, way)


def _found(source: Condition, far: Far, way: Way) -> Condition:
    """One of these is found from the row; a scalar, which PostgreSQL asks for row by row and never turns into a join."""
    where = all_of([source, far.of_type(far.row), far.is_seen, way.probe])
    return Condition(f"coalesce((select true from {where.sql} limit 1), false)", where.values)


def _joined_column(far: Far, way: Way, row: str) -> Condition:
    return _in(f"{row}.pat", [_selected(f"{far.row}.key", far, way.drive)])


def _joined_entries(far: Far, way: Way, row: str, salted: int) -> Condition:
    # The index is asked for one key after the other: an array of all would be compared to each row's from end to end.
    keys = _selected(f"{far.row}.key", far, way.drive)
    of_one = f"select x.rid from res x where x.ix && array[k.key # '{salted}'::bigint] offset 0"
    return Condition(f"{row}.rid in (select x.rid from ({keys.sql}) k, lateral ({of_one}) x)", keys.values)


def _is_one_of(column: str, keys: set[int]) -> Condition:
    """As `condition.equals`; the cast says to store.fetch that the plan hangs on how many there are."""
    if len(keys) == 1:
        return Condition(f"{column} = %s", tuple(keys))
    return Condition(f"{column} = any(%s::bigint[])", (sorted(keys),)) if keys else NEVER


def _holds(row: str, entries: set[int]) -> Condition:
    return Condition(f"{row}.ix && %s::bigint[]", (sorted(entries),)) if entries else NEVER


def _in(column: str, selects: Sequence[Condition]) -> Condition:
    values = tuple(value for one in selects for value in one.values)
    return Condition(f"{column} in ({' union all '.join(one.sql for one in selects)})", values)
