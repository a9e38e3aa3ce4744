"""verify.lake_victim: what runs in the processes that `lake-incremental` kills: it feeds a lake, or compacts it.

Room: verify. Imports no more than it takes: it is started some seventy times.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

from careloom.lake import compaction
from careloom.lake.build import writing
from careloom.store.database import Database
from careloom.store.feed import Cursor

ROWS = 1_500
"""Versions of a batch while there is killing."""


def feeds(url: str, root: str, began: tuple[int, int], phase: str) -> None:
    """Feed a lake, and die in the first such phase of a batch that begins there or later."""

    def tell(said: str, _done: int) -> None:
        if said == phase and writer.published.cursor >= Cursor(*began):
            os.kill(os.getpid(), signal.SIGKILL)

    with writing(Database(url), Path(root), tell, wait_s=10) as writer:
        while writer.step(ROWS):
            pass


def compacts(url: str, root: str) -> None:
    """Compact all tables of a lake, over and over; who starts this process kills it."""
    with writing(Database(url), Path(root), wait_s=10) as writer:
        print("begun", flush=True)  # noqa: T201 - the signal to who kills it
        for rtype in writer.types:
            compaction.gather(writer, rtype)
            compaction.settle(writer, rtype, is_whole=True)
