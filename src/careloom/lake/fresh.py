"""lake.fresh: a file that is there whole or not at all, whoever is killed while it is written.

Room: lake.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4


@contextmanager
def replacing(path: Path) -> Generator[Path]:
    """Where to write what is to stand at `path` when the block ends; if it raises, all stays as it was."""
    fresh = path.with_name(f"{path.stem}.{uuid4().hex}.new")
    try:
        yield fresh
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)
