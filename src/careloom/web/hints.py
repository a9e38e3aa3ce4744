"""web.hints: what may be typed into a search: the parameters of a type, what each takes, and its codes if they are few.

Room: web. May import: fhir. All of it comes from the published definitions; nothing is listed here by hand but how a
kind of value is written. Standard: https://hl7.org/fhir/R4/search.html#ptypes
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from careloom.fhir.facts import children, facts, resource_types
from careloom.fhir.searchparam import SearchParameter, parameters

WRITTEN = {
    "date": "2026, 2026-11 or 2026-11-25; before it: eq ne gt lt ge le sa eb ap, as in ge2026-01-01",
    "token": "a code, or system|code; modifiers :not :text :in :missing",
    "string": "how it begins, without regard to case and accents; :exact or :contains after the name",
    "reference": "Type/id; or a chain: name.parameter, name:Type.parameter",
    "quantity": "5.4, gt5.4, or 5.4|http://unitsofmeasure.org|mg",
    "number": "100, gt100, 1e2",
    "uri": "the whole address; :below or :above after the name",
    "composite": "parts joined by $, as in 8480-6$gt140",
    "special": "as the standard says for this parameter",
}
"""Kind of parameter -> how its values are written."""

CONTROLS = {
    "_sort": "names of parameters, the first decides; - before one turns it round, as in -date",
    "_include": "Type:parameter: also what the matches refer to",
    "_revinclude": "Type:parameter: also what refers to the matches",
    "_has:Type:reference:parameter": "something of Type that refers here by reference meets parameter=value",
}
"""Parameters of a search that are no parameter of any type."""

MOST_CODES = 60


@dataclass(frozen=True, slots=True)
class Hint:
    """One parameter of a type."""

    name: str
    kind: str
    written: str
    reads: str
    """The element it looks at, as FHIRPath."""
    targets: str
    codes: tuple[str, ...]


@cache
def hints(rtype: str) -> tuple[Hint, ...]:
    """Every parameter of a type that can be searched by, its own ones first.

    >>> next(hint.codes for hint in hints("Patient") if hint.name == "gender")
    ('male', 'female', 'other', 'unknown')
    """
    known = [one for one in parameters(rtype).values() if one.is_indexed or one.type == "composite"]
    known.sort(key=lambda one: (one.code.startswith("_"), one.code))
    return tuple(_hint(rtype, one) for one in known)


def pointing_at(rtype: str) -> Iterator[tuple[str, SearchParameter]]:
    """Every (type, reference parameter) by which a resource may refer to one of this type."""
    for source in sorted(resource_types()):
        for one in parameters(source).values():
            if one.type == "reference" and one.is_indexed and (not one.targets or rtype in one.targets):
                yield source, one


def _hint(rtype: str, parameter: SearchParameter) -> Hint:
    codes = tuple(_codes(rtype, parameter))
    return Hint(
        name=parameter.code,
        kind=parameter.type,
        written=WRITTEN.get(parameter.type, ""),
        reads=_own(rtype, parameter),
        targets=", ".join(parameter.targets),
        codes=codes if len(codes) <= MOST_CODES else (),
    )


def _own(rtype: str, parameter: SearchParameter) -> str:
    """Of an expression over many types the part that concerns this one."""
    parts = [part.strip() for part in parameter.expression.split("|")]
    own = [
        part for part in parts if part.lstrip("(").startswith((f"{rtype}.", "Resource.", "DomainResource."))
    ]
    return " | ".join(own or parts)


def _codes(rtype: str, parameter: SearchParameter) -> Iterator[str]:
    """The codes of a required binding, where the parameter reads one element that has one."""
    if parameter.type != "token":
        return
    owner, _, path = _own(rtype, parameter).partition(".")
    for name in path.split("."):
        found = children(owner, name)
        if len(found) != 1:
            return
        owner, element = found[0].type, found[0].element
        if element.required:
            for codes in facts().codes.get(element.required, {}).values():
                yield from codes
            return
