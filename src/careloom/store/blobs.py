"""store.blobs: bytes too large for a row, as files named by their content hash.

Room: store. May import: fhir.outcome. Touches: `home/blobs`.

A blob is written to a temporary name, forced to disk, and renamed: a name that exists is complete. It is written
before the row that points to it, so that a crash leaves at most a blob without a row, never a row without a blob.
"""

from __future__ import annotations

import errno
import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from careloom.fhir.outcome import Issue, OutcomeError


class Blobs:
    """The blobs under one folder, two levels deep: `ab/abcdef...`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def put(self, content: bytes) -> str:
        """Keep the bytes; return their SHA-256 in hex. The same bytes are kept once.

        Raises OutcomeError `no-store` when the disk is full, `forbidden` when the folder cannot be written.
        """
        name = hashlib.sha256(content).hexdigest()
        target = self.path(name)
        if target.exists():
            return name
        try:
            # With a database at a URL nothing else may have made the home yet.
            self.folder.parent.mkdir(parents=True, exist_ok=True)
            for folder in (self.folder, target.parent):
                folder.mkdir(mode=0o700, exist_ok=True)
            _write(target, content)
        except OSError as error:
            raise _explained(self.folder, error) from error
        return name

    def read(self, name: str) -> bytes:
        """The bytes of this hash. Raises OutcomeError `not-found`, or `exception` when the disk altered them."""
        try:
            content = self.path(name).read_bytes()
        except FileNotFoundError as error:
            text = f"The blob {name} is missing under {self.folder}: restore it from a backup."
            raise OutcomeError(Issue("not-found", text)) from error
        if hashlib.sha256(content).hexdigest() != name:
            text = f"The blob {name} does not match its hash: the disk altered it; restore it from a backup."
            raise OutcomeError(Issue("exception", text))
        return content

    def names(self) -> Iterator[str]:
        """Every hash that is kept."""
        for path in sorted(self.folder.glob("??/*")):
            if not path.name.startswith("."):
                yield path.name

    def path(self, name: str) -> Path:
        """Where the blob of this hash lies."""
        return self.folder / name[:2] / name


def _write(target: Path, content: bytes) -> None:
    handle, half = tempfile.mkstemp(prefix=".", dir=target.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(half).rename(target)
    except BaseException:
        with suppress(FileNotFoundError):
            Path(half).unlink()
        raise
    # The rename itself is on disk only when its directory is.
    directory = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _explained(folder: Path, error: OSError) -> OutcomeError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return OutcomeError(
            Issue("no-store", f"The disk under {folder} is full: free some space, then try again.")
        )
    text = f"The folder {folder} cannot be written ({error.strerror}): give careloom the right to."
    return OutcomeError(Issue("forbidden", text))
