"""web.asked: an answer that awaits a process of web.askers: a page made of all it said, or a file that is passed on.

Room: web. May import: lake.asking. The request was admitted in a thread as every other; from there on the event loop
waits. When the client goes, what runs is stopped.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from secrets import token_hex
from typing import Any

import msgspec
import structlog
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from careloom.fhir.outcome import OutcomeError
from careloom.lake import asking
from careloom.lake.asking import Request
from careloom.logs import place_of
from careloom.web.askers import Askers, Frame
from careloom.web.errors import FAULT, noted

log = structlog.get_logger(__name__)

MEDIA = {
    "json": "application/json",
    "csv": "text/csv; charset=utf-8",
    "parquet": "application/vnd.apache.parquet",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}


@dataclass(frozen=True, slots=True)
class Told:
    """All that was said: the columns with their types, rows as texts, and what the end said."""

    columns: tuple[tuple[str, str], ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    end: Mapping[str, Any] = field(default_factory=dict[str, Any])


Show = Callable[[Told], Response]
Refuse = Callable[[OutcomeError], Response]


class Asked(Response):
    """An answer made of what a process says: of all of it by `show`, or, without, as a file; `refuse` says what is wrong."""

    def __init__(
        self,
        askers: Askers,
        request: Request,
        refuse: Refuse,
        show: Show | None = None,
        *,
        name: str = "careloom",
        ended: Callable[[Mapping[str, Any]], None] | None = None,
    ) -> None:
        """`name`: of the file. `ended`: told, in a thread, what the end said; what is wrong goes to `refuse` instead."""
        super().__init__()
        self._ended = ended
        self._askers = askers
        self._request = request
        self._refuse = refuse
        self._show = show
        self._name = name

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, unless the client goes first."""
        gone = asyncio.ensure_future(_gone(receive))
        work = asyncio.ensure_future(self._answer(scope, receive, send))
        await asyncio.wait({gone, work}, return_when=asyncio.FIRST_COMPLETED)
        for task in (gone, work):
            if not task.done():
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
        if not work.cancelled():
            work.result()

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_begun = False

        async def sent(message: Any) -> None:
            nonlocal is_begun
            is_begun = True
            await send(message)

        try:
            if self._show is None:
                await self._pass_on(sent)
                return
            told = await self._told()
            await self._end(told.end)
            answer = await asyncio.to_thread(self._show, told)
        except OutcomeError as error:
            if is_begun:
                return  # Later than its beginning only the break tells that a file is not whole.
            noted(error, scope["path"])
            answer = await asyncio.to_thread(self._refuse, error)
        except Exception as error:  # noqa: BLE001 - as web.server: an answer, and a line in the log
            log.error("request_failed", road=scope["path"], error=place_of(error), reference=token_hex(4))  # noqa: TRY400
            if is_begun:
                return
            answer = await asyncio.to_thread(self._refuse, OutcomeError(FAULT))
        await answer(scope, receive, send)

    async def _told(self) -> Told:
        columns: list[tuple[str, str]] = []
        rows: list[tuple[str, ...]] = []
        end: Mapping[str, Any] = {}
        async with self._askers.asked(self._request) as frames:
            async for letter, raw in frames:
                if letter == asking.HEAD:
                    columns = [(name, kind) for name, kind in asking.told(raw)["columns"]]
                elif letter == asking.BODY:
                    rows += msgspec.json.decode(raw, type=list[tuple[str, ...]])
                else:
                    end = asking.told(raw)
        return Told(tuple(columns), tuple(rows), end)

    async def _pass_on(self, send: Callable[[Any], Awaitable[None]]) -> None:
        headers = [
            (b"content-type", MEDIA[self._request.form].encode()),
            (b"content-disposition", f'attachment; filename="{self._name}.{self._request.form}"'.encode()),
        ]
        async with self._askers.asked(self._request) as frames:
            bodies = self._bodies(frames)
            # What is wrong with the first rows is told as such.
            first = await anext(bodies, b"") + await anext(bodies, b"")
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": first, "more_body": True})
            async for piece in bodies:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _bodies(self, frames: AsyncIterator[Frame]) -> AsyncGenerator[bytes]:
        async for letter, raw in frames:
            if letter == asking.BODY:
                yield raw
            elif letter == asking.END:
                await self._end(asking.told(raw))

    async def _end(self, end: Mapping[str, Any]) -> None:
        if self._ended is not None:
            await asyncio.to_thread(self._ended, end)


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
