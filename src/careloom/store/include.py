"""store.include: what _include and _revinclude add to the matches of a search.

Room: store. Touches: the table res. Standard: https://hl7.org/fhir/R4/search.html#revinclude

References are read from the decoded bodies; which parameter one belongs to is known from the row's `ix`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from careloom.fhir.indexvalue import reference_key
from careloom.fhir.outcome import Issue, OutcomeError
from careloom.fhir.query import Include, Query
from careloom.store.actor import Actor
from careloom.store.condition import Condition, all_of, any_of, equals, overlaps
from careloom.store.database import Connection
from careloom.store.fetch import fetch
from careloom.store.hashes import hash64, salt
from careloom.store.resource_type import columns_of, number_of
from careloom.store.stored import FIELDS, Stored, stored_of
from careloom.store.visible import visible

MAX_INCLUDED = 5_000
"""More than this beside one page is refused, rather than cut off silently."""
MAX_ROUNDS = 8
"""How far :iterate goes."""

_REFERENCE = re.compile(rb'"reference":("(?:[^"\\\\]|\\\\.)*")')


def included(connection: Connection, actor: Actor, query: Query, matches: Sequence[Stored]) -> list[Stored]:
    """Resources beside the matches, each once. Raises OutcomeError(too-costly) beyond MAX_INCLUDED."""
    if not (query.includes or query.revincludes):
        return []
    found: dict[int, Stored] = {}
    seen = {match.key for match in matches}
    fresh = list(matches)
    for turn in range(MAX_ROUNDS):
        includes = [one for one in query.includes if turn == 0 or one.iterate]
        revincludes = [one for one in query.revincludes if turn == 0 or one.iterate]
        if not fresh or not (includes or revincludes):
            break
        conditions = [*_forward(connection, includes, fresh), *_backward(revincludes, fresh)]
        fresh = [one for one in _read(connection, actor, conditions) if one.key not in seen]
        seen.update(one.key for one in fresh)
        found.update((one.key, one) for one in fresh)
        if len(found) > MAX_INCLUDED:
            text = f"More than {MAX_INCLUDED} resources are to be included: ask for a smaller _count."
            raise OutcomeError(Issue("too-costly", text))
    return list(found.values())


def references_in(body: bytes) -> set[str]:
    """Every literal reference of a body, without its version."""
    texts = (msgspec.json.decode(match[1], type=str) for match in _REFERENCE.finditer(body))
    return {reference_key(text) for text in texts if not text.startswith("#")}


def _forward(
    connection: Connection, includes: Sequence[Include], sources: Sequence[Stored]
) -> list[Condition]:
    if not includes:
        return []
    entries = _entries(connection, sources) if any(one.parameter for one in includes) else {}
    keys: set[int] = set()
    for source in sources:
        wanted = [one for one in includes if one.rtype == source.rtype]
        for reference in references_in(source.body) if wanted else ():
            key = hash64(reference)
            if any(_refers(one, reference, key, entries.get(source.seq, frozenset())) for one in wanted):
                keys.add(key)
    return [equals("r.key", sorted(keys))] if keys else []


def _refers(include: Include, reference: str, key: int, entries: Iterable[int]) -> bool:
    if include.target and not reference.startswith(f"{include.target}/"):
        return False
    parameter = include.parameter
    if parameter is None or key ^ salt(parameter.id) in entries:
        return True
    return parameter.id in columns_of(include.rtype).single_patients and key in entries


def _entries(connection: Connection, sources: Sequence[Stored]) -> dict[int, frozenset[int]]:
    """Of each rid its `ix`, and the key of its Patient."""
    rows: list[tuple[Any, ...]] = connection.execute(
        "select rid, pat, ix from res where rid = any(%s)", [[source.seq for source in sources]], binary=True
    ).fetchall()
    return {rid: frozenset(ix if pat is None else [pat, *ix]) for rid, pat, ix in rows}


def _backward(revincludes: Sequence[Include], targets: Sequence[Stored]) -> list[Condition]:
    conditions: list[Condition] = []
    keys = [target.key for target in targets]
    for one in revincludes:
        if one.parameter is None:
            text = "_revinclude takes a type and a parameter here, not *."
            raise OutcomeError(Issue("not-supported", text, "_revinclude"))
        refers = [overlaps("r.ix", [key ^ salt(one.parameter.id) for key in keys])]
        if one.parameter.id in columns_of(one.rtype).single_patients:
            refers.append(equals("r.pat", keys))
        conditions.append(all_of([Condition("r.rtype = %s", (number_of(one.rtype),)), any_of(refers)]))
    return conditions


def _read(connection: Connection, actor: Actor, conditions: Sequence[Condition]) -> list[Stored]:
    if not conditions:
        return []
    where = all_of([Condition("not r.is_deleted"), visible(actor), any_of(conditions)])
    sql = f"select {FIELDS} from res r where {where.sql} limit {MAX_INCLUDED + 1}"
    return stored_of(connection, fetch(connection, sql.encode(), where.values))
