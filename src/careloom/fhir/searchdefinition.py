"""fhir.searchdefinition: a SearchParameter resource as what a store can index and search by, or why it cannot.

Room: fhir. May import: fhir.catalogue, fhir.extractor, fhir.path, fhir.searchparam, fhir.searchpath, fhir.facts.
Standard: https://hl7.org/fhir/R4/searchparameter.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from careloom.fhir import extractor
from careloom.fhir.catalogue import Catalogue
from careloom.fhir.facts import facts, resource_types
from careloom.fhir.outcome import Issue, OutcomeError
from careloom.fhir.path.check import Types, checked
from careloom.fhir.path.parser import parse
from careloom.fhir.path.tree import Call, nodes
from careloom.fhir.resource import Resource
from careloom.fhir.searchparam import SearchParameter, implied_system, of_r4, parameters
from careloom.fhir.searchpath import paths

R4_URL = "http://hl7.org/fhir/SearchParameter/"
TYPES = frozenset({"number", "date", "string", "token", "reference", "composite", "quantity", "uri"})

_CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_JSON_KEY = re.compile(r"\.value([A-Z][A-Za-z]*)(?![\w(])")
_UNSETTLED = frozenset(
    {"resolve", "now", "today", "timeOfDay", "memberOf", "conformsTo", "subsumes", "subsumedBy"}
)
"""What these give is not settled by the resource alone: an index would grow untrue without any write."""
_SHARED = ("Resource", "DomainResource", "clinical", "individual", "conformance", "medications")
"""How the addresses of R4's parameters begin that several types share."""


@dataclass(frozen=True, slots=True)
class Base:
    """What a definition says of one type."""

    rtype: str
    expression: str
    components: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Definition:
    """A search parameter that R4 does not have."""

    url: str
    code: str
    type: str
    targets: tuple[str, ...]
    bases: tuple[Base, ...]
    """None where R4 says the same already."""

    def parameter(self, base: Base, number: int) -> SearchParameter:
        """The parameter of one type, under its number."""
        return SearchParameter(
            id=number,
            rtype=base.rtype,
            code=self.code,
            type=self.type,
            expression=base.expression,
            targets=self.targets,
            components=base.components,
            system=implied_system(base.expression) if self.type == "token" else "",
            url=self.url,
        )


def definition_of(resource: Resource, catalogue: Catalogue) -> Definition:
    """Read an active SearchParameter beside those that are known. Raises OutcomeError with all that is wrong with it."""
    kind, code = resource["type"], resource["code"]
    if kind not in TYPES:
        raise _refused("not-supported", f"A parameter of type {kind} cannot be searched by here.", "type")
    if not resource.get("expression"):
        raise _refused("required", "An active SearchParameter needs its FHIRPath here.", "expression")
    issues: list[Issue] = []
    bases: list[Base] = []
    for rtype in _types(resource["base"]):
        try:
            base = _base(resource, rtype, catalogue)
        except OutcomeError as error:
            issues += [issue for issue in error.issues if issue not in issues]
        else:
            bases += [base] if base is not None else []
    if issues:
        raise OutcomeError(*issues)
    return Definition(resource["url"], code, kind, tuple(resource.get("target", ())), tuple(bases))


def _types(bases: list[str]) -> list[str]:
    """The types that an instance may have; Resource and DomainResource stand for all of theirs."""
    found: set[str] = set()
    for base in bases:
        below = resource_types() if base == "Resource" else ()
        if base == "DomainResource":
            below = (one for one in resource_types() if facts().types[one].base == base)
        found.update([base] if base in resource_types() else below)
    return sorted(found)


def _base(resource: Resource, rtype: str, catalogue: Catalogue) -> Base | None:
    """What it says of one type; None where R4 has the same parameter."""
    code, kind = resource["code"], resource["type"]
    expression = " | ".join(_pieces_of(resource["expression"], rtype))
    if not expression:
        raise _refused(
            "value", f"The expression leads to nothing in a {rtype}, which `base` names.", "expression"
        )
    own = of_r4(rtype).get(code)
    if own is not None:
        if own.type == kind and _is_same(own.expression, expression, rtype):
            return None
        raise _refused(
            "business-rule", f"R4 has another search parameter {code} of {rtype}: take another code.", "code"
        )
    other = catalogue.ready.get(rtype, {}).get(code)
    if code in catalogue.building.get(rtype, ()) or (other is not None and other.url != resource["url"]):
        raise _refused(
            "business-rule", f"{rtype} has another search parameter {code} here: take another code.", "code"
        )
    if not _CODE.fullmatch(code):
        text = "A code has 1 to 64 letters, digits, '-' or '_', and begins with a letter or digit."
        raise _refused("value", text, "code")
    expression, types = _checked(expression, rtype)
    if kind == "composite":
        return Base(rtype, expression, tuple(_components(resource, rtype, catalogue)))
    if not extractor.indexed_routes(kind, expression):
        _require_indexable(kind, expression, types)
    return Base(rtype, expression)


def _is_same(one: str, other: str, rtype: str) -> bool:
    mine = paths(" | ".join(_pieces_of(one, rtype)))
    return bool(mine) and set(mine) == set(paths(other))


def _checked(expression: str, rtype: str) -> tuple[str, Types]:
    """The expression as it can be read, and the types that it leads to; None where that cannot be told.

    Guides write `valueDateTime`, the key in JSON, where FHIRPath says `value.ofType(dateTime)`: US Core 6.1 does.
    Raises OutcomeError for what is wrong with it.
    """
    try:
        return expression, _types_of(expression, rtype)
    except OutcomeError as error:
        spelt = _JSON_KEY.sub(_spelt, expression)
        if spelt == expression:
            raise OutcomeError(*(_at(issue) for issue in error.issues)) from None
    return _checked(spelt, rtype)


def _types_of(expression: str, rtype: str) -> Types:
    tree = parse(expression)
    types = checked(tree, rtype)
    if not paths(expression):
        for call in nodes(tree):
            if isinstance(call, Call) and call.name in _UNSETTLED:
                text = f"{call.name}() depends on more than the resource: nothing can be indexed by it."
                raise OutcomeError(Issue("not-supported", text))
    return types


def _spelt(found: re.Match[str]) -> str:
    name = found[1]
    primitive = name[:1].lower() + name[1:]
    rtype = primitive if primitive in facts().primitives else name
    return f".value.ofType({rtype})" if rtype in facts().types else found[0]


def _at(issue: Issue) -> Issue:
    return Issue(issue.code, issue.text, "SearchParameter.expression")


def _require_indexable(kind: str, expression: str, types: Types) -> None:
    """Refuse an expression of which it is certain that this type of parameter finds nothing there."""
    found = {route.type for route in paths(expression)} or types
    if found is None:
        return
    names = {one.removeprefix("System.") for one in found}
    plain = {
        name[:1].lower() + name[1:] if f"System.{name}" in found and name != "Quantity" else name
        for name in names
    }
    if not any(extractor.rule(kind, name) for name in plain):
        text = f"A search parameter of type {kind} finds nothing in {', '.join(sorted(plain)[:5]) or 'that'}."
        raise _refused("not-supported", text, "expression")


def _components(resource: Resource, rtype: str, catalogue: Catalogue) -> Iterator[tuple[str, str]]:
    if not resource.get("component"):
        raise _refused("required", "A composite needs its components.", "component")
    if not paths(resource["expression"]):
        raise _refused("not-supported", "The expression of a composite must be a path here.", "expression")
    for place, one in enumerate(resource["component"]):
        code = _code_of(one["definition"].partition("|")[0], rtype, catalogue)
        known: Mapping[str, Any] = {**of_r4(rtype), **catalogue.ready.get(rtype, {})}
        where = f"component[{place}]"
        if code not in known or known[code].type == "composite":
            raise _refused("not-found", f"No search parameter of {rtype} has this definition here.", where)
        yield code, one["expression"]


def _code_of(url: str, rtype: str, catalogue: Catalogue) -> str:
    """The code of the parameter with this address; "" if it is none of this type."""
    if url in catalogue.urls:
        return catalogue.urls[url]
    name = url.removeprefix(R4_URL)
    for start in (rtype, *_SHARED):
        code = name.removeprefix(f"{start}-")
        if code != name and code in parameters(rtype):
            return code
    return ""


def _pieces_of(expression: str, rtype: str) -> list[str]:
    """The parts of a union that speak of this type, or of none."""
    return [
        piece for piece in _pieces(expression) if _start(piece) in {"", rtype, "Resource", "DomainResource"}
    ]


def _start(piece: str) -> str:
    """The type that a path begins with."""
    found = re.match(r"[\s(]*(\w+)", piece)
    return found[1] if found and found[1] in facts().types else ""


def _pieces(expression: str) -> Iterator[str]:
    """What stands between the bars of the outermost level."""
    depth, start = 0, 0
    for sign in re.finditer(r"'(?:[^'\\]|\\.)*'|[()|]", expression):
        depth += {"(": 1, ")": -1}.get(sign[0], 0)
        if sign[0] == "|" and depth == 0:
            yield expression[start : sign.start()].strip()
            start = sign.end()
    yield expression[start:].strip()


def _refused(code: Any, text: str, element: str) -> OutcomeError:
    return OutcomeError(Issue(code, text, f"SearchParameter.{element}"))
