"""fhir.searchpath: the FHIRPath of search parameters, resolved to the JSON keys it walks.

Room: fhir. May import: fhir.facts, fhir.path. Standard: https://hl7.org/fhir/R4/searchparameter-registry.html

The expressions of the R4 registry use a small part of FHIRPath: paths, unions, `as`, `where(x = 'y')`,
`where(resolve() is T)`, `[0]` and, once, `exists() and ... != false`; `extension('url')` is a `where` as well. The tree
that fhir.path reads is turned into keys here; a tree that holds anything else is refused, and fhir.searchelement
evaluates it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from careloom.fhir.facts import Child, children, facts
from careloom.fhir.outcome import OutcomeError
from careloom.fhir.path.parser import parse
from careloom.fhir.path.tree import Binary, Call, Indexer, Literal, Member, Node, TypeOperation, type_name


@dataclass(frozen=True, slots=True)
class Key:
    """Step into a JSON key; `many` when its value is a list, `first` when only item 0 counts."""

    name: str
    many: bool = False
    first: bool = False


@dataclass(frozen=True, slots=True)
class Where:
    """Go on only if the key `name` of this object equals `value`."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Resolves:
    """Go on only if this Reference points at a resource of this type."""

    rtype: str


Hop = Key | Where | Resolves


@dataclass(frozen=True, slots=True)
class Route:
    """One way through a resource: hops, and the type found at their end."""

    hops: tuple[Hop, ...]
    type: str
    value_set: str = ""
    claim: str = ""
    """A key at the end whose value does not count, only whether it is there and not false (Patient.deceased)."""


MAX_HOPS = 16
"""Python nests 20 blocks at most, and each hop may become one (fhir.extractor)."""


def routes(expression: str) -> list[Route]:
    """Every route of an expression; raises ValueError for what is outside the registry's FHIRPath.

    >>> [route.type for route in routes("Condition.onset.as(Age) | Condition.onset.as(Range)")]
    ['Age', 'Range']
    """
    try:
        tree = parse(expression)
    except OutcomeError as error:
        raise ValueError(str(error)) from None
    found = _routes(tree)
    if any(len(route.hops) > MAX_HOPS for route in found):
        raise ValueError(f"a path has more than {MAX_HOPS} steps")
    return found


def paths(expression: str) -> list[Route]:
    """The same; none for an expression that is more than paths."""
    try:
        return routes(expression)
    except ValueError:
        return []


def _routes(node: Node) -> list[Route]:
    match node:
        case Member(None, name) if name in facts().types:
            return [Route((), name)]
        case Member(base, name) if base is not None:
            return list(_into(_routes(base), name))
        case Indexer(base, Literal("Integer", 0)):
            return [_first(route) for route in _routes(base)]
        case TypeOperation("as", operand, name):
            return _of_type(_routes(operand), name)
        case Call(base, name, (argument,)) if base is not None:
            return _called(_routes(base), name, argument)
        case Binary("|", left, right):
            return [*_routes(left), *_routes(right)]
        case Binary("and", Call(base, "exists", ()), Binary("!=", same, Literal("Boolean", False))) if (
            base == same
        ):
            return [
                replace(route, hops=route.hops[:-1], claim=_last_key(route).name) for route in _routes(same)
            ]
        case _:
            raise ValueError(f"this is no path: {type(node).__name__}")


def _called(found: list[Route], name: str, argument: Node) -> list[Route]:
    match name, argument:
        case "as" | "ofType", _:
            return _of_type(found, type_name(argument))
        case "where", TypeOperation("is", Call(None, "resolve", ()), rtype):
            return [replace(route, hops=(*route.hops, Resolves(rtype))) for route in found]
        case "where", Binary("=", Member(None, key), Literal("String", str(value))):
            return [_where(route, key, value) for route in found]
        case "extension", Literal("String", str(url)):
            return [_where(route, "url", url) for route in _into(found, "extension")]
        case _:
            raise ValueError(f"the function {name}() is not known so")


def _where(route: Route, key: str, value: str) -> Route:
    """Only a single text can be compared so; `=` on anything else means more in FHIRPath."""
    inner = children(route.type, key)
    if len(inner) != 1 or inner[0].element.many or inner[0].type not in _TEXTS:
        raise ValueError(f"{route.type} has no single text {key}")
    return replace(route, hops=(*route.hops, Where(key, value)))


_TEXTS = frozenset({"string", "code", "uri", "id", "url", "canonical", "markdown"})


def _into(found: list[Route], name: str) -> Iterator[Route]:
    for route in found:
        children_here = children(route.type, name)
        if not children_here:
            raise ValueError(f"{route.type} has no element {name}")
        yield from (_route_to(route, child) for child in children_here)


def _route_to(route: Route, child: Child) -> Route:
    hop = Key(child.key, many=child.element.many)
    return Route((*route.hops, hop), child.type, child.element.required)


def _of_type(found: list[Route], name: str) -> list[Route]:
    return [route for route in found if route.type == name]


def _first(route: Route) -> Route:
    return replace(route, hops=(*route.hops[:-1], replace(_last_key(route), first=True)))


def _last_key(route: Route) -> Key:
    match route.hops:
        case (*_, Key() as last):
            return last
        case _:
            raise ValueError("an element must stand before [0] or exists()")
