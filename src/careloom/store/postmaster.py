"""store.postmaster: where the embedded server lives, which of its processes live, and how they are ended.

Room: store. May import: nothing of careloom. Touches: `home/database`, processes.
https://www.postgresql.org/docs/18/server-shutdown.html

After kill -9 a postmaster stays a zombie until its parent looks, and its children may write on for a while.
PostgreSQL takes the zombie for a living server and refuses to start; other runners take it for one that answers.
"""

from __future__ import annotations

import hashlib
import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import psutil

DATABASE = "careloom"
STOP_TIMEOUT_S = 60.0
SOCKET_PATH_LIMIT = 90

children: dict[Path, subprocess.Popen[bytes]] = {}
"""Data directory -> the server that this process started: only its parent can lay it to rest."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where one embedded server lives: `home/database`."""

    folder: Path

    @property
    def data(self) -> Path:
        """PostgreSQL's data directory."""
        return self.folder / "data"

    @property
    def log(self) -> Path:
        """What the server says; errors of statements are not in it, for they may quote values."""
        return self.folder / "server.log"

    @property
    def name(self) -> str:
        """The cluster's name: it stands in the title of each of its processes, and so finds them again."""
        return "careloom-" + hashlib.sha256(str(self.folder.resolve()).encode()).hexdigest()[:12]

    @property
    def socket(self) -> Path:
        """The directory of the Unix socket; a socket's path may have some 100 bytes, so a long one moves."""
        here = self.folder.resolve() / "socket"
        # Not the temporary directory of the environment: two processes must agree on it.
        return here if len(str(here)) < SOCKET_PATH_LIMIT else Path("/tmp") / self.name  # noqa: S108

    def url(self, database: str = DATABASE) -> str:
        """The libpq URL."""
        return f"postgresql://careloom@/{database}?host={quote(str(self.socket), safe='')}"


def living_postmaster(place: Place) -> psutil.Process | None:
    """The postmaster that runs on this data. Dead, zombie, and strangers that got its pid: None."""
    try:
        pid = int((place.data / "postmaster.pid").read_text().split("\n", 1)[0])
        process = psutil.Process(pid)
        if process.status() in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD):
            return None
        # The command line is readable for everybody; the working directory is not, even for root in a container.
        return process if str(place.data.resolve()) in process.cmdline() else None
    except (FileNotFoundError, ValueError, psutil.Error):
        return None


def workers(place: Place) -> list[psutil.Process]:
    """The postmaster's own processes of this cluster, found by the title which they carry."""
    title = f"postgres: {place.name}: "
    found: list[psutil.Process] = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.name().startswith("postgres") and " ".join(process.cmdline()).startswith(title):
                found.append(process)
    return found


def halt(place: Place) -> None:
    """Stop the embedded server of this place, whoever uses it: fast first, hard after a minute."""
    postmaster = living_postmaster(place)
    if postmaster is not None:
        for how in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
            with suppress(psutil.NoSuchProcess):
                postmaster.send_signal(how)
            if _is_gone(place, postmaster):
                break
    bury(place)


def bury(place: Place) -> None:
    """When no postmaster lives: see its processes out, then take its lock files (pid, socket) away.

    Removing them is safe only when no process of the cluster writes any more: that is what PostgreSQL would have
    checked by them.
    """
    left = workers(place)
    if left:
        _, left = psutil.wait_procs(left, timeout=5)
        for process in left:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(left, timeout=10)
    if child := children.pop(place.data, None):
        child.wait(timeout=STOP_TIMEOUT_S)
    for lock in (place.data / "postmaster.pid", *place.socket.glob(".s.PGSQL.*")):
        lock.unlink(missing_ok=True)


def _is_gone(place: Place, postmaster: psutil.Process) -> bool:
    child = children.get(place.data)
    deadline = time.monotonic() + STOP_TIMEOUT_S
    while time.monotonic() < deadline:
        if child is not None and child.poll() is not None:
            return True
        try:
            if postmaster.status() == psutil.STATUS_ZOMBIE or not postmaster.is_running():
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.01)
    return False
