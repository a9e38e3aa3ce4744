"""flow.searchset: a page of a search as a searchset Bundle: the kept bytes are joined, not parsed and written again.

Room: flow. Standard: https://hl7.org/fhir/R4/search.html#return
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote_plus

from careloom.fhir.clause import building
from careloom.fhir.outcome import Issue, operation_outcome
from careloom.fhir.query import Query
from careloom.fhir.resource import dumps
from careloom.store.search import Page
from careloom.store.stored import Match, Shown, Stored

CURSOR = "_cursor"
"""Parameter of a next link: where the page starts."""


def searchset(
    base: str, rtype: str, pairs: Sequence[tuple[str, str]], query: Query, page: Page[Shown] | Page[Stored]
) -> bytes:
    """The Bundle; links and full URLs start with `base` (empty: they are relative). Ignored parameters are named."""
    # A search on all types has the address of the server itself.
    address = "/".join(part for part in (base, "" if rtype == "Resource" else rtype) if part)
    parts = [b'{"resourceType":"Bundle","type":"searchset"']
    if page.total is not None:
        parts.append(b',"total":%d' % page.total)
    parts.append(b',"link":' + dumps(_links(address, pairs, query.ignored, page)))
    entries = _entries(base, page.matches, "match") + _entries(base, page.included, "include")
    if query.ignored:
        entries += [b",", _ignored(query)]
    if entries:
        parts += [b',"entry":[', *entries[1:], b"]"]
    parts.append(b"}")
    return b"".join(parts)


def _links(
    address: str, pairs: Sequence[tuple[str, str]], ignored: Sequence[str], page: Page[Any]
) -> list[dict[str, str]]:
    """`self` says what was done, without what was ignored; the others lead to pages, where there are several."""
    done = [pair for pair in pairs if pair[0] not in ignored]
    # Quoting is the dearest part of a link, and all links share what they quote.
    rest = "&".join(f"{_quoted(name)}={_quoted(value)}" for name, value in done if name != CURSOR)
    here = next((value for name, value in done if name == CURSOR), "")
    links = [{"relation": "self", "url": _url(address, rest, here)}]
    if page.next or page.previous:
        links.append({"relation": "first", "url": _url(address, rest)})
    for relation, cursor in (("previous", page.previous), ("next", page.next), ("last", page.last)):
        if cursor:
            links.append({"relation": relation, "url": _url(address, rest, cursor)})
    return links


def _url(address: str, rest: str, cursor: str = "") -> str:
    texts = [rest] if rest else []
    if cursor:
        texts.append(f"{CURSOR}={_quoted(cursor)}")
    return f"{address}?{'&'.join(texts)}" if texts else address


def _quoted(text: str) -> str:
    # Of names, references and places little is to be quoted, and to see that costs a tenth of quoting them.
    return _TO_QUOTE.sub(_quoted_character, text)


_TO_QUOTE = re.compile(r"[^A-Za-z0-9_.\-~/:]")


def _quoted_character(found: re.Match[str]) -> str:
    return quote_plus(found[0])


def entry(base: str, stored: Match, mode: str) -> bytes:
    """One entry of the Bundle; `mode` is match or include."""
    return b"".join(_entries(base, [stored], mode)[1:])


def _entries(base: str, found: Sequence[Match], mode: str) -> list[bytes]:
    """The pieces of the entries, a comma before each."""
    start = f'{{"fullUrl":"{base}/' if base else '{"fullUrl":"'
    end = f',"search":{{"mode":"{mode}"}}}}'.encode()
    pieces: list[bytes] = []
    for one in found:
        pieces += (b",", f'{start}{one.rtype}/{one.id}","resource":'.encode(), one.body, end)
    return pieces


def _ignored(query: Query) -> bytes:
    issues = [
        Issue(
            "incomplete",
            f"{building(name[:60])} It was ignored: the answer is not narrowed by it.",
            name[:60],
            "warning",
        )
        for name in query.building
    ]
    names = [name[:60] for name in query.ignored if name not in query.building]
    if names:
        text = f"These parameters were not understood and were ignored: {', '.join(names)}."
        issues.append(Issue("not-supported", text, severity="warning"))
    return dumps({"resource": operation_outcome(issues), "search": {"mode": "outcome"}})
