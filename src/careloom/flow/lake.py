"""flow.lake: keeps the lake fresh, in a process of its own, so that laying rows never holds up a station.

Room: flow. Polls rather than listens: a hospital that writes all day would wake it at every commit. A round costs each
table that it touches a file and a commit, however few the rows: so after a round that brought something the lake rests,
and takes what has come meanwhile at once. What comes after a quiet time is taken at the next look.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import structlog

from careloom.fhir.outcome import OutcomeError
from careloom.lake import compaction
from careloom.lake.build import Writer, quiet, writing
from careloom.logs import place_of
from careloom.settings import Settings, lake_root
from careloom.store.database import Database

log = structlog.get_logger()

TIDY_EVERY = 24
"""Rounds that brought something, after which it is asked whether files are too many."""
PATIENCE_S = 15.0
"""After a failure the lake is let alone for so long."""
GRACE_HOURS = 1.0
"""Files that were replaced stay so long, for readers that have them open."""


class Follower:
    """Feeds the lake round after round."""

    def __init__(self, database: Database, root: Path, flow_s: float = 0.0) -> None:
        self._database = database
        self._root = root
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
        """Take in all there is; how many versions came."""
        heard = 0
        is_first = self._writer is None
        with writing(self._database, self._root, quiet, again=self._writer) as writer:
            self._writer = writer
            if is_first:
                for rtype in writer.types:
                    compaction.relay(writer, rtype)
            while not is_leaving() and (told := writer.step()):
                heard += told
            self._rounds += heard > 0
            if self._rounds >= TIDY_EVERY and not is_leaving():
                self._rounds = 0
                if compaction.tidy(writer):
                    compaction.vacuum(writer, GRACE_HOURS)
        return heard

    def forget(self) -> None:
        """Begin anew with what the folder says."""
        self._writer = None


def follow(database: Database, settings: Settings, leaving: threading.Event) -> None:
    """Keep the lake fresh until `leaving` is set; what goes wrong is logged and tried again."""
    follower = Follower(database, lake_root(settings), settings.lake_flow_s)
    while not leaving.wait(settings.lake_every_s):
        try:
            follower.look(time.monotonic(), leaving.is_set)
        except OutcomeError as error:
            if any(issue.code == "lock-error" for issue in error.issues):
                continue  # A command is at work on the lake, and makes it as fresh as this would.
            _failed(follower, str(error), leaving)
        except Exception as error:  # noqa: BLE001 - whatever ails the lake, it is derived: the store must not feel it
            _failed(follower, place_of(error), leaving)


def _failed(follower: Follower, reason: str, leaving: threading.Event) -> None:
    log.warning("lake_not_fed", reason=reason)
    follower.forget()
    leaving.wait(PATIENCE_S)
