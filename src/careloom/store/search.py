"""store.search: a Query as SQL on res, page by page.

Room: store. Touches: the tables res, s_str, s_qty, s_dat, s_second. Standard: https://hl7.org/fhir/R4/search.html
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cache, partial
from typing import Generic, NamedTuple

import psycopg

from careloom.fhir.catalogue import knowing
from careloom.fhir.clause import Clause, Criterion
from careloom.fhir.outcome import Issue, OutcomeError
from careloom.fhir.query import Query, Sort
from careloom.store.actor import Actor
from careloom.store.clause import sieve_of
from careloom.store.condition import Condition, all_of, negated
from careloom.store.criterion import by_hot_code, hot_codes
from careloom.store.crossing import crossed
from careloom.store.database import Connection
from careloom.store.fetch import fetch
from careloom.store.include import included
from careloom.store.look import TIME_LIMIT_S, Look, hurried
from careloom.store.order import is_indexed, is_split, is_walked
from careloom.store.place import LAST, START, Place, following, place_of
from careloom.store.ranking import ranked_rows
from careloom.store.resource_type import number_of
from careloom.store.rows import Branch, Rows, counted, found_rows
from careloom.store.stored import Kind, M, Stored
from careloom.store.visible import visible

DEFAULT_COUNT = 20
MAX_COUNT = 1_000
NARROW = 100
"""So few rows may each be looked at."""


class Page(NamedTuple, Generic[M]):
    """A page of a search."""

    matches: list[M]
    included: list[Stored]
    total: int | None
    """How many match on all pages; None where nobody asked and it was not known for nothing."""
    next: str | None
    """`_cursor` of the next page; None: that was the last."""
    ignored: tuple[str, ...] = ()
    """Names of parameters that were not understood."""
    previous: str | None = None
    """`_cursor` of the page before; None: this is the first."""
    last: str | None = None
    """`_cursor` of the last page; None: this is the only one."""


def search(connection: Connection, actor: Actor, query: Query, kind: Kind[M]) -> Page[M]:
    """One page of what matches and the actor may see. Raises OutcomeError: too-costly or timeout, not-supported."""
    look = Look(connection, actor, time.monotonic() + TIME_LIMIT_S)
    try:
        with knowing(query.catalogue):
            return _page(look, query, kind)
    except psycopg.errors.QueryCanceled:
        text = "This search took too long: add a parameter that narrows it, or ask for a smaller _count."
        raise OutcomeError(Issue("timeout", text)) from None


def _page(look: Look, query: Query, kind: Kind[M]) -> Page[M]:
    count = min(DEFAULT_COUNT if query.count is None else query.count, MAX_COUNT)
    if count == 0 or query.summary == "count":
        return Page([], [], counted(look, _branches(look.whole, query), query.total), None, query.ignored)
    place = place_of(query.cursor, max(len(query.sort), 1) + 1)
    rows = _rows(look, query, place, count, kind)
    after, before = following(rows.values, place, is_more=rows.is_more)
    total = len(rows.matches) if place == START and after is None else None
    if total is None and query.total in {"accurate", "estimate"}:
        total = counted(look, _branches(look.whole, query), query.total)
    return Page(
        rows.matches,
        included(look.connection, look.actor, query, rows.matches),
        total,
        after and after.word,
        query.ignored,
        before and before.word,
        LAST.word if after or before else None,
    )


def _rows(look: Look, query: Query, place: Place, count: int, kind: Kind[M]) -> Rows[M]:
    """The rows of a page: walked, if the order and what is asked for allow of it, else all are found first."""
    parts = query.parts or (query,)
    if all(is_walked(part.rtype, part.sort) for part in parts):
        branches = _branches(look, query)
        if None not in look.gathered.values():
            return found_rows(look, branches, place, count, kind)
        with suppress(psycopg.errors.QueryCanceled), hurried(look):
            return found_rows(look, branches, place, count, kind)
        # What many refer to may still be far from the rows that come first.
    branches = _branches(look.whole, query)
    is_ordered = all(is_indexed(key) for branch in branches for key in branch.sort)
    return (found_rows if is_ordered else ranked_rows)(look, branches, place, count, kind)


def _branches(look: Look, query: Query) -> list[Branch]:
    """Conditions that exclude one another, the answer to the query together.

    There are two where a code drives the search: rows whose first coding it is, in the order of an index, and the
    few for which it is another coding.
    """
    parts = query.parts or (query,)
    _refuse_mixed([part.sort for part in parts])
    return [half for part in parts for branch in _of_type(look, part) for half in _halves(branch)]


def _halves(branch: Branch) -> list[Branch]:
    if not is_split(branch.rtype, branch.sort):
        return [branch]
    dated = all_of([branch.condition, Condition("r.dlo > '-infinity'")])
    undated = all_of([branch.condition, Condition("r.dlo = '-infinity'")])
    return [
        branch._replace(condition=dated, is_dated=True),
        branch._replace(condition=undated, is_dated=False),
    ]


def _refuse_mixed(sorts: Sequence[tuple[Sort, ...]]) -> None:
    """Types that are searched together can be sorted by what is of one kind in all of them."""
    if len({tuple((key.parameter.type, is_indexed(key)) for key in sort) for sort in sorts}) > 1:
        text = "These types cannot be sorted together: the parameter is not of the same type in all of them."
        raise OutcomeError(Issue("not-supported", text, "_sort"))


def _of_type(look: Look, query: Query) -> list[Branch]:
    rtype, criteria = query.rtype, query.criteria
    common = [Condition("not r.is_deleted"), visible(look.actor)]
    if rtype != "Resource":
        # An identifier leads to a row or two: all rows of the type are not to be laid beside them.
        of_type = "(r.rtype = %s) is true" if any(map(_is_name, criteria)) else "r.rtype = %s"
        common.insert(0, Condition(of_type, (number_of(rtype),)))
    driver = next((c for c in criteria if isinstance(c, Criterion) and hot_codes(rtype, c)), None)
    plain = [one for one in criteria if isinstance(one, Criterion)]
    if 0 < len(plain) < len(criteria):
        look = replace(look, is_narrow=cache(partial(_is_narrow, look, rtype, common, plain)))
    sieves = [sieve_of(look, rtype, one) for one in criteria if one is not driver]
    checks = tuple(sieve.check for sieve in sieves if sieve.check is not None)
    common += [sieve.condition for sieve in sieves]
    few = crossed(look, rtype, criteria, driver)
    common += [few] if few is not None else []
    if driver is None:
        return [Branch(rtype, all_of(common), checks, query.sort)]
    if few is not None or any(one.condition.sql.startswith(("r.pat = ", "r.key = ")) for one in sieves):
        common.append(sieve_of(look, rtype, driver).condition)
        return [Branch(rtype, all_of(common), checks, query.sort)]
    driving = hot_codes(rtype, driver)
    first, another = by_hot_code(driving)
    return [
        Branch(rtype, all_of([*common, first]), checks, query.sort),
        Branch(rtype, all_of([*common, negated(first), another]), checks, query.sort),
    ]


def _is_name(clause: Clause) -> bool:
    return isinstance(clause, Criterion) and clause.parameter.code == "identifier" and not clause.modifier


def _is_narrow(look: Look, rtype: str, common: Sequence[Condition], criteria: Sequence[Criterion]) -> bool:
    """Whether these criteria leave so few rows that each may be looked at."""
    where = all_of([*common, *(sieve_of(look, rtype, one).condition for one in criteria)])
    sql = f"select 1 from res r where {where.sql} limit {NARROW + 1:d}"
    return len(fetch(look.connection, sql.encode(), where.values)) <= NARROW
