"""What blocks runs in a few threads, in order, and comes back to who awaits it."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from careloom.web.crew import Crew


def run(asked: Coroutine[Any, Any, None]) -> None:
    """In a thread of its own: in this one the loop of the browser's tests may run."""
    with ThreadPoolExecutor(1) as one:
        one.submit(asyncio.run, asked).result()


def test_results_and_errors_come_back_to_who_awaits_them() -> None:
    async def ask() -> None:
        crew = Crew(2, "test")
        assert await crew.run(divmod, 7, 2) == (3, 1)
        with pytest.raises(ZeroDivisionError):
            await crew.run(divmod, 7, 0)
        crew.close()

    run(ask())


def test_so_many_run_at_the_same_time_and_the_loop_stays_free() -> None:
    running: list[int] = []
    most: list[int] = []

    def work(number: int) -> int:
        running.append(number)
        most.append(len(running))
        time.sleep(0.02)
        running.remove(number)
        return number

    async def ask() -> None:
        crew = Crew(3, "test")
        tasks = [asyncio.create_task(crew.run(work, number)) for number in range(9)]
        ticks = 0
        while not all(task.done() for task in tasks):
            await asyncio.sleep(0.001)
            ticks += 1
        assert [task.result() for task in tasks] == list(range(9))
        assert ticks > 1
        crew.close()

    run(ask())
    assert max(most) == 3


def test_who_gave_up_waiting_disturbs_nobody() -> None:
    go_on = threading.Event()

    async def ask() -> None:
        crew = Crew(1, "test")
        given_up = asyncio.create_task(crew.run(go_on.wait))
        await asyncio.sleep(0.01)
        given_up.cancel()
        go_on.set()
        assert await crew.run(len, "abc") == 3
        crew.close()

    run(ask())
