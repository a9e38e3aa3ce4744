"""web.crew: a few threads for what blocks, awaited from the event loop.

Room: web. `loop.run_in_executor` makes two futures, a condition and four callbacks for each call, some 50 us; this
makes one future.
"""

from __future__ import annotations

import asyncio
import threading
from asyncio import AbstractEventLoop, Future
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")
_Job = tuple[AbstractEventLoop, Future[Any], Callable[..., Any], tuple[Any, ...]]


class Crew:
    """Threads that take jobs in order."""

    def __init__(self, size: int, name: str) -> None:
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._threads = [
            threading.Thread(target=self._work, name=f"{name}_{number}", daemon=True)
            for number in range(size)
        ]
        for thread in self._threads:
            thread.start()

    async def run(self, work: Callable[..., T], *arguments: object) -> T:
        """Call `work` in a thread; what it returns or raises."""
        loop = asyncio.get_running_loop()
        future: Future[T] = loop.create_future()
        self._jobs.put((loop, future, work, arguments))
        return await future

    def close(self) -> None:
        """Do what was asked already, then end."""
        for _ in self._threads:
            self._jobs.put(None)
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            loop, future, work, arguments = job
            try:
                result, error = work(*arguments), None
            except BaseException as raised:  # noqa: BLE001 (it is raised where the work is awaited)
                result, error = None, raised
            # A loop that has closed meanwhile waits for nothing.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(_settle, future, result, error)
            # Not kept while the thread waits for its next job: they may be large.
            del job, future, arguments, result, error


def _settle(future: Future[Any], result: object, error: BaseException | None) -> None:
    if future.cancelled():
        return
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)
