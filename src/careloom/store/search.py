"""store.search: a Query as SQL on res, page by page.

Room: store. Touches: the tables res, s_str, s_qty, s_dat, s_second. Standard: https://hl7.org/fhir/R4/search.html
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from careloom.fhir.query import Chain, Clause, Criterion, Has, Query
from careloom.fhir.searchparam import SearchParameter
from careloom.store.actor import Actor
from careloom.store.condition import Condition, all_of, any_of, equals, negated
from careloom.store.criterion import criterion_condition, hot_codes
from careloom.store.database import Connection
from careloom.store.hashes import salt
from careloom.store.include import included
from careloom.store.order import Order, order_of
from careloom.store.resource_type import columns_of, number_of
from careloom.store.stored import FIELDS, Stored, stored_of
from careloom.store.visible import visible

DEFAULT_COUNT = 20
MAX_COUNT = 1_000


class Page(NamedTuple):
    """A page of a search."""

    matches: list[Stored]
    included: list[Stored]
    total: int | None
    """How many match on all pages; None where nobody asked and it was not known for nothing."""
    next: str | None
    """`_cursor` of the next page; None: that was the last."""
    ignored: tuple[str, ...] = ()
    """Names of parameters that were not understood."""


def search(connection: Connection, actor: Actor, query: Query) -> Page:
    """One page of what matches and the actor may see."""
    branches = _branches(actor, query)
    count = min(DEFAULT_COUNT if query.count is None else query.count, MAX_COUNT)
    if count == 0 or query.summary == "count":
        return Page([], [], _total(connection, branches), None, query.ignored)
    order = order_of(query.rtype, query.sort)
    rows = _rows(connection, branches, order, query.cursor, count)
    matches = stored_of(connection, rows[:count])
    following = order.cursor(rows[count - 1][-len(order.keys) :]) if len(rows) > count else None
    total = len(rows) if following is None and not query.cursor else None
    if total is None and query.total == "accurate":
        total = _total(connection, branches)
    beside = included(connection, actor, query, matches)
    return Page(matches, beside, total, following, query.ignored)


def _branches(actor: Actor, query: Query) -> list[Condition]:
    """Conditions that exclude one another, the answer to the query together.

    There are two where a code drives the search: rows whose first coding it is, in the order of an index, and the
    few for which it is another coding.
    """
    rtype = query.rtype
    common = [Condition("not r.is_deleted"), visible(actor)]
    if rtype != "Resource":
        common.insert(0, Condition("r.rtype = %s", (number_of(rtype),)))
    driver = next((c for c in query.criteria if isinstance(c, Criterion) and hot_codes(rtype, c)), None)
    clauses = [clause_condition(actor, rtype, one) for one in query.criteria if one is not driver]
    if driver is None:
        return [all_of([*common, *clauses])]
    if any(clause.sql.startswith(("r.pat = ", "r.key = ")) for clause in clauses):
        return [all_of([*common, *clauses, clause_condition(actor, rtype, driver)])]
    common += clauses
    driving = hot_codes(rtype, driver)
    seconds = equals("s.code", driving)
    return [
        all_of([*common, equals("r.code", driving)]),
        all_of(
            [
                *common,
                negated(equals("r.code", driving)),
                Condition(f"r.rid in (select s.rid from s_second s where {seconds.sql})", seconds.values),
            ]
        ),
    ]


def clause_condition(actor: Actor, rtype: str, clause: Clause, row: str = "r") -> Condition:
    """The condition of one clause on rows of a type."""
    if isinstance(clause, Criterion):
        return criterion_condition(rtype, clause, row)
    inner = f"{row}c"
    if isinstance(clause, Chain):
        return any_of(_chain(actor, clause.parameter, branch, row, inner) for branch in clause.branches)
    return _has(actor, clause, row, inner)


def _rows(
    connection: Connection, branches: Sequence[Condition], order: Order, cursor: str, count: int
) -> list[tuple[Any, ...]]:
    parts: list[str] = []
    values: list[Any] = []
    for branch in branches:
        where = all_of([branch, order.after(cursor)]) if cursor else branch
        parts.append(f"select {FIELDS}, {{keys}} from res r where {where.sql} order by {order.sql} limit %s")
        values += [*where.values, count + 1]
    if len(parts) == 1:
        sql = parts[0].replace("{keys}", order.texts)
    else:
        # Each branch is cut off in the order of an index; only the few rows of both are sorted here.
        union = " union all ".join(f"({part.replace('{keys}', order.named)})" for part in parts)
        sql = f"select {FIELDS}, {order.named_texts} from ({union}) r order by {order.named_sql} limit %s"
        values.append(count + 1)
    return connection.execute(sql.encode(), values, binary=True).fetchall()


def _total(connection: Connection, branches: Sequence[Condition]) -> int:
    parts = " + ".join(f"(select count(*) from res r where {branch.sql})" for branch in branches)
    values = [value for branch in branches for value in branch.values]
    row = connection.execute(f"select {parts}".encode(), values).fetchone()
    return row[0] if row else 0


def _chain(
    actor: Actor, parameter: SearchParameter, branch: tuple[str, Clause], row: str, inner: str
) -> Condition:
    """The row refers to a resource of the branch's type that meets its clause.

    The keys of those are gathered first, and an index then finds who refers to them.
    """
    rtype, clause = branch
    condition = _seen(actor, rtype, clause, inner)
    keys = f"select {inner}.key from res {inner} where {condition.sql}"
    if rtype == "Patient" and parameter.id in columns_of(parameter.rtype).single_patients:
        return Condition(f"{row}.pat in ({keys})", condition.values)
    entries = f"select {inner}.key # %s::bigint from res {inner} where {condition.sql}"
    return Condition(f"{row}.ix && array({entries})", (salt(parameter.id), *condition.values))


def _has(actor: Actor, clause: Has, row: str, inner: str) -> Condition:
    """A resource of another type refers to the row and meets a clause: the keys it refers to are its `ix`, unsalted."""
    condition = _seen(actor, clause.rtype, clause.clause, inner)
    parameter = clause.parameter.id
    entries = f"select unnest({inner}.ix) # %s::bigint from res {inner} where {condition.sql}"
    has = Condition(f"{row}.key in ({entries})", (salt(parameter), *condition.values))
    if parameter not in columns_of(clause.rtype).single_patients:
        return has
    patients = f"select {inner}.pat from res {inner} where {condition.sql}"
    return any_of([Condition(f"{row}.key in ({patients})", condition.values), has])


def _seen(actor: Actor, rtype: str, clause: Clause, row: str) -> Condition:
    return all_of(
        [
            Condition(f"{row}.rtype = %s and not {row}.is_deleted", (number_of(rtype),)),
            visible(actor, row),
            clause_condition(actor, rtype, clause, row),
        ]
    )
