"""web.walk: one request from whoever asks to its answer: who asks, may they, the handler, and what went wrong.

Room: web. May import: everything below it. Standard: ASGI 3 (a request is its scope and its body).

Whatever a handler raises becomes an answer here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from secrets import token_hex
from typing import Any
from urllib.parse import parse_qsl, urlencode

import structlog
from starlette.requests import cookie_parser
from starlette.responses import Response

from careloom.fhir.outcome import Issue, IssueCode, OutcomeError, status_of
from careloom.logs import place_of
from careloom.store.blobs import Blob
from careloom.store.database import Slow, is_transient
from careloom.web import auth
from careloom.web.call import Call, Site
from careloom.web.errors import FAULT, noted, outcome, title_of
from careloom.web.rest.form import negotiated
from careloom.web.road import Road

log = structlog.get_logger(__name__)

Scope = Mapping[str, Any]


def walk(
    site: Site,
    road: Road,
    scope: Scope,
    body: bytes,
    blob: Blob | None = None,
    *,
    is_hasty: bool = False,
) -> Response:
    """The answer of a road to a request of ASGI. Raises Slow in haste, and nothing else."""
    call = None
    try:
        call = _call(site, scope, body, blob, is_hasty=is_hasty)
        auth.admit(call, road.right)
        return negotiated(road.answer, call) if road.speaks == "fhir" else road.answer(call)
    except OutcomeError as error:
        noted(error, road.path)
        return _refusal(call or _call(site, scope, body, is_recognised=False), road.speaks, error.issues)
    except Slow:
        raise
    except Exception as error:  # noqa: BLE001 (the last line of defence: an answer, and a line in the log)
        reference = token_hex(4)
        log.error(  # noqa: TRY400 (a traceback may hold values)
            "request_failed",
            road=road.path,
            error=place_of(error),
            reference=reference,
        )
        call = call or _call(site, scope, body, is_recognised=False)
        return _refusal(call, road.speaks, (_fault(error),), reference)


def _fault(error: Exception) -> Issue:
    if is_transient(error):
        return Issue(
            "transient", "The database does not answer at this moment. Nothing was changed; try again."
        )
    return FAULT


def _refusal(
    call: Call, speaks: str, issues: Sequence[Issue], reference: str = "", status: int = 0
) -> Response:
    """What went wrong, as an OperationOutcome, a page, or the way to the sign-in page."""
    status = status or status_of(issues)
    is_read = "text/html" in call.headers.get("accept", "")
    if speaks != "page" or not (is_read or call.is_fragment):
        return outcome(issues, status)
    if status == 401:  # noqa: PLR2004
        door = f"/sign-in?{urlencode({'next': call.path})}" if call.method == "GET" else "/sign-in"
        return (
            Response(status_code=401, headers={"HX-Redirect": "/sign-in"})
            if call.is_fragment
            else call.go(door)
        )
    return call.show_as(
        status, "error.html", {"title": title_of(status), "issues": issues, "reference": reference}
    )


def astray(site: Site, scope: Scope, status: int) -> Response:
    """No road leads there, or not by this method."""
    try:
        call = _call(site, scope, b"")
    except OutcomeError:
        # Without the database nobody is recognised; the page can say so all the same.
        call = _call(site, scope, b"", is_recognised=False)
    speaks = "fhir" if call.path.startswith("/fhir") else "page"
    is_lost = status == 404  # noqa: PLR2004
    what = "There is nothing at this address." if is_lost else f"{scope['method']} is not answered here."
    code: IssueCode = "not-found" if is_lost else "not-supported"
    return _refusal(call, speaks, (Issue(code, what),), status=status)


def _call(
    site: Site,
    scope: Scope,
    body: bytes,
    blob: Blob | None = None,
    *,
    is_hasty: bool = False,
    is_recognised: bool = True,
) -> Call:
    """The request with whoever asks. Raises OutcomeError if the database does not say who it is; Slow in haste."""
    now = site.clock()
    pairs: list[tuple[bytes, bytes]] = scope["headers"]
    # Decoded once; of a header that comes twice the first counts.
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in reversed(pairs)}
    cookies = _cookies(pairs) if "cookie" in headers else {}
    caller = auth.STRANGER
    if is_recognised:
        caller = auth.recognised(site, headers, cookies, now, is_hasty=is_hasty)
    query: bytes = scope["query_string"]
    return Call(
        site=site,
        method=scope["method"],
        path=scope["path"],
        now=now,
        actor=caller.actor,
        display=caller.display,
        session=caller.session,
        csrf=caller.csrf,
        query=pairs_of(query) if query else (),
        headers=headers,
        cookies=cookies,
        is_secure=scope["scheme"] == "https",
        address=scope["client"][0] if scope.get("client") else "",
        mark=site.live.mark,
        parts=scope.get("path_params", {}),
        body=body,
        blob=blob,
        is_hasty=is_hasty,
    )


def pairs_of(query: bytes) -> tuple[tuple[str, str], ...]:
    """The names and values of a query, unquoted; empty values count.

    >>> pairs_of(b"a=1&b=x%20y+z&&c")
    (('a', '1'), ('b', 'x y z'), ('c', ''))
    """
    text = query.decode("latin-1")
    if "%" in text or "+" in text:
        return tuple(parse_qsl(text, keep_blank_values=True))
    # Nothing is quoted: a third of the time.
    return tuple([(name, value) for name, _, value in [one.partition("=") for one in text.split("&") if one]])


def _cookies(pairs: Sequence[tuple[bytes, bytes]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in pairs:
        if name == b"cookie":
            found |= cookie_parser(value.decode("latin-1"))
    return found
