"""web.rest.writing: create, update, patch and delete, by address or by condition.

Room: web. Standard: https://hl7.org/fhir/R4/http.html#create and https://hl7.org/fhir/R4/http.html#cond-update
"""

from __future__ import annotations

from base64 import b64encode
from urllib.parse import urlencode

from starlette.responses import Response

from careloom.fhir.etag import etag
from careloom.fhir.outcome import Issue, OutcomeError
from careloom.fhir.resource import dumps
from careloom.flow import Came, Committed, Guard
from careloom.flow.interaction import RETURNS
from careloom.web.call import Call
from careloom.web.rest.answer import base_of, done, fhir, of_write, prefers, rtype_of
from careloom.web.rest.form import CONTROLS, JSON_PATCH


def create(call: Call) -> Response:
    """A new resource under an id that careloom gives; If-None-Exist: only if its condition finds none."""
    rtype = rtype_of(call)
    _require_body(call)
    if any(name not in CONTROLS for name, _ in call.query):
        # Whoever says a condition here would get a second resource for the first.
        text = "A create takes no search parameters: say its condition in the header If-None-Exist."
        raise OutcomeError(Issue("not-supported", text))
    guard = Guard(if_none_exist=call.headers.get("if-none-exist", ""))
    done = call.site.flow.interact("POST", rtype, call.who, call.body, guard, came_of(call))
    return of_write(call, _there(done))


def update(call: Call) -> Response:
    """A new version, or the first one under the client's id. If-Match guards against a lost update."""
    _require_body(call)
    return of_write(call, _there(_interact(call, "PUT", call.body)))


def patch(call: Call) -> Response:
    """Change parts of a resource: JSON Patch, or FHIRPath Patch as a Parameters resource."""
    _require_body(call)
    return of_write(call, _there(_interact(call, "PATCH", _patch(call))))


def delete(call: Call) -> Response:
    """204, also if it was deleted before. By condition: one match, or with `_count` so many at most."""
    written = _interact(call, "DELETE", b"")
    headers = {"ETag": etag(written.version)} if written and written.version else None
    if prefers(call, "return") == "OperationOutcome":
        return fhir(done("Deleted."), 200, headers)
    return Response(None, 204, headers)


def came_of(call: Call) -> Came:
    """The body as the client sent it: what its Event holds; and where to, and what is to come back."""
    returns = RETURNS.get(prefers(call, "return"), "minimal")
    return Came(call.raw, call.headers.get("content-type", ""), base_of(call), returns)


def _interact(call: Call, method: str, body: bytes) -> Committed | None:
    guard = Guard(
        if_match=call.headers.get("if-match", ""), if_none_match=call.headers.get("if-none-match", "")
    )
    return call.site.flow.interact(method, _target(call), call.who, body, guard, came_of(call))


def _target(call: Call) -> str:
    """`Type/id`, or `Type?condition` of a conditional interaction."""
    rtype = rtype_of(call)
    if "id" in call.parts:
        return f"{rtype}/{call.parts['id']}"
    return f"{rtype}?{urlencode([pair for pair in call.query if pair[0] not in CONTROLS])}"


def _patch(call: Call) -> bytes:
    """The body as it would stand in a Bundle: Parameters, or a Binary that holds a JSON Patch (R4 http, 3.1.0.8.1)."""
    media = call.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media != JSON_PATCH:
        return call.body
    data = b64encode(call.body).decode()
    return dumps({"resourceType": "Binary", "contentType": JSON_PATCH, "data": data})


def _require_body(call: Call) -> None:
    if not call.body:
        raise OutcomeError(Issue("required", "The body is empty: send the resource."))


def _there(written: Committed | None) -> Committed:
    if written is None:
        raise OutcomeError(Issue("exception", "What was written cannot be told."))
    return written
