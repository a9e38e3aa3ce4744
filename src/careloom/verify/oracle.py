"""verify.oracle: searches answered without an index: every resource is looked at, every rule read word for word.

Room: verify. Standard: https://hl7.org/fhir/R4/search.html
Slow on purpose, and apart from careloom's own search: it reads the parameters of a URL itself, compares by itself, and
knows neither SQL nor hashes. What both get wrong together is what the standard leaves open (docs/spec-notes.md).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any

from careloom.fhir.facts import resource_types
from careloom.fhir.indexvalue import normalised
from careloom.fhir.resource import Resource
from careloom.fhir.searchelement import Element, elements, groups
from careloom.fhir.searchparam import SearchParameter, parameters
from careloom.verify.oracle_value import (
    amounts_of,
    codings_of,
    keys_of,
    matches,
    span_of,
    split,
    texts_of,
)

Pairs = tuple[tuple[str, str], ...]
Names = frozenset[str]
"""`Type/id` of resources."""


class Oracle:
    """All resources of a store, and what a search on them must answer."""

    def __init__(self, resources: Iterable[Resource]) -> None:
        self.of_type: dict[str, dict[str, Resource]] = {}
        for resource in resources:
            name = f"{resource['resourceType']}/{resource['id']}"
            self.of_type.setdefault(resource["resourceType"], {})[name] = resource
        self._bearers: dict[str, set[str]] = {}
        """Address -> names of the resources that it means."""
        for some in self.of_type.values():
            for name, resource in some.items():
                for address in _addresses(resource):
                    self._bearers.setdefault(address, set()).add(name)
        self._pointing: dict[SearchParameter, dict[str, dict[str, set[str]]]] = {}

    def resource(self, name: str) -> Resource:
        """The resource of this name."""
        return self.of_type[name.partition("/")[0]][name]

    def answer(self, rtype: str, pairs: Pairs) -> Names:
        """The names of all that match every parameter; those that begin with _ and only shape the answer do not count."""
        found = frozenset(self.of_type.get(rtype, ()))
        for name, text in pairs:
            if name.partition(":")[0] not in SHAPING:
                found &= self.one(rtype, name, text)
        return found

    def one(self, rtype: str, name: str, text: str) -> Names:
        """What one parameter finds."""
        if name.startswith("_has:"):
            return self._has(rtype, name, text)
        if "." in name:
            return self._chain(rtype, name, text)
        code, _, modifier = name.partition(":")
        return frozenset(self._plain(rtype, code, modifier, text))

    def included(self, names: Iterable[str], pairs: Pairs) -> Names:
        """What _include and _revinclude add to these matches."""
        matches = set(names)
        found: set[str] = set()
        fresh, is_first = set(matches), True
        while fresh:
            reached: set[str] = set()
            for name, text in pairs:
                bare, _, modifier = name.partition(":")
                if bare == "_include" and (is_first or modifier):
                    reached |= self._forward(fresh, text)
                if bare == "_revinclude" and (is_first or modifier):
                    reached |= self._backward(fresh, text)
            fresh, is_first = reached - found - matches, False
            found |= fresh
        return frozenset(found)

    def _forward(self, names: set[str], text: str) -> set[str]:
        source, code, target = [*text.split(":"), "", ""][:3]
        pointed: set[str] = set()
        for name in names:
            if source in {"*", name.partition("/")[0]}:
                for parameter in _followed(name.partition("/")[0], code):
                    pointed |= {
                        key for one in elements(self.resource(name), parameter) for key in _strict(one)
                    }
        reached = {name for address in pointed for name in self._bearers.get(address, ())}
        return {name for name in reached if target in {"", name.partition("/")[0]}}

    def _backward(self, names: set[str], text: str) -> set[str]:
        source, code, target = [*text.split(":"), "", ""][:3]
        addresses: set[str] = set()
        for name in names:
            if target in {"", name.partition("/")[0]}:
                addresses |= _addresses(self.resource(name))
        return {
            name
            for rtype in (self.of_type if source == "*" else [source])
            for parameter in _followed(rtype, code)
            for address in addresses
            for name in self._referrers(rtype, parameter).get(address, ())
        }

    def _referrers(self, rtype: str, parameter: SearchParameter) -> dict[str, set[str]]:
        """What a parameter of a type points at -> names of the resources that do; written down at the first question."""
        of_type = self._pointing.setdefault(parameter, {})
        if rtype not in of_type:
            found: dict[str, set[str]] = {}
            for name, resource in self.of_type.get(rtype, {}).items():
                for element in elements(resource, parameter):
                    for key in _strict(element):
                        found.setdefault(key, set()).add(name)
            of_type[rtype] = found
        return of_type[rtype]

    def _plain(self, rtype: str, code: str, modifier: str, text: str) -> Iterator[str]:
        parameter = parameters(rtype)[code]
        values = [value for value in split(text, ",") if value]
        for name, resource in self.of_type.get(rtype, {}).items():
            if modifier == "missing":
                is_there = any(self._elements(resource, parameter))
                holds = is_there == (text == "false")
            elif modifier in _NEGATED:
                holds = not any(
                    self._holds(resource, parameter, _NEGATED[modifier], value) for value in values
                )
            else:
                holds = any(self._holds(resource, parameter, modifier, value) for value in values)
            if holds:
                yield name

    def _elements(self, resource: Resource, parameter: SearchParameter) -> Iterator[Element]:
        if parameter.type != "composite":
            yield from elements(resource, parameter)
            return
        for group in groups(resource, parameter):
            if all(group):
                yield group[0][0]

    def _holds(self, resource: Resource, parameter: SearchParameter, modifier: str, value: str) -> bool:
        if parameter.type == "composite":
            return _composite(resource, parameter, value)
        return any(matches(parameter, modifier, value, one) for one in elements(resource, parameter))

    def _chain(self, rtype: str, name: str, text: str) -> Names:
        head, _, rest = name.partition(".")
        code, _, modifier = head.partition(":")
        parameter = parameters(rtype)[code]
        targets = [modifier] if modifier else parameter.targets or sorted(resource_types())
        pointed: set[str] = set()
        for target in targets:
            if target in self.of_type and _is_known(target, rest):
                for found in self.one(target, rest, text):
                    pointed |= _addresses(self.resource(found))
        referrers = self._referrers(rtype, parameter)
        return frozenset(name for address in pointed for name in referrers.get(address, ()))

    def _has(self, rtype: str, name: str, text: str) -> Names:
        _, source, code, rest = name.split(":", 3)
        parameter = parameters(source)[code]
        pointed: set[str] = set()
        for found in self.one(source, rest, text) if source in self.of_type else ():
            for element in elements(self.resource(found), parameter):
                pointed.update(_strict(element))
        reached = {name for address in pointed for name in self._bearers.get(address, ())}
        return frozenset(reached & self.of_type.get(rtype, {}).keys())

    def rank(self, name: str, sort: str) -> list[Any]:
        """The values by which a resource is sorted, one for each key; compare with `in_order`."""
        resource = self.resource(name)
        rtype = resource["resourceType"]
        return [
            _best(resource, parameters(rtype)[key.lstrip("-")], key.startswith("-"))
            for key in sort.split(",")
        ]


SHAPING = frozenset(
    {"_sort", "_count", "_include", "_revinclude", "_total", "_elements", "_summary", "_cursor"}
)
_NEGATED = {"not": "", "not-in": "in"}


def in_order(before: list[Any], after: list[Any], sort: str) -> bool:
    """Whether a row with these ranks may stand before the other; one without a value comes last."""
    for one, other, key in zip(before, after, sort.split(","), strict=True):
        if one == other:
            continue
        if one is None or other is None:
            return other is None
        return one > other if key.startswith("-") else one < other
    return True


def _followed(rtype: str, code: str) -> list[SearchParameter]:
    if code not in {"", "*"}:
        return [parameters(rtype)[code]]
    return [one for one in parameters(rtype).values() if one.type == "reference"]


def _strict(element: Element) -> list[str]:
    """As it is written: a canonical with a version leads to that version alone."""
    return keys_of(element)[:1]


def _composite(resource: Resource, parameter: SearchParameter, value: str) -> bool:
    texts = split(value, "$")
    known = [parameters(parameter.rtype)[code] for code, _ in parameter.components]
    return any(
        all(
            any(matches(part, "", text, one) for one in found)
            for part, text, found in zip(known, texts, group, strict=True)
        )
        for group in groups(resource, parameter)
    )


def _addresses(resource: Resource) -> set[str]:
    """By what others may refer to a resource: `Type/id`, and the url of what is canonical, with and without version."""
    found = {f"{resource['resourceType']}/{resource['id']}"}
    url = resource.get("url")
    if isinstance(url, str):
        found.add(url)
        found |= {f"{url}|{resource['version']}"} if "version" in resource else set()
    return found


@lru_cache(maxsize=4096)
def _is_known(rtype: str, name: str) -> bool:
    head, dot, _ = name.partition(".")
    code = head.partition(":")[0]
    known = parameters(rtype)
    return code == "_has" or (code in known and (not dot or known[code].type == "reference"))


def _best(resource: Resource, parameter: SearchParameter, is_descending: bool) -> Any:  # noqa: FBT001
    if parameter.code == "_id":
        return resource["id"]
    values: list[Any] = []
    for element in elements(resource, parameter):
        if parameter.type == "string":
            values += map(normalised, texts_of(element))
        elif parameter.type == "date":
            span = span_of(element)
            values += [] if span is None else [span[0]]
        elif parameter.type in {"quantity", "number"}:
            values += [amount[2] for amount in amounts_of(element)]
        elif parameter.type == "token":
            values += [code for _, code in codings_of(element) if code is not None]
        elif parameter.type == "reference":
            values += keys_of(element)[:1]
        else:
            values.append(element.value)
    return (max if is_descending else min)(values, default=None)
