"""fhir.path.elements: functions that FHIR adds, and those of trees and types: extension, resolve, is, type, children.

Room: fhir. May import: fhir.path. Standard: https://hl7.org/fhir/R4/fhirpath.html#functions and http://hl7.org/fhirpath/N1/#types
"""

from __future__ import annotations

from typing import Any

from careloom.fhir.narrative import is_narrative
from careloom.fhir.path.arguments import EMPTY, FALSE, TRUE, text, truth
from careloom.fhir.path.env import Env
from careloom.fhir.path.fault import execution_error, semantic_error
from careloom.fhir.path.function import Compile, Eval, Source, function, special
from careloom.fhir.path.navigate import below, levels_below, member, of_value
from careloom.fhir.path.temporal import Temporal, of_moment
from careloom.fhir.path.tree import Call, type_name
from careloom.fhir.path.types import PRIMITIVES, is_of, known_type, named, resource_node, system_name
from careloom.fhir.path.value import Collection, Node, Quantity, Want, json_value, system

_extensions = member("extension")


@function(wants=Want.NODES)
def children(env: Env, items: Collection) -> Collection:
    """All that lies directly below."""
    env.spend(len(items))
    return [child for item in items if type(item) is Node for child in below(item)]


@function(name="descendants", wants=Want.NODES)
def descendants_(env: Env, items: Collection) -> Collection:
    """All that lies below, at any depth."""
    found: Collection = []
    for level in levels_below(items):
        env.spend(len(level))
        found += level
    return found


@function(1, wants=Want.NODES)
def extension(env: Env, items: Collection, url: Collection) -> Collection:
    """The extensions with this url."""
    wanted = text(url, "extension()")
    found = _extensions(items)
    env.spend(len(found))
    return [one for one in found if type(one.value) is dict and one.value.get("url") == wanted]


@function()
def has_value(_env: Env, items: Collection) -> Collection:
    """Whether there is one primitive that has a value."""
    return truth(len(items) == 1 and _has_value(items[0]))


@function()
def get_value(_env: Env, items: Collection) -> Collection:
    """The value of the one primitive that has one."""
    return [system(items[0])] if len(items) == 1 and _has_value(items[0]) else EMPTY


def _has_value(item: Any) -> bool:
    if type(item) is not Node:
        return type(item) is not Quantity
    is_primitive = item.type in PRIMITIVES if item.type else type(item.value) not in {dict, list}
    return is_primitive and item.value is not None


@function(wants=Want.NODES)
def resolve(env: Env, items: Collection) -> Collection:
    """What a Reference, canonical or uri points at; what cannot be found is left out."""
    env.spend(len(items))
    return [found for item in items for found in _resolved(env, item)]


def _resolved(env: Env, item: Any) -> Collection:
    value = item.value if type(item) is Node else item
    address = value.get("reference") if type(value) is dict else value
    if type(address) is not str:
        return EMPTY
    if address.startswith("#"):
        return _contained(env, address[1:])
    if env.context.resolve is None:
        return EMPTY
    return of_value(env.context.resolve(address))


def _contained(env: Env, identity: str) -> Collection:
    for name in ("resource", "rootResource"):
        for holder in env.variable(name):
            resource = holder.value if type(holder) is Node else None
            if type(resource) is not dict:
                continue
            if identity == "":
                return [holder]
            for place, inner in enumerate(resource.get("contained", ())):
                if type(inner) is dict and inner.get("id") == identity:
                    return [resource_node(inner, resource, "contained", place)]
    return EMPTY


@function(1, wants=Want.NODES)
def member_of(env: Env, items: Collection, value_set: Collection) -> Collection:
    """Whether a code, Coding or CodeableConcept is in a value set."""
    url = text(value_set, "memberOf()")
    if len(items) != 1 or url is None:
        return EMPTY
    if env.context.member_of is None:
        raise execution_error("memberOf() needs a terminology, and none is at hand")
    return truth(env.context.member_of(json_value(items[0]), url))


@function(1, wants=Want.NODES)
def conforms_to(env: Env, items: Collection, profile: Collection) -> Collection:
    """Whether a resource conforms to a profile; to that of a type of R4 without a hook."""
    url = text(profile, "conformsTo()")
    if len(items) != 1 or url is None:
        return EMPTY
    prefix, _, name = url.rpartition("/")
    found = None if env.context.conforms_to is None else env.context.conforms_to(json_value(items[0]), url)
    if found is None and prefix == "http://hl7.org/fhir/StructureDefinition" and (known := known_type(name)):
        found = is_of(items[0], known)
    if found is None:
        raise execution_error("conformsTo() names a profile that is not at hand")
    return truth(found)


@function(wants=Want.NODES)
def html_checks(_env: Env, items: Collection) -> Collection:
    """Whether a narrative, or a text that may stand in one, holds only the XHTML that FHIR allows."""
    value = json_value(items[0]) if len(items) == 1 else None
    if type(value) is not str:
        return EMPTY
    is_part = type(items[0]) is not Node or items[0].type != "xhtml"
    return truth(
        is_narrative(f'<div xmlns="http://www.w3.org/1999/xhtml">{value}</div>' if is_part else value)
    )


@function()
def now(env: Env, _items: Collection) -> Collection:
    """The moment of the evaluation."""
    return [of_moment(env.now)]


@function()
def today(env: Env, _items: Collection) -> Collection:
    """The date of the evaluation."""
    moment = env.now
    return [Temporal("Date", (moment.year, moment.month, moment.day))]


@function()
def time_of_day(env: Env, _items: Collection) -> Collection:
    """The time of the evaluation."""
    return [Temporal("Time", of_moment(env.now).parts[3:])]


@function(name="type", wants=Want.NODES)
def type_(_env: Env, items: Collection) -> Collection:
    """Namespace and name of the type of each item."""
    found: Collection = []
    for item in items:
        namespace, name = named(item) if type(item) is Node else ("System", system_name(item))
        found.append(Node({"namespace": namespace, "name": name}, ""))
    return found


def wanted_type(name: str, at: int) -> tuple[bool, bool, str]:
    """The type that is written; raises OutcomeError where no type is called so."""
    found = known_type(name)
    if found is None:
        raise semantic_error("There is no such type", at)
    return found


@special(1, name="is")
def is_(call: Call, source: Source, _compiled: Compile, _want: Want) -> Eval:
    """`is` as a function."""
    return type_test(source(Want.NODES), wanted_type(type_name(call.arguments[0]), call.at))


@special(1, name="as")
def as_(call: Call, source: Source, _compiled: Compile, _want: Want) -> Eval:
    """`as` as a function."""
    return type_cast(source(Want.NODES), wanted_type(type_name(call.arguments[0]), call.at))


@special(1)
def of_type(call: Call, source: Source, _compiled: Compile, _want: Want) -> Eval:
    """The items of a type."""
    wanted, items = wanted_type(type_name(call.arguments[0]), call.at), source(Want.NODES)

    def run(env: Env, this: Collection) -> Collection:
        return [item for item in items(env, this) if is_of(item, wanted, exactly=True)]

    return run


def type_test(source: Eval, wanted: tuple[bool, bool, str]) -> Eval:
    """`is`"""

    def run(env: Env, this: Collection) -> Collection:
        items = source(env, this)
        if not items:
            return EMPTY
        if len(items) > 1:
            raise execution_error("'is' takes one item, and there are several")
        return TRUE if is_of(items[0], wanted) else FALSE

    return run


def type_cast(source: Eval, wanted: tuple[bool, bool, str]) -> Eval:
    """`as`"""

    def run(env: Env, this: Collection) -> Collection:
        items = source(env, this)
        if len(items) > 1:
            raise execution_error("'as' takes one item, and there are several: use ofType()")
        return items if items and is_of(items[0], wanted, exactly=True) else EMPTY

    return run
