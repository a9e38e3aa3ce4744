"""store.server: find a PostgreSQL, or run the embedded one, and stop it when nobody uses it any more.

Room: store. May import: settings, fhir.outcome. Touches: `home/database`, processes.
https://www.postgresql.org/docs/18/server-start.html

The embedded server listens on a Unix socket only, in a directory that only its user may enter, and the kernel
vouches for the caller (peer): there is no port to collide and no password to keep. Each user of the server
holds a shared lock; whoever lets go last stops it, so that a lock dies with its process and never lies.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import psycopg
from psycopg.conninfo import conninfo_to_dict

from careloom.fhir.outcome import Issue, IssueCode, OutcomeError
from careloom.settings import Settings
from careloom.store import binaries
from careloom.store.database import Database
from careloom.store.postmaster import DATABASE, Place, bury, children, halt, living_postmaster
from careloom.store.tuning import configuration

START_TIMEOUT_S = 600.0
"""Long, because a server that was killed replays its log first."""
LEAST_FREE_BYTES = 300_000_000
LOG_LIMIT_BYTES = 10_000_000
BUILTIN_LOCALE_SINCE = 17
PASSING = (
    "starting up",
    "shutting down",
    "recovery mode",
    "not yet accepting",
    "not accepting",
    "too many clients",
)
"""Words of a server that will answer later; at any other refusal it would be waited for in vain."""
WEIGHTY = ("FATAL", "PANIC", "error:")


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
        with _locked(self.place):
            _let_go(self.place, hold)


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
            # Ctrl-C while it starts leaves no process either.
            _let_go(place, hold)
            raise
    return Server(place.url(), place, hold)


@contextmanager
def database_served(settings: Settings) -> Generator[Database]:
    """A migrated database; a server that was started for it is stopped again when nobody else uses it."""
    server = ensure(settings)
    try:
        database = Database(server.url)
        try:
            database.migrate()
            yield database
        finally:
            database.close()
    finally:
        server.stop()


def _let_go(place: Place, hold: int) -> None:
    try:
        with suppress(BlockingIOError):
            fcntl.flock(hold, fcntl.LOCK_EX | fcntl.LOCK_NB)
            halt(place)
    finally:
        os.close(hold)


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
    # Only who starts it asks: a process that joins a running server needs no room.
    if shutil.disk_usage(place.folder).free < LEAST_FREE_BYTES:
        raise OutcomeError(_full(place))
    who = binaries.runner(place.data)
    if not binaries.may_enter(place.folder, who):
        text = f"The database's user {who.name} cannot enter {place.folder}: set CARELOOM_HOME to a place that it can."
        raise OutcomeError(Issue("forbidden", text))
    programs = binaries.reachable(binaries.chosen(place.data), who, place.folder)
    if not place.data.exists():
        _initdb(place, programs, who, sync=options.get("fsync") != "off")
    bury(place)
    _own(place.socket, who)
    _configure(place, who, options)
    if place.log.exists() and place.log.stat().st_size > LOG_LIMIT_BYTES:
        place.log.replace(place.log.with_suffix(".log.1"))
    with os.fdopen(os.open(place.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "ab") as log:
        since = place.log.stat().st_size
        command = [programs.folder / "postgres", "-D", place.data.resolve()]
        children[place.data] = subprocess.Popen[bytes](
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
            if "authentication failed" in str(error):
                text = f"The database under {place.folder} belongs to another user: run careloom as that one."
                raise OutcomeError(Issue("forbidden", text)) from error
            if "FATAL" in str(error) and not any(word in str(error) for word in PASSING):
                raise _explained(place, str(error).splitlines()) from error
            if time.monotonic() > deadline:
                text = f"The database does not answer after {START_TIMEOUT_S:.0f} s: see {place.log}."
                raise OutcomeError(Issue("timeout", text)) from error
            # Each refusal is a line in the server's log.
            time.sleep(0.05)
        else:
            return True


def _await_pid_file(place: Place, deadline: float) -> None:
    while living_postmaster(place) is None and time.monotonic() < deadline:
        if children[place.data].poll() is not None:
            return
        time.sleep(0.01)


def _make_database(place: Place) -> None:
    with psycopg.connect(place.url("postgres"), autocommit=True) as connection:
        if not connection.execute("SELECT FROM pg_database WHERE datname = %s", [DATABASE]).rowcount:
            connection.execute("CREATE DATABASE careloom")


def _checked(url: str) -> None:
    _refuse_unreadable(url)
    try:
        with psycopg.connect(url, connect_timeout=10) as connection:
            major = connection.info.server_version // 10_000
    except psycopg.Error as error:
        # libpq's own words name host, port and cause; of a URL that can be read they never hold the password.
        why = " ".join(str(error).split())
        raise OutcomeError(
            Issue("no-store", f"The database at CARELOOM_DATABASE_URL does not answer: {why}")
        ) from error
    if major < binaries.OLDEST:
        text = f"The database is PostgreSQL {major}; careloom needs {binaries.OLDEST} or newer."
        raise OutcomeError(Issue("not-supported", text))


def _refuse_unreadable(url: str) -> None:
    # A slash or an @ in a password that is not escaped makes a host, a port or a name of the rest of it, and libpq
    # would quote that.
    try:
        parts = conninfo_to_dict(url)
        is_readable = all(port.isdecimal() for port in str(parts.get("port", "0")).split(",") if port)
        is_readable = is_readable and "@" not in f"{parts.get('host', '')}{parts.get('dbname', '')}"
    except psycopg.Error:
        is_readable = False
    if not is_readable:
        text = (
            "CARELOOM_DATABASE_URL cannot be read: write postgresql://user:password@host:5432/name, "
            "with %2F for / and %40 for @ in the password."
        )
        raise OutcomeError(Issue("invalid", text))


def _lay_out(place: Place) -> None:
    try:
        # The server's user walks through these and reads none; all that lies in them is closed itself.
        for folder in (*reversed(place.folder.parents), place.folder):
            if not folder.exists():
                folder.mkdir(exist_ok=True)
                folder.chmod(0o711)
        (place.folder / "ensure.lock").touch(mode=0o600)
    except OSError as error:
        text = f"The directory {place.folder} cannot be written ({error.strerror}): set CARELOOM_HOME to one that can."
        raise OutcomeError(Issue("forbidden", text)) from error


def _own(folder: Path, who: binaries.Runner) -> None:
    """Give a folder to the server's user, closed to all others; refuse one that somebody else has laid there."""
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.is_symlink() or folder.stat().st_uid not in (os.geteuid(), who.uid):
        raise OutcomeError(Issue("forbidden", f"The directory {folder} belongs to somebody else: remove it."))
    if os.geteuid() == 0:
        os.chown(folder, who.uid, who.gid)
    folder.chmod(0o700)


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
    everything = " ".join(lines)
    # A mistake in a configuration file is named in the line before the FATAL that counts the file as bad.
    # Those whom it told to wait are in its log too.
    lines = [line for line in lines if not any(word in line for word in ("contains errors", *PASSING))]
    weighty = [line for line in lines if any(word in line for word in WEIGHTY)] or lines
    why = (
        re.split(r"FATAL: |PANIC: |LOG: |error: ", weighty[-1])[-1].strip() if weighty else "it said nothing"
    )
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
