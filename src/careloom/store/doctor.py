"""store.doctor: looks at the machine and the store, and says in a sentence each what is wrong and what to do.

Room: store. May import: settings, fhir.outcome. Touches: the database, the home, ports of loopback.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import cast
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import psutil
import psycopg

from careloom.fhir.outcome import OutcomeError
from careloom.settings import Settings
from careloom.store.audit import verify_chain
from careloom.store.database import Connection, Database, migrations
from careloom.store.events import waiting_s
from careloom.store.server import ensure

LEAST_FREE_BYTES = 2_000_000_000
DISCREET = {
    "log_min_messages": ("log", "fatal", "panic"),
    "log_min_error_statement": ("panic", "fatal", "log"),
    "log_statement": ("none", "ddl"),
    "log_min_duration_statement": ("-1",),
}
"""Settings of PostgreSQL under which no error and no statement of ours is written to its log; the first is advised."""

LONGEST_WAIT_S = 60.0
MOST_SKEW_S = 5.0


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    name: str
    ok: bool
    sentence: str


def examine(settings: Settings) -> list[Finding]:
    """Look at everything; what cannot be looked at, because something before it is wrong, is left out."""
    findings = [_disk(settings), _ports(settings), _zone(settings)]
    try:
        server = ensure(settings)
    except OutcomeError as error:
        return [*findings, Finding("database", ok=False, sentence=str(error))]
    database = Database(server.url)
    try:
        with database.connection() as connection:
            found, logged = _database(connection, settings), database_log(connection)
            is_new = connection.execute("SELECT to_regclass('audit_seal') IS NULL").fetchone() == (True,)
            looks: tuple[Callable[[Connection], Finding], ...] = (
                () if is_new else (_migrations, _clock, _chain, _quarantine, _queue)
            )
            return [*findings, found, logged, *(look(connection) for look in looks)]
    except (OutcomeError, psycopg.Error) as error:
        words = str(error) if isinstance(error, OutcomeError) else type(error).__name__
        return [
            *findings,
            Finding("database", ok=False, sentence=f"The database gave up while asked: {words}"),
        ]
    finally:
        database.close()
        server.stop()


def _disk(settings: Settings) -> Finding:
    place = next(folder for folder in (settings.home, *settings.home.absolute().parents) if folder.exists())
    free = shutil.disk_usage(place).free
    if free < LEAST_FREE_BYTES:
        need = LEAST_FREE_BYTES / 1e9
        return Finding(
            "disk", ok=False, sentence=f"{free / 1e9:.1f} GB are free at {place}: keep {need:.0f} GB free."
        )
    return Finding("disk", ok=True, sentence=f"{free / 1e9:.1f} GB are free at {place}.")


def _ports(settings: Settings) -> Finding:
    wanted = {settings.port, settings.mllp_port, settings.flight_port} - {0}
    try:
        listeners = [each for each in psutil.net_connections("tcp") if each.status == psutil.CONN_LISTEN]
    except psutil.AccessDenied:
        return Finding(
            "ports", ok=True, sentence="This system shows the open ports to root only; not looked at."
        )
    taken = {each.laddr.port: each.pid for each in listeners if each.laddr and each.laddr.port in wanted}
    strangers = [port for port, pid in sorted(taken.items()) if not _is_careloom(pid)]
    if strangers:
        text = f"Port {strangers[0]} is used by another program: stop it, or set CARELOOM_PORT, CARELOOM_MLLP_PORT or CARELOOM_FLIGHT_PORT."
        return Finding("ports", ok=False, sentence=text)
    names = ", ".join(map(str, sorted(wanted)))
    return Finding(
        "ports", ok=True, sentence=f"Ports {names} are {'taken by careloom itself' if taken else 'free'}."
    )


def _is_careloom(pid: int | None) -> bool:
    try:
        return pid is not None and "careloom" in " ".join(psutil.Process(pid).cmdline())
    except psutil.Error:
        return False


def _zone(settings: Settings) -> Finding:
    try:
        ZoneInfo(settings.time_zone)
    except (ZoneInfoNotFoundError, ValueError):
        text = f"CARELOOM_TIME_ZONE={settings.time_zone} is no IANA zone: use one such as Europe/Berlin."
        return Finding("time zone", ok=False, sentence=text)
    return Finding("time zone", ok=True, sentence=f"Times without a zone are read in {settings.time_zone}.")


def _database(connection: Connection, settings: Settings) -> Finding:
    (version,) = cast("tuple[str]", connection.execute("SHOW server_version").fetchone())
    where = "at CARELOOM_DATABASE_URL" if settings.database_url else f"embedded in {_shown(settings.home)}"
    return Finding("database", ok=True, sentence=f"PostgreSQL {version}, {where}, answers.")


def database_log(connection: Connection) -> Finding:
    """Whether the server's log holds what patients are: errors quote values, statements bring their parameters.

    The embedded server is set up not to; that of a URL is its operator's.
    """
    rows = connection.execute("SELECT name, setting FROM pg_settings WHERE name = ANY(%s)", [list(DISCREET)])
    told = sorted(f"{name} = {setting}" for name, setting in rows if setting not in DISCREET[name])
    if told:
        advice = ", ".join(f"{name} = {settings[0]}" for name, settings in DISCREET.items())
        text = (
            f"The database server may write values of patients to its log ({', '.join(told)}): set {advice}."
        )
        return Finding("database log", ok=False, sentence=text)
    return Finding("database log", ok=True, sentence="The database server's log holds no values.")


def _shown(path: Path) -> str:
    return str(path.absolute() / "database")


def _migrations(connection: Connection) -> Finding:
    missing = set(migrations()) - {name for (name,) in connection.execute("SELECT name FROM migration")}
    if missing:
        text = f"{len(missing)} migrations are not applied yet: `careloom up` applies them."
        return Finding("migrations", ok=False, sentence=text)
    return Finding("migrations", ok=True, sentence="All migrations are applied.")


def _clock(connection: Connection) -> Finding:
    (theirs,) = cast("tuple[datetime]", connection.execute("SELECT clock_timestamp()").fetchone())
    skew = abs((datetime.now(UTC) - theirs).total_seconds())
    if skew > MOST_SKEW_S:
        text = f"This machine and the database differ by {skew:.0f} s: set both by a time server (NTP)."
        return Finding("clock", ok=False, sentence=text)
    return Finding("clock", ok=True, sentence="This machine and the database agree about the time.")


def _chain(connection: Connection) -> Finding:
    broken = verify_chain(connection)
    if broken is not None:
        text = f"The audit trail was altered at or after line {broken}: keep a copy of the database, tell your auditor."
        return Finding("audit chain", ok=False, sentence=text)
    return Finding(
        "audit chain", ok=True, sentence="Every sealed line of the audit trail is as it was sealed."
    )


def _quarantine(connection: Connection) -> Finding:
    sql = "SELECT count(*) FROM event WHERE status = 'quarantined'"
    (number,) = cast("tuple[int]", connection.execute(sql).fetchone())
    if number:
        text = f"{number} messages stand in quarantine: an integration engineer looks at them under Messages."
        return Finding("quarantine", ok=True, sentence=text)
    return Finding("quarantine", ok=True, sentence="No message stands in quarantine.")


def _queue(connection: Connection) -> Finding:
    seconds = waiting_s(connection, datetime.now(UTC))
    if seconds > LONGEST_WAIT_S:
        text = f"The oldest unsettled message waits for {seconds:.0f} s: look whether the engine runs (`careloom up`)."
        return Finding("queue", ok=False, sentence=text)
    return Finding("queue", ok=True, sentence="No message waits to be taken in.")
