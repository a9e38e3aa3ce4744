"""store.identity_key: the secret that keys the stored hashes of demographics, one for each installation.

Room: store. May import: fhir.outcome. Touches: the file `identity.key` in the home, readable by its owner alone.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from secrets import token_hex

from careloom.fhir.outcome import Issue, OutcomeError

NAME = "identity.key"
_LENGTH = 64


def identity_key(home: Path) -> str:
    """The key of this home, made at the first call: 64 hex digits. Raises OutcomeError if it cannot be kept or is damaged."""
    path = home / NAME
    try:
        with suppress(FileExistsError):
            keep(home, token_hex(_LENGTH // 2))
        key = path.read_text(encoding="ascii").strip()
    except (OSError, ValueError) as error:
        text = f"The key {path} cannot be kept ({type(error).__name__}): give the home room and rights."
        raise OutcomeError(Issue("no-store", text)) from error
    if len(key) != _LENGTH:
        text = f"The key {path} is damaged: bring it back from a backup, or set CARELOOM_IDENTITY_SALT."
        raise OutcomeError(Issue("exception", text))
    return key


def keep(home: Path, key: str) -> None:
    """Write a key into a home that has none, all of it or nothing. Raises FileExistsError where one is."""
    half = home / f"{NAME}.{token_hex(4)}"
    handle = os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(key + "\n")
            file.flush()
            os.fsync(file.fileno())
        os.link(half, home / NAME)
    finally:
        half.unlink()
