"""store.condition: a piece of SQL with the values of its placeholders, and how pieces are joined.

Room: store. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple


class Condition(NamedTuple):
    """A piece of SQL and the values of its placeholders, in their order."""

    sql: str
    values: tuple[Any, ...] = ()


NEVER = Condition("false")
ALWAYS = Condition("true")


def all_of(conditions: Iterable[Condition]) -> Condition:
    """Every one holds.

    >>> all_of([Condition("a = %s", (1,)), Condition("b")])
    Condition(sql='a = %s and b', values=(1,))
    """
    return _joined(" and ", list(conditions)) or ALWAYS


def any_of(conditions: Iterable[Condition]) -> Condition:
    """One holds at least.

    >>> any_of([Condition("a"), Condition("b")])
    Condition(sql='(a or b)', values=())
    """
    some = [Condition(f"({c.sql})", c.values) if " and " in c.sql else c for c in conditions]
    joined = _joined(" or ", some) or NEVER
    return Condition(f"({joined.sql})", joined.values) if len(some) > 1 else joined


def equals(column: str, values: Sequence[int]) -> Condition:
    """The column is one of these: a plain comparison where there is one, since only that keeps an index's order.

    >>> equals("r.pat", [7])
    Condition(sql='r.pat = %s', values=(7,))
    """
    if len(values) == 1:
        return Condition(f"{column} = %s", (values[0],))
    return Condition(f"{column} = any(%s)", (list(values),)) if values else NEVER


def overlaps(column: str, values: Sequence[int]) -> Condition:
    """The array column holds one of these at least."""
    return Condition(f"{column} && %s::bigint[]", (list(values),)) if values else NEVER


def negated(condition: Condition) -> Condition:
    """The condition does not hold (its unknown counts as not holding)."""
    return Condition(f"({condition.sql}) is not true", condition.values)


def _joined(word: str, conditions: list[Condition]) -> Condition | None:
    if not conditions:
        return None
    values = tuple(value for condition in conditions for value in condition.values)
    return Condition(word.join(condition.sql for condition in conditions), values)
