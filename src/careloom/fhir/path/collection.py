"""fhir.path.collection: functions of collections as such: existence, subsets, order, repetition.

Room: fhir. May import: fhir.path. Standard: http://hl7.org/fhirpath/N1/#existence to #combining
"""

from __future__ import annotations

from functools import cmp_to_key
from typing import Any

from careloom.fhir.path.arguments import EMPTY, FALSE, TRUE, boolean, integer, truth
from careloom.fhir.path.env import Env
from careloom.fhir.path.equality import contains, distinct, order, weight
from careloom.fhir.path.fault import execution_error
from careloom.fhir.path.function import Compile, Eval, Source, function, special
from careloom.fhir.path.tree import Call, Polarity
from careloom.fhir.path.value import Collection, Want, system


@function(wants=Want.JSON)
def empty(_env: Env, items: Collection) -> Collection:
    """Whether there is nothing."""
    return FALSE if items else TRUE


@function(name="not")
def not_(_env: Env, items: Collection) -> Collection:
    """The contrary of a boolean."""
    value = boolean(items)
    return EMPTY if value is None else truth(not value)


@function(wants=Want.JSON)
def count(_env: Env, items: Collection) -> Collection:
    """How many items there are."""
    return [len(items)]


def _booleans(items: Collection, what: str) -> list[bool]:
    found = [system(item) for item in items]
    if not all(type(value) is bool for value in found):
        raise execution_error(f"{what} takes booleans")
    return found


@function()
def all_true(_env: Env, items: Collection) -> Collection:
    """Whether all booleans are true."""
    return truth(all(_booleans(items, "allTrue()")))


@function()
def any_true(_env: Env, items: Collection) -> Collection:
    """Whether any boolean is true."""
    return truth(any(_booleans(items, "anyTrue()")))


@function()
def all_false(_env: Env, items: Collection) -> Collection:
    """Whether all booleans are false."""
    return truth(not any(_booleans(items, "allFalse()")))


@function()
def any_false(_env: Env, items: Collection) -> Collection:
    """Whether any boolean is false."""
    return truth(not all(_booleans(items, "anyFalse()")))


def _is_subset(env: Env, one: Collection, other: Collection) -> Collection:
    env.spend((len(one) + weight(one)) * len(other))
    return truth(all(contains(other, item) for item in one))


@function(1)
def subset_of(env: Env, items: Collection, other: Collection) -> Collection:
    """Whether all items are among the others."""
    return _is_subset(env, items, other)


@function(1)
def superset_of(env: Env, items: Collection, other: Collection) -> Collection:
    """Whether all others are among the items."""
    return _is_subset(env, other, items)


@function(name="distinct", is_selection=True)
def distinct_(env: Env, items: Collection) -> Collection:
    """The items without repetitions."""
    # Texts are found in a set; only what is no text is compared with each other one.
    others = [item for item in items if type(item) is not str and type(system(item)) is not str]
    env.spend(len(items) + ((len(others) + weight(others)) * len(others) // 2 if others else 0))
    return distinct(items)


@function()
def is_distinct(env: Env, items: Collection) -> Collection:
    """Whether no two items are equal."""
    return truth(len(distinct_(env, items)) == len(items))


@function(wants=Want.JSON, is_selection=True)
def single(_env: Env, items: Collection) -> Collection:
    """The only item; an error for several."""
    if len(items) > 1:
        raise execution_error("single() takes one item, and there are several")
    return items


@function(wants=Want.JSON, is_selection=True)
def first(_env: Env, items: Collection) -> Collection:
    """The first item."""
    return items[:1]


@function(wants=Want.JSON, is_selection=True)
def last(_env: Env, items: Collection) -> Collection:
    """The last item."""
    return items[-1:]


@function(wants=Want.JSON, is_selection=True)
def tail(_env: Env, items: Collection) -> Collection:
    """All but the first item."""
    return items[1:]


@function(1, wants=Want.JSON, is_selection=True)
def skip(_env: Env, items: Collection, count: Collection) -> Collection:
    """All but the first so many items."""
    number = integer(count, "skip()")
    return items if number is None else items[max(0, number) :]


@function(1, wants=Want.JSON, is_selection=True)
def take(_env: Env, items: Collection, count: Collection) -> Collection:
    """The first so many items."""
    number = integer(count, "take()")
    return EMPTY if number is None else items[: max(0, number)]


@function(1, is_selection=True)
def intersect(env: Env, items: Collection, other: Collection) -> Collection:
    """The items that are among the others too, once each."""
    env.spend((len(items) + weight(items)) * (len(items) + len(other)))
    return distinct([item for item in items if contains(other, item)])


@function(1, is_selection=True)
def exclude(env: Env, items: Collection, other: Collection) -> Collection:
    """The items that are not among the others."""
    env.spend((len(items) + weight(items)) * len(other))
    return [item for item in items if not contains(other, item)]


@function(1, is_selection=True)
def union(env: Env, items: Collection, other: Collection) -> Collection:
    """The items and the others, once each."""
    if not items and len(other) < 2:  # noqa: PLR2004 - nothing to compare
        return other
    return distinct_(env, [*items, *other])


@function(1, wants=Want.JSON, is_selection=True)
def combine(env: Env, items: Collection, other: Collection) -> Collection:
    """The items and the others, with repetitions."""
    env.spend(len(items) + len(other))
    return [*items, *other]


@special(0, 100)
def coalesce(call: Call, _source: Source, compiled: Compile, want: Want) -> Eval:
    """The first argument that gives something."""
    choices = [compiled(argument, want) for argument in call.arguments]

    def run(env: Env, this: Collection) -> Collection:
        for choice in choices:
            found = choice(env, this)
            if found:
                return found
        return EMPTY

    return run


@special(0, 100)
def sort(call: Call, source: Source, compiled: Compile, _want: Want) -> Eval:
    """The keys are arguments; a minus before one says descending, also where it is no number."""
    keys = [
        (
            compiled(argument.operand if isinstance(argument, Polarity) else argument, Want.VALUES),
            _sign(argument),
        )
        for argument in call.arguments
    ] or [(lambda _env, this: this, 1)]

    input_ = source(Want.NODES)

    def run(env: Env, this: Collection) -> Collection:
        items = input_(env, this)
        env.spend(len(items) * 16 * len(keys))
        valued = [([key(env, [item]) for key, _ in keys], item) for item in items]
        return [item for _, item in sorted(valued, key=cmp_to_key(_by(keys)))]

    return run


def _sign(argument: object) -> int:
    return -1 if isinstance(argument, Polarity) and argument.sign == "-" else 1


def _by(keys: list[tuple[Eval, int]]) -> Any:
    def compare(one: Any, other: Any) -> int:
        for (_, sign), a, b in zip(keys, one[0], other[0], strict=True):
            if not a or not b:
                # What has no key comes first, whichever way the others are sorted.
                result = (bool(a) > bool(b)) - (bool(a) < bool(b))
                sign = 1  # noqa: PLW2901 - see above
            elif len(a) > 1 or len(b) > 1:
                raise execution_error("A key of sort() is one item, and there are several")
            else:
                result = order(a[0], b[0]) or 0
            if result:
                return result * sign
        return 0

    return compare
