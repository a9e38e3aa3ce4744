"""web.rest.answer: what every FHIR answer shares: bodies, ETag, Last-Modified, Location, Prefer, conditions of a read.

Room: web. Standard: https://hl7.org/fhir/R4/http.html#return and https://hl7.org/fhir/R4/http.html#cread
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from functools import lru_cache
from urllib.parse import urlencode

from starlette.responses import Response

from careloom.fhir.etag import etag
from careloom.fhir.facts import resource_types
from careloom.fhir.outcome import Issue, OutcomeError, operation_outcome
from careloom.fhir.resource import Resource, dumps
from careloom.flow import Committed
from careloom.flow.validity import VIEW, view_faults
from careloom.store.stored import Stored
from careloom.web.call import Call
from careloom.web.errors import FHIR_JSON

MOST_WARNINGS = 5
"""Of what is odd, so much stands in a header."""


class Kept(Response):
    """Bytes of the store as they are: what Response makes of its arguments, for half the time that it takes."""

    media_type = FHIR_JSON

    def __init__(self, body: bytes, status: int = 200, headers: Sequence[tuple[bytes, bytes]] = ()) -> None:  # pyright: ignore[reportMissingSuperCall]
        self.status_code = status
        self.background = None
        self.body = body
        self.raw_headers = [_JSON, (b"content-length", b"%d" % len(body)), *headers]


_JSON = (b"content-type", FHIR_JSON.encode())


def rtype_of(call: Call) -> str:
    """The resource type in the address. Raises OutcomeError(not-found)."""
    rtype = call.parts["rtype"]
    if rtype not in resource_types():
        raise OutcomeError(Issue("not-found", "R4 has no such resource type."))
    return rtype


def base_of(call: Call) -> str:
    """The address of /fhir as the client sees it."""
    scheme = "https" if call.is_secure else "http"
    return f"{scheme}://{call.headers.get('host', 'localhost')}/fhir"


def addressed(address: str, pairs: Sequence[tuple[str, str]]) -> str:
    """An address with its parameters, for a link.

    >>> addressed("http://here/fhir/Patient", [("name", "a b")])
    'http://here/fhir/Patient?name=a+b'
    """
    return f"{address}?{urlencode(pairs)}" if pairs else address


def prefers(call: Call, name: str) -> str:
    """What the header Prefer says of `return` or `handling` (RFC 7240); "" if nothing.

    >>> prefers(Call(site=None, method="GET", path="", now=None, headers={"prefer": "a; b, return=minimal"}), "return")
    'minimal'
    """
    for one in call.headers.get("prefer", "").replace(";", ",").split(","):
        key, _, value = one.partition("=")
        if key.strip().lower() == name:
            return value.strip().strip('"')
    return ""


def fhir(resource: Resource, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A resource that was made here as the answer."""
    return Response(dumps(resource), status, headers, FHIR_JSON)


def of_version(call: Call, stored: Stored, status: int = 200) -> Response:
    """One version as the answer; 304 when the client holds it already."""
    tag, date = etag(stored.version), http_date(stored.last_updated)
    if call.method in {"GET", "HEAD"} and _is_held(call, stored):
        return Response(status_code=304, headers={"ETag": tag, "Last-Modified": date})
    return Kept(stored.body, status, ((b"etag", tag.encode()), (b"last-modified", date.encode())))


def of_write(call: Call, written: Committed, status: int = 0) -> Response:
    """The answer of a create, update or patch, with as much of the resource as the client prefers."""
    headers = {
        "ETag": etag(written.version),
        "Last-Modified": http_date(written.last_updated),
        "Location": f"{base_of(call)}/{written.rtype}/{written.id}/_history/{written.version}",
    }
    status = status or (201 if written.is_created else 200)
    wanted = prefers(call, "return")
    odd = _odd(call, written) if written.rtype == VIEW else []
    headers |= warned(odd)
    if wanted == "minimal":
        return Response(None, status, headers)
    if wanted == "OperationOutcome":
        return fhir(operation_outcome(odd) if odd else done(), status, headers)
    with call.reader() as reader:
        stored = reader.version(written.rtype, written.id, written.version)
    return Response(stored.body if stored else None, status, headers, FHIR_JSON)


def _odd(call: Call, written: Committed) -> list[Issue]:
    """What is odd about a view that can be run all the same: an element in a path that its type does not have."""
    with call.reader() as reader:
        stored = reader.version(written.rtype, written.id, written.version)
    return view_faults(stored.resource()) if stored else []


def warned(odd: Sequence[Issue]) -> dict[str, str]:
    """The header that says what is odd; none where nothing is."""
    return {"Warning": ", ".join(_warning(issue) for issue in odd[:MOST_WARNINGS])} if odd else {}


def _warning(issue: Issue) -> str:
    """An issue as a value of the header Warning (RFC 7234, section 5.5); 299 is `Miscellaneous Persistent Warning`."""
    text = f"{issue.expression}: {issue.text}".encode("ascii", "replace").decode()
    return '299 careloom "' + re.sub(r'[\x00-\x1f\x7f"\\]', "'", text)[:300] + '"'


def done(text: str = "Done.") -> Resource:
    """An OperationOutcome that says so."""
    return operation_outcome([Issue("informational", text, severity="information")])


def http_date(moment: datetime) -> str:
    """A moment in the form of RFC 9110, section 5.6.7."""
    return _http_date(moment.replace(microsecond=0))


@lru_cache(maxsize=4096)
def _http_date(second: datetime) -> str:
    return format_datetime(second, usegmt=True)


def _is_held(call: Call, stored: Stored) -> bool:
    """If-None-Match decides alone where it stands (RFC 9110, 13.2.2)."""
    tags = call.headers.get("if-none-match")
    if tags is not None:
        held = {tag.strip().removeprefix("W/").strip('"') for tag in tags.split(",")}
        return "*" in held or str(stored.version) in held
    since = call.headers.get("if-modified-since")
    if since is None:
        return False
    try:
        moment = parsedate_to_datetime(since)
    except ValueError:
        return False
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return stored.last_updated.replace(microsecond=0) <= moment
