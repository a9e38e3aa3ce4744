"""store.order: the order of a search's answer, and the place in it where the next page begins.

Room: store. Pure. Standard: https://hl7.org/fhir/R4/search.html#sort

Pages are cut by value, not by number: the next page begins after the last row of this one (and the one before it ends
before its first), so that rows which writers add or take away meanwhile neither repeat nor skip others. Ties are broken by the resource's key, which
outlives its versions. Without _sort the newest clinical time comes first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import NamedTuple

from careloom.fhir.query import Sort
from careloom.fhir.searchparam import OF_THE_ROW
from careloom.store.condition import Condition, all_of, any_of
from careloom.store.resource_type import columns_of


class Key(NamedTuple):
    """One key of the order: SQL of its value on a row r of res, and its type."""

    sql: str
    kind: str
    is_descending: bool

    @property
    def direction(self) -> str:
        """The word of ORDER BY."""
        return " desc" if self.is_descending else ""


@dataclass(frozen=True)
class Order:
    """The keys of an order; the last is the tie-breaker. `order_of` keeps them, so that each is written once."""

    keys: tuple[Key, ...]

    @cached_property
    def sql(self) -> str:
        """ORDER BY."""
        return ", ".join(f"{key.sql}{key.direction}" for key in self.keys)

    @cached_property
    def texts(self) -> str:
        """What to select, so that `cursor` can be made: the values as text, which bears infinities."""
        return ", ".join(f"({key.sql})::text" for key in self.keys)

    @cached_property
    def named(self) -> str:
        """The values as columns k0, k1 ... of an inner query, for `named_sql` and `named_texts` around it."""
        return ", ".join(f"{key.sql} as k{place}" for place, key in enumerate(self.keys))

    @cached_property
    def named_sql(self) -> str:
        """ORDER BY around an inner query."""
        return ", ".join(f"r.k{place}{key.direction}" for place, key in enumerate(self.keys))

    @cached_property
    def named_texts(self) -> str:
        """The values as text, around an inner query."""
        return ", ".join(f"r.k{place}::text" for place in range(len(self.keys)))

    @cached_property
    def backwards(self) -> Order:
        """The same order from its end."""
        return Order(tuple(key._replace(is_descending=not key.is_descending) for key in self.keys))

    def after(self, values: Sequence[str]) -> Condition:
        """The condition on rows beyond one with these values."""
        if len({key.is_descending for key in self.keys}) == 1:
            sign = "<" if self.keys[0].is_descending else ">"
            left = ", ".join(key.sql for key in self.keys)
            right = ", ".join(f"%s::{key.kind}" for key in self.keys)
            return Condition(f"({left}) {sign} ({right})", tuple(values))
        return any_of(self._beyond(place, values) for place in range(len(self.keys)))

    def _beyond(self, place: int, values: Sequence[str]) -> Condition:
        ties = [
            Condition(f"{key.sql} = %s::{key.kind}", (value,))
            for key, value in zip(self.keys[:place], values, strict=False)
        ]
        key = self.keys[place]
        sign = "<" if key.is_descending else ">"
        beyond = Condition(f"{key.sql} {sign} %s::{key.kind}", (values[place],))
        return all_of([Condition("true"), *ties, beyond])


def is_indexed(sort: Sort) -> bool:
    """Whether SQL can make this order; if not, store.ranking does."""
    return sort.parameter.type in _TABLES or sort.parameter.code in OF_THE_ROW


def is_walked(rtype: str, sort: tuple[Sort, ...]) -> bool:
    """Whether an index has the rows of a type in this order (of the first key), so that a page can be cut off."""
    first = sort[0] if sort else None
    has_index = first is None or _is_hot(rtype, first) or first.parameter.code == "_lastUpdated"
    return rtype != "Resource" and has_index and all(map(is_indexed, sort))


def is_split(rtype: str, sort: tuple[Sort, ...]) -> bool:
    """Whether undated rows, which an index holds before all others, must be asked for apart to come last."""
    first = sort[0] if sort else None
    return first is not None and not first.is_descending and _is_hot(rtype, first)


@lru_cache(maxsize=1024)
def order_of(rtype: str, sort: tuple[Sort, ...], is_dated: bool | None = None) -> Order:  # noqa: FBT001
    """The order of a search by keys that are all `is_indexed`; `is_dated` for one half of a search that `is_split`."""
    keys = [_key(rtype, one, is_dated if place == 0 else None) for place, one in enumerate(sort)] or [
        Key("r.dlo", "timestamptz", is_descending=True)
    ]
    return Order((*keys, Key("r.key", "bigint", keys[-1].is_descending)))


def _is_hot(rtype: str, sort: Sort) -> bool:
    return sort.parameter.id == columns_of(rtype).date


def _key(rtype: str, sort: Sort, is_dated: bool | None) -> Key:  # noqa: FBT001
    parameter, down = sort.parameter, sort.is_descending
    if parameter.code == "_lastUpdated":
        return Key("r.lm", "timestamptz", down)
    if parameter.code == "_id":
        return Key("r.id", 'text collate "C"', down)
    if _is_hot(rtype, sort):
        if down or is_dated:
            return Key("r.dlo", "timestamptz", down)
        last = "'infinity'::timestamptz"
        return Key(
            last if is_dated is False else f"coalesce(nullif(r.dlo, '-infinity'), {last})",
            "timestamptz",
            down,
        )
    table, column, kind, highest, lowest = _TABLES[parameter.type]
    # Of several values the first in this direction counts; resources without one come last.
    best = f"select {'max' if down else 'min'}(s.{column}) from {table} s where s.rid = r.rid and s.sp = {parameter.id:d}"
    return Key(f"coalesce(({best}), {lowest if down else highest})", kind, down)


_TABLES = {
    "string": ("s_str", "v", 'text collate "C"', "chr(1114111)", "''"),
    "date": ("s_dat", "lo", "timestamptz", "'infinity'::timestamptz", "'-infinity'::timestamptz"),
    "quantity": ("s_qty", "lo", "float8", "'infinity'::float8", "'-infinity'::float8"),
    "number": ("s_qty", "lo", "float8", "'infinity'::float8", "'-infinity'::float8"),
}
"""Type of parameter -> table, column, its type, and what stands for a missing value, ascending and descending."""
