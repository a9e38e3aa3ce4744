"""fhir.path.compiler: a tree to closures that call each other; nothing of the text is looked at again.

Room: fhir. May import: fhir.path. Standard: http://hl7.org/fhirpath/N1/
"""

from __future__ import annotations

from decimal import Decimal, DecimalException
from typing import Any, cast

from careloom.fhir.outcome import OutcomeError
from careloom.fhir.path import (
    boundary,
    collection,
    component,
    conversion,
    elements,
    iteration,
    mathematics,
    text,
)
from careloom.fhir.path.arguments import EMPTY, FALSE, TRUE, boolean, integer, is_valueless, truth
from careloom.fhir.path.arithmetic import calculated, negated
from careloom.fhir.path.elements import type_cast, type_test, wanted_type
from careloom.fhir.path.env import MAX_STEPS, Context, Env
from careloom.fhir.path.equality import all_equal, all_equivalent, contains, equal, order
from careloom.fhir.path.fault import execution_error, semantic_error
from careloom.fhir.path.function import FUNCTIONS, SPECIALS, Eval, Function
from careloom.fhir.path.navigate import chain, member, plain_text
from careloom.fhir.path.parser import CALENDAR
from careloom.fhir.path.temporal import temporal
from careloom.fhir.path.tree import (
    Binary,
    Call,
    Empty,
    Indexer,
    Literal,
    Member,
    Node,
    Polarity,
    Quantity,
    Special,
    TypeOperation,
    Variable,
    nodes,
    parts,
)
from careloom.fhir.path.value import Collection, Long, system
from careloom.fhir.path.value import Node as Item
from careloom.fhir.path.value import Quantity as Amount

MODULES = (boundary, collection, component, conversion, elements, iteration, mathematics, text)
"""Where the functions stand: importing a module puts them in the tables."""


def closure(node: Node) -> Eval:  # noqa: C901, PLR0911 - one for each kind of node
    """The compiled form of a tree; raises OutcomeError(invalid) for functions and types that do not exist."""
    match node:
        case Empty():
            return Constant([])
        case Literal():
            return Constant([_literal(node)])
        case Quantity(value, unit, is_calendar):
            return Constant([Amount(value, CALENDAR[unit] if is_calendar else unit, is_calendar)])
        case Variable(name):
            return lambda env, _this: env.variable(name)
        case Special(name):
            return _SPECIAL[name]
        case Member():
            return _member(node)
        case Call():
            return _folded(node, _call(node))
        case Indexer(base, index):
            return _indexer(closure(base), _operand(index))
        case Polarity(sign, operand):
            return _folded(node, _polarity(sign, closure(operand)))
        case TypeOperation(operator, operand, name, at):
            build = type_test if operator == "is" else type_cast
            return build(_operand(operand), wanted_type(name, at))
        case Binary("=" | "!=" as operator, left, Literal("String", str() as text)):
            return _folded(node, _equals_text(left, text, is_negated=operator == "!="))
        case Binary(operator, left, right):
            return _folded(node, _BINARY[operator](_operand(left), _operand(right)))


class Constant:
    """What is the same for every resource."""

    __slots__ = ("value",)

    def __init__(self, value: Collection) -> None:
        self.value = value

    def __call__(self, _env: Env, _this: Collection) -> Collection:
        """The value, whatever it is asked on."""
        return self.value


# What these give is not the same each time, or they do more than give something.
_IMPURE = frozenset(
    {"now", "today", "timeOfDay", "trace", "resolve", "memberOf", "conformsTo", "defineVariable"}
)


def _folded(node: Node, compiled: Eval) -> Eval:
    """What is made of literals alone (`'a' | 'b'`, `4 'g' * 2`) is evaluated once; its errors are left for later."""
    if not _is_constant(node):
        return compiled
    try:
        return Constant(compiled(Env(Context(), Item(None, ""), MAX_STEPS), []))
    except (OutcomeError, DecimalException):
        return compiled


def _is_constant(node: Node) -> bool:
    match node:
        case Empty() | Literal() | Quantity():
            return True
        case Call(base, name) if base is None or name in _IMPURE:
            return False
        case Call() | Indexer() | Polarity() | Binary() | TypeOperation():
            return all(map(_is_constant, parts(node)))
        case _:
            return False


def _literal(node: Literal) -> Any:
    match node.type:
        case "Date" | "DateTime" | "Time":
            found = temporal(node.type, str(node.value))
            if found is None:
                raise semantic_error("There is no such date or time", node.at)
            return found
        case "Long":
            return Long(cast("int", node.value))
        case "Integer":
            # What does not fit an Integer is a Decimal with nothing behind the point.
            number = cast("int", node.value)
            return number if number <= 2**31 else Decimal(number)
        case _:
            return node.value


_SPECIAL: dict[str, Eval] = {
    "this": lambda _env, this: this,
    "index": lambda env, _this: env.index,
    "total": lambda env, _this: env.total,
}


def _operand(node: Node) -> Eval:
    """An operand or argument: a variable defined in it is not seen outside."""
    compiled = closure(node)
    if not any(isinstance(inner, Call) and inner.name == "defineVariable" for inner in nodes(node)):
        return compiled

    def run(env: Env, this: Collection) -> Collection:
        outer = env.variables
        try:
            return compiled(env, this)
        finally:
            env.variables = outer

    return run


def _member(node: Member) -> Eval:
    names: list[str] = []
    base: Node | None = node
    while isinstance(base, Member):
        names.append(base.name)
        base = base.base
    names.reverse()
    if base is None:
        return chain(tuple(names))
    source, walks = closure(base), [member(name) for name in names]

    def run(env: Env, this: Collection) -> Collection:
        items = source(env, this)
        for one in walks:
            items = one(items)
        return items

    return run


def _call(node: Call) -> Eval:
    source = _SPECIAL["this"] if node.base is None else closure(node.base)
    found = FUNCTIONS.get(node.name) or SPECIALS.get(node.name)
    if found is None:
        raise semantic_error("There is no such function", node.at)
    if not found.least <= len(node.arguments) <= found.most:
        raise semantic_error(f"{node.name}() does not take {len(node.arguments)} arguments", node.at)
    if not isinstance(found, Function):
        return found.build(node, source, _operand)
    run, arguments = found.run, [_operand(argument) for argument in node.arguments]
    match arguments:
        case []:
            return lambda env, this: run(env, source(env, this))
        case [argument]:
            return lambda env, this: run(env, source(env, this), argument(env, this))
        case _:
            return lambda env, this: run(env, source(env, this), *(one(env, this) for one in arguments))


def _indexer(source: Eval, index: Eval) -> Eval:
    def run(env: Env, this: Collection) -> Collection:
        place = integer(index(env, this), "[]")
        return EMPTY if place is None or place < 0 else source(env, this)[place : place + 1]

    return run


def _polarity(sign: str, source: Eval) -> Eval:
    if sign == "-":
        return lambda env, this: negated(source(env, this))

    def run(env: Env, this: Collection) -> Collection:
        items = source(env, this)
        negated(items)
        return items

    return run


def _math(operator: str) -> Any:
    def build(left: Eval, right: Eval) -> Eval:
        return lambda env, this: calculated(operator, left(env, this), right(env, this))

    return build


def _equality(*, is_negated: bool) -> Any:
    def build(left: Eval, right: Eval) -> Eval:
        def run(env: Env, this: Collection) -> Collection:
            one, other = left(env, this), right(env, this)
            if not one or not other:
                return EMPTY
            same = equal(one[0], other[0]) if len(one) == len(other) == 1 else all_equal(one, other)
            return EMPTY if same is None else TRUE if same != is_negated else FALSE

        return run

    return build


def _equals_text(node: Node, text: str, *, is_negated: bool) -> Eval:
    """The equality that is asked most often, `use = 'official'`."""
    left = _operand(node)
    read = plain_text(node.name if isinstance(node, Member) and node.base is None else "")
    equals = _equality(is_negated=is_negated)(left, Constant([text]))

    def run(env: Env, this: Collection) -> Collection:
        found = read(this[0]) if len(this) == 1 else None
        if found is not None:
            return TRUE if (found == text) != is_negated else FALSE
        items = left(env, this)
        if len(items) != 1:
            return equals(env, this)
        same = system(items[0]) == text
        return TRUE if same != is_negated else FALSE

    return run


def _equivalence(*, is_negated: bool) -> Any:
    def build(left: Eval, right: Eval) -> Eval:
        def run(env: Env, this: Collection) -> Collection:
            one, other = left(env, this), right(env, this)
            env.spend(len(one) * len(other))
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
        env.spend(len(items))
        return TRUE if contains(items, wanted[0]) else FALSE

    return run


def _contains(left: Eval, right: Eval) -> Eval:
    return _in(right, left)


def _union(left: Eval, right: Eval) -> Eval:
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


_BINARY: dict[str, Any] = {
    **{operator: _math(operator) for operator in ("+", "-", "*", "/", "div", "mod", "&")},
    "=": _equality(is_negated=False),
    "!=": _equality(is_negated=True),
    "~": _equivalence(is_negated=False),
    "!~": _equivalence(is_negated=True),
    "<": _order((-1,)),
    "<=": _order((-1, 0)),
    ">": _order((1,)),
    ">=": _order((0, 1)),
    "|": _union,
    "in": _in,
    "contains": _contains,
    "and": _and,
    "or": _or,
    "xor": _xor,
    "implies": _implies,
}
