"""web.rest.writing: create, update and delete.

Room: web. Standard: https://hl7.org/fhir/R4/http.html#create
"""

from __future__ import annotations

from starlette.responses import Response

from careloom.fhir.etag import etag
from careloom.web.call import Call
from careloom.web.rest.answer import if_match, of_write, rtype_of


def create(call: Call) -> Response:
    """A new resource under an id that careloom gives; a client's own id in the body is replaced."""
    return of_write(call, call.site.flow.create(rtype_of(call), call.body, call.who))


def update(call: Call) -> Response:
    """A new version, or the first one under the client's id. If-Match guards against a lost update."""
    rtype, id_ = rtype_of(call), call.parts["id"]
    return of_write(call, call.site.flow.update(rtype, id_, call.body, call.who, if_match=if_match(call)))


def delete(call: Call) -> Response:
    """204, also if it was deleted before."""
    written = call.site.flow.delete(rtype_of(call), call.parts["id"], call.who, if_match=if_match(call))
    return Response(None, 204, {"ETag": etag(written.version)} if written.version else None)
