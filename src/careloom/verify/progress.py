"""verify.progress: how far a check is, for who waits at a terminal; nothing where nobody looks.

Room: verify. Touches: standard error, never standard output, which holds the figures.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

Told = Callable[[str, int], None]
"""What is being done, and how much of it is done."""


@contextmanager
def progress(check: str, total: int | None) -> Generator[Told]:
    """A bar that is gone when the check is over; `total` None: how much there is to do is not known."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(check, total=total)

        def told(what: str, done: int) -> None:
            bar.update(task, description=f"{check}: {what}", completed=done)

        yield told
