"""store.rows: the rows of one page, in order, and how many there are on all pages.

Room: store. Touches: the tables res, s_str, s_qty, s_dat.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Generic, NamedTuple

from careloom.fhir.query import Sort
from careloom.fhir.resource import Resource
from careloom.store.condition import Condition, all_of
from careloom.store.fetch import fetch
from careloom.store.look import Look, chunks
from careloom.store.order import Order, order_of
from careloom.store.place import Place
from careloom.store.stored import FIELDS, Kind, M, Match, stored_of

MANY = 2_000
"""Rows that are read at once, at most, where most of them do not pass."""
ESTIMATED_FROM = 10_000
"""`_total=estimate` counts up to here and asks the planner beyond."""


class Branch(NamedTuple):
    """Rows r of res that are part of the answer: their type, their condition, what they must also be, their order."""

    rtype: str
    """"Resource": of every type."""
    condition: Condition
    checks: tuple[Callable[[Resource], bool], ...] = ()
    sort: tuple[Sort, ...] = ()
    is_dated: bool | None = None
    """None: dated and undated rows."""

    def passes(self, stored: Match) -> bool:
        """Whether the resource is what the index alone could not tell."""
        if not self.checks:
            return True
        resource = stored.resource()
        return all(check(resource) for check in self.checks)


class Rows(NamedTuple, Generic[M]):
    """The rows of a page, as they are shown."""

    matches: list[M]
    values: list[tuple[str, ...]]
    """Of each the values of the order's keys."""
    is_more: bool
    """Whether there are more in the direction in which they were read."""


def found_rows(look: Look, branches: Sequence[Branch], place: Place, count: int, kind: Kind[M]) -> Rows[M]:
    """The page of `count` rows at this place."""
    orders = [order_of(branch.rtype, branch.sort, branch.is_dated) for branch in branches]
    orders = [order.backwards for order in orders] if place.is_back else orders
    width = len(orders[0].keys)
    values = place.values
    # Branches of one type share their checks.
    of_type = {branch.rtype: branch for branch in branches}
    is_checked = any(branch.checks for branch in branches)

    def passes(stored: Match) -> bool:
        return (of_type.get(stored.rtype) or branches[0]).passes(stored)

    size = count + 1
    matches: list[M] = []
    kept: list[tuple[str, ...]] = []
    while True:
        rows = _rows(look, kind.fields, list(zip(branches, orders, strict=True)), values, size)
        # Where nothing is checked, the row beyond the page only says that there is one.
        found = kind.read(look.connection, rows if is_checked else rows[:count])
        if is_checked:
            good = [number for number, stored in enumerate(found) if passes(stored)]
            matches += [found[number] for number in good]
            kept += [rows[number][-width:] for number in good]
        else:
            matches, kept = found, [row[-width:] for row in rows]
        if len(kept) > count or len(rows) < size:
            break
        look.go_on()
        values, size = rows[-1][-width:], min(size * 4, MANY)
    is_more = len(kept) > count
    step = -1 if place.is_back else 1
    return Rows(matches[:count][::step], kept[:count][::step], is_more)


def counted(look: Look, branches: Sequence[Branch], how: str) -> int:
    """How many rows meet the branches; `estimate` may be off where there are many."""
    if any(branch.checks for branch in branches):
        return sum(_passing(look, branch) for branch in branches)
    limit = f" limit {ESTIMATED_FROM}" if how == "estimate" else ""
    parts = " + ".join(
        f"(select count(*) from (select from res r where {branch.condition.sql}{limit}) r)"
        for branch in branches
    )
    values = [value for branch in branches for value in branch.condition.values]
    row = look.connection.execute(f"select {parts}".encode(), values).fetchone()
    number: int = row[0] if row else 0
    return max(number, _planned(look, branches)) if limit and number >= ESTIMATED_FROM else number


def _passing(look: Look, branch: Branch) -> int:
    sql = f"select {FIELDS} from res r where {branch.condition.sql}"
    return sum(
        branch.passes(stored)
        for rows in chunks(look, sql, branch.condition.values)
        for stored in stored_of(look.connection, rows)
    )


def _planned(look: Look, branches: Sequence[Branch]) -> int:
    total = 0
    for branch in branches:
        sql = f"explain (format json) select from res r where {branch.condition.sql}"
        row = look.connection.execute(sql.encode(), branch.condition.values).fetchone()
        total += int(row[0][0]["Plan"]["Plan Rows"]) if row else 0
    return total


def _rows(
    look: Look, fields: str, branches: Sequence[tuple[Branch, Order]], after: Sequence[str], limit: int
) -> list[tuple[Any, ...]]:
    parts: list[str] = []
    values: list[Any] = []
    order = branches[0][1]
    for branch, own in branches:
        where = all_of([branch.condition, own.after(after)]) if after else branch.condition
        keys = own.texts if len(branches) == 1 else own.named
        parts.append(f"select {fields}, {keys} from res r where {where.sql} order by {own.sql} limit %s")
        values += [*where.values, limit]
    sql = parts[0]
    if len(parts) > 1:
        # Each branch is cut off in the order of an index; only the few rows of all are sorted here.
        union = " union all ".join(f"({part})" for part in parts)
        sql = f"select {fields}, {order.named_texts} from ({union}) r order by {order.named_sql} limit %s"
        values.append(limit)
    return fetch(look.connection, sql.encode(), values)
