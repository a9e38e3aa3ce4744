"""verify.shapes_whole: searches that are more than a list of parameters: filters, words, lists, compartments, all types.

Room: verify. Each shape brings the names of what must match, made by plain set operations on what an oracle answers.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from html import unescape
from random import Random
from typing import Any

from careloom.fhir.facts import facts
from careloom.fhir.indexvalue import normalised
from careloom.fhir.resource import Resource
from careloom.fhir.searchelement import elements
from careloom.fhir.searchparam import parameters
from careloom.verify.oracle import Names, Oracle, Pairs
from careloom.verify.oracle_value import codings_of
from careloom.verify.shape_value import escaped, plainly
from careloom.verify.shapes import Shape, Shapes

Found = tuple[str, Pairs, tuple[str, str] | None, Names | None]
SYSTEM = "http://oracle.example/"
MANY = 5_000


def value_sets(resources: list[Resource], seed: int) -> list[Resource]:
    """Value sets that name codings of these resources, for :in and :not-in."""
    chance = Random(seed)  # noqa: S311 no secret
    made: list[Resource] = []
    for number in range(12):
        concepts: dict[str, set[str]] = {}
        for resource in chance.sample(resources, min(len(resources), 60)):
            for system, code in _codings(resource):
                if system and code:
                    concepts.setdefault(system, set()).add(code)
        include = [
            {"system": system, "concept": [{"code": code} for code in sorted(codes)]}
            for system, codes in sorted(concepts.items())
        ]
        made.append(
            {
                "resourceType": "ValueSet",
                "id": f"oracle-{number}",
                "url": f"{SYSTEM}ValueSet/{number}",
                "status": "active",
                "compose": {"include": include},
            }
        )
    return made


def _codings(resource: Resource) -> Iterator[tuple[str | None, str | None]]:
    for parameter in parameters(resource["resourceType"]).values():
        if parameter.type == "token":
            for element in elements(resource, parameter):
                if element.type in {"CodeableConcept", "Coding"}:
                    yield from codings_of(element)


class WholeShapes:
    """Makes such shapes about the resources of an oracle."""

    def __init__(self, oracle: Oracle, shapes: Shapes, seed: int) -> None:
        self._oracle = oracle
        self._shapes = shapes
        self._chance = Random(seed)  # noqa: S311 no secret
        self._kinds: dict[str, Callable[[], Found | None]] = {
            "filter": self._filter, "words": self._words, "list": self._list, "compartment": self._compartment,
            "system": self._system, "value-set": self._value_set, "near": self._near, "include": self._include,
            "revinclude": self._revinclude,
        }  # fmt: skip

    def by_chance(self, number: int) -> Iterator[Shape]:
        """So many shapes, of all kinds in turn."""
        kinds = sorted(self._kinds)
        made = tries = 0
        while made < number:
            kind = kinds[tries % len(kinds)]
            tries += 1
            found = self._kinds[kind]()
            if found is not None:
                made += 1
                yield Shape(kind, *found)

    def _all(self, rtype: str) -> Names:
        return frozenset(self._oracle.of_type.get(rtype, ()))

    def _filter(self) -> Found | None:
        rtype = self._shapes.rtype()
        text, names = self._either(rtype, self._shapes.some(rtype), depth=0)
        return rtype, (("_filter", text),), None, names

    def _either(self, rtype: str, resource: Resource, depth: int) -> tuple[str, Names]:
        roll = self._chance.random()
        if depth == 3 or roll < 0.4:  # noqa: PLR2004
            return self._atom(rtype, resource)
        text, names = self._either(rtype, resource, depth + 1)
        if roll < 0.55:  # noqa: PLR2004
            return f"not({text})", self._all(rtype) - names
        more, others = self._either(rtype, self._shapes.some(rtype), depth + 1)
        if roll < 0.8:  # noqa: PLR2004
            return f"({text}) and ({more})", names & others
        return f"({text}) or {more}", names | others

    def _atom(self, rtype: str, resource: Resource) -> tuple[str, Names]:
        """A comparison that a parameter of a URL can say as well."""
        one = self._oracle.one
        for code, parameter in self._chance.sample(sorted(parameters(rtype).items()), len(parameters(rtype))):
            found = elements(resource, parameter) if parameter.type in _SAID else []
            text = plainly(parameter, found[0], self._chance) if found else None
            if text is None or "\\" in text or '"' in text or "\n" in text:
                continue
            operator, name, prefix = self._chance.choice(_SAID[parameter.type])
            quoted = (
                f'"{text}"' if parameter.type in {"string", "uri"} or re.search(r"[\s()\[\]]", text) else text
            )
            return f"{code} {operator} {quoted}", one(rtype, code + name, prefix + text)
        return "_id pr true", self._all(rtype)

    def _words(self) -> Found | None:
        rtype = self._shapes.rtype()
        if len(self._oracle.of_type[rtype]) > MANY:
            # Words are dear to the oracle: it reads every text of every resource.
            return None
        resource = self._shapes.some(rtype)
        name = self._chance.choice(("_content", "_text"))
        if name not in parameters(rtype):
            return None
        told = sorted(_told(resource, name))
        if not told:
            return None
        words = self._chance.sample(told, min(len(told), self._chance.choice((1, 2))))
        word = self._chance.choice((" ", " or ", " AND "))
        how = any if word == " or " else all
        names = frozenset(
            name_
            for name_, one in self._oracle.of_type[rtype].items()
            if how(w in _told(one, name) for w in words)
        )
        return rtype, ((name, word.join(words)),), None, names

    def _list(self) -> Found | None:
        lists = sorted(self._oracle.of_type.get("List", ()))
        if not lists:
            return None
        name = self._chance.choice(lists)
        entries = self._oracle.resource(name).get("entry", [])
        items = {one["item"].get("reference", "") for one in entries if not one.get("deleted")}
        rtype = self._chance.choice(sorted({item.partition("/")[0] for item in items}) or ["Patient"])
        if rtype not in self._oracle.of_type:
            return None
        return rtype, (("_list", name.partition("/")[2]),), None, self._all(rtype) & items

    def _compartment(self) -> Found | None:
        kind = self._chance.choice(("Patient", "Patient", "Encounter", "Practitioner", "Device"))
        if kind not in self._oracle.of_type:
            return None
        id_ = self._shapes.some(kind)["id"]
        types = sorted({*facts().compartments[kind], kind} & self._oracle.of_type.keys())
        if self._chance.random() < 0.3:  # noqa: PLR2004
            names = frozenset().union(*(self._held(kind, id_, rtype) for rtype in types))
            return "Resource", (), (kind, id_), names
        rtype = self._chance.choice(types)
        return rtype, (), (kind, id_), self._held(kind, id_, rtype)

    def _held(self, kind: str, id_: str, rtype: str) -> Names:
        codes = [code for code in facts().compartments[kind].get(rtype, ()) if code != "{def}"]
        own = frozenset({f"{kind}/{id_}"}) if kind == rtype else frozenset[str]()
        return own.union(*(self._oracle.one(rtype, code, f"{kind}/{id_}") for code in codes))

    def _system(self) -> Found | None:
        types = sorted({self._shapes.rtype() for _ in range(self._chance.choice((1, 2, 3)))})
        shared = set.intersection(*(set(parameters(rtype)) for rtype in types))
        found = self._shapes.asked(self._shapes.some(types[0]))
        if found is None or found[0].partition(":")[0] not in shared or _differs(types, found[0]):
            return None
        names = frozenset().union(*(self._oracle.one(rtype, *found) for rtype in types))
        return "Resource", (("_type", ",".join(types)), found), None, names

    def _value_set(self) -> Found | None:
        rtype = self._shapes.rtype()
        known = [
            one
            for _, one in sorted(parameters(rtype).items())
            if one.type == "token" and one.expression and not one.system
        ]
        parameter = self._chance.choice(known)
        name = f"ValueSet/oracle-{self._chance.randrange(12)}"
        value_set = self._oracle.resource(name)
        codes = {
            (include["system"], concept["code"])
            for include in value_set["compose"]["include"]
            for concept in include["concept"]
        }
        inside = frozenset(
            own
            for own, resource in self._oracle.of_type[rtype].items()
            if any(coding in codes for one in elements(resource, parameter) for coding in codings_of(one))
        )
        modifier = self._chance.choice(("in", "not-in"))
        names = inside if modifier == "in" else self._all(rtype) - inside
        text = self._chance.choice((value_set["url"], name))
        return rtype, ((f"{parameter.code}:{modifier}", escaped(text)),), None, names

    def _near(self) -> Found | None:
        places = [one for one in self._oracle.of_type.get("Location", {}).values() if "position" in one]
        if not places:
            return None
        at = self._chance.choice(places)["position"]
        latitude = round(float(at["latitude"]) + self._chance.uniform(-0.2, 0.2), 4)
        longitude = round(float(at["longitude"]) + self._chance.uniform(-0.2, 0.2), 4)
        km = self._chance.choice((1, 10, 20, 30))
        names = frozenset(
            f"Location/{one['id']}" for one in places if _km(latitude, longitude, one["position"]) <= km
        )
        return (
            "Location",
            (("near", escaped(f"{latitude}|{longitude}|{km}|km").replace("\\|", "|")),),
            None,
            names,
        )

    def _include(self) -> Found | None:
        rtype = self._shapes.rtype()
        links = list(self._shapes.links(self._shapes.some(rtype)))
        if not links:
            return None
        code, target = self._chance.choice(links)
        typed = self._chance.choice(("", f":{target.partition('/')[0]}"))
        pairs = [("_include", self._chance.choice((f"{rtype}:{code}{typed}", f"{rtype}:*", "*")))]
        further = list(self._shapes.links(self._oracle.resource(target)))
        if further and self._chance.random() < 0.5:  # noqa: PLR2004
            pairs.append(
                ("_include:iterate", f"{target.partition('/')[0]}:{self._chance.choice(further)[0]}")
            )
        return rtype, (*self._narrowed(rtype), *pairs), None, None

    def _revinclude(self) -> Found | None:
        source = self._shapes.some(self._shapes.rtype())
        links = list(self._shapes.links(source))
        if not links:
            return None
        code, target = self._chance.choice(links)
        iterate = self._chance.choice(("", "", ":iterate"))
        text = f"{source['resourceType']}:{self._chance.choice((code, code, '*'))}"
        rtype, _, id_ = target.partition("/")
        return rtype, (("_id", id_), (f"_revinclude{iterate}", text)), None, None

    def _narrowed(self, rtype: str) -> Pairs:
        found = self._shapes.asked(self._shapes.some(rtype))
        return (found,) if found else ()


# For each type of parameter: operator of _filter, and the modifier and prefix that say the same in a URL.
_SAID: dict[str, list[tuple[str, str, str]]] = {
    "token": [("eq", "", "")],
    "string": [("co", ":contains", ""), ("sw", "", "")],
    "reference": [("eq", "", ""), ("re", "", "")],
    "uri": [("eq", "", ""), ("sw", ":below", "")],
    "date": [(prefix, "", prefix) for prefix in ("eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap")],
    "number": [(prefix, "", prefix) for prefix in ("eq", "ne", "gt", "lt", "ge", "le")],
    "quantity": [(prefix, "", prefix) for prefix in ("eq", "ne", "gt", "lt", "ge", "le")],
}


def _differs(types: list[str], name: str) -> bool:
    """Whether the types mean different kinds of parameter by one name."""
    code = name.partition(":")[0]
    some = [parameters(rtype)[code] for rtype in types]
    return len({(one.type, one.system, one.targets) for one in some}) > 1


def _told(resource: Resource, name: str) -> set[str]:
    """The words of the narrative or of all texts."""
    if name == "_text":
        texts = [re.sub("<[^>]*>", " ", resource.get("text", {}).get("div", ""))]
    else:
        texts = [re.sub("<[^>]*>", " ", text) if "<" in text else text for text in _texts(resource)]
    return {word for text in texts for word in re.findall(r"\w+", normalised(unescape(text)))} - {"or", "and"}


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    for one in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _texts(one)


def _km(latitude: float, longitude: float, position: dict[str, Any]) -> float:
    """By the spherical law of cosines."""
    one, other = math.radians(latitude), math.radians(float(position["latitude"]))
    apart = math.radians(longitude - float(position["longitude"]))
    cosine = math.sin(one) * math.sin(other) + math.cos(one) * math.cos(other) * math.cos(apart)
    return 6371.0088 * math.acos(min(1.0, cosine))
