"""web.door: HTTP as uvicorn speaks it; but what is brief is answered here, before there is a task for it.

Room: web. Standard: RFC 9112, and uvicorn's `http`, which takes a protocol.

A read by id, or a search for a page, costs less than what is usually made for a request: a task, its queues, the layers
of an application, an answer in two pieces. So the parser's own call answers it, with a patience (web.pace;
docs/decisions/0022-brief-reads-in-the-loop.md). All else, and what turns out to take longer, goes on as usual: the roads,
the rights and the handlers are the same.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from contextlib import suppress
from http import HTTPStatus
from time import perf_counter
from typing import Any, cast

from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import compile_path
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from careloom.store.database import Slow
from careloom.web.call import Site
from careloom.web.pace import Pace, kind_of
from careloom.web.road import Road
from careloom.web.security import lines_for
from careloom.web.walk import Scope, walk
from careloom.web.wire import Wire

_METHODS = {b"GET": "GET", b"HEAD": "HEAD"}
_AS_USUAL = frozenset({b"content-length", b"transfer-encoding", b"expect", b"upgrade"})
"""Who sends a body, or wants another protocol, is no matter of a moment."""
_TOLD = frozenset({b"x-forwarded-for", b"x-forwarded-proto"})
_UNSAFE = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_STATUS = {one.value: f"HTTP/1.1 {one.value} {one.phrase}\r\n".encode() for one in HTTPStatus}

Pairs = Sequence[tuple[bytes, bytes]]


class Brief:
    """The roads that are brief, and how long what goes there has taken of late."""

    def __init__(self, site: Site, roads: Sequence[Road]) -> None:
        self._site = site
        self._pace = Pace()
        self._roads = [(road, compile_path(road.path)[0].match) for road in roads if road.is_brief]

    def answer(self, scope: dict[str, Any]) -> Response | None:
        """The answer to a request without a body; None: it is not brief, or not now."""
        path: str = scope["path"]
        for road, match in self._roads:
            found = match(path)
            if found is not None:
                scope["path_params"] = found.groupdict()
                return self._tried(road, scope)
        return None

    def _tried(self, road: Road, scope: Scope) -> Response | None:
        query: bytes = scope["query_string"]
        kind = kind_of(scope["path"] if query else road.path, query)
        if not self._pace.is_quick(kind):
            return None
        began = perf_counter()
        try:
            return walk(self._site, road, scope, b"", is_hasty=True)
        except Slow:
            # A thread may wait for what it was that had to be waited for.
            return None
        finally:
            self._pace.took(kind, perf_counter() - began)


class Door(Wire):
    """uvicorn's protocol, which asks `application.state.brief` first."""

    _is_answered = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Begin a connection."""
        super().connection_made(transport)
        self._brief: Brief = cast("Starlette", self.config.app).state.brief

    def on_headers_complete(self) -> None:
        """Answer at once, or begin as usual."""
        message = self._message()
        if message is None:
            super().on_headers_complete()
        else:
            self._is_answered = True
            self.transport.write(message)

    def on_message_complete(self) -> None:
        """The request ends here; so does what was answered."""
        if self._is_answered:
            self._is_answered = False
            self.on_response_complete()
        else:
            super().on_message_complete()

    def _message(self) -> bytes | None:
        parser = cast("Any", self.parser)
        method = _METHODS.get(parser.get_method())
        path, _, query = self.url.partition(b"?")
        # Neither to be unquoted, nor the address of a proxy.
        if method is None or b"%" in path or b"#" in self.url or b"%00" in query or not path.startswith(b"/"):
            return None
        if not self._is_free() or not parser.should_keep_alive():
            return None
        names = {name for name, _ in self.headers}
        if not names.isdisjoint(_AS_USUAL):
            return None
        scope: dict[str, Any] = {
            **self.scope,
            "method": method,
            "path": path.decode("ascii"),
            "query_string": query,
        }
        if not names.isdisjoint(_TOLD):
            scope = _forwarded(scope, self.config.forwarded_allow_ips)
        answer = self._brief.answer(scope)
        return None if answer is None else written(answer, method, self.server_state.default_headers)

    def _is_free(self) -> bool:
        """Whether nothing else is under way on this connection, and its client reads what it is sent."""
        last = cast("RequestResponseCycle | None", self.cycle)
        return (
            (last is None or last.response_complete)
            and not self.flow.write_paused
            and not self.transport.is_closing()
        )


def written(answer: Response, method: str, given: Pairs) -> bytes | None:
    """An answer as one message; None if a header cannot be written so."""
    headers = [*given, *answer.raw_headers]
    if any(_UNSAFE.search(value) for _, value in answer.raw_headers):
        return None
    lines = b"".join([b"%b: %b\r\n" % pair for pair in headers])
    body = answer.body if method == "GET" else b""
    return b"%b%b%b\r\n%b" % (_STATUS[answer.status_code], lines, lines_for(answer.raw_headers), body)


def _forwarded(scope: dict[str, Any], trusted: Any) -> dict[str, Any]:
    """The scope with the address and scheme that a trusted proxy tells of."""
    heard: list[Any] = []

    async def hear(told: Any, _receive: Any, _send: Any) -> None:
        heard.append(told)

    asking = ProxyHeadersMiddleware(hear, trusted)(scope, None, None)  # pyright: ignore[reportArgumentType]
    with suppress(StopIteration):
        asking.send(None)
    return heard[0]
