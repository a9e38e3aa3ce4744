"""lake.view.operator: the operators of FHIRPath: equality, order, arithmetic, logic, collections.

Room: lake. May import: lake.view. Standard: http://hl7.org/fhirpath/N1/#operations

Decimals are counted as doubles and rounded to 8 places, the precision that FHIRPath asks for: 0.1 + 0.2 = 0.3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from careloom.fhir.path import tree as t
from careloom.lake.view import moment
from careloom.lake.view.fault import unsupported, wrong_path
from careloom.lake.view.sql import FALSE, NULL, TRUE, Case, Constant, Sql, at, fn, length, when
from careloom.lake.view.value import (
    EMPTY,
    Empty,
    Result,
    Value,
    as_list,
    boolean,
    decimal,
    exists,
    family,
    integer,
    only,
    text,
)

if TYPE_CHECKING:
    from careloom.lake.view.path import Compiler

_ORDERS = frozenset({"<", "<=", ">", ">="})
_MATH = frozenset({"+", "-", "*", "/", "div", "mod"})
_INTEGERS = frozenset({"integer", "positiveInt", "unsignedInt", "Integer"})


def binary(compiler: Compiler, node: t.Binary, this: Value) -> Result:
    """What an operator gives."""
    sign = node.operator
    if sign in {"and", "or", "xor", "implies"}:
        return _logic(compiler, node, this)
    if sign in {"=", "!=", "~", "!~"}:
        return _equality(compiler, node, this)
    if sign in _ORDERS:
        return _order(compiler, node, this)
    if sign in _MATH:
        return _math(compiler, node, this)
    if sign == "&":
        return _joined(compiler, node, this)
    if sign in {"in", "contains"}:
        return _membership(compiler, node, this)
    return united(compiler.value(node.left, this), compiler.value(node.right, this), node.at)


def signed(sign: str, found: Value | Empty, at_: int) -> Result:
    """-x and +x."""
    if isinstance(found, Empty):
        return found
    if family(found) != "number":
        raise wrong_path(f"The sign {sign} stands before a number", at_)
    single = only(found, f"The sign {sign} takes one number, and there are several.")
    if sign == "+":
        return single
    negative = fn("negative", single.sql)
    return integer(negative) if single.type in _INTEGERS else decimal(negative)


def united(left: Value | Empty, right: Value | Empty, at_: int) -> Result:
    """`left | right`: the items of both, each once."""
    found = combined(left, right, at_)
    return distinct(found, at_) if isinstance(found, Value) else found


def combined(left: Value | Empty, right: Value | Empty, at_: int) -> Value | Empty:
    """The items of both."""
    if isinstance(left, Empty) or isinstance(right, Empty):
        return right if isinstance(left, Empty) else left
    same = left.type == right.type or (family(left) == family(right) != "")
    if not same or left.holds != right.holds:
        raise unsupported("A collection of items of different types is not compiled to SQL", at_)
    kind = left.type if left.type == right.type else {"text": "string"}.get(family(left), left.type)
    return Value(fn("concat lists", as_list(left), as_list(right)), kind, left.holds, many=True)


def distinct(found: Value, at_: int) -> Value:
    """Each item once."""
    if family(found) not in {"text", "number", "boolean"}:
        raise unsupported("Elements that have elements, and dates, are not compared item by item in SQL", at_)
    if not found.many:
        return found
    return Value(fn("distinct", found.sql), found.type, found.holds, many=True)


def _logic(compiler: Compiler, node: t.Binary, this: Value) -> Result:
    left = compiler.truth(node.left, this, f"'{node.operator}'")
    right = compiler.truth(node.right, this, f"'{node.operator}'")
    match node.operator:
        case "implies":
            return boolean(fn("or", fn("not", left), right))
        case "xor":
            return boolean(fn("<>", left, right))
        case _:
            return boolean(fn(node.operator, left, right))


def _equality(compiler: Compiler, node: t.Binary, this: Value) -> Result:
    left, right = compiler.value(node.left, this), compiler.value(node.right, this)
    is_negated = node.operator.startswith("!")
    if node.operator in {"~", "!~"}:
        same = _equivalent(left, right, node.at)
    elif isinstance(left, Empty) or isinstance(right, Empty):
        return EMPTY
    else:
        same = _equal(left, right, node.at)
    return boolean(fn("not", same) if is_negated else same)


def _equal(left: Value, right: Value, at_: int) -> Sql:
    """True, false, or NULL where a side has no item."""
    if left.many and right.many:
        return _equal_lists(left, right, at_)
    if left.many or right.many:
        several, single = (left, right) if left.many else (right, left)
        item = Value(at(several.sql, Constant(0)), several.type, several.holds)
        count = fn(">", length(several.sql), Constant(1))
        return Case(((count, when(exists(single), FALSE)),), _equal_items(item, single, at_))
    return _equal_items(left, right, at_)


def _equal_lists(left: Value, right: Value, at_: int) -> Sql:
    if family(left) != family(right) or family(left) not in {"text", "number", "boolean"}:
        raise unsupported("Lists of these types are not compared in SQL", at_)
    empty = fn("or", fn("not", exists(left)), fn("not", exists(right)))
    return Case(((empty, NULL),), fn("=", left.sql, right.sql))


def _equal_items(left: Value, right: Value, at_: int) -> Sql:
    one, other = family(left), family(right)
    if not one or not other:
        raise unsupported("Elements that have elements are not compared in SQL: compare what is in them", at_)
    if one != other:
        return when(fn("and", exists(left), exists(right)), FALSE)
    if one in {"moment", "time"}:
        return fn("=", moment.compared(left, right, at_), Constant(0))
    return fn("=", left.sql, right.sql)


def _equivalent(left: Value | Empty, right: Value | Empty, at_: int) -> Sql:
    """Of scalars: both absent, or the same but for case, white space."""
    if isinstance(left, Empty) or isinstance(right, Empty):
        return TRUE if isinstance(left, Empty) and isinstance(right, Empty) else _absent(left, right)
    if left.many or right.many:
        raise unsupported("'~' of lists is not compiled to SQL", at_)
    if family(left) == family(right) == "text":
        same: Sql = fn("=", fn("folded", left.sql), fn("folded", right.sql))
    else:
        same = _equal_items(left, right, at_)
    neither = fn("and", fn("not", exists(left)), fn("not", exists(right)))
    return Case(((neither, TRUE),), fn("coalesce", same, FALSE))


def _absent(left: Value | Empty, right: Value | Empty) -> Sql:
    return fn("not", exists(right if isinstance(left, Empty) else left))


def _order(compiler: Compiler, node: t.Binary, this: Value) -> Result:
    what = f"'{node.operator}'"
    left, right = compiler.one(node.left, this, what), compiler.one(node.right, this, what)
    if isinstance(left, Empty) or isinstance(right, Empty):
        return EMPTY
    kind = family(left)
    if kind != family(right) or kind in {"", "boolean"}:
        raise wrong_path(f"{what} has no meaning between {left.type} and {right.type}", node.at)
    if kind in {"moment", "time"}:
        return boolean(fn(node.operator, moment.compared(left, right, node.at), Constant(0)))
    return boolean(fn(node.operator, left.sql, right.sql))


def _math(compiler: Compiler, node: t.Binary, this: Value) -> Result:
    what = f"'{node.operator}'"
    left, right = compiler.one(node.left, this, what), compiler.one(node.right, this, what)
    if isinstance(left, Empty) or isinstance(right, Empty):
        return EMPTY
    if node.operator == "+" and family(left) == family(right) == "text":
        return text(fn("concat", left.sql, right.sql))
    if family(left) != "number" or family(right) != "number":
        raise wrong_path(f"{what} has no meaning between {left.type} and {right.type} in SQL", node.at)
    whole = left.type in _INTEGERS and right.type in _INTEGERS
    if node.operator == "div":
        return integer(fn("div", left.sql, right.sql))
    if whole and node.operator != "/":
        return integer(fn(node.operator, fn("long", left.sql), fn("long", right.sql)))
    return decimal(fn("rounded", fn(node.operator, fn("double", left.sql), fn("double", right.sql))))


def _joined(compiler: Compiler, node: t.Binary, this: Value) -> Result:
    """`&`: nothing counts as the empty text."""
    sides: list[Sql] = []
    for side in (node.left, node.right):
        found = compiler.one(side, this, "'&'")
        if isinstance(found, Value) and family(found) != "text":
            raise wrong_path("'&' joins texts", node.at)
        sides.append(Constant("") if isinstance(found, Empty) else fn("coalesce", found.sql, Constant("")))
    return text(fn("concat", *sides))


def _membership(compiler: Compiler, node: t.Binary, this: Value) -> Result:
    item, items = (node.left, node.right) if node.operator == "in" else (node.right, node.left)
    wanted = compiler.one(item, this, f"'{node.operator}'")
    found = compiler.value(items, this)
    if isinstance(wanted, Empty):
        return EMPTY
    if isinstance(found, Empty):
        return boolean(when(exists(wanted), FALSE))
    if family(found) != family(wanted) or family(found) not in {"text", "number", "boolean"}:
        raise unsupported(
            f"'{node.operator}' between {found.type} and {wanted.type} is not compiled to SQL", node.at
        )
    held = fn("coalesce", fn("contains item", as_list(found), wanted.sql), FALSE)
    return boolean(when(exists(wanted), held))
