"""store.include: what _include and _revinclude add to the matches of a search.

Room: store. Touches: the table res. Standard: https://hl7.org/fhir/R4/search.html#revinclude

References are read from the decoded bodies; which parameter one belongs to is known from the row's `ix`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from careloom.fhir.indexvalue import reference_key
from careloom.fhir.outcome import Issue, OutcomeError
from careloom.fhir.query import Include, Query
from careloom.fhir.searchparam import SearchParameter, parameters
from careloom.store.actor import Actor
from careloom.store.canonical import addresses_of, by_canonical, canonicals_in, is_canonical, means
from careloom.store.condition import NEVER, Condition, all_of, any_of, equals, overlaps
from careloom.store.current import current
from careloom.store.database import Connection
from careloom.store.fetch import fetch
from careloom.store.hashes import hash64, salt
from careloom.store.resource_type import RESOURCE_TYPES, columns_of, number_of
from careloom.store.stored import Match, Stored

MAX_INCLUDED = 5_000
"""More than this beside one page is refused, rather than cut off silently."""
MAX_ROUNDS = 40
"""How far :iterate goes; what leads on beyond is refused."""

_REFERENCE = re.compile(rb'"reference":("(?:[^"\\\\]|\\\\.)*")')


def included(connection: Connection, actor: Actor, query: Query, matches: Sequence[Match]) -> list[Stored]:
    """Resources beside the matches, each once. Raises OutcomeError(too-costly) beyond MAX_INCLUDED."""
    if not (query.includes or query.revincludes):
        return []
    found: dict[int, Stored] = {}
    seen = {match.key for match in matches}
    fresh: Sequence[Match] = matches
    for turn in range(MAX_ROUNDS + 1):
        includes = [one for one in query.includes if turn == 0 or one.iterate]
        revincludes = [one for one in query.revincludes if turn == 0 or one.iterate]
        if not fresh or not (includes or revincludes):
            break
        conditions = [
            *_forward(connection, includes, fresh),
            *_backward(connection, actor, revincludes, fresh),
        ]
        beside = [one for one in _read(connection, actor, conditions) if one.key not in seen]
        seen.update(one.key for one in beside)
        found.update((one.key, one) for one in beside)
        fresh = beside
        if len(found) > MAX_INCLUDED or (fresh and turn == MAX_ROUNDS):
            text = f"More than {MAX_INCLUDED} resources, or {MAX_ROUNDS} steps away, are to be included: ask for less."
            raise OutcomeError(Issue("too-costly", text))
    return list(found.values())


def references_in(body: bytes) -> set[str]:
    """Every literal reference of a body, without its version."""
    found = set(_REFERENCE.findall(body))
    texts = (msgspec.json.decode(one, type=str) for one in found)
    return {reference_key(text) for text in texts if not text.startswith("#")}


def _parameters(include: Include, rtype: str) -> list[SearchParameter]:
    """The parameters whose references are followed: the one that is named, or (*) all."""
    if include.parameter is not None:
        return [include.parameter]
    return [parameter for parameter in parameters(rtype).values() if parameter.type == "reference"]


def _forward(
    connection: Connection, includes: Sequence[Include], sources: Sequence[Match]
) -> Iterator[Condition]:
    if not includes:
        return
    entries = _entries(connection, sources)
    keys: set[int] = set()
    for source in sources:
        mine = [one for one in includes if one.rtype == source.rtype]
        if not mine:
            continue
        own = entries.get(source.seq, frozenset())
        # Read once for all parameters: to find and to hash them is the dearest part.
        references = {text: hash64(text) for text in references_in(source.body)}
        for one in mine:
            keys |= _keys(one, source.rtype, references, own)
            yield from _canonical(one, source)
    if keys:
        yield equals("r.key", sorted(keys))


def _keys(include: Include, rtype: str, references: Mapping[str, int], entries: frozenset[int]) -> set[int]:
    """Keys of the resources to which those of a source's references lead that the parameter means."""
    target = f"{include.target}/" if include.target else ""
    keys = {key for text, key in references.items() if text.startswith(target)}
    single = columns_of(include.rtype).single_patients
    found: set[int] = set()
    for parameter in _parameters(include, rtype):
        salted = salt(parameter.id)
        found |= {
            key for key in keys if key ^ salted in entries or (parameter.id in single and key in entries)
        }
    return found


def _canonical(include: Include, source: Match) -> Iterator[Condition]:
    for parameter in filter(is_canonical, _parameters(include, source.rtype)):
        canonicals = canonicals_in([source], parameter)
        if canonicals:
            # A canonical may also be written as Type/id.
            names = [
                one for one in canonicals if one.startswith(f"{include.target}/" if include.target else "")
            ]
            yield equals("r.key", [hash64(one) for one in names])
        types = [include.target] if include.target else parameter.targets or RESOURCE_TYPES
        for rtype in types if canonicals else ():
            condition = by_canonical(rtype, canonicals)
            if condition is not NEVER:
                yield all_of([Condition("r.rtype = %s", (number_of(rtype),)), condition])


def _entries(connection: Connection, sources: Sequence[Match]) -> dict[int, frozenset[int]]:
    """Of each rid its `ix`, and the key of its Patient."""
    sql = b"select rid, pat, ix from res where rid = any(%s)"
    rows = fetch(connection, sql, [[source.seq for source in sources]])
    return {rid: frozenset(ix if pat is None else [pat, *ix]) for rid, pat, ix in rows}


def _backward(
    connection: Connection, actor: Actor, revincludes: Sequence[Include], targets: Sequence[Match]
) -> Iterator[Condition]:
    for one in revincludes:
        wanted = [target for target in targets if one.target in {"", target.rtype}]
        for rtype in [one.rtype] if one.rtype else RESOURCE_TYPES:
            some = _parameters(one, rtype)
            if some and wanted:
                refers = [_refers(parameter, rtype, wanted) for parameter in some]
                yield all_of([Condition("r.rtype = %s", (number_of(rtype),)), any_of(refers)])
                yield from (
                    equals("r.key", _by_url(connection, actor, parameter, rtype, wanted))
                    for parameter in filter(is_canonical, some)
                )


def _by_url(
    connection: Connection, actor: Actor, parameter: SearchParameter, rtype: str, targets: Sequence[Match]
) -> list[int]:
    """Keys of the rows that name one of the targets by canonical."""
    addresses = {one for target in targets for one in addresses_of(target)}
    if not addresses:
        return []
    named = overlaps("r.ix", [hash64(one) ^ salt(parameter.id) for one in addresses])
    found = _read(connection, actor, [all_of([Condition("r.rtype = %s", (number_of(rtype),)), named])])
    return [one.key for one in found if means(one.resource(), parameter, addresses)]


def _refers(parameter: SearchParameter, rtype: str, targets: Sequence[Match]) -> Condition:
    """The row refers to one of the targets by this parameter."""
    keys = [target.key for target in targets]
    refers = overlaps("r.ix", [key ^ salt(parameter.id) for key in keys])
    if parameter.id in columns_of(rtype).single_patients:
        return any_of([refers, equals("r.pat", keys)])
    return refers


def _read(connection: Connection, actor: Actor, conditions: Sequence[Condition]) -> list[Stored]:
    if not conditions:
        return []
    return current(connection, actor, any_of(conditions), MAX_INCLUDED + 1)
