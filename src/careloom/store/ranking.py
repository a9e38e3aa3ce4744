"""store.ranking: the order of an answer by values that no index holds in their order: codes, references, addresses.

Room: store. Touches: the table res. Standard: https://hl7.org/fhir/R4/search.html#sort

Every match is looked at on every page, so that there is a limit; what a search narrows first is sorted quickly.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from careloom.fhir.indexvalue import normalised
from careloom.fhir.matching import amounts, codings, keys, span_of, strings
from careloom.fhir.outcome import Issue, OutcomeError
from careloom.fhir.query import Sort
from careloom.fhir.resource import Resource
from careloom.fhir.searchelement import Element, elements
from careloom.fhir.searchparam import SearchParameter
from careloom.store.fetch import fetch
from careloom.store.look import Look, chunks
from careloom.store.place import Place
from careloom.store.rows import Branch, Rows
from careloom.store.stored import FIELDS, Kind, M, stored_of

MAX_RANKED = 100_000
"""Matches that can be put in such an order."""


class _Row(NamedTuple):
    rid: int
    key: int
    ranks: tuple[Any, ...]
    """Of each key of the order its value, or None."""


def ranked_rows(look: Look, branches: Sequence[Branch], place: Place, count: int, kind: Kind[M]) -> Rows[M]:
    """The page of `count` rows at this place. Raises OutcomeError(too-costly) where there are too many matches."""
    # Types that are searched together agree in directions and in the types of their parameters.
    sort = branches[0].sort
    rows = _in_order(_all(look, branches), sort)
    start, end = 0, len(rows)
    if place.values:
        boundary = _Row(0, int(place.values[-1]), tuple(map(_read, sort, place.values)))
        past = sum(_is_before(row, boundary, sort) for row in rows)
        is_there = past < len(rows) and rows[past][1:] == boundary[1:]
        start, end = (0, past) if place.is_back else (past + is_there, len(rows))
    shown = rows[max(start, end - count) : end] if place.is_back else rows[start : start + count]
    values = [(*map(_written, row.ranks), str(row.key)) for row in shown]
    return Rows(_read_again(look, shown, kind), values, is_more=end - start > count)


def _all(look: Look, branches: Sequence[Branch]) -> list[_Row]:
    found: list[_Row] = []
    for branch in branches:
        sql = f"select {FIELDS} from res r where {branch.condition.sql}"
        for rows in chunks(look, sql, branch.condition.values):
            for stored in stored_of(look.connection, rows):
                resource = stored.resource()
                if all(check(resource) for check in branch.checks):
                    ranks = tuple(_rank(resource, key) for key in branch.sort)
                    found.append(_Row(stored.seq, stored.key, ranks))
            if len(found) > MAX_RANKED:
                text = f"More than {MAX_RANKED:,} matches cannot be sorted so: narrow the search."
                raise OutcomeError(Issue("too-costly", text, "_sort"))
    return found


def _in_order(rows: list[_Row], sort: Sequence[Sort]) -> list[_Row]:
    rows = sorted(rows, key=lambda row: row.key)
    for place, key in reversed(list(enumerate(sort))):
        some = [row for row in rows if row.ranks[place] is not None]
        some.sort(key=lambda row: row.ranks[place], reverse=key.is_descending)
        rows = some + [row for row in rows if row.ranks[place] is None]
    return rows


def _is_before(row: _Row, other: _Row, sort: Sequence[Sort]) -> bool:
    for one, two, key in zip(row.ranks, other.ranks, sort, strict=True):
        if one != two:
            if one is None or two is None:
                return two is None
            return one > two if key.is_descending else one < two
    return row.key < other.key


def _rank(resource: Resource, sort: Sort) -> Any:
    """Of several values the first in this direction."""
    parameter = sort.parameter
    values = [value for element in elements(resource, parameter) for value in _values(parameter, element)]
    return (max if sort.is_descending else min)(values, default=None)


def _values(parameter: SearchParameter, element: Element) -> list[Any]:
    match parameter.type:
        case "string":
            return [normalised(text) for text in strings(element)]
        case "date":
            span = span_of(element)
            return [] if span is None else [span[0]]
        case "quantity" | "number":
            return [row[3] for row in amounts(parameter, element)]
        case "token":
            return [code for _, code in codings(element) if code is not None]
        case "reference":
            return [min(keys(element), key=len)] if keys(element) else []
        case _:
            return [element.value]


def _written(rank: Any) -> str:
    if rank is None:
        return ""
    return "=" + (
        rank.isoformat() if isinstance(rank, datetime) else repr(rank) if isinstance(rank, float) else rank
    )


def _read(sort: Sort, text: str) -> Any:
    if not text:
        return None
    match sort.parameter.type:
        case "date":
            return datetime.fromisoformat(text[1:])
        case "quantity" | "number":
            return float(text[1:])
        case _:
            return text[1:]


def _read_again(look: Look, shown: Sequence[_Row], kind: Kind[M]) -> list[M]:
    sql = f"select {kind.fields} from res r where r.rid = any(%s) and not r.is_deleted"
    rows = fetch(look.connection, sql.encode(), [[row.rid for row in shown]])
    found = {stored.seq: stored for stored in kind.read(look.connection, rows)}
    return [found[row.rid] for row in shown if row.rid in found]
