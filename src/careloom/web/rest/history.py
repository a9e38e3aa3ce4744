"""web.rest.history: history of one resource, of a type, and of all.

Room: web. Standard: https://hl7.org/fhir/R4/http.html#history
"""

from __future__ import annotations

from urllib.parse import urlencode

from starlette.responses import Response

from careloom.fhir.etag import etag
from careloom.fhir.instant import instant, interval
from careloom.fhir.outcome import Issue, OutcomeError
from careloom.fhir.resource import dumps
from careloom.store.read import History
from careloom.store.stored import Stored
from careloom.web.call import Call
from careloom.web.errors import FHIR_JSON
from careloom.web.rest.answer import base_of, rtype_of

MOST = 1000


def instance_history(call: Call) -> Response:
    """All versions of one resource, the newest first; 404 if it never was."""
    return _history(call, rtype_of(call), call.parts["id"])


def type_history(call: Call) -> Response:
    """All versions of all resources of a type, the newest first."""
    return _history(call, rtype_of(call))


def system_history(call: Call) -> Response:
    """All versions of all resources, the newest first."""
    return _history(call)


def _history(call: Call, rtype: str = "", id_: str = "") -> Response:
    count = call.asked("_count", "100")
    if not count.isdecimal():
        raise OutcomeError(Issue("value", "_count must be a whole number."))
    since = call.asked("_since")
    with call.reader() as reader:
        found = reader.history(
            rtype,
            id_,
            since=interval(since)[0] if since else None,
            count=min(int(count), MOST) or 1,
            cursor=call.asked("_cursor"),
        )
    if id_ and not found.versions:
        raise OutcomeError(Issue("not-found", "There is no such resource."))
    return Response(_bundle(call, found), media_type=FHIR_JSON)


def _bundle(call: Call, found: History) -> bytes:
    base = base_of(call)
    links = [{"relation": "self", "url": _url(base, call, ())}]
    if found.next:
        links.append({"relation": "next", "url": _url(base, call, (("_cursor", found.next),))})
    entries = b",".join([_entry(base, stored) for stored in found.versions])
    head = b'{"resourceType":"Bundle","type":"history","link":' + dumps(links)
    return head + (b',"entry":[' + entries + b"]}" if entries else b"}")


def _url(base: str, call: Call, more: tuple[tuple[str, str], ...]) -> str:
    names = {name for name, _ in more}
    pairs = [*(pair for pair in call.query if pair[0] not in names), *more]
    address = base + call.path.removeprefix("/fhir")
    return f"{address}?{urlencode(pairs)}" if pairs else address


def _entry(base: str, stored: Stored) -> bytes:
    method = "DELETE" if stored.is_deleted else "POST" if stored.version == 1 else "PUT"
    status = {"DELETE": "204", "POST": "201", "PUT": "200"}[method]
    address = f"{stored.rtype}/{stored.id}"
    rest = {
        "request": {"method": method, "url": stored.rtype if method == "POST" else address},
        "response": {
            "status": status,
            "etag": etag(stored.version),
            "lastModified": instant(stored.last_updated),
        },
    }
    url = f"{base}/{address}".encode()
    body = b'"resource":%b,' % stored.body if stored.body else b""
    return b'{"fullUrl":"%b",%b%b' % (url, body, dumps(rest)[1:])
