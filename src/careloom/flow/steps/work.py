"""flow.steps.work: what a step of the pipeline is given, and what it tells.

Room: flow.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from careloom.settings import Settings
from careloom.store.database import Database
from careloom.store.feed import Cursor
from careloom.store.runs import Gate

Told = Callable[[int, int | None], None]


def quiet(_done: int, _total: int | None) -> None:
    """Tell nobody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What is to be done."""

    database: Database
    settings: Settings
    now: datetime
    is_backfill: bool = False
    """True: all is made anew, whatever was made before."""
    since: datetime | None = None
    """Only of resources that were written since then; a step for which this means nothing refuses it."""
    out: Path | None = None
    """A folder for files, instead of the one in the lake."""
    names: Sequence[str] = ()
    """Of what the step makes only these; none: all."""
    wait_s: float = 60.0
    told: Told = quiet
    """Told how much is done, and of how much."""


@dataclass(frozen=True, slots=True)
class Made:
    """What came of it."""

    rows: int
    cursor: Cursor
    """Up to here in the feed the step took in the store."""
    is_new: bool = True
    """False: nothing had changed, nothing was done."""
    gates: list[Gate] = field(default_factory=list[Gate])
    parts: dict[str, int] = field(default_factory=dict[str, int])
    """Rows of each table or file that stands now."""
