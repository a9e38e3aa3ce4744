"""fhir.query: the search grammar of R4, from parameters of a URL to a tree that a store can answer.

Room: fhir. May import: fhir.queryvalue, fhir.searchparam, fhir.facts, fhir.outcome.
Standard: https://hl7.org/fhir/R4/search.html
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from careloom.fhir.facts import resource_types
from careloom.fhir.outcome import Issue, OutcomeError
from careloom.fhir.queryvalue import Value, refused, values
from careloom.fhir.searchparam import SearchParameter, parameters

MAX_CHAIN = 4
"""How many references one parameter may follow."""


@dataclass(frozen=True, slots=True)
class Criterion:
    """One parameter, its modifier ("" where none) and its values, any of which may match."""

    parameter: SearchParameter
    modifier: str
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Chain:
    """The resource that `parameter` refers to meets a clause; one branch for each type that it may be of."""

    parameter: SearchParameter
    branches: tuple[tuple[str, Clause], ...]


@dataclass(frozen=True, slots=True)
class Has:
    """Some resource of `rtype` refers back by `parameter` and meets the clause (_has)."""

    rtype: str
    parameter: SearchParameter
    clause: Clause


Clause = Criterion | Chain | Has


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


def parse(rtype: str, pairs: Sequence[tuple[str, str]], *, strict: bool, base: str = "") -> Query:
    """Read the decoded parameters of a search on one type ("Resource": on all).

    `base` is this server's own address: references below it are local. Raises OutcomeError that names the
    parameter: not-found (type), not-supported (modifier; with `strict` also unknown parameters), value.

    >>> query = parse("Patient", [("name", "ada"), ("_count", "5"), ("shoe", "7")], strict=False)
    >>> query.criteria[0].parameter.code, query.count, query.ignored
    ('name', 5, ('shoe',))
    """
    query = Query(rtype)
    known = parameters(rtype)
    for name, text in pairs:
        bare = name.partition(":")[0]
        if not text or not (bare in _CONTROLS or _is_known(known, name)):
            if strict:
                raise _unknown(rtype, name, is_empty=not text)
            query = replace(query, ignored=(*query.ignored, name))
        elif bare in _CONTROLS:
            query = _CONTROLS[bare](query, name, text)
        else:
            query = replace(query, criteria=(*query.criteria, _clause(rtype, name, text, base)))
    return query


def _is_known(known: Mapping[str, SearchParameter], name: str) -> bool:
    head = name.partition(".")[0].partition(":")[0]
    return head == "_has" or (head in known and (known[head].is_indexed or known[head].type == "composite"))


def _unknown(rtype: str, name: str, *, is_empty: bool) -> OutcomeError:
    wrong = "has no value" if is_empty else f"is not known for {rtype}"
    return OutcomeError(Issue("not-supported", f"The search parameter {name[:64]} {wrong}.", name[:64]))


def _clause(rtype: str, name: str, text: str, base: str, depth: int = 0) -> Clause:
    if depth > MAX_CHAIN:
        raise OutcomeError(Issue("too-costly", f"A search may follow {MAX_CHAIN} references and no more."))
    if name.startswith("_has:"):
        return _has(name, text, base, depth)
    head, dot, rest = name.partition(".")
    code, _, modifier = head.partition(":")
    parameter = _parameter(rtype, code)
    if not dot:
        return Criterion(parameter, modifier, values(parameter, modifier, text, base))
    if parameter.type != "reference":
        raise refused(code, "only a reference can be followed by a dot.")
    targets = parameter.targets or tuple(sorted(resource_types()))
    if modifier and modifier not in targets:
        raise OutcomeError(
            Issue("not-supported", f"After {code}: a type that it refers to must stand.", code)
        )
    types = (modifier,) if modifier else targets
    branches: list[tuple[str, Clause]] = []
    # Of several types that a reference may lead to, some do not know how the rest goes on.
    failed = _unknown(" or ".join(types[:4]), rest, is_empty=False)
    for one in filter(lambda one: _leads_on(one, rest), types):
        try:
            branches.append((one, _clause(one, rest, text, base, depth + 1)))
        except OutcomeError as error:
            if error.issues[0].code != "not-supported":
                raise
            failed = error
    if not branches:
        raise failed
    return Chain(parameter, tuple(branches))


def _leads_on(rtype: str, name: str) -> bool:
    """Whether this type knows the next name of a chain, as a reference where the chain goes on beyond it."""
    known = parameters(rtype)
    if not _is_known(known, name):
        return False
    head, dot, _ = name.partition(".")
    code = head.partition(":")[0]
    return code == "_has" or not dot or known[code].type == "reference"


def _has(name: str, text: str, base: str, depth: int) -> Has:
    parts = name.split(":", 3)
    if len(parts) != 4:  # noqa: PLR2004 _has, type, reference, parameter
        raise refused("_has", "write _has:Type:reference:parameter.")
    _, rtype, code, rest = parts
    parameter = _parameter(rtype, code)
    if parameter.type != "reference":
        raise refused("_has", f"{code[:64]} of {rtype} is no reference.")
    return Has(rtype, parameter, _clause(rtype, rest, text, base, depth + 1))


def _parameter(rtype: str, code: str) -> SearchParameter:
    known = parameters(rtype)
    if code not in known or not _is_known(known, code):
        raise _unknown(rtype, code, is_empty=False)
    return known[code]


def _count(query: Query, name: str, text: str) -> Query:
    if not (text.isascii() and text.isdigit()) or len(text) > 9:  # noqa: PLR2004 fits any integer type
        raise refused(name, "it takes a whole number of 0 or more.")
    return replace(query, count=int(text))


def _sort(query: Query, name: str, text: str) -> Query:
    keys: list[Sort] = []
    for key in text.split(","):
        code = key.removeprefix("-")
        parameter = parameters(query.rtype).get(code)
        if parameter is None or not parameter.is_indexed:
            raise refused(name, f"{query.rtype} cannot be sorted by {code[:64]}.")
        keys.append(Sort(parameter, is_descending=key.startswith("-")))
    return replace(query, sort=(*query.sort, *keys))


def _include(query: Query, name: str, text: str) -> Query:
    iterate = name.partition(":")[2]
    if iterate not in {"", "iterate", "recurse"}:
        raise OutcomeError(Issue("not-supported", f"{name[:64]} is no modifier of R4.", name[:64]))
    found = Include(*_included(query.rtype, name, text), iterate=bool(iterate))
    if name.startswith("_rev"):
        return replace(query, revincludes=(*query.revincludes, found))
    return replace(query, includes=(*query.includes, found))


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
    parameter = _parameter(source, code)
    if parameter.type != "reference":
        raise refused(name, f"{code[:64]} of {source} is no reference.")
    return source, parameter, target


def _elements(query: Query, _name: str, text: str) -> Query:
    return replace(query, elements=tuple(name for name in text.split(",") if name))


def _summary(query: Query, name: str, text: str) -> Query:
    if text not in {"true", "text", "data", "count", "false"}:
        raise refused(name, "it takes true, text, data, count or false.")
    return replace(query, summary=text)


def _total(query: Query, name: str, text: str) -> Query:
    if text not in {"none", "estimate", "accurate"}:
        raise refused(name, "it takes none, estimate or accurate.")
    return replace(query, total=text)


def _cursor(query: Query, _name: str, text: str) -> Query:
    return replace(query, cursor=text)


def _form(query: Query, _name: str, _text: str) -> Query:
    """The form of the answer, _format and _pretty, is the matter of who speaks HTTP."""
    return query


_CONTROLS: dict[str, Callable[[Query, str, str], Query]] = {
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
}
