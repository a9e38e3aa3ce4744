"""fhir.path.operator: the operators between two operands, as closures.

Room: fhir. May import: fhir.path. Standard: http://hl7.org/fhirpath/N1/#operations
"""

from __future__ import annotations

from typing import Any

from careloom.fhir.path import collection
from careloom.fhir.path.arguments import EMPTY, FALSE, TRUE, boolean, is_valueless, truth
from careloom.fhir.path.arithmetic import calculated
from careloom.fhir.path.env import CHARACTERS, Env
from careloom.fhir.path.equality import all_equal, all_equivalent, contains, equal, order, weight
from careloom.fhir.path.fault import execution_error
from careloom.fhir.path.function import Constant, Eval
from careloom.fhir.path.navigate import plain_text
from careloom.fhir.path.value import Collection, system
from careloom.fhir.path.value import Node as Item


def _math(operator: str) -> Any:
    def build(left: Eval, right: Eval) -> Eval:
        def run(env: Env, this: Collection) -> Collection:
            found = calculated(operator, left(env, this), right(env, this))
            if found and type(found[0]) is str:
                env.spend(len(found[0]) // CHARACTERS)
            return found

        return run

    return build


def _equality(*, is_negated: bool) -> Any:
    def build(left: Eval, right: Eval) -> Eval:
        if isinstance(right, Constant) and len(right.value) == 1 and type(right.value[0]) in {bool, int}:
            return _equals_constant(left, right.value[0], is_negated=is_negated)

        def run(env: Env, this: Collection) -> Collection:
            one, other = left(env, this), right(env, this)
            if not one or not other:
                return EMPTY
            if type(one[0]) is Item:
                env.spend(weight(one))
            same = equal(one[0], other[0]) if len(one) == len(other) == 1 else all_equal(one, other)
            return EMPTY if same is None else TRUE if same != is_negated else FALSE

        return run

    return build


def _equals_constant(left: Eval, value: Any, *, is_negated: bool) -> Eval:
    """The equality with a number or boolean, `count() = 1`."""
    kind = type(value)

    def run(env: Env, this: Collection) -> Collection:
        items = left(env, this)
        if len(items) != 1:
            return truth(is_negated) if items else EMPTY
        item = items[0]
        same = item == value if type(item) is kind else equal(item, value)
        return EMPTY if same is None else TRUE if same != is_negated else FALSE

    return run


def equals_text(left: Eval, name: str, text: str, *, is_negated: bool) -> Eval:
    """The equality that is asked most often, `use = 'official'`; `name` is that of the element, if it is no more."""
    read = plain_text(name)
    equals = _equality(is_negated=is_negated)(left, Constant([text]))

    def run(env: Env, this: Collection) -> Collection:
        found = read(this[0]) if len(this) == 1 else None
        if found is not None:
            return TRUE if (found == text) != is_negated else FALSE
        items = left(env, this)
        if len(items) != 1:
            return equals(env, this)
        item = items[0]
        same = (item if type(item) is str else system(item)) == text
        return TRUE if same != is_negated else FALSE

    return run


def _equivalence(*, is_negated: bool) -> Any:
    def build(left: Eval, right: Eval) -> Eval:
        def run(env: Env, this: Collection) -> Collection:
            one, other = left(env, this), right(env, this)
            env.spend((len(one) + weight(one)) * len(other))
            return truth(all_equivalent(one, other) != is_negated)

        return run

    return build


def _order(signs: tuple[int, ...]) -> Any:
    def build(left: Eval, right: Eval) -> Eval:
        def run(env: Env, this: Collection) -> Collection:
            one, other = left(env, this), right(env, this)
            if not one or not other:
                return EMPTY
            if len(one) > 1 or len(other) > 1:
                raise execution_error("An order is asked of one item, and there are several")
            found = None if is_valueless(one[0]) or is_valueless(other[0]) else order(one[0], other[0])
            return EMPTY if found is None else TRUE if found in signs else FALSE

        return run

    return build


def _in(left: Eval, right: Eval) -> Eval:
    def run(env: Env, this: Collection) -> Collection:
        items, wanted = right(env, this), left(env, this)
        if not wanted:
            return EMPTY
        if len(wanted) > 1:
            raise execution_error("'in' and 'contains' look for one item, and there are several")
        env.spend(len(items) + (weight(items) if type(wanted[0]) is Item else 0))
        return TRUE if contains(items, wanted[0]) else FALSE

    return run


def _contains(left: Eval, right: Eval) -> Eval:
    return _in(right, left)


def union(left: Eval, right: Eval) -> Eval:
    """`|`; the one operator whose result is made of its operands' items."""
    return lambda env, this: collection.union(env, left(env, this), right(env, this))


def _and(left: Eval, right: Eval) -> Eval:
    def run(env: Env, this: Collection) -> Collection:
        one = boolean(left(env, this))
        if one is False:
            return FALSE
        other = boolean(right(env, this))
        return FALSE if other is False else EMPTY if one is None or other is None else TRUE

    return run


def _or(left: Eval, right: Eval) -> Eval:
    def run(env: Env, this: Collection) -> Collection:
        one = boolean(left(env, this))
        if one:
            return TRUE
        other = boolean(right(env, this))
        return TRUE if other else EMPTY if one is None or other is None else FALSE

    return run


def _xor(left: Eval, right: Eval) -> Eval:
    def run(env: Env, this: Collection) -> Collection:
        one, other = boolean(left(env, this)), boolean(right(env, this))
        return EMPTY if one is None or other is None else truth(one != other)

    return run


def _implies(left: Eval, right: Eval) -> Eval:
    def run(env: Env, this: Collection) -> Collection:
        one = boolean(left(env, this))
        if one is False:
            return TRUE
        other = boolean(right(env, this))
        return TRUE if other else EMPTY if one is None or other is None else FALSE

    return run


BINARY: dict[str, Any] = {
    **{operator: _math(operator) for operator in ("+", "-", "*", "/", "div", "mod", "&")},
    "=": _equality(is_negated=False),
    "!=": _equality(is_negated=True),
    "~": _equivalence(is_negated=False),
    "!~": _equivalence(is_negated=True),
    "<": _order((-1,)),
    "<=": _order((-1, 0)),
    ">": _order((1,)),
    ">=": _order((0, 1)),
    "in": _in,
    "contains": _contains,
    "and": _and,
    "or": _or,
    "xor": _xor,
    "implies": _implies,
}
"""Operator -> what makes the closure of two operands, of which it wants the values."""
