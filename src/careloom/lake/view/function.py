"""lake.view.function: the functions of FHIRPath that are compiled to SQL.

Room: lake. May import: lake.view, fhir.path. Standards: http://hl7.org/fhirpath/N1/#functions and, for getResourceKey and
getReferenceKey, https://sql-on-fhir.org/ig/2.0.0/StructureDefinition-ViewDefinition.html#required-additional-functions

The key of a resource is its id. The key of a reference is the id in `Type/id`, whatever address stands before it and
version after it. A reference within a transaction that was not carried out yet (`urn:uuid:...`) does not say a type; its
key is the UUID, which generators of data use as the id too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from careloom.fhir.facts import resource_types
from careloom.fhir.path import tree as t
from careloom.lake.shape import MORE, Leaf
from careloom.lake.view import moment, operator
from careloom.lake.view.fault import unsupported, wrong_path
from careloom.lake.view.member import member
from careloom.lake.view.path import FUNCTIONS, Compiler, Function
from careloom.lake.view.sql import FALSE, Constant, Get, Key, Open, Sql, at, fn, length, when
from careloom.lake.view.value import (
    EMPTY,
    Choice,
    Empty,
    Result,
    Value,
    as_list,
    boolean,
    counted,
    exists,
    family,
    first,
    integer,
    mapped,
    only,
    present,
    text,
)


def _function(least: int, most: int | None = None, name: str = "") -> Callable[[Function], Function]:
    def put(function: Function) -> Function:
        head, *rest = (name or function.__name__.strip("_")).split("_")
        FUNCTIONS[head + "".join(word.title() for word in rest)] = (
            least,
            least if most is None else most,
            function,
        )
        return function

    return put


def _what(node: t.Call) -> str:
    return f"{node.name}()"


@_function(1)
def where(compiler: Compiler, node: t.Call, this: Value) -> Result:
    """The items for which the criteria are true."""
    found = compiler.base(node, this)
    return compiler.filtered(found, _criteria(compiler, node), node.at)


def _criteria(compiler: Compiler, node: t.Call) -> Callable[[Value], Sql]:
    criteria = node.arguments[0]
    return lambda one: fn("is true", compiler.truth(criteria, one, "The criteria"))


@_function(0, 1, "exists")
def exists_(compiler: Compiler, node: t.Call, this: Value) -> Result:
    """Whether there is an item, or one for which the criteria are true."""
    found = where(compiler, node, this) if node.arguments else compiler.base(node, this)
    return boolean(exists(found))


@_function(0)
def empty(compiler: Compiler, node: t.Call, this: Value) -> Result:
    """Whether there is no item."""
    return boolean(fn("not", exists(compiler.base(node, this))))


@_function(1, name="all")
def all_(compiler: Compiler, node: t.Call, this: Value) -> Result:
    """Whether the criteria are true for all items."""
    test = _criteria(compiler, node)
    against = compiler.filtered(compiler.base(node, this), lambda one: fn("not", test(one)), node.at)
    return boolean(fn("not", exists(against)))


@_function(0, name="not")
def not_(compiler: Compiler, node: t.Call, this: Value) -> Result:
    """The opposite."""
    return boolean(fn("not", compiler.truth(node.base or t.Special("this"), this, "not()")))


@_function(0)
def count(compiler: Compiler, node: t.Call, this: Value) -> Result:
    """How many items there are."""
    return integer(counted(compiler.base_value(node, this)))


@_function(0, name="first")
def first_(compiler: Compiler, node: t.Call, this: Value) -> Result:
    """The first item."""
    found = compiler.base(node, this)
    if isinstance(found, Choice) and not found.many:
        return found
    settled = compiler.base_value(node, this)
    return first(settled) if isinstance(settled, Value) else settled


@_function(0)
def last(compiler: Compiler, node: t.Call, this: Value) -> Result:
    """The last item."""
    found = compiler.base_value(node, this)
    if isinstance(found, Empty) or not found.many:
        return found
    place = fn("-", length(found.sql), Constant(1))
    return replace(found, sql=at(found.sql, place), many=False)


@_function(0)
def single(compiler: Compiler, node: t.Call, this: Value) -> Result:
    """The one item; the query stops where there are more."""
    found = compiler.base_value(node, this)
    return only(found, "single() found several items.") if isinstance(found, Value) else found


@_function(0)
def tail(compiler: Compiler, node: t.Call, this: Value) -> Result:
    """All but the first item."""
    return _sliced(compiler.base_value(node, this), Constant(1), None)


@_function(1)
def skip(compiler: Compiler, node: t.Call, this: Value) -> Result:
    """All but the first so many items."""
    return _sliced(compiler.base_value(node, this), _number(compiler, node, this), None)


@_function(1)
def take(compiler: Compiler, node: t.Call, this: Value) -> Result:
    """The first so many items."""
    return _sliced(compiler.base_value(node, this), Constant(0), _number(compiler, node, this))


def _sliced(found: Value | Empty, start: Sql, many: Sql | None) -> Result:
    if isinstance(found, Empty):
        return found
    items = as_list(found)
    wanted = length(items) if many is None else many
    return replace(
        found, sql=fn("slice", items, fn("greatest", start, Constant(0)), wanted), many=True, guard=None
    )


@_function(1)
def select(compiler: Compiler, node: t.Call, this: Value) -> Result:
    """What the projection gives for each item."""
    projection = node.arguments[0]
    return compiler.each(compiler.base(node, this), lambda one: compiler.result(projection, one), node.at)


@_function(1, name="ofType")
def of_type(compiler: Compiler, node: t.Call, this: Value) -> Result:
    """The items of a type."""
    return compiler.of_type(compiler.base(node, this), t.type_name(node.arguments[0]), node.at)


FUNCTIONS["as"] = FUNCTIONS["ofType"]


@_function(1, name="is")
def is_(compiler: Compiler, node: t.Call, this: Value) -> Result:
    """Whether the item is of a type."""
    return compiler.is_type(compiler.base(node, this), t.type_name(node.arguments[0]), node.at)


@_function(1)
def union(compiler: Compiler, node: t.Call, this: Value) -> Result:
    """The items of both, each once."""
    return operator.united(compiler.base_value(node, this), compiler.value(node.arguments[0], this), node.at)


@_function(1)
def combine(compiler: Compiler, node: t.Call, this: Value) -> Result:
    """The items of both."""
    return operator.combined(
        compiler.base_value(node, this), compiler.value(node.arguments[0], this), node.at
    )


@_function(0)
def distinct(compiler: Compiler, node: t.Call, this: Value) -> Result:
    """Each item once."""
    found = compiler.base_value(node, this)
    return operator.distinct(found, node.at) if isinstance(found, Value) else found


@_function(2, 3)
def iif(compiler: Compiler, node: t.Call, this: Value) -> Result:
    """The second argument if the first is true, else the third."""
    test = fn("is true", compiler.truth(node.arguments[0], this, "iif()"))
    then, otherwise = compiler.value(node.arguments[1], this), EMPTY
    if len(node.arguments) == 3:  # noqa: PLR2004 - the third
        otherwise = compiler.value(node.arguments[2], this)
    return _either(test, then, otherwise, node.at)


def _either(test: Sql, then: Value | Empty, otherwise: Value | Empty, at_: int) -> Result:
    if isinstance(then, Empty):
        if isinstance(otherwise, Empty):
            return EMPTY
        return _either(fn("not", test), otherwise, then, at_)
    if isinstance(otherwise, Empty):
        return replace(then, sql=when(test, then.sql))
    if family(then) != family(otherwise) or then.holds != otherwise.holds:
        raise unsupported("The results of iif() are of different types", at_)
    if then.many or otherwise.many:
        return replace(then, sql=when(test, as_list(then), as_list(otherwise)), many=True)
    return replace(then, sql=when(test, then.sql, otherwise.sql))


@_function(1)
def extension(compiler: Compiler, node: t.Call, this: Value) -> Result:
    """The extensions with a url; those of a primitive stand in its sibling, `_birthDate`."""
    url = compiler.one(node.arguments[0], this, "extension()")
    if isinstance(url, Empty):
        return EMPTY
    found = _beside_primitive(compiler, node, this) or compiler.base_value(node, this)
    if isinstance(found, Empty):
        return found
    extensions = member(compiler.names, found, "extension")
    return compiler.filtered(
        extensions, lambda one: fn("is true", fn("=", _url(compiler, one), url.sql)), node.at
    )


def _url(compiler: Compiler, one: Value) -> Sql:
    found = member(compiler.names, one, "url")
    return found.sql if isinstance(found, Value) else Constant(None)


def _beside_primitive(compiler: Compiler, node: t.Call, this: Value) -> Value | Empty | None:
    """What stands beside the primitive that the function is called on; None where it is called on another."""
    base, kind = node.base, ""
    if isinstance(base, t.Call) and base.name == "ofType" and len(base.arguments) == 1:
        base, kind = base.base, t.type_name(base.arguments[0])
    if not isinstance(base, t.Member):
        return None
    found = compiler.result(node.base, this) if node.base is not None else EMPTY
    if not isinstance(found, Value) or not family(found):
        return None
    parent = this if base.base is None else compiler.value(base.base, this)
    if isinstance(parent, Empty):
        return parent
    key = f"_{base.name}{kind[:1].upper()}{kind[1:]}"
    is_list = found.many and not parent.many

    def step(one: Value) -> Result:
        more = one.sql if one.holds is Leaf.JSON else Get(one.sql, MORE)
        opened: Sql = Open(more, Key(key, "json", is_list))
        return Value(
            present(opened, compiler.names.new()) if is_list else opened, "Element", Leaf.JSON, many=is_list
        )

    stepped = mapped(compiler.names, parent, step)
    return stepped if isinstance(stepped, Value) else None


@_function(0, name="hasValue")
def has_value(compiler: Compiler, node: t.Call, this: Value) -> Result:
    """Whether there is one primitive, with a value."""
    found = compiler.base_value(node, this)
    if isinstance(found, Empty) or not family(found):
        return boolean(FALSE)
    return boolean(fn("=", counted(found), Constant(1)))


@_function(0, name="getResourceKey")
def get_resource_key(compiler: Compiler, node: t.Call, this: Value) -> Result:
    """The id of the resource."""
    found = compiler.base_value(node, this)
    if isinstance(found, Empty) or found.type not in resource_types():
        raise wrong_path("getResourceKey() is called on a resource", node.at)
    key = member(compiler.names, found, "id")
    return replace(key, type="string") if isinstance(key, Value) else key


@_function(0, 1, "getReferenceKey")
def get_reference_key(compiler: Compiler, node: t.Call, this: Value) -> Result:
    """The id that a reference names, if it is of the type asked for."""
    found = compiler.base_value(node, this)
    if isinstance(found, Empty):
        return found
    if found.type != "Reference":
        raise wrong_path(f"getReferenceKey() is called on a Reference, not on {found.type}", node.at)
    wanted = ""
    if node.arguments:
        wanted = t.type_name(node.arguments[0])
        if wanted not in resource_types():
            raise wrong_path("getReferenceKey() takes a type of resource", node.at)

    def step(one: Value) -> Result:
        reference = member(compiler.names, one, "reference")
        before = rf"(?:(?:^|/)(?:{wanted or '[A-Z][A-Za-z]+'})/|^urn:uuid:)"
        pattern = rf"{before}([A-Za-z0-9\-.]+)(?:/_history/[A-Za-z0-9\-.]+)?$"
        address = reference.sql if isinstance(reference, Value) else Constant(None)
        return text(fn("nonempty", fn("matched", address, Constant(pattern))), "string")

    return mapped(compiler.names, found, step)


@_function(0, 1)
def join(compiler: Compiler, node: t.Call, this: Value) -> Result:
    """The texts in a row; of nothing the empty text, as the official suite asks."""
    found = compiler.base_value(node, this)
    between: Value | Empty = text(Constant(""))
    if node.arguments:
        between = compiler.one(node.arguments[0], this, "join()")
    if isinstance(between, Empty):
        between = text(Constant(""))
    if isinstance(found, Empty):
        return text(Constant(""))
    if family(found) not in {"text", "moment", "time"}:
        raise wrong_path("join() takes texts", node.at)
    return text(fn("join", as_list(found), between.sql))


def _boundary(compiler: Compiler, node: t.Call, this: Value, *, is_high: bool) -> Result:
    exact = replace(compiler, exact=True)
    found = exact.base(node, this)
    if isinstance(found, Choice):
        raise wrong_path(f"Say with ofType() of which type {_what(node)} is asked", node.at)
    if isinstance(found, Empty):
        return found
    one = only(found, f"{_what(node)} takes one item, and there are several.")
    match one.type:
        case "decimal" | "Decimal" | "integer" | "Integer":
            edge = moment.decimal_boundary(fn("text", one.sql), is_high=is_high)
            return Value(edge, "Decimal", Leaf.DOUBLE)
        case "date" | "Date":
            return text(moment.date_boundary(one.sql, is_high=is_high), "Date")
        case "dateTime" | "instant" | "DateTime":
            return text(moment.moment_boundary(one.sql, is_high=is_high), "DateTime")
        case "time" | "Time":
            return text(moment.time_boundary(one.sql, is_high=is_high), "Time")
        case kind:
            raise wrong_path(f"{_what(node)} takes a number, date or time, not {kind}", node.at)


@_function(0, name="lowBoundary")
def low_boundary(compiler: Compiler, node: t.Call, this: Value) -> Result:
    """The least value that what was written may stand for."""
    return _boundary(compiler, node, this, is_high=False)


@_function(0, name="highBoundary")
def high_boundary(compiler: Compiler, node: t.Call, this: Value) -> Result:
    """The greatest value that what was written may stand for."""
    return _boundary(compiler, node, this, is_high=True)


def _number(compiler: Compiler, node: t.Call, this: Value) -> Sql:
    found = compiler.one(node.arguments[0], this, _what(node))
    if isinstance(found, Empty) or family(found) != "number":
        raise wrong_path(f"{_what(node)} takes an integer", node.at)
    return found.sql
