"""store.server: find a PostgreSQL, or run the embedded one, and stop it when nobody uses it any more.

Room: store. May import: settings, fhir.outcome. Touches: `home/database`, processes.
https://www.postgresql.org/docs/18/server-start.html

The embedded server listens on a Unix socket only, in a directory that only its user may enter, and the kernel
vouches for the caller (peer): there is no port to collide and no password to keep. Each user of the server
holds a shared lock; whoever lets go last stops it, so that a lock dies with its process and never lies.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import psutil
import psycopg

from careloom.fhir.outcome import Issue, IssueCode, OutcomeError
from careloom.settings import Settings
from careloom.store import binaries
from careloom.store.tuning import configuration

DATABASE = "careloom"
START_TIMEOUT_S = 600.0
"""Long, because a server that was killed replays its log first."""
STOP_TIMEOUT_S = 60.0
LEAST_FREE_BYTES = 300_000_000
LOG_LIMIT_BYTES = 10_000_000
SOCKET_PATH_LIMIT = 90
BUILTIN_LOCALE_SINCE = 17

_children: dict[Path, subprocess.Popen[bytes]] = {}
"""Servers that this process started: only their parent can lay them to rest."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the embedded server lives."""

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
        here = self.folder / "socket"
        return here if len(str(here)) < SOCKET_PATH_LIMIT else Path(tempfile.gettempdir()) / self.name

    def url(self, database: str = DATABASE) -> str:
        """The libpq URL."""
        return f"postgresql://careloom@/{database}?host={quote(str(self.socket), safe='')}"


class Server:
    """A PostgreSQL that answers. `stop` lets go of it; the last to let go of an embedded one stops it."""

    def __init__(self, url: str, place: Place | None = None, hold: int | None = None) -> None:
        self.url = url
        self.place = place
        self._hold = hold

    def stop(self) -> None:
        """Let go; wait until the server is gone if nobody else holds it. Once is enough, twice does no harm."""
        if self.place is None or self._hold is None:
            return
        hold, self._hold = self._hold, None
        try:
            with _locked(self.place), suppress(BlockingIOError):
                fcntl.flock(hold, fcntl.LOCK_EX | fcntl.LOCK_NB)
                halt(self.place)
        finally:
            os.close(hold)


def ensure(settings: Settings, *, options: Mapping[str, str] | None = None) -> Server:
    """A PostgreSQL that answers: the one of `database_url`, else the embedded one under `home`, started if need be.

    `options` are PostgreSQL settings over careloom's own (tests switch fsync off). Raises OutcomeError with one
    sentence: not reachable, too old, directory not writable, disk full, does not start (and its own last word why).
    """
    if settings.database_url:
        _checked(settings.database_url)
        return Server(settings.database_url)
    place = Place(settings.home / "database")
    _lay_out(place)
    with _locked(place):
        hold = os.open(place.folder / "users.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(hold, fcntl.LOCK_SH)
            _bring_up(place, options or {})
        except BaseException:
            os.close(hold)
            raise
    return Server(place.url(), place, hold)


def halt(place: Place) -> None:
    """Stop the embedded server of this place, whoever uses it: fast first, hard after a minute."""
    postmaster = living_postmaster(place)
    if postmaster is not None:
        for how in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
            with suppress(psutil.NoSuchProcess):
                postmaster.send_signal(how)
            if _gone(place, postmaster):
                break
    _bury_orphans(place)


def living_postmaster(place: Place) -> psutil.Process | None:
    """The postmaster that runs on this data. Dead, zombie (killed, not yet reaped), and strangers with its pid: None."""
    try:
        pid = int((place.data / "postmaster.pid").read_text().split("\n", 1)[0])
        process = psutil.Process(pid)
        if process.status() in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD):
            return None
        # The command line is readable for everybody; the working directory is not, even for root in a container.
        return process if str(place.data.resolve()) in process.cmdline() else None
    except (FileNotFoundError, ValueError, psutil.Error):
        return None


def orphans(place: Place) -> list[psutil.Process]:
    """Processes of this cluster, found by the title which they carry."""
    title = f"postgres: {place.name}: "
    found: list[psutil.Process] = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.name().startswith("postgres") and " ".join(process.cmdline()).startswith(title):
                found.append(process)
    return found


def _bring_up(place: Place, options: Mapping[str, str]) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    since = place.log.stat().st_size if place.log.exists() else 0
    started = False
    while (postmaster := living_postmaster(place)) is None or not _answers(place, postmaster, deadline):
        # One found on its way down is followed by one of our own; our own that dies has said why.
        if started:
            raise _failure(place, since)
        since = _start(place, options)
        started = True
        _await_pid_file(place, deadline)
    _make_database(place)


def _start(place: Place, options: Mapping[str, str]) -> int:
    who = binaries.runner(place.data)
    if not binaries.may_enter(place.folder, who):
        text = f"The database's user {who.name} cannot enter {place.folder}: set CARELOOM_HOME to a place it can."
        raise OutcomeError(Issue("forbidden", text))
    programs = binaries.reachable(binaries.chosen(place.data), who, place.folder)
    if not place.data.exists():
        _initdb(place, programs, who, sync=options.get("fsync") != "off")
    _bury_orphans(place)
    _own(place.socket, who)
    _configure(place, who, options)
    if place.log.exists() and place.log.stat().st_size > LOG_LIMIT_BYTES:
        place.log.replace(place.log.with_suffix(".log.1"))
    with os.fdopen(os.open(place.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "ab") as log:
        since = place.log.stat().st_size
        command = [programs.folder / "postgres", "-D", place.data.resolve()]
        _children[place.data] = subprocess.Popen[bytes](
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, **who.options()
        )
    return since


def _initdb(place: Place, programs: binaries.Programs, who: binaries.Runner, *, sync: bool) -> None:
    # Into a directory beside it, renamed when complete: a killed initdb leaves nothing that looks like data.
    half = place.folder / "data.half"
    shutil.rmtree(half, ignore_errors=True)
    half.mkdir(mode=0o700)
    _own(half, who)
    locale = (
        ["--locale-provider=builtin", "--locale=C.UTF-8"]
        if programs.major >= BUILTIN_LOCALE_SINCE
        else ["--locale=C"]
    )
    command = [programs.folder / "initdb", "-D", half, "-U", "careloom", "-E", "UTF8", "-A", "peer", *locale]
    if not sync:
        command.append("--no-sync")
    result = subprocess.run(command, capture_output=True, text=True, check=False, **who.options())
    if result.returncode:
        raise _explained(
            place, result.stderr.strip().splitlines()[-3:] or [f"initdb ended with {result.returncode}"]
        )
    half.rename(place.data)


def _configure(place: Place, who: binaries.Runner, options: Mapping[str, str]) -> None:
    settings = {
        **configuration(psutil.virtual_memory().total),
        "cluster_name": place.name,
        "listen_addresses": "",
        "unix_socket_directories": str(place.socket.resolve()),
        "unix_socket_permissions": "0700",
    }
    lines = [f"{name} = '{value}'\n" for name, value in {**settings, **options}.items()]
    _write(place.data / "careloom.conf", "".join(lines) + "include_if_exists 'local.conf'\n", who)
    main = place.data / "postgresql.conf"
    include = "include 'careloom.conf'\n"
    if include not in main.read_text():
        _write(main, main.read_text() + include, who)
    # Root and the server's own user come in as the role careloom; nobody else gets through the directory.
    names = {"root", who.name}
    _write(
        place.data / "pg_ident.conf", "".join(f"careloom {name} careloom\n" for name in sorted(names)), who
    )
    _write(place.data / "pg_hba.conf", "local all all peer map=careloom\n", who)


def _answers(place: Place, postmaster: psutil.Process, deadline: float) -> bool:
    """Wait until the server takes a connection: True; or until its process is gone: False."""
    while True:
        try:
            psycopg.connect(place.url("postgres"), connect_timeout=5).close()
        except psycopg.OperationalError as error:
            if living_postmaster(place) is None or not postmaster.is_running():
                return False
            if time.monotonic() > deadline:
                text = f"The database does not answer after {START_TIMEOUT_S:.0f} s: see {place.log}."
                raise OutcomeError(Issue("timeout", text)) from error
            time.sleep(0.02)
        else:
            return True


def _await_pid_file(place: Place, deadline: float) -> None:
    while living_postmaster(place) is None and time.monotonic() < deadline:
        if _children[place.data].poll() is not None:
            return
        time.sleep(0.01)


def _make_database(place: Place) -> None:
    with psycopg.connect(place.url("postgres"), autocommit=True) as connection:
        if not connection.execute("SELECT FROM pg_database WHERE datname = %s", [DATABASE]).rowcount:
            connection.execute("CREATE DATABASE careloom")


def _checked(url: str) -> None:
    try:
        with psycopg.connect(url, connect_timeout=10) as connection:
            major = connection.info.server_version // 10_000
    except psycopg.Error as error:
        # libpq's own words name host, port and cause; they never hold the password.
        why = " ".join(str(error).split())
        raise OutcomeError(
            Issue("no-store", f"The database at CARELOOM_DATABASE_URL does not answer: {why}")
        ) from error
    if major < binaries.OLDEST:
        text = f"The database is PostgreSQL {major}; careloom needs {binaries.OLDEST} or newer."
        raise OutcomeError(Issue("not-supported", text))


def _gone(place: Place, postmaster: psutil.Process) -> bool:
    child = _children.get(place.data)
    deadline = time.monotonic() + STOP_TIMEOUT_S
    while time.monotonic() < deadline:
        if child is not None and child.pid == postmaster.pid and child.poll() is not None:
            _children.pop(place.data, None)
            return True
        with suppress(psutil.NoSuchProcess):
            if postmaster.status() != psutil.STATUS_ZOMBIE and postmaster.is_running():
                time.sleep(0.01)
                continue
        return True
    return False


def _bury_orphans(place: Place) -> None:
    """After a postmaster died hard: see its children out, then take its pid file away.

    PostgreSQL takes a zombie's pid for a living server and refuses to start. Removing the file is safe only when
    no process of the cluster writes any more: that is what PostgreSQL would have checked by it.
    """
    left = orphans(place)
    _, left = psutil.wait_procs(left, timeout=5) if left else ([], [])
    for process in left:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(left, timeout=10)
    if child := _children.pop(place.data, None):
        child.wait(timeout=STOP_TIMEOUT_S)
    (place.data / "postmaster.pid").unlink(missing_ok=True)


def _lay_out(place: Place) -> None:
    try:
        place.folder.mkdir(parents=True, exist_ok=True)
        # The server's user walks through these two and reads neither; all that lies in them is closed itself.
        for folder in (place.folder.parent, place.folder):
            if folder.stat().st_uid == os.geteuid():
                folder.chmod(0o711)
        (place.folder / "ensure.lock").touch(mode=0o600)
        free = shutil.disk_usage(place.folder).free
    except OSError as error:
        text = f"The directory {place.folder} cannot be written ({error.strerror}): set CARELOOM_HOME to one that can."
        raise OutcomeError(Issue("forbidden", text)) from error
    if free < LEAST_FREE_BYTES:
        raise OutcomeError(_full(place))


def _own(folder: Path, who: binaries.Runner) -> None:
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if os.geteuid() == 0:
        os.chown(folder, who.uid, who.gid, follow_symlinks=False)
    elif found.st_uid != who.uid or folder.is_symlink():
        raise OutcomeError(Issue("forbidden", f"The directory {folder} belongs to somebody else: remove it."))


def _write(path: Path, text: str, who: binaries.Runner) -> None:
    path.write_text(text)
    path.chmod(0o600)
    if os.geteuid() == 0:
        os.chown(path, who.uid, who.gid)


@contextmanager
def _locked(place: Place) -> Generator[None]:
    """One process at a time starts or stops the server; the lock goes with its process."""
    with (place.folder / "ensure.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _failure(place: Place, since: int) -> OutcomeError:
    with place.log.open("rb") as log:
        log.seek(since)
        lines = log.read().decode(errors="replace").splitlines()
    return _explained(place, lines or ["it said nothing"])


def _explained(place: Place, lines: list[str]) -> OutcomeError:
    """One sentence from the server's last words."""
    weighty = [line for line in lines if any(word in line for word in ("FATAL", "PANIC", "error:"))] or lines
    why = weighty[-1].split("FATAL:")[-1].split("PANIC:")[-1].strip()
    everything = " ".join(lines)
    if "No space left on device" in everything:
        return OutcomeError(_full(place))
    code: IssueCode = "exception"
    if "Permission denied" in everything:
        code = "forbidden"
    elif "already in use" in everything or "already exists" in everything:
        code = "lock-error"
    return OutcomeError(Issue(code, f"The database did not start: {why} (see {place.log})."))


def _full(place: Place) -> Issue:
    need = LEAST_FREE_BYTES // 1_000_000
    return Issue(
        "no-store", f"The disk under {place.folder} is full: free at least {need} MB, then start again."
    )
