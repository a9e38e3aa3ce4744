"""web.server: the Starlette application: one road for each address, a small thread pool for the database.

Room: web. May import: everything below it. Standards: https://www.starlette.io/ and ASGI 3.

A request is read in the event loop; all else (who asks, may they, the handler, the page) runs in a thread, because
the database driver is synchronous; but what is brief, a read or a small search, the loop answers itself, with a patience
(web.pace; docs/decisions/0022-brief-reads-in-the-loop.md). Whatever a handler raises becomes an answer here and nowhere else.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from secrets import token_hex
from time import perf_counter
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlencode

import structlog
import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Mount, Route, compile_path

from careloom.fhir.outcome import Issue, IssueCode, OutcomeError, refuse_nul, status_of
from careloom.logs import place_of
from careloom.settings import Settings
from careloom.store.audit import AuditBuffer
from careloom.store.blobs import Blob
from careloom.store.database import Database, Slow, is_transient
from careloom.web import auth
from careloom.web.askers import Askers
from careloom.web.assets import static
from careloom.web.call import Call, Site
from careloom.web.crew import Crew
from careloom.web.errors import FAULT, noted, outcome, title_of
from careloom.web.live import Live
from careloom.web.pace import Pace, kind_of
from careloom.web.packing import MAX_BODY, unpacked
from careloom.web.rest.form import negotiated
from careloom.web.road import RIGHTS, Handler, Road
from careloom.web.routes import ROADS
from careloom.web.security import Headers
from careloom.web.spool import spooled
from careloom.web.templating import templates
from careloom.web.tokens import Tokens

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
    pace = Pace()

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
        answer = await crew.run(_astray, site, request, status)
        if status == 405:  # noqa: PLR2004
            answer.headers["Allow"] = ", ".join(sorted(allowed(roads, request.url.path)))
        return answer

    routes = [
        Route(road.path, _endpoint(site, road, crew, pace), methods=list(road.methods)) for road in roads
    ]
    application = Starlette(
        routes=[*routes, Mount("/static", static)],
        middleware=[Middleware(Headers)],
        exception_handlers={HTTPException: lost},
        lifespan=lifespan,
    )
    application.state.site = site
    return application


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


def _endpoint(site: Site, road: Road, crew: Crew, pace: Pace) -> Endpoint:
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
        if road.is_brief:
            query: bytes = request.scope["query_string"]
            kind = kind_of(request.scope["path"] if query else road.path, query)
            if pace.is_quick(kind):
                began = perf_counter()
                try:
                    return _walk(site, road, request, body, is_hasty=True)
                except Slow:
                    pass  # A thread may wait for what it was that had to be waited for.
                finally:
                    pace.took(kind, perf_counter() - began)
        return await crew.run(_walk, site, road, request, body)

    return answer


async def _spooled(site: Site, road: Road, before: Handler, crew: Crew, request: Request) -> Response:
    refused = await crew.run(_walk, site, replace(road, answer=before), request, b"")
    if refused.status_code >= 400:  # noqa: PLR2004
        return refused
    most = int(site.settings.import_max_gb * 10**9)
    blob = await spooled(request, site.flow.blobs, crew, most)
    return await crew.run(_walk, site, road, request, b"", blob)


async def _body(request: Request) -> bytes:
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > MAX_BODY:
            raise OutcomeError(Issue("too-long", f"A body may have {MAX_BODY} bytes; send it in parts."))
        parts.append(part)
    return b"".join(parts)


def _walk(
    site: Site,
    road: Road,
    request: Request,
    body: bytes,
    blob: Blob | None = None,
    *,
    is_hasty: bool = False,
) -> Response:
    call = None
    try:
        call = _call(site, request, body, blob, is_hasty=is_hasty)
        auth.admit(call, road.right)
        return negotiated(road.answer, call) if road.speaks == "fhir" else road.answer(call)
    except OutcomeError as error:
        noted(error, road.path)
        return _refusal(call or _call(site, request, body, is_recognised=False), road.speaks, error.issues)
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
        call = call or _call(site, request, body, is_recognised=False)
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


def _astray(site: Site, request: Request, status: int) -> Response:
    """No road leads there, or not by this method."""
    try:
        call = _call(site, request, b"")
    except OutcomeError:
        # Without the database nobody is recognised; the page can say so all the same.
        call = _call(site, request, b"", is_recognised=False)
    speaks = "fhir" if call.path.startswith("/fhir") else "page"
    what = "There is nothing at this address." if status == 404 else f"{request.method} is not answered here."  # noqa: PLR2004
    code: IssueCode = "not-found" if status == 404 else "not-supported"  # noqa: PLR2004
    return _refusal(call, speaks, (Issue(code, what),), status=status)


def _call(
    site: Site,
    request: Request,
    body: bytes,
    blob: Blob | None = None,
    *,
    is_hasty: bool = False,
    is_recognised: bool = True,
) -> Call:
    """The request with whoever asks. Raises OutcomeError if the database does not say who it is; Slow in haste."""
    scope, now = request.scope, site.clock()
    pairs: list[tuple[bytes, bytes]] = scope["headers"]
    # Decoded once; of a header that comes twice the first counts.
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in reversed(pairs)}
    cookies = request.cookies if "cookie" in headers else {}
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
        query=tuple(parse_qsl(query.decode("latin-1"), keep_blank_values=True)) if query else (),
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
