"""web.rest.trail: what the store says of itself: Provenance of each version, and AuditEvents of each access.

Room: web. Standards: https://hl7.org/fhir/R4/provenance.html and https://hl7.org/fhir/R4/auditevent.html

Neither is stored as a resource: both are read from what stands beside the versions, and in the audit trail. Provenances
that clients sent are found too, before ours; AuditEvents of clients are for those who may read clinical data, the trail
is for those who may read the trail.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from starlette.responses import Response

from careloom.fhir.instant import interval
from careloom.fhir.outcome import Issue, OutcomeError
from careloom.fhir.query import parse
from careloom.fhir.resource import Resource, dumps
from careloom.flow.searchset import entry
from careloom.store.audit import Lines, accesses
from careloom.store.audit_event import to_audit_event
from careloom.store.provenance import provenance_of
from careloom.store.read import ALL, Reader
from careloom.store.search import DEFAULT_COUNT, MAX_COUNT
from careloom.web.call import Call
from careloom.web.errors import FHIR_JSON
from careloom.web.rest import reading, searching
from careloom.web.rest.answer import addressed, base_of, fhir

OURS = "v."
"""A cursor that begins so goes on among the Provenances that the store makes."""

CONTROLS = {"_count", "_cursor", "_format", "_pretty", "_summary", "_elements", "_total"}
OF_PROVENANCE = {"target", "patient", "agent", "recorded"}
OF_AUDIT = {"patient", "agent", "date", "_id"}


def read_provenance(call: Call) -> Response:
    """A Provenance that a client sent, or the one of a version."""
    call = replace(call, parts={**call.parts, "rtype": "Provenance"})
    with call.reader() as reader:
        version = reader.version_named(call.parts["id"])
    return fhir(provenance_of(version)) if version else reading.read(call)


def search_provenance(call: Call) -> Response:
    """Provenances of clients, then those of versions: by target, patient, agent and recorded."""
    call = replace(call, parts={**call.parts, "rtype": "Provenance"})
    names = {name.partition(":")[0] for name, _ in call.query}
    if names - CONTROLS - OF_PROVENANCE:
        return searching.search(call)
    count, cursor, base = _count(call), call.asked("_cursor"), base_of(call)
    pairs = [pair for pair in call.query if pair[0] not in {"_cursor", "_count"}]
    entries: list[bytes] = []
    following = OURS
    with call.reader() as reader:
        if not cursor.startswith(OURS):
            query = parse(
                "Provenance", [*pairs, ("_count", str(count)), ("_cursor", cursor)], strict=False, base=base
            )
            page = reader.search(query)
            entries, following = [entry(base, one, "match") for one in page.matches], page.next or OURS
        if following == OURS and len(entries) < count:
            rest = count - len(entries)
            made, following = _made(
                call, reader, cursor.removeprefix(OURS) if cursor.startswith(OURS) else "", rest
            )
            entries += [_entry(base, one) for one in made]
    call.seen("search-type", "Provenance", number=len(entries), parameters=",".join(sorted(names - CONTROLS)))
    return _searchset(call, entries, following)


def _made(call: Call, reader: Reader, cursor: str, count: int) -> tuple[list[Resource], str]:
    target = call.asked("target")
    recorded = _span([value for name, value in call.query if name == "recorded"])
    which = replace(
        ALL,
        since=recorded[0],
        before=recorded[1],
        patient=_reference(call.asked("patient"), "Patient"),
        maker=call.asked("agent").rpartition("|")[2],
    )
    rtype, _, id_ = target.removeprefix(f"{base_of(call)}/").partition("/")
    if target and not id_:
        return [], ""  # A target that is no `Type/id` names none.
    found = reader.history(rtype, id_, which, count=count, cursor=cursor)
    return [provenance_of(one) for one in found.versions], OURS + found.next if found.next else ""


def read_audit(call: Call) -> Response:
    """A line of the trail, or an AuditEvent that a client sent."""
    id_ = call.parts["id"]
    if not call.may("audit.read"):
        return reading.read(replace(call, parts={**call.parts, "rtype": "AuditEvent"}))
    found: list[Resource] = []
    if id_.isascii() and id_.isdecimal() and len(id_) < 19:  # noqa: PLR2004 fits a bigint
        with call.site.database.connection() as connection:
            lines = accesses(connection, call.who, Lines(number=int(id_)))
        found = [to_audit_event(number, access) for number, access in lines]
    if not found:
        raise OutcomeError(Issue("not-found", "There is no such resource."))
    return fhir(found[0])


def search_audit(call: Call) -> Response:
    """Lines of the trail, the newest first: by patient, agent and date."""
    if not call.may("audit.read"):
        return searching.search(replace(call, parts={**call.parts, "rtype": "AuditEvent"}))
    names = {name.partition(":")[0] for name, _ in call.query}
    unknown = sorted(names - CONTROLS - OF_AUDIT - {"_sort"})
    if unknown:
        text = f"The audit trail is searched by agent, date and patient, not by {', '.join(unknown)[:100]}."
        raise OutcomeError(Issue("not-supported", text))
    since, until = _span([value for name, value in call.query if name == "date"])
    which = Lines(
        call.asked("agent").rpartition("|")[2],
        _reference(call.asked("patient"), "Patient"),
        since,
        until,
        _number(call),
    )
    cursor, count = call.asked("_cursor"), _count(call)
    if cursor and not (cursor.isascii() and cursor.isdecimal() and len(cursor) < 19):  # noqa: PLR2004 fits a bigint
        raise OutcomeError(Issue("invalid", "This page cannot be found: begin again from the first page."))
    with call.site.database.connection() as connection:
        before = int(cursor) if cursor else None
        lines = accesses(connection, call.who, which, before=before, limit=count + 1)
    entries = [_entry(base_of(call), to_audit_event(number, access)) for number, access in lines[:count]]
    return _searchset(call, entries, str(lines[count - 1][0]) if len(lines) > count else "")


def _number(call: Call) -> int | None:
    text = call.asked("_id")
    if not text:
        return None
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else -1  # noqa: PLR2004 fits a bigint


def _entry(base: str, resource: Resource) -> bytes:
    url = f"{base}/{resource['resourceType']}/{resource['id']}"
    return dumps({"fullUrl": url, "resource": resource, "search": {"mode": "match"}})


def _searchset(call: Call, entries: Sequence[bytes], following: str) -> Response:
    address = base_of(call) + call.path.removeprefix("/fhir")
    links = [{"relation": "self", "url": addressed(address, call.query)}]
    if following and entries:
        pairs = [*(pair for pair in call.query if pair[0] != "_cursor"), ("_cursor", following)]
        links.append({"relation": "next", "url": addressed(address, pairs)})
    head = b'{"resourceType":"Bundle","type":"searchset","link":' + dumps(links)
    body = head + (b',"entry":[' + b",".join(entries) + b"]}" if entries else b"}")
    return Response(body, media_type=FHIR_JSON)


def _count(call: Call) -> int:
    text = call.asked("_count", str(DEFAULT_COUNT))
    if not (text.isascii() and text.isdecimal()) or len(text) > 9 or not int(text):  # noqa: PLR2004 fits any integer type
        raise OutcomeError(Issue("value", "_count must be a whole number above 0.", "_count"))
    return min(int(text), MAX_COUNT)


def _reference(text: str, rtype: str) -> str:
    return f"{rtype}/{text.rpartition('/')[2]}" if text else ""


def _span(texts: Sequence[str]) -> tuple[datetime | None, datetime | None]:
    """[since, until) of the values of a date parameter, all of which must hold."""
    since: datetime | None = None
    until: datetime | None = None
    for text in texts:
        prefix, rest = (
            (text[:2], text[2:]) if text[:2] in {"eq", "ge", "gt", "le", "lt", "sa", "eb"} else ("eq", text)
        )
        low, high = interval(rest)
        if prefix in {"eq", "ge"}:
            since = max(since or low, low)
        if prefix in {"gt", "sa"}:
            since = max(since or high, high)
        if prefix in {"eq", "le"}:
            until = min(until or high, high)
        if prefix in {"lt", "eb"}:
            until = min(until or low, low)
    return since, until
