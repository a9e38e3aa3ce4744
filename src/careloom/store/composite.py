"""store.composite: the values of a composite put together, so that a row is asked few questions and not hundreds.

Room: store. May import: fhir. Pure. Standard: https://hl7.org/fhir/R4/search.html#composite
"""

from __future__ import annotations

from collections.abc import Sequence

from careloom.fhir.queryvalue import Value
from careloom.store.condition import Condition

Slots = tuple[tuple[Value, ...], ...]
"""For each component its values; any of the first, with any of the second ..., is meant."""


def gathered(rows: Sequence[tuple[Value, ...]]) -> list[Slots]:
    """Values that differ in one component alone, put together; of the ways to do so the one that leaves the fewest.

    Two hundred values of ten codes are so ten questions to a row, of which one is gone into.
    """
    best: list[Slots] = []
    for free in range(len(rows[0])):
        groups: dict[tuple[Value, ...], dict[Value, None]] = {}
        for parts in rows:
            groups.setdefault(parts[:free] + parts[free + 1 :], {})[parts[free]] = None
        slots = [_slots(rest, free, tuple(some)) for rest, some in groups.items()]
        if not best or len(slots) < len(best):
            best = slots
    return best


def of_the_row(condition: Condition) -> Condition:
    """The same, looked up for each row. Of several of which one must hold PostgreSQL would gather all rows for each."""
    sql = condition.sql[1:-1] if condition.sql.startswith("(exists (") else condition.sql
    if not sql.startswith("exists (") or sql.count("exists (") > 1:
        return condition
    return Condition(f"{sql.removesuffix(')')} offset 0)", condition.values)


def _slots(rest: tuple[Value, ...], free: int, some: tuple[Value, ...]) -> Slots:
    before, after = [tuple((one,) for one in part) for part in (rest[:free], rest[free:])]
    return (*before, some, *after)
