"""verify.shapes: searches of every kind, made by chance from what the resources of a store hold.

Room: verify. Pure: the same resources and the same seed give the same shapes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random
from typing import NamedTuple

from careloom.fhir.resource import Resource
from careloom.fhir.searchelement import elements, groups
from careloom.fhir.searchparam import SearchParameter, parameters
from careloom.verify.oracle import Oracle, Pairs
from careloom.verify.oracle_value import keys_of
from careloom.verify.shape_value import Asked, asked, plainly

BUSY = (
    "Observation",
    "Encounter",
    "Patient",
    "Condition",
    "MedicationRequest",
    "Procedure",
    "DiagnosticReport",
)
"""Types of which a store holds most: half of the shapes are about these."""


class Shape(NamedTuple):
    """A search: its kind, the type searched ("Resource": all that `_type` names), its parameters."""

    kind: str
    rtype: str
    pairs: Pairs
    within: tuple[str, str] | None = None
    """The compartment, (type, id)."""
    expected: frozenset[str] | None = None
    """The names of what matches, where the kind itself knows; else the oracle is asked."""

    @property
    def text(self) -> str:
        """As it would stand in a URL."""
        return f"{self.rtype}?" + "&".join(f"{name}={value}" for name, value in self.pairs)


class Shapes:
    """Makes shapes about the resources of an oracle."""

    def __init__(self, oracle: Oracle, seed: int) -> None:
        self._oracle = oracle
        self._chance = Random(seed)  # noqa: S311 no secret: the same seed must give the same shapes
        self._types = sorted(oracle.of_type)
        self._busy = [rtype for rtype in BUSY if rtype in oracle.of_type]
        self._names = {rtype: sorted(oracle.of_type[rtype]) for rtype in self._types}
        self._kinds: dict[str, Callable[[], tuple[str, Pairs] | None]] = {
            "one": self._one, "or": self._or, "and": self._and, "missing": self._missing, "chain": self._chain,
            "has": self._has, "sort": self._sort, "modifier": self._modifier, "composite": self._composite,
        }  # fmt: skip

    def sweep(self) -> Iterator[Shape]:
        """One shape for each search parameter of each type that finds something in some resource."""
        for rtype in self._types:
            for code in sorted(parameters(rtype)):
                found = self._about(rtype, code)
                if found is not None:
                    yield Shape("sweep", rtype, ((code, found),))

    def by_chance(self, number: int) -> Iterator[Shape]:
        """So many shapes, of all kinds in turn."""
        kinds = sorted(self._kinds)
        made = 0
        while made < number:
            kind = kinds[made % len(kinds)]
            found = self._kinds[kind]()
            if found is not None:
                made += 1
                yield Shape(kind, *found)

    def _about(self, rtype: str, code: str) -> str | None:
        parameter = parameters(rtype)[code]
        for name in self._names[rtype]:
            text = self._plainly(self._oracle.resource(name), parameter)
            if text is not None:
                return text
        return None

    def _plainly(self, resource: Resource, parameter: SearchParameter) -> str | None:
        if parameter.type == "composite":
            return self._joined(resource, parameter)
        for element in elements(resource, parameter):
            text = plainly(parameter, element, self._chance)
            if text is not None:
                return text
        return None

    def _joined(self, resource: Resource, parameter: SearchParameter) -> str | None:
        known = [parameters(parameter.rtype)[code] for code, _ in parameter.components]
        for group in groups(resource, parameter):
            if all(group):
                texts = [
                    plainly(part, self._chance.choice(found), self._chance)
                    for part, found in zip(known, group, strict=True)
                ]
                if all(texts):
                    return "$".join(filter(None, texts))
        return None

    def rtype(self) -> str:
        """Some type, often one of those of which there is much."""
        return self._chance.choice(self._busy if self._busy and self._chance.random() < 0.5 else self._types)  # noqa: PLR2004

    def some(self, rtype: str) -> Resource:
        """Some resource of a type."""
        return self._oracle.resource(self._chance.choice(self._names[rtype]))

    def asked(self, resource: Resource, *, has_modifier: bool = True) -> Asked | None:
        """Something that this resource would answer, or would miss by a little."""
        known = sorted(parameters(resource["resourceType"]).items())
        for code, parameter in self._chance.sample(known, len(known)):
            if parameter.type == "composite":
                continue
            found = elements(resource, parameter)
            if found:
                one = asked(code, parameter, self._chance.choice(found), self._chance, has_modifier)
                if one is not None:
                    return one
        return None

    def _one(self) -> tuple[str, Pairs] | None:
        rtype = self.rtype()
        found = self.asked(self.some(rtype))
        return found and (rtype, (found,))

    def _modifier(self) -> tuple[str, Pairs] | None:
        rtype = self.rtype()
        for _ in range(20):
            found = self.asked(self.some(rtype))
            if found and ":" in found[0]:
                return rtype, (found,)
        return None

    def _or(self) -> tuple[str, Pairs] | None:
        rtype = self.rtype()
        first = self.asked(self.some(rtype))
        if first is None:
            return None
        code, _, modifier = first[0].partition(":")
        texts = [first[1]]
        for _ in range(10):
            other = self.some(rtype)
            for element in elements(other, parameters(rtype)[code]):
                more = asked(code, parameters(rtype)[code], element, self._chance, has_modifier=True)
                if more is not None and more[0].partition(":")[2] == modifier:
                    texts.append(more[1])
        return rtype, ((first[0], ",".join(texts[:4])),)

    def _and(self) -> tuple[str, Pairs] | None:
        rtype = self.rtype()
        one = self.some(rtype)
        found = [self.asked(one) for _ in range(self._chance.choice((2, 2, 3)))]
        return rtype, tuple(pair for pair in found if pair is not None)

    def _missing(self) -> tuple[str, Pairs] | None:
        rtype = self.rtype()
        code = self._chance.choice(sorted(parameters(rtype)))
        if not parameters(rtype)[code].expression:
            return None
        return rtype, ((f"{code}:missing", self._chance.choice(("true", "false"))),)

    def _composite(self) -> tuple[str, Pairs] | None:
        rtype = self._chance.choice(["Observation", *self._types])
        some = [one for one in parameters(rtype).values() if one.type == "composite"]
        if not some or rtype not in self._names:
            return None
        parameter = self._chance.choice(some)
        text = self._joined(self.some(rtype), parameter)
        return (text and (rtype, ((parameter.code, text),))) or None

    def _sort(self) -> tuple[str, Pairs] | None:
        rtype = self.rtype()
        codes = [
            code
            for code, one in sorted(parameters(rtype).items())
            if one.expression
            and one.type in {"string", "date", "token", "quantity", "number", "reference", "uri"}
        ]
        keys = self._chance.sample(codes, min(len(codes), self._chance.choice((1, 1, 2, 3))))
        sort = ",".join(self._chance.choice(("", "-")) + key for key in keys)
        narrowed = self.asked(self.some(rtype), has_modifier=False)
        return rtype, (*([narrowed] if narrowed and self._chance.random() < 0.5 else []), ("_sort", sort))  # noqa: PLR2004

    def _chain(self) -> tuple[str, Pairs] | None:
        rtype = self.rtype()
        found = self._chained(self.some(rtype), self._chance.choice((1, 1, 1, 2, 3)))
        return found and (rtype, (found,))

    def _chained(self, resource: Resource, depth: int) -> Asked | None:
        if depth == 0:
            return self.asked(resource)
        links = list(self.links(resource))
        if not links:
            return None
        code, target = self._chance.choice(links)
        inner = self._chained(self._oracle.resource(target), depth - 1)
        typed = self._chance.choice(("", f":{target.partition('/')[0]}"))
        return inner and (f"{code}{typed}.{inner[0]}", inner[1])

    def links(self, resource: Resource) -> Iterator[tuple[str, str]]:
        """(reference parameter, name of a resource that it leads to)."""
        for code, parameter in sorted(parameters(resource["resourceType"]).items()):
            if parameter.type == "reference":
                for element in elements(resource, parameter):
                    for key in keys_of(element):
                        if key in self._oracle.of_type.get(key.partition("/")[0], ()):
                            yield code, key

    def _has(self) -> tuple[str, Pairs] | None:
        source = self.some(self.rtype())
        links = list(self.links(source))
        if not links:
            return None
        code, target = self._chance.choice(links)
        inner = self._chained(source, 1) if self._chance.random() < 0.3 else self.asked(source)  # noqa: PLR2004
        if inner is None:
            return None
        name = f"_has:{source['resourceType']}:{code}:{inner[0]}"
        further = list(self.links(self._oracle.resource(target)))
        if further and self._chance.random() < 0.3:  # noqa: PLR2004
            outer, end = self._chance.choice(further)
            return end.partition("/")[0], ((f"_has:{target.partition('/')[0]}:{outer}:{name}", inner[1]),)
        return target.partition("/")[0], ((name, inner[1]),)
