"""fhir.searchpath: the FHIRPath of search parameters, resolved to the JSON keys it walks.

Room: fhir. May import: fhir.facts. Standard: https://hl7.org/fhir/R4/searchparameter-registry.html

The expressions of the R4 registry use a small part of FHIRPath: paths, unions, `as`, `where(x = 'y')`,
`where(resolve() is T)`, `[0]` and, once, `exists() and ... != false`. Anything else is refused by name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from careloom.fhir.facts import Child, children


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


_TOKEN = re.compile(r"\s*(\w+|'[^']*'|!=|[.()|=\[\]])")


def routes(expression: str) -> list[Route]:
    """Every route of an expression; raises ValueError for what is outside the registry's FHIRPath.

    >>> [route.type for route in routes("Condition.onset.as(Age) | Condition.onset.as(Range)")]
    ['Age', 'Range']
    """
    reader = _Reader(expression)
    found = [*reader.path()]
    while reader.take("|"):
        found += reader.path()
    if reader.rest:
        raise ValueError(f"cannot read {reader.rest[0]!r} in {expression!r}")
    return found


class _Reader:
    """Reads tokens from the left; a path under way is a list of routes (a choice element makes several)."""

    def __init__(self, expression: str) -> None:
        self.rest: list[str] = _TOKEN.findall(expression)
        if "".join(self.rest) != re.sub(r"\s", "", expression):
            raise ValueError(f"unknown signs in {expression!r}")

    def take(self, token: str) -> bool:
        """Whether `token` came next; it is then consumed."""
        if self.rest[:1] == [token]:
            del self.rest[0]
            return True
        return False

    def path(self) -> list[Route]:
        """A path with all its steps."""
        if self.take("("):
            found = self.path()
            self._expect(")")
        else:
            found = [Route((), self._next())]
        while True:
            if self.take("."):
                found = self._step(found)
            elif self.take("["):
                self._expect("0")
                self._expect("]")
                found = [_first(route) for route in found]
            elif self.take("as"):
                found = _of_type(found, self._next())
            elif self.take("and"):
                return self._claim(found)
            else:
                return found

    def _step(self, found: list[Route]) -> list[Route]:
        name = self._next()
        if not self.take("("):
            return list(_into(found, name))
        if name in {"as", "ofType"}:
            found = _of_type(found, self._next())
        elif name == "where":
            hop = self._condition()
            found = [replace(route, hops=(*route.hops, hop)) for route in found]
        elif name != "exists":
            raise ValueError(f"the function {name}() is not known")
        self._expect(")")
        return found

    def _condition(self) -> Hop:
        name = self._next()
        if name == "resolve":
            for token in ("(", ")", "is"):
                self._expect(token)
            return Resolves(self._next())
        self._expect("=")
        return Where(name, self._next().strip("'"))

    def _claim(self, found: list[Route]) -> list[Route]:
        if [route.hops for route in self.path()] != [route.hops for route in found]:
            raise ValueError("'and' joins two different paths")
        self._expect("!=")
        self._expect("false")
        return [replace(route, hops=route.hops[:-1], claim=_last_key(route).name) for route in found]

    def _next(self) -> str:
        if not self.rest:
            raise ValueError("the expression ends too early")
        return self.rest.pop(0)

    def _expect(self, token: str) -> None:
        if not self.take(token):
            raise ValueError(f"{token!r} is missing before {self.rest[:1]}")


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
