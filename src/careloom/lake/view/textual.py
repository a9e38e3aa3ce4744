"""lake.view.textual: the functions of FHIRPath on one text or number, and conversions.

Room: lake. May import: lake.view. Standard: http://hl7.org/fhirpath/N1/#string-manipulation and #math
"""

from __future__ import annotations

from collections.abc import Callable

from careloom.fhir.path import tree as t
from careloom.lake.shape import Leaf
from careloom.lake.view.fault import unsupported, wrong_path
from careloom.lake.view.path import FUNCTIONS, Compiler
from careloom.lake.view.sql import Constant, Fn, Sql, fn, when
from careloom.lake.view.value import (
    EMPTY,
    Empty,
    Result,
    Value,
    boolean,
    decimal,
    family,
    integer,
    only,
    text,
)

# Name -> (type of the input, types of the arguments, kind of the result).
_TEXTS: dict[str, tuple[str, tuple[str, ...], str]] = {
    "startsWith": ("text", ("text",), "boolean"),
    "endsWith": ("text", ("text",), "boolean"),
    "contains": ("text", ("text",), "boolean"),
    "matches": ("text", ("text",), "boolean"),
    "upper": ("text", (), "text"),
    "lower": ("text", (), "text"),
    "trim": ("text", (), "text"),
    "length": ("text", (), "integer"),
    "indexOf": ("text", ("text",), "integer"),
    "replace": ("text", ("text", "text"), "text"),
    "abs": ("number", (), "same"),
    "ceiling": ("number", (), "integer"),
    "floor": ("number", (), "integer"),
    "truncate": ("number", (), "integer"),
    "sqrt": ("number", (), "decimal"),
}
_KINDS: dict[str, Callable[[Sql], Value]] = {
    "boolean": boolean,
    "text": text,
    "integer": integer,
    "decimal": decimal,
}


def _simple(name: str) -> Callable[[Compiler, t.Call, Value], Result]:
    wanted, wanted_arguments, kind = _TEXTS[name]

    def compiled(compiler: Compiler, node: t.Call, this: Value) -> Result:
        found = _input(compiler, node, this, wanted)
        if isinstance(found, Empty):
            return EMPTY
        arguments: list[Sql] = []
        for place, each in enumerate(wanted_arguments):
            argument = compiler.one(node.arguments[place], this, f"{name}()")
            if isinstance(argument, Empty):
                return EMPTY
            if family(argument) != each:
                raise wrong_path(f"{name}() takes a {each}, not {argument.type}", node.at)
            arguments.append(argument.sql)
        sql = Fn("length of text" if name == "length" else name, (found.sql, *arguments))
        return Value(sql, found.type, found.holds) if kind == "same" else _KINDS[kind](sql)

    return compiled


def _input(compiler: Compiler, node: t.Call, this: Value, wanted: str) -> Value | Empty:
    found = compiler.base_value(node, this)
    if isinstance(found, Empty):
        return found
    single = only(found, f"{node.name}() takes one item, and there are several.")
    # A date is compared as a date, and may still be searched as the text that it is written as.
    is_text = wanted == "text" and single.holds is Leaf.TEXT
    if family(single) != wanted and not is_text:
        raise wrong_path(f"{node.name}() takes a {wanted}, not {single.type}", node.at)
    return single


for _name, (_wanted, _arguments, _kind) in _TEXTS.items():
    FUNCTIONS[_name] = (len(_arguments), len(_arguments), _simple(_name))


def _substring(compiler: Compiler, node: t.Call, this: Value) -> Result:
    found = _input(compiler, node, this, "text")
    start = compiler.one(node.arguments[0], this, "substring()")
    if isinstance(found, Empty) or isinstance(start, Empty):
        return EMPTY
    size: Sql = fn("length of text", found.sql)
    if len(node.arguments) > 1:
        wanted = compiler.one(node.arguments[1], this, "substring()")
        size = size if isinstance(wanted, Empty) else fn("greatest", wanted.sql, Constant(0))
    inside = fn("and", fn(">=", start.sql, Constant(0)), fn("<", start.sql, fn("length of text", found.sql)))
    return text(when(inside, fn("substring", found.sql, start.sql, size)))


def _to_string(compiler: Compiler, node: t.Call, this: Value) -> Result:
    found = compiler.base_value(node, this)
    if isinstance(found, Empty):
        return found
    if found.holds is Leaf.DOUBLE:
        raise unsupported("toString() of a decimal is not compiled to SQL", node.at)
    if not family(found):
        raise wrong_path("toString() takes a primitive", node.at)
    return text(fn("text", only(found, "toString() takes one item, and there are several.").sql))


def _to_number(kind: str) -> Callable[[Compiler, t.Call, Value], Result]:
    def compiled(compiler: Compiler, node: t.Call, this: Value) -> Result:
        found = compiler.base_value(node, this)
        if isinstance(found, Empty):
            return found
        single = only(found, f"{node.name}() takes one item, and there are several.")
        if family(single) not in {"text", "number"} or (kind == "integer" and single.holds is Leaf.DOUBLE):
            raise unsupported(f"{node.name}() of {single.type} is not compiled to SQL", node.at)
        if single.holds is not Leaf.TEXT:
            return Value(fn("double", single.sql), "Decimal", Leaf.DOUBLE) if kind == "decimal" else single
        pattern = r"^[+-]?\d+$" if kind == "integer" else r"^[+-]?\d+(\.\d+)?$"
        number = fn("whole" if kind == "integer" else "double", single.sql)
        return _KINDS[kind](when(fn("matches", single.sql, Constant(pattern)), number))

    return compiled


def _round(compiler: Compiler, node: t.Call, this: Value) -> Result:
    found = _input(compiler, node, this, "number")
    places: Value | Empty = integer(Constant(0))
    if node.arguments:
        places = compiler.one(node.arguments[0], this, "round()")
    if isinstance(found, Empty) or isinstance(places, Empty):
        return EMPTY
    return decimal(fn("round to", fn("double", found.sql), places.sql))


FUNCTIONS["substring"] = (1, 2, _substring)
FUNCTIONS["toString"] = (0, 0, _to_string)
FUNCTIONS["toInteger"] = (0, 0, _to_number("integer"))
FUNCTIONS["toDecimal"] = (0, 0, _to_number("decimal"))
FUNCTIONS["round"] = (0, 1, _round)
