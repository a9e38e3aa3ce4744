"""web.assets: the style sheet, scripts and vendored files, from memory, with a hash in each address.

Room: web. Reads web/static once, when the server starts. Nothing is served from another machine.
"""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

FOLDER = Path(__file__).with_name("static")
TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
FOR_EVER = "public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True)
class Asset:
    """One file: its bytes, the same compressed, and the hash that stands in its address."""

    body: bytes
    packed: bytes
    media_type: str
    mark: str


@cache
def assets() -> dict[str, Asset]:
    """Every file of web/static that a browser may ask for, by its path below /static/."""
    paths = (path for path in sorted(FOLDER.rglob("*")) if path.suffix in TYPES)
    return {path.relative_to(FOLDER).as_posix(): _asset(path) for path in paths}


def address(name: str) -> str:
    """The address of a file; it changes with its content, so that a browser may keep it for ever.

    >>> address("app.css").startswith("/static/app.css?v=")
    True
    """
    return f"/static/{name}?v={assets()[name].mark}"


async def static(scope: Scope, receive: Receive, send: Send) -> None:
    """ASGI application mounted at /static."""
    request = Request(scope)
    found = assets().get(scope["path"].removeprefix("/static/"))
    if found is None or request.method not in {"GET", "HEAD"}:
        await Response(status_code=404)(scope, receive, send)
        return
    headers = {"Vary": "Accept-Encoding"}
    if request.query_params.get("v") == found.mark:
        headers["Cache-Control"] = FOR_EVER
    body = found.body
    if "gzip" in request.headers.get("accept-encoding", ""):
        body, headers["Content-Encoding"] = found.packed, "gzip"
    await Response(body, headers=headers, media_type=found.media_type)(scope, receive, send)


def _asset(path: Path) -> Asset:
    body = path.read_bytes()
    return Asset(body, gzip.compress(body, mtime=0), TYPES[path.suffix], sha256(body).hexdigest()[:12])
