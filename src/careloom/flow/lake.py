"""flow.lake: keeps the lake fresh, in a process of its own, so that laying rows never holds up a station.

Room: flow. Polls rather than listens: a hospital that writes all day would wake it at every commit. A round costs each
table that it touches a file and a commit, however few the rows: so after a round that brought something the lake rests,
and takes what has come meanwhile at once. What comes after a quiet time is taken at the next look.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import structlog

from careloom.fhir.outcome import OutcomeError
from careloom.flow.pipeline import Errands
from careloom.lake import compaction, gate
from careloom.lake.build import Writer, quiet, writing
from careloom.lake.lake import Lake
from careloom.logs import place_of
from careloom.settings import Settings, lake_root, views_root
from careloom.store import runs
from careloom.store.database import Database
from careloom.store.runs import Gate, Result, result_of

log = structlog.get_logger()

TIDY_EVERY = 24
"""Rounds that brought something, after which it is asked whether files are too many."""
STEP = "lake"
TELL_EVERY = timedelta(minutes=1)
LOOK_EVERY = timedelta(hours=1)
PATIENCE_S = 15.0
"""After a failure the lake is let alone for so long."""
GRACE_HOURS = 1.0
"""Files that were replaced stay so long, for readers that have them open."""


class Follower:
    """Feeds the lake round after round."""

    def __init__(
        self, database: Database, root: Path, flow_s: float = 0.0, views: Path | None = None
    ) -> None:
        self._database = database
        self._root = root
        self._views = views
        self._flow_s = flow_s
        self._rests_until = 0.0
        self._writer: Writer | None = None
        self._rounds = 0

    def look(self, now: float, is_leaving: Callable[[], bool] = lambda: False) -> int:
        """A round, unless one brought something less than `flow_s` ago; how many versions came. `now` in seconds."""
        if now < self._rests_until:
            return 0
        heard = self.round(is_leaving)
        if heard:
            self._rests_until = now + self._flow_s
        return heard

    def round(self, is_leaving: Callable[[], bool] = lambda: False) -> int:
        """Take in all there is at its beginning; how many versions came."""
        heard = 0
        is_first = self._writer is None
        with writing(self._database, self._root, quiet, again=self._writer, views=self._views) as writer:
            self._writer = writer
            if is_first:
                for rtype in writer.types:
                    compaction.relay(writer, rtype)
            # What comes while it works is left to the next round: else a stream is taken in ever smaller batches.
            while not is_leaving() and (told := writer.step()):
                heard += told
                if writer.has_all:
                    break
            self._rounds += heard > 0
            if self._rounds >= TIDY_EVERY and not is_leaving():
                self._rounds = 0
                if compaction.tidy(writer):
                    compaction.vacuum(writer, GRACE_HOURS)
        return heard

    def forget(self) -> None:
        """Begin anew with what the folder says."""
        self._writer = None


class Diary:
    """What the lake takes in by itself, told as runs of its step: one a minute, and what must hold of it once an hour."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._settings = settings
        self._began: datetime | None = None
        self._rows = 0
        self._looked: datetime | None = None

    def heard(self, versions: int, now: datetime) -> None:
        """So many versions came."""
        if versions and self._began is None:
            self._began = now
        self._rows += versions
        if self._began and (now - self._began >= TELL_EVERY or not versions):
            self._tell(self._began, now)

    def failed(self, reason: str, now: datetime) -> None:
        """It could not be fed."""
        result = Result(outcome="failed", rows=self._rows, reason=reason)
        with self._database.connection() as connection:
            runs.told(connection, STEP, self._began or now, now, result)
        self._began, self._rows = None, 0

    def _tell(self, began: datetime, now: datetime) -> None:
        lake = Lake(lake_root(self._settings))
        with self._database.connection() as connection:
            gates: list[Gate] = []
            if self._looked is None or now - self._looked >= LOOK_EVERY:
                gates = gate.gates(connection, lake, self._settings.lake_aside_share)
                self._looked = now
            runs.told(connection, STEP, began, now, result_of(self._rows, lake.published.cursor, gates))
        self._began, self._rows = None, 0


def follow(
    database: Database,
    settings: Settings,
    leaving: threading.Event,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> None:
    """Keep the lake fresh until `leaving` is set, and run what is asked for on the board; failures are logged and tried again."""
    follower = Follower(database, lake_root(settings), settings.lake_flow_s, views_root(settings))
    diary = Diary(database, settings)
    errands = Errands(database, settings, clock)
    while not leaving.wait(settings.lake_every_s):
        try:
            errands.look()
            diary.heard(follower.look(time.monotonic(), leaving.is_set), clock())
        except Exception as error:  # noqa: BLE001 - whatever ails the lake, it is derived: the store must not feel it
            if isinstance(error, OutcomeError) and any(issue.code == "lock-error" for issue in error.issues):
                continue  # A command is at work on the lake, and makes it as fresh as this would.
            reason = str(error) if isinstance(error, OutcomeError) else place_of(error)
            log.warning("lake_not_fed", reason=reason)
            follower.forget()
            with suppress(Exception):
                # It may be the store itself that is away.
                diary.failed(reason, clock())
            leaving.wait(PATIENCE_S)
