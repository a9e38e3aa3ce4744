"""web.security: the headers of every answer, the proof that a form is ours, and the session cookie.

Room: web. May import: fhir. Standards: https://www.w3.org/TR/CSP3/ and RFC 6265bis (cookies).

A form carries a token made from the session's own secret, so nothing is stored for it; and a browser says where a
request comes from (Sec-Fetch-Site, Origin), which is checked as well. Bearer requests carry no ambient credential
and need neither.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence
from hashlib import sha256
from urllib.parse import urlsplit

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from careloom.fhir.outcome import Issue, OutcomeError

SESSION = "careloom_session"
DOOR = "careloom_door"
"""The cookie of a stranger on the sign-in page: his form's token is made from it."""

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}


_ADDED = [
    (name.lower().encode(), value.encode())
    for name, value in (HEADERS | {"Cache-Control": "no-store"}).items()
]


_NAMES = frozenset(name for name, _ in _ADDED)
_LINES = b"".join(b"%b: %b\r\n" % pair for pair in _ADDED)


def lines_for(headers: Sequence[tuple[bytes, bytes]]) -> bytes:
    """The same headers as `Headers` puts on an answer that has these, as lines of HTTP."""
    present = {name for name, _ in headers}
    if present.isdisjoint(_NAMES):
        return _LINES
    return b"".join(b"%b: %b\r\n" % pair for pair in _ADDED if pair[0] not in present)


class Headers:
    """ASGI middleware: put the headers on every answer; keep none of it in a cache unless it is a static file."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, and add the headers when the answer starts."""

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers: list[tuple[bytes, bytes]] = message["headers"]
                present = {name for name, _ in headers}
                headers += [pair for pair in _ADDED if pair[0] not in present]
            await send(message)

        await self.app(scope, receive, with_headers)


def form_token(secret: str) -> str:
    """The token of a form, from the cookie's secret; it cannot be turned back.

    >>> form_token("a") == form_token("a") != form_token("b")
    True
    """
    return sha256(b"careloom form " + secret.encode()).hexdigest()


def refuse_foreign_form(headers: Mapping[str, str], form: Mapping[str, str], secret: str) -> None:
    """Raise OutcomeError(security) unless the form was made for this session and sent from our own page."""
    given = headers.get("x-csrf") or form.get("csrf", "")
    if not is_own_site(headers) or not secret or not hmac.compare_digest(given, form_token(secret)):
        raise OutcomeError(Issue("security", "This form is not of your session. Open the page again."))


def is_own_site(headers: Mapping[str, str]) -> bool:
    """False if the browser says that another site sent this.

    >>> is_own_site({"sec-fetch-site": "cross-site"})
    False
    >>> is_own_site({"origin": "http://localhost:8080", "host": "localhost:8080"})
    True
    """
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site in {"same-origin", "none"}
    origin = headers.get("origin")
    return origin is None or urlsplit(origin).netloc == headers.get("host", "")


def set_cookie(answer: Response, name: str, value: str, *, is_secure: bool) -> Response:
    """Set one of our cookies: out of reach of scripts, and of other sites' forms."""
    answer.set_cookie(name, value, httponly=True, samesite="lax", path="/", secure=is_secure)
    return answer
