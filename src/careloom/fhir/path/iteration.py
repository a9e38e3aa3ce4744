"""fhir.path.iteration: functions that evaluate an expression for each item: where, select, repeat, aggregate, iif.

Room: fhir. May import: fhir.path. Standard: http://hl7.org/fhirpath/N1/#filtering-and-projection
"""

from __future__ import annotations

from careloom.fhir.path.arguments import EMPTY, FALSE, TRUE, boolean, single, text
from careloom.fhir.path.env import Env
from careloom.fhir.path.equality import contains
from careloom.fhir.path.fault import execution_error
from careloom.fhir.path.function import Compile, Eval, Source, special
from careloom.fhir.path.tree import Call, Special, nodes
from careloom.fhir.path.tree import Node as Tree
from careloom.fhir.path.value import Collection, Node, Want, system


def uses(tree: Tree, name: str) -> bool:
    """Whether `$name` stands anywhere in a tree."""
    return any(isinstance(node, Special) and node.name == name for node in nodes(tree))


@special(1)
def where(call: Call, source: Source, compiled: Compile, _want: Want) -> Eval:
    """The items for which the criteria hold."""
    criteria, is_indexed = compiled(call.arguments[0], Want.VALUES), uses(call.arguments[0], "index")
    input_ = source(Want.NODES)

    def run(env: Env, this: Collection) -> Collection:
        items = input_(env, this)
        if not items:
            return EMPTY
        env.spend(len(items))
        return [item for item in items if (held := criteria(env, [item])) is TRUE or (held and boolean(held))]

    return (
        _indexed(input_, lambda env, this: this if boolean(criteria(env, this)) else EMPTY)
        if is_indexed
        else run
    )


@special(1)
def select(call: Call, source: Source, compiled: Compile, want: Want) -> Eval:
    """What the projection gives for each item."""
    projection, is_indexed = compiled(call.arguments[0], want), uses(call.arguments[0], "index")
    input_ = source(Want.NODES)

    def run(env: Env, this: Collection) -> Collection:
        items = input_(env, this)
        env.spend(len(items))
        found = [inner for item in items for inner in projection(env, [item])]
        env.spend(len(found))
        return found

    return _indexed(input_, projection) if is_indexed else run


def _indexed(source: Eval, projection: Eval) -> Eval:
    """What the projection gives for each item, with `$index` set."""

    def run(env: Env, this: Collection) -> Collection:
        items = source(env, this)
        env.spend(len(items))
        found: Collection = []
        outer = env.index
        try:
            for index, item in enumerate(items):
                env.index = [index]
                found += projection(env, [item])
        finally:
            env.index = outer
        return found

    return run


@special(0, 1)
def exists(call: Call, source: Source, compiled: Compile, _want: Want) -> Eval:
    """Whether there is anything, or anything for which the criteria hold."""
    found = where(call, source, compiled, Want.NODES) if call.arguments else source(Want.JSON)
    return lambda env, this: TRUE if found(env, this) else FALSE


@special(1, name="all")
def all_(call: Call, source: Source, compiled: Compile, _want: Want) -> Eval:
    """Whether the criteria hold for all items."""
    criteria, is_indexed = compiled(call.arguments[0], Want.VALUES), uses(call.arguments[0], "index")
    input_ = source(Want.NODES)
    if is_indexed:
        failing = _indexed(input_, lambda env, this: EMPTY if boolean(criteria(env, this)) else this)
        return lambda env, this: FALSE if failing(env, this) else TRUE

    def run(env: Env, this: Collection) -> Collection:
        items = input_(env, this)
        env.spend(len(items))
        for item in items:
            held = criteria(env, [item])
            if held is not TRUE and not boolean(held):
                return FALSE
        return TRUE

    return run


@special(1)
def repeat(call: Call, source: Source, compiled: Compile, _want: Want) -> Eval:
    """What the projection gives for each item, and again for each of those, until nothing new is found."""
    projection, input_ = compiled(call.arguments[0]), source(Want.NODES)

    def run(env: Env, this: Collection) -> Collection:
        found: Collection = []
        seen: set[object] = set()
        level = input_(env, this)
        while level:
            env.spend(len(level))
            fresh = [inner for item in level for inner in projection(env, [item])]
            env.spend(len(fresh))
            level = [item for item in fresh if _is_new(env, item, found, seen)]
        return found

    return run


def _is_new(env: Env, item: object, found: Collection, seen: set[object]) -> bool:
    """Put an item among those found unless it is there: an object counts once by its place, a value by what it is."""
    value = system(item)
    if type(value) is Node and type(value.value) is dict:
        mark = id(value.value)
    elif type(value) is str:
        mark = value
    else:
        env.spend(len(found))
        mark = None
    if contains(found, value) if mark is None else mark in seen:
        return False
    seen.add(mark)
    found.append(item)
    return True


@special(1, 2)
def aggregate(call: Call, source: Source, compiled: Compile, _want: Want) -> Eval:
    """What comes of evaluating the aggregator for each item, with $total from the one before."""
    aggregator, *rest = (compiled(argument) for argument in call.arguments)
    input_ = source(Want.NODES)

    def run(env: Env, this: Collection) -> Collection:
        items = input_(env, this)
        env.spend(len(items))
        outer = env.total, env.index
        total = rest[0](env, this) if rest else EMPTY
        try:
            for index, item in enumerate(items):
                env.total, env.index = total, [index]
                total = aggregator(env, [item])
        finally:
            env.total, env.index = outer
        return total

    return run


@special(2, 3)
def iif(call: Call, source: Source, compiled: Compile, want: Want) -> Eval:
    """One of two, as the criterion says."""
    criterion = compiled(call.arguments[0], Want.VALUES)
    then, *otherwise = (compiled(argument, want) for argument in call.arguments[1:])
    has_input, input_ = call.base is not None, source(Want.NODES)

    def run(env: Env, this: Collection) -> Collection:
        if has_input:
            items = input_(env, this)
            if len(items) > 1:
                raise execution_error("iif() takes one item, and there are several")
            this = items
        chosen = single(criterion(env, this), "The criterion of iif()")
        if chosen is not None and type(chosen) is not bool:
            raise execution_error("The criterion of iif() must be a boolean")
        if chosen:
            return then(env, this)
        return otherwise[0](env, this) if otherwise else EMPTY

    return run


@special(1, 2)
def trace(call: Call, source: Source, compiled: Compile, _want: Want) -> Eval:
    """The input as it is; it is shown to the hook."""
    name, input_ = compiled(call.arguments[0]), source(Want.NODES)
    projection = compiled(call.arguments[1]) if len(call.arguments) > 1 else None

    def run(env: Env, this: Collection) -> Collection:
        items = input_(env, this)
        label = single(name(env, this), "trace()")
        if env.context.trace is not None:
            shown = items if projection is None else [x for item in items for x in projection(env, [item])]
            env.context.trace(str(label), shown)
        return items

    return run


@special(1, 2)
def define_variable(call: Call, source: Source, compiled: Compile, _want: Want) -> Eval:
    """The variable is seen by what comes after it in the same path."""
    label, input_ = compiled(call.arguments[0]), source(Want.NODES)
    value = compiled(call.arguments[1]) if len(call.arguments) > 1 else None

    def run(env: Env, this: Collection) -> Collection:
        items = input_(env, this)
        name = text(label(env, this), "defineVariable()")
        if not name or name in _RESERVED or name in env.variables or name in env.context.variables:
            raise execution_error("defineVariable() takes a name that is not taken")
        env.variables = {**env.variables, name: items if value is None else value(env, items)}
        return items

    return run


_RESERVED = frozenset({"context", "resource", "rootResource", "ucum", "sct", "loinc"})
