"""fhir.query: the search grammar of R4, from parameters of a URL to a tree that a store can answer.

Room: fhir. May import: fhir.clause, fhir.filter, fhir.queryvalue, fhir.searchparam, fhir.facts, fhir.outcome.
Standard: https://hl7.org/fhir/R4/search.html
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from careloom.fhir.catalogue import R4_ALONE, Catalogue, known
from careloom.fhir.clause import (
    MAX_NAME,
    Clause,
    clause_of,
    in_compartment,
    is_building,
    is_known,
    parameter_of,
    unknown,
)
from careloom.fhir.facts import facts, resource_types
from careloom.fhir.filter import filter_of
from careloom.fhir.outcome import Issue, OutcomeError, refuse_nul
from careloom.fhir.queryvalue import refused
from careloom.fhir.searchparam import SearchParameter, parameters


@dataclass(frozen=True, slots=True)
class Sort:
    """One key of the order."""

    parameter: SearchParameter
    is_descending: bool


@dataclass(frozen=True, slots=True)
class Include:
    """References to follow from (_include) or to (_revinclude) the matches; parameter None: all of `rtype`."""

    rtype: str
    parameter: SearchParameter | None
    target: str = ""
    iterate: bool = False


@dataclass(frozen=True, slots=True)
class Query:
    """A search: every one of `criteria` must hold. Absent choices are None or ""."""

    rtype: str
    criteria: tuple[Clause, ...] = ()
    count: int | None = None
    sort: tuple[Sort, ...] = ()
    includes: tuple[Include, ...] = ()
    revincludes: tuple[Include, ...] = ()
    elements: tuple[str, ...] = ()
    summary: str = ""
    """true, text, data, count or false."""
    total: str = ""
    """none, estimate or accurate."""
    cursor: str = ""
    """Where the page starts, as the store wrote it into a link."""
    ignored: tuple[str, ...] = ()
    """Names of parameters that were not understood or were empty."""
    building: tuple[str, ...] = ()
    """Of those the names of parameters by which resources are still being indexed."""
    catalogue: Catalogue = R4_ALONE
    """Under which it was read, and is to be answered."""
    parts: tuple[Query, ...] = ()
    """Of a search on several types the criteria and the order of each; the rest stands here."""


Pairs = Sequence[tuple[str, str]]
"""Names and texts of parameters, decoded."""

Rest = dict[str, Any]
"""What of a Query is no criterion, by the names of its fields."""


def parse(
    rtype: str, pairs: Pairs, *, strict: bool, base: str = "", within: tuple[str, str] | None = None
) -> Query:
    """Read the decoded parameters of a search on one type ("Resource": on all, or on those that `_type` names).

    `base` is this server's own address: references below it are local. `within` is a compartment, (type, id), to
    which what is found must belong. Raises OutcomeError that names the parameter: not-found (type), not-supported
    (modifier; with `strict` also unknown parameters), value.

    >>> query = parse("Patient", [("name", "ada"), ("_count", "5"), ("shoe", "7")], strict=False)
    >>> query.criteria[0].parameter.code, query.count, query.ignored
    ('name', 5, ('shoe',))
    """
    refuse_nul(*(part for pair in pairs for part in pair))
    if rtype == "Resource":
        types = _types(pairs, within)
        if len(types) == 1:
            return parse(types[0], _without_type(pairs), strict=strict, base=base, within=within)
        if types:
            return _of_types(types, _without_type(pairs), strict=strict, base=base, within=within)
    criteria: list[Clause] = [] if within is None else [in_compartment(rtype, *within)]
    ignored: list[str] = []
    building: list[str] = []
    rest: Rest = {}
    parameters(rtype)
    for name, text in pairs:
        bare = name.partition(":")[0]
        control = _CONTROLS.get(bare)
        if bare == "_query":
            raise OutcomeError(Issue("not-supported", "No named query (_query) is known here.", "_query"))
        if not text or not _is_understood(rtype, name, text):
            if strict:
                raise unknown(rtype, name, is_empty=not text)
            ignored.append(name)
            if is_building(rtype, name):
                building.append(name)
        elif control is not None:
            control(rest, rtype, name, text)
        elif bare == "_filter":
            criteria.append(filter_of(rtype, text, base))
        else:
            criteria.append(clause_of(rtype, name, text, base))
    return Query(
        rtype,
        tuple(criteria),
        ignored=tuple(ignored),
        building=tuple(building),
        catalogue=known(),
        **rest,
    )


def _is_understood(rtype: str, name: str, text: str) -> bool:
    bare = name.partition(":")[0]
    if bare == "_contained":
        # Contained resources are not searched by themselves: the default of R4 is all there is.
        return text == "false"
    return bare in _CONTROLS or bare == "_filter" or is_known(rtype, name)


def _types(pairs: Pairs, within: tuple[str, str] | None) -> list[str]:
    """The types that `_type` names; of a compartment all that it holds, where none is named."""
    named = {one for name, text in pairs if name == "_type" for one in text.split(",") if one}
    for one in named:
        if one not in resource_types():
            raise OutcomeError(Issue("not-supported", f"R4 has no resource type {one[:MAX_NAME]}.", "_type"))
    held = _held_by(within[0]) if within is not None else named
    return sorted(named & held if named else held)


def _held_by(compartment: str) -> set[str]:
    definition = facts().compartments.get(compartment)
    if definition is None:
        raise OutcomeError(Issue("not-supported", f"R4 defines no compartment of {compartment[:MAX_NAME]}."))
    return {*definition, compartment}


def _without_type(pairs: Pairs) -> Pairs:
    return [pair for pair in pairs if pair[0] != "_type"]


def _of_types(
    types: Sequence[str], pairs: Pairs, *, strict: bool, base: str, within: tuple[str, str] | None
) -> Query:
    """A search on several types, by parameters that all of them know."""
    queries = [parse(one, pairs, strict=strict, base=base, within=within) for one in types]
    ignored = tuple(dict.fromkeys(name for query in queries for name in query.ignored))
    waits = tuple(dict.fromkeys(name for query in queries for name in query.building))
    if ignored and any(query.ignored != ignored for query in queries):
        # Known to some of the types only, so that it is no parameter of this search: it narrows none of them.
        rest = [pair for pair in pairs if pair[0] not in ignored]
        return replace(
            _of_types(types, rest, strict=strict, base=base, within=within), ignored=ignored, building=waits
        )
    includes = tuple(dict.fromkeys(one for query in queries for one in query.includes))
    whole = replace(
        queries[0], rtype="Resource", criteria=(), includes=includes, ignored=ignored, building=waits
    )
    return replace(whole, parts=tuple(queries))


def _count(rest: Rest, _rtype: str, name: str, text: str) -> None:
    if not (text.isascii() and text.isdigit()) or len(text) > 9:  # noqa: PLR2004 fits any integer type
        raise refused(name, "it takes a whole number of 0 or more.")
    rest["count"] = int(text)


def _sort(rest: Rest, rtype: str, name: str, text: str) -> None:
    keys: list[Sort] = []
    for key in text.split(","):
        code = key.removeprefix("-")
        parameter = parameters(rtype).get(code)
        if parameter is None and is_building(rtype, code):
            raise unknown(rtype, code)
        if parameter is None or not parameter.is_indexed:
            raise refused(name, f"{rtype} cannot be sorted by {code[:MAX_NAME]}.")
        keys.append(Sort(parameter, is_descending=key.startswith("-")))
    rest["sort"] = (*rest.get("sort", ()), *keys)


def _include(rest: Rest, rtype: str, name: str, text: str) -> None:
    iterate = name.partition(":")[2]
    if iterate not in {"", "iterate", "recurse"}:
        raise OutcomeError(
            Issue("not-supported", f"{name[:MAX_NAME]} is no modifier of R4.", name[:MAX_NAME])
        )
    found = Include(*_included(rtype, name, text), iterate=bool(iterate))
    field = "revincludes" if name.startswith("_rev") else "includes"
    rest[field] = (*rest.get(field, ()), found)


def _included(rtype: str, name: str, text: str) -> tuple[str, SearchParameter | None, str]:
    if text == "*":
        return rtype if name.startswith("_include") else "", None, ""
    source, code, target = ([*text.split(":"), "", ""])[:3]
    if not code or text.count(":") > 2:  # noqa: PLR2004 type, parameter, target
        raise refused(name, "write Type:parameter, Type:parameter:Target or *.")
    if target and target not in resource_types():
        raise refused(name, "the target is no resource type of R4.")
    if code == "*":
        parameters(source)
        return source, None, target
    parameter = parameter_of(source, code)
    if parameter.type != "reference":
        raise refused(name, f"{code[:MAX_NAME]} of {source} is no reference.")
    return source, parameter, target


def _elements(rest: Rest, _rtype: str, _name: str, text: str) -> None:
    rest["elements"] = tuple(name for name in text.split(",") if name)


def _summary(rest: Rest, _rtype: str, name: str, text: str) -> None:
    if text not in {"true", "text", "data", "count", "false"}:
        raise refused(name, "it takes true, text, data, count or false.")
    rest["summary"] = text


def _total(rest: Rest, _rtype: str, name: str, text: str) -> None:
    if text not in {"none", "estimate", "accurate"}:
        raise refused(name, "it takes none, estimate or accurate.")
    rest["total"] = text


def _cursor(rest: Rest, _rtype: str, _name: str, text: str) -> None:
    rest["cursor"] = text


def _form(_rest: Rest, _rtype: str, _name: str, _text: str) -> None:
    """The form of the answer, _format and _pretty, is the matter of who speaks HTTP; _contained=false says nothing."""


_CONTROLS: dict[str, Callable[[Rest, str, str, str], None]] = {
    "_count": _count,
    "_sort": _sort,
    "_include": _include,
    "_revinclude": _include,
    "_elements": _elements,
    "_summary": _summary,
    "_total": _total,
    "_cursor": _cursor,
    "_format": _form,
    "_pretty": _form,
    "_contained": _form,
}
