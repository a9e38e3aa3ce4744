"""How long a test waits for what another thread or process does: long enough for the slowest machine, never part of a claim."""

from __future__ import annotations

import time
from collections.abc import Callable

WAIT_S = 60.0


def until(holds: Callable[[], object]) -> None:
    """Wait until it holds."""
    deadline = time.monotonic() + WAIT_S
    while not holds():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)
