"""web.rest.operations.everything: $everything of a Patient or an Encounter: its compartment and what that refers to.

Room: web. Standard: https://hl7.org/fhir/R4/patient-operation-everything.html and
https://hl7.org/fhir/R4/encounter-operation-everything.html
"""

from __future__ import annotations

from urllib.parse import urlencode

from starlette.responses import Response

from careloom.fhir.facts import resource_types
from careloom.fhir.instant import interval
from careloom.fhir.outcome import Issue, OutcomeError
from careloom.fhir.resource import dumps
from careloom.flow.searchset import entry
from careloom.store.compartment import Slice
from careloom.store.cursor import cursor_text, cursor_values
from careloom.store.include import references_in
from careloom.store.read import Reader
from careloom.store.stored import Stored
from careloom.web.call import Call
from careloom.web.errors import FHIR_JSON
from careloom.web.rest.answer import base_of
from careloom.web.rest.operation import Operation, Parameters, parameters_of
from careloom.web.rest.reading import there

OPERATION = Operation(levels=("instance",), types=("Patient", "Encounter"))
MOST = 1_000
"""Members on one page, where `_count` does not ask for fewer."""


def everything(call: Call) -> Response:
    """A searchset: the members, page by page, and with each page what its members refer to."""
    parameters = parameters_of(call)
    rtype = call.path.rsplit("/", 3)[1]
    owner = f"{rtype}/{call.parts['id']}"
    which, count = _slice(parameters), _count(parameters)
    with call.reader() as reader:
        there(reader.stored(rtype, call.parts["id"]))
        leaf = reader.members(owner, which, count)
        beside = _beside(reader, owner, leaf.members, which)
    call.seen("operation", owner, patient=owner if rtype == "Patient" else "", number=len(leaf.members))
    base = base_of(call)
    address = base + call.path.removeprefix("/fhir")
    links = [{"relation": "self", "url": _url(address, parameters, "")}]
    if leaf.next:
        links.append({"relation": "next", "url": _url(address, parameters, cursor_text([leaf.next]))})
    entries = [entry(base, one, "match") for one in leaf.members]
    entries += [entry(base, one, "include") for one in beside]
    is_whole = not leaf.next and not which.after
    total = b',"total":%d' % len(leaf.members) if is_whole else b""
    head = b'{"resourceType":"Bundle","type":"searchset"%b,"link":%b' % (total, dumps(links))
    body = head + (b',"entry":[' + b",".join(entries) + b"]}" if entries else b"}")
    return Response(body, media_type=FHIR_JSON)


def _beside(reader: Reader, owner: str, members: list[Stored], which: Slice) -> list[Stored]:
    """What the members refer to outside of the compartment: practitioners, places, medications, an encounter's patient."""
    inside = {f"{one.rtype}/{one.id}" for one in members} | {owner}
    wanted = {reference for one in members for reference in references_in(one.body)} - inside
    wanted = {one for one in wanted if one.partition("/")[0] in (which.types or resource_types())}
    if owner.startswith("Patient/"):
        # Another patient's record is not this one's, whoever refers to it.
        wanted = {one for one in wanted if not one.startswith("Patient/")}
    return reader.named(wanted)


def _slice(parameters: Parameters) -> Slice:
    types = parameters.texts("_type")
    unknown = [rtype for rtype in types if rtype not in resource_types()]
    if unknown:
        raise OutcomeError(Issue("value", "_type names what is no resource type of R4.", "_type"))
    since, start, end = (parameters.text(name) for name in ("_since", "start", "end"))
    cursor = parameters.text("_cursor")
    return Slice(
        types=types,
        since=interval(since)[0] if since else None,
        start=interval(start)[0] if start else None,
        end=interval(end)[1] if end else None,
        after=cursor_values(cursor, (int,))[0] if cursor else 0,
    )


def _count(parameters: Parameters) -> int:
    text = parameters.text("_count", str(MOST))
    if not (text.isascii() and text.isdecimal()) or not int(text[:9]) > 0:
        raise OutcomeError(Issue("value", "_count must be a whole number above 0.", "_count"))
    return min(int(text[:9]), MOST)


def _url(address: str, parameters: Parameters, cursor: str) -> str:
    pairs = [(name, str(value)) for name, values in parameters.values.items() for value in values]
    pairs = [pair for pair in pairs if pair[0] != "_cursor"] + ([("_cursor", cursor)] if cursor else [])
    return f"{address}?{urlencode(pairs)}" if pairs else address
