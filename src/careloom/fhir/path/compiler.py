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
from careloom.fhir.path.arguments import EMPTY, integer
from careloom.fhir.path.arithmetic import negated
from careloom.fhir.path.elements import type_cast, type_test, wanted_type
from careloom.fhir.path.env import MAX_STEPS, NO_VARIABLES, NOTHING, Context, Env
from careloom.fhir.path.fault import semantic_error
from careloom.fhir.path.function import FUNCTIONS, SPECIALS, Constant, Eval, Function
from careloom.fhir.path.navigate import chain
from careloom.fhir.path.operator import BINARY, equals_text, union
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
from careloom.fhir.path.value import Collection, Long, Want
from careloom.fhir.path.value import Node as Item
from careloom.fhir.path.value import Quantity as Amount

MODULES = (boundary, collection, component, conversion, elements, iteration, mathematics, text)
"""Where the functions stand: importing a module puts them in the tables."""


def closure(node: Node, want: Want = Want.NODES) -> Eval:  # noqa: C901, PLR0911, PLR0912 - one for each kind of node
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
            return _member(node, want)
        case Call():
            return _folded(node, _call(node, want))
        case Indexer(base, index):
            return _indexer(closure(base, want), _operand(index, Want.VALUES))
        case Polarity(sign, operand):
            return _folded(node, _polarity(sign, closure(operand, Want.VALUES)))
        case TypeOperation(operator, operand, name, at):
            build = type_test if operator == "is" else type_cast
            return build(_operand(operand), wanted_type(name, at))
        case Binary("=" | "!=" as operator, left, Literal("String", str() as text)):
            name = left.name if isinstance(left, Member) and left.base is None else ""
            asked = _operand(left, Want.VALUES)
            return _folded(node, equals_text(asked, name, text, is_negated=operator == "!="))
        case Binary("|", left, right):
            of_both = min(want, Want.VALUES)
            return _folded(node, union(_operand(left, of_both), _operand(right, of_both)))
        case Binary(operator, left, right):
            operands = _operand(left, Want.VALUES), _operand(right, Want.VALUES)
            return _folded(node, BINARY[operator](*operands))


# What these give is not the same each time, or they do more than give something.
_IMPURE = frozenset(
    {"now", "today", "timeOfDay", "trace", "resolve", "memberOf", "conformsTo", "defineVariable"}
)


def _folded(node: Node, compiled: Eval) -> Eval:
    """What is made of literals alone (`'a' | 'b'`, `4 'g' * 2`) is evaluated once; its errors are left for later."""
    if not _is_constant(node):
        return compiled
    try:
        return Constant(
            compiled(Env(Context(), Item(None, ""), MAX_STEPS, NOTHING, NOTHING, NO_VARIABLES), [])
        )
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


def _operand(node: Node, want: Want = Want.NODES) -> Eval:
    """An operand or argument: a variable defined in it is not seen outside."""
    compiled = closure(node, want)
    if not any(isinstance(inner, Call) and inner.name == "defineVariable" for inner in nodes(node)):
        return compiled

    def run(env: Env, this: Collection) -> Collection:
        outer = env.variables
        try:
            return compiled(env, this)
        finally:
            env.variables = outer

    return run


def _member(node: Member, want: Want) -> Eval:
    names: list[str] = []
    base: Node | None = node
    while isinstance(base, Member):
        names.append(base.name)
        base = base.base
    names.reverse()
    walk = chain(tuple(names), want, is_start=base is None)
    if base is None:
        return walk
    source = closure(base)
    return lambda env, this: walk(env, source(env, this))


def _call(node: Call, want: Want) -> Eval:
    found = FUNCTIONS.get(node.name) or SPECIALS.get(node.name)
    if found is None:
        raise semantic_error("There is no such function", node.at)
    if not found.least <= len(node.arguments) <= found.most:
        raise semantic_error(f"{node.name}() does not take {len(node.arguments)} arguments", node.at)

    def input_(want: Want) -> Eval:
        return _SPECIAL["this"] if node.base is None else closure(node.base, want)

    if not isinstance(found, Function):
        return found.build(node, input_, _operand, want)
    needed = min(want, found.wants) if found.is_selection else found.wants
    run, source = found.run, input_(needed)
    arguments = [_operand(argument, min(needed, Want.VALUES)) for argument in node.arguments]
    match arguments:
        case []:
            return lambda env, this: run(env, source(env, this))
        case [argument] if isinstance(argument, Constant):
            value = argument.value
            return lambda env, this: run(env, source(env, this), value)
        case [argument]:
            return lambda env, this: run(env, source(env, this), argument(env, this))
        case _:
            return lambda env, this: run(env, source(env, this), *(one(env, this) for one in arguments))


def _indexer(source: Eval, index: Eval) -> Eval:
    if isinstance(index, Constant) and [type(one) for one in index.value] == [int] and index.value[0] >= 0:
        at = index.value[0]
        return lambda env, this: source(env, this)[at : at + 1]

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
