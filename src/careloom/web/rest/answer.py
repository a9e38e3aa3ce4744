"""web.rest.answer: what every FHIR answer shares: bodies, ETag, Last-Modified, Location, Prefer.

Room: web. Standard: https://hl7.org/fhir/R4/http.html#return
"""

from __future__ import annotations

from datetime import datetime
from email.utils import format_datetime

from starlette.responses import Response

from careloom.fhir.etag import etag, version_in
from careloom.fhir.facts import resource_types
from careloom.fhir.outcome import Issue, OutcomeError, operation_outcome
from careloom.fhir.resource import dumps
from careloom.flow import Committed
from careloom.store.read import Reader
from careloom.store.stored import Stored
from careloom.web.call import Call
from careloom.web.errors import FHIR_JSON


def rtype_of(call: Call) -> str:
    """The resource type in the address. Raises OutcomeError(not-found)."""
    rtype = call.parts["rtype"]
    if rtype not in resource_types():
        raise OutcomeError(Issue("not-found", f"R4 has no resource type {rtype[:40]!r}."))
    return rtype


def base_of(call: Call) -> str:
    """The address of /fhir as the client sees it."""
    scheme = "https" if call.is_secure else "http"
    return f"{scheme}://{call.headers.get('host', 'localhost')}/fhir"


def of_version(call: Call, stored: Stored, status: int = 200) -> Response:
    """One version as the answer; 304 when the client holds it already."""
    tag = etag(stored.version)
    headers = {"ETag": tag, "Last-Modified": http_date(stored.last_updated)}
    if call.method in {"GET", "HEAD"} and call.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    return Response(stored.body, status, headers, FHIR_JSON)


def of_write(call: Call, written: Committed) -> Response:
    """The answer of a create or update, with as much of the resource as the client prefers."""
    headers = {
        "ETag": etag(written.version),
        "Last-Modified": http_date(written.last_updated),
        "Location": f"{base_of(call)}/{written.rtype}/{written.id}/_history/{written.version}",
    }
    status = 201 if written.is_created else 200
    prefer = call.headers.get("prefer", "")
    if "return=minimal" in prefer:
        return Response(None, status, headers)
    if "return=OperationOutcome" in prefer:
        done = Issue("informational", "Done.", severity="information")
        return Response(dumps(operation_outcome([done])), status, headers, FHIR_JSON)
    with call.site.database.connection() as connection:
        stored = Reader(connection, call.who).version(written.rtype, written.id, written.version)
    return Response(stored.body if stored else None, status, headers, FHIR_JSON)


def http_date(moment: datetime) -> str:
    """A moment in the form of RFC 9110, section 5.6.7."""
    return format_datetime(moment, usegmt=True)


def if_match(call: Call) -> int | None:
    """The version in If-Match. Raises OutcomeError(invalid) if it is none."""
    return version_in(call.headers.get("if-match", ""))
