"""web.askers: a few processes that run statements, awaited from the event loop: no thread of the server waits for one.

Room: web. May import: lake.asking (which knows no engine), asyncio. A process is started when one is needed and kept for
the next statement. Whoever goes away before the end has the statement stopped.
"""

from __future__ import annotations

import asyncio
from asyncio import subprocess
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, suppress

from careloom.fhir.outcome import Issue, OutcomeError
from careloom.lake import asking
from careloom.lake.asking import LENGTH, Request

AT_ONCE = 3
"""Statements that run at the same time; others wait."""
EACH = 2
"""Statements of one user at the same time, those that wait among them."""
WAIT_S = 20.0
GRACE_S = 5.0
"""A process has so much more time than its statement to say that the time is up; then it is ended."""
START_S = 120.0
PIPE = 1 << 20

Frame = tuple[bytes, bytes]


class Askers:
    """All of them. Everything here runs in one event loop."""

    def __init__(self) -> None:
        self._idle: list[subprocess.Process] = []
        self._all: set[subprocess.Process] = set()
        self._running: Counter[str] = Counter()
        self._places: asyncio.Semaphore | None = None
        self._rests: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def asked(self, request: Request) -> AsyncGenerator[AsyncIterator[Frame]]:
        """Ask; the frames as they come, without `wrong`, which is raised. Raises OutcomeError: throttled, too-costly,
        and all that a statement can be wrong in.
        """
        if self._running[request.actor] >= EACH:
            text = f"You have {EACH} statements at work: wait for one to end, or stop it."
            raise OutcomeError(Issue("throttled", text))
        self._running[request.actor] += 1
        try:
            async with self._place():
                yield self._frames(request)
        finally:
            self._running[request.actor] -= 1
            self._running += Counter()  # without those who have none

    @asynccontextmanager
    async def _place(self) -> AsyncGenerator[None]:
        self._places = self._places or asyncio.Semaphore(AT_ONCE)
        try:
            async with asyncio.timeout(WAIT_S):
                await self._places.acquire()
        except TimeoutError:
            text = "The statements of others are running: ask again in a moment."
            raise OutcomeError(Issue("throttled", text)) from None
        try:
            yield
        finally:
            self._places.release()

    async def _frames(self, request: Request) -> AsyncGenerator[Frame]:
        process = self._idle_one() or await self._started()
        is_whole = False
        try:
            async with asyncio.timeout(request.seconds + GRACE_S):
                try:
                    frame = await _sent(process, request)
                except (asyncio.IncompleteReadError, ConnectionError):
                    # One that was idle may leave at the very moment when it is asked.
                    self._end(process)
                    process = await self._started()
                    frame = await _sent(process, request)
                while True:
                    letter, raw = frame
                    is_whole = letter in {asking.END, asking.WRONG}
                    if letter == asking.WRONG:
                        raise asking.wrong(raw)
                    yield letter, raw
                    if is_whole:
                        return
                    frame = await _frame(process)
        except TimeoutError:
            text = "The statement took longer than it may: narrow it, or ask for less."
            raise OutcomeError(Issue("too-costly", text)) from None
        except (asyncio.IncompleteReadError, ConnectionError):
            text = "The process of the statement ended: it may have needed more memory than there is."
            raise OutcomeError(Issue("too-costly", text)) from None
        finally:
            if is_whole:
                self._idle.append(process)
            else:
                rest = asyncio.ensure_future(self._rest(process))
                self._rests.add(rest)
                rest.add_done_callback(self._rests.discard)

    async def _rest(self, process: subprocess.Process) -> None:
        """Have a statement stopped that nobody waits for any more; the process is kept if it stops in time."""
        try:
            assert process.stdin  # noqa: S101 - it was started with pipes
            process.stdin.write(asking.written(None))
            async with asyncio.timeout(GRACE_S):
                while (await _frame(process))[0] not in {asking.END, asking.WRONG}:
                    pass
        except (TimeoutError, asyncio.IncompleteReadError, OSError):
            self._end(process)
        else:
            self._idle.append(process)

    def _idle_one(self) -> subprocess.Process | None:
        while self._idle:
            process = self._idle.pop()
            if process.returncode is None:
                return process
            self._all.discard(process)
        return None

    async def _started(self) -> subprocess.Process:
        pipe = subprocess.PIPE
        process = await asyncio.create_subprocess_exec(*asking.COMMAND, stdin=pipe, stdout=pipe, limit=PIPE)
        self._all.add(process)
        try:
            # Engines take a second to load, and longer on a busy machine: that is not the statement's time.
            async with asyncio.timeout(START_S):
                await _frame(process)
        except BaseException:
            self._end(process)
            raise
        return process

    def _end(self, process: subprocess.Process) -> None:
        self._all.discard(process)
        with suppress(ProcessLookupError):
            process.kill()

    @property
    def processes(self) -> list[subprocess.Process]:
        """Those that run or wait."""
        return list(self._all)

    async def close(self) -> None:
        """End all of them, and wait until they are gone."""
        ended = self.processes
        for process in ended:
            self._end(process)
        self._idle.clear()
        for process in ended:
            await process.wait()
        await asyncio.gather(*self._rests, return_exceptions=True)


async def _sent(process: subprocess.Process, request: Request) -> Frame:
    """Send a request; the first frame that comes."""
    assert process.stdin  # noqa: S101 - it was started with pipes
    process.stdin.write(asking.written(request))
    return await _frame(process)


async def _frame(process: subprocess.Process) -> Frame:
    assert process.stdout  # noqa: S101 - it was started with pipes
    head = await process.stdout.readexactly(1 + LENGTH)
    return head[:1], await process.stdout.readexactly(int.from_bytes(head[1:]))
