"""web.rest.history: history of one resource, of a type, and of all.

Room: web. Standard: https://hl7.org/fhir/R4/http.html#history
"""

from __future__ import annotations

from starlette.responses import Response

from careloom.fhir.etag import etag
from careloom.fhir.instant import instant, interval
from careloom.fhir.outcome import Issue, OutcomeError
from careloom.fhir.resource import dumps
from careloom.store.audit import Interaction
from careloom.store.read import History, Window
from careloom.store.stored import Stored
from careloom.web.call import Call
from careloom.web.errors import FHIR_JSON
from careloom.web.rest.answer import addressed, base_of, rtype_of

USUAL = 100
MOST = 1000
"""Versions on one page."""


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
    count = _count(call)
    which = _window(call)
    with call.reader() as reader:
        if id_ and reader.stored(rtype, id_) is None:
            raise OutcomeError(Issue("not-found", "There is no such resource."))
        found = reader.history(rtype, id_, which, count=count, cursor=call.asked("_cursor"))
        # To count what a whole store has ever held would cost more than the page.
        total = reader.history_total(rtype, id_, which) if id_ or call.asked("_summary") == "count" else None
    level: Interaction = "history-instance" if id_ else "history-type"
    what = f"{rtype}/{id_}" if id_ else rtype
    call.seen(level, what, patient=what if id_ and rtype == "Patient" else "", number=len(found.versions))
    return Response(_bundle(call, found, total), media_type=FHIR_JSON)


def _count(call: Call) -> int:
    text = call.asked("_count", str(USUAL))
    if not (text.isascii() and text.isdecimal()) or len(text) > 9:  # noqa: PLR2004 fits any integer type
        raise OutcomeError(Issue("value", "_count must be a whole number.", "_count"))
    return 0 if call.asked("_summary") == "count" else min(int(text), MOST)


def _window(call: Call) -> Window:
    since, before, at = (call.asked(name) for name in ("_since", "_before", "_at"))
    order = call.asked("_sort", "-_lastUpdated")
    if order not in {"_lastUpdated", "-_lastUpdated"}:
        text = "A history is sorted by _lastUpdated or -_lastUpdated."
        raise OutcomeError(Issue("not-supported", text, "_sort"))
    return Window(
        since=interval(since)[0] if since else None,
        before=interval(before)[0] if before else None,
        at=interval(at) if at else None,
        is_ascending=order == "_lastUpdated",
    )


def _bundle(call: Call, found: History, total: int | None) -> bytes:
    base = base_of(call)
    links = [{"relation": "self", "url": _url(base, call, ())}]
    if found.next:
        links.append({"relation": "next", "url": _url(base, call, (("_cursor", found.next),))})
    entries = b",".join([_entry(base, stored) for stored in found.versions])
    count = b"" if total is None else b',"total":%d' % total
    head = b'{"resourceType":"Bundle","type":"history"%b,"link":%b' % (count, dumps(links))
    return head + (b',"entry":[' + entries + b"]}" if entries else b"}")


def _url(base: str, call: Call, more: tuple[tuple[str, str], ...]) -> str:
    names = {name for name, _ in more}
    pairs = [*(pair for pair in call.query if pair[0] not in names), *more]
    return addressed(base + call.path.removeprefix("/fhir"), pairs)


def _entry(base: str, stored: Stored) -> bytes:
    method, status = stored.deed
    address = f"{stored.rtype}/{stored.id}"
    rest = {
        "request": {"method": method, "url": stored.rtype if method == "POST" else address},
        "response": {
            "status": str(status),
            "etag": etag(stored.version),
            "lastModified": instant(stored.last_updated),
        },
    }
    url = f"{base}/{address}".encode()
    body = b'"resource":%b,' % stored.body if stored.body else b""
    return b'{"fullUrl":"%b",%b%b' % (url, body, dumps(rest)[1:])
