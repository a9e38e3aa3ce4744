"""web.rest.system: transaction and batch; their reads and operations go the way of any other request.

Room: web. Standard: https://hl7.org/fhir/R4/http.html#transaction
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from email.utils import parsedate_to_datetime
from functools import cache
from typing import Any
from urllib.parse import parse_qsl, unquote

from starlette.responses import Response
from starlette.routing import compile_path

from careloom.fhir.bundle import Entry
from careloom.fhir.instant import instant
from careloom.fhir.outcome import Issue, OutcomeError, refuse_nul
from careloom.fhir.resource import dumps
from careloom.store.database import Connection
from careloom.web.call import Call
from careloom.web.errors import FHIR_JSON
from careloom.web.rest.writing import came_of
from careloom.web.road import PUBLIC, Road


def transaction(call: Call) -> Response:
    """Run a Bundle: all of a transaction or nothing; each entry of a batch by itself."""

    def answer(entry: Entry, connection: Connection) -> bytes:
        return _entry(_within(call, entry, connection))

    if not call.body:
        raise OutcomeError(Issue("required", "The body is empty: send a Bundle."))
    done = call.site.flow.transact(call.body, call.who, came_of(call), answer)
    return Response(done, media_type=FHIR_JSON)


def _within(call: Call, entry: Entry, connection: Connection) -> Response:
    """The answer to one entry that reads or operates, in the transaction of the bundle."""
    path, _, query = entry.url.partition("?")
    path = f"/fhir/{unquote(path)}".rstrip("/")
    refuse_nul(path, unquote(query))
    road, parts = _road(path, entry.method)
    if "/$" in path and "GET" not in road.methods:
        # It would commit by itself, whatever became of the bundle.
        raise OutcomeError(Issue("not-supported", "An operation that changes something is called by itself."))
    inner = replace(
        call,
        method=entry.method,
        path=path,
        query=tuple(parse_qsl(query, keep_blank_values=True)),
        headers=_headers(call, entry),
        parts=parts,
        body=entry.body or b"",
        connection=connection,
    )
    if road.right != PUBLIC and not inner.may(road.right):
        raise OutcomeError(Issue("forbidden", "Your role may not do what this entry asks for."))
    return road.answer(inner)


def _headers(call: Call, entry: Entry) -> Mapping[str, str]:
    given = {
        "host": call.headers.get("host", "localhost"),
        "content-type": FHIR_JSON,
        "if-none-match": entry.if_none_match,
        "if-modified-since": entry.if_modified_since,
        "prefer": call.headers.get("prefer", ""),
    }
    return {name: value for name, value in given.items() if value}


def _road(path: str, method: str) -> tuple[Road, Mapping[str, Any]]:
    method = "GET" if method == "HEAD" else method
    for pattern, road in _patterns():
        match = pattern.match(path)
        if match and method in road.methods and road.speaks == "fhir" and not _is_bundle(path, method):
            return road, match.groupdict()
    raise OutcomeError(Issue("not-found", "There is nothing at this address."))


def _is_bundle(path: str, method: str) -> bool:
    """A bundle within a bundle would be run inside of the other's transaction."""
    return path == "/fhir" and method == "POST"


@cache
def _patterns() -> list[tuple[Any, Road]]:
    from careloom.web.rest import ROADS  # they name `transaction`, above

    return [(compile_path(road.path)[0], road) for road in ROADS]


def _entry(answer: Response) -> bytes:
    response = {"status": str(answer.status_code)}
    if "etag" in answer.headers:
        response["etag"] = answer.headers["etag"]
    if "location" in answer.headers:
        response["location"] = answer.headers["location"]
    if "last-modified" in answer.headers:
        response["lastModified"] = instant(parsedate_to_datetime(answer.headers["last-modified"]))
    told = dumps(response)
    body = bytes(answer.body) if answer.media_type == FHIR_JSON else b""
    return b'{"resource":%b,"response":%b}' % (body, told) if body else b'{"response":%b}' % told
