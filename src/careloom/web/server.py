"""web.server: the Starlette application: one road for each address, a small thread pool for the database.

Room: web. May import: everything below it. Standards: https://www.starlette.io/ and ASGI 3.

A request is read in the event loop; all else (who asks, may they, the handler, the page) runs in a thread, because
the database driver is synchronous; but what is brief, a read or a small search, is answered at the door (web.door) before
it comes here.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import structlog
import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Mount, Route, compile_path

from careloom.fhir.outcome import Issue, OutcomeError, refuse_nul
from careloom.settings import Settings
from careloom.store.audit import AuditBuffer
from careloom.store.database import Database
from careloom.web.askers import Askers
from careloom.web.assets import static
from careloom.web.call import Site
from careloom.web.crew import Crew
from careloom.web.door import Brief, Door
from careloom.web.errors import noted, outcome
from careloom.web.live import Live
from careloom.web.packing import MAX_BODY, unpacked
from careloom.web.road import RIGHTS, Handler, Road
from careloom.web.routes import ROADS
from careloom.web.security import Headers
from careloom.web.spool import spooled
from careloom.web.templating import templates
from careloom.web.tokens import Tokens
from careloom.web.walk import astray, walk

if TYPE_CHECKING:
    from careloom.flow import Flow

log = structlog.get_logger(__name__)

THREADS = 4
"""Twice this many connections are the most that the pool is asked for: a handler that writes holds two."""

Endpoint = Callable[[Request], Awaitable[Response]]


def app(settings: Settings, database: Database, flow: Flow, roads: Sequence[Road] = ROADS) -> Starlette:
    """The web application over one database. Raises OutcomeError if a road declares no right."""
    refuse_undeclared(roads)
    site = Site(
        settings,
        database,
        flow,
        templates(),
        Live(database),
        AuditBuffer(database),
        Tokens(database),
        flow.clock,
        Askers(),
    )
    crew = Crew(THREADS, "web")

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncGenerator[None]:
        site.live.start()
        yield
        site.live.stop()
        await site.askers.close()
        site.audit.close()
        crew.close()

    async def lost(request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        if status == 405 and not _is_answered(roads, request.url.path):  # noqa: PLR2004
            status = 404
        answer = await crew.run(astray, site, request.scope, status)
        if status == 405:  # noqa: PLR2004
            answer.headers["Allow"] = ", ".join(sorted(allowed(roads, request.url.path)))
        return answer

    routes = [Route(road.path, _endpoint(site, road, crew), methods=list(road.methods)) for road in roads]
    application = Starlette(
        routes=[*routes, Mount("/static", static)],
        middleware=[Middleware(Headers)],
        exception_handlers={HTTPException: lost},
        lifespan=lifespan,
    )
    application.state.site = site
    application.state.brief = Brief(site, roads)
    return application


def _is_answered(roads: Sequence[Road], path: str) -> bool:
    """False for an operation that does not exist: `$name` would do for an id, and is none."""
    tail = path.rpartition("/")[2]
    return not tail.startswith("$") or any(road.path.endswith(f"/{tail}") for road in roads)


def allowed(roads: Sequence[Road], path: str) -> set[str]:
    """The methods that are answered at a path.

    >>> sorted(allowed(ROADS, "/fhir/metadata"))
    ['GET', 'HEAD']
    """
    methods: set[str] = set()
    for road in roads:
        if compile_path(road.path)[0].match(path):
            methods.update(road.methods)
    return methods | ({"HEAD"} if "GET" in methods else set())


def refuse_undeclared(roads: Sequence[Road]) -> None:
    """Raise OutcomeError(security) if a road names no right that exists: it would be open, or closed to all."""
    bare = sorted(road.path for road in roads if not RIGHTS.issuperset(road.right.split("|")))
    if bare:
        raise OutcomeError(
            Issue("security", f"The server does not start: no right is declared for {', '.join(bare)}.")
        )


class Server(uvicorn.Server):
    """uvicorn, which also ends the open streams when it is told to stop (else it would wait for them)."""

    def __init__(self, application: Starlette, settings: Settings) -> None:
        super().__init__(
            uvicorn.Config(
                application,
                http=Door,
                host=settings.host,
                port=settings.port,
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=5,
            )
        )
        self._site: Site = application.state.site

    async def shutdown(self, sockets: list[object] | None = None) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """End the streams, then wait for the requests that run."""
        self._site.live.end_streams()
        await super().shutdown(sockets)  # pyright: ignore[reportArgumentType]


def serve(settings: Settings, database: Database, flow: Flow) -> None:
    """Run the web process until SIGINT or SIGTERM."""
    Server(app(settings, database, flow), settings).run()


def _endpoint(site: Site, road: Road, crew: Crew) -> Endpoint:
    async def answer(request: Request) -> Response:
        try:
            refuse_nul(request.scope["path"], "\0" if b"%00" in request.scope["query_string"] else "")
            if road.before is not None:
                return await _spooled(site, road, road.before, crew, request)
            has_body = request.method in {"POST", "PUT", "PATCH"}
            body = unpacked(await _body(request), request.headers) if has_body else b""
        except OutcomeError as error:
            noted(error, road.path)
            # A packing that is not known is an unsupported media type (RFC 9110, 15.5.16).
            return outcome(error.issues, 415 if error.issues[0].code == "not-supported" else 0)
        except ClientDisconnect:
            return Response(status_code=400)
        return await crew.run(walk, site, road, request.scope, body)

    return answer


async def _spooled(site: Site, road: Road, before: Handler, crew: Crew, request: Request) -> Response:
    refused = await crew.run(walk, site, replace(road, answer=before), request.scope, b"")
    if refused.status_code >= 400:  # noqa: PLR2004
        return refused
    most = int(site.settings.import_max_gb * 10**9)
    blob = await spooled(request, site.flow.blobs, crew, most)
    return await crew.run(walk, site, road, request.scope, b"", blob)


async def _body(request: Request) -> bytes:
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > MAX_BODY:
            raise OutcomeError(Issue("too-long", f"A body may have {MAX_BODY} bytes; send it in parts."))
        parts.append(part)
    return b"".join(parts)
