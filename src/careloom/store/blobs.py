"""store.blobs: bytes too large for a row, as files named by their content hash.

Room: store. May import: fhir.outcome. Touches: `home/blobs`.

A blob is written, whole or piece by piece, to a temporary name, forced to disk, and renamed: a name that exists is complete. It is written
before the row that points to it, so that a crash leaves at most a blob without a row, never a row without a blob.
"""

from __future__ import annotations

import errno
import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from careloom.fhir.outcome import Issue, OutcomeError

HALF = ".half-"
"""How the name of a blob begins that is still coming."""


class Blob(NamedTuple):
    """A blob that is kept."""

    name: str
    """SHA-256 of its bytes, in hex."""
    size: int


class Blobs:
    """The blobs under one folder, two levels deep: `ab/abcdef...`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def put(self, content: bytes) -> Blob:
        """Keep the bytes; the same bytes are kept once.

        Raises OutcomeError `no-store` when the disk is full, `forbidden` when the folder cannot be written.
        """
        name = hashlib.sha256(content).hexdigest()
        if self.path(name).exists():
            return Blob(name, len(content))
        incoming = self.incoming()
        try:
            incoming.write(content)
            return incoming.keep()
        finally:
            incoming.drop()

    def incoming(self) -> Incoming:
        """A blob that comes piece by piece; raises as `put` does."""
        try:
            # With a database at a URL nothing else may have made the home yet.
            self.folder.parent.mkdir(parents=True, exist_ok=True)
            self.folder.mkdir(mode=0o700, exist_ok=True)
            return Incoming(self)
        except OSError as error:
            raise explained(self.folder, error) from error

    def sweep(self, before: datetime) -> int:
        """Remove what began to come before this moment, never ended, and belongs to a process that was killed."""
        swept = 0
        for path in self.folder.glob(f"{HALF}*"):
            with suppress(FileNotFoundError):
                if path.stat().st_mtime < before.timestamp():
                    path.unlink()
                    swept += 1
        return swept

    def read(self, name: str) -> bytes:
        """The bytes of this hash. Raises OutcomeError `not-found`, or `exception` when the disk altered them."""
        try:
            content = self.path(name).read_bytes()
        except FileNotFoundError as error:
            raise _missing(self.folder, name) from error
        if hashlib.sha256(content).hexdigest() != name:
            text = f"The blob {name} does not match its hash: the disk altered it; restore it from a backup."
            raise OutcomeError(Issue("exception", text))
        return content

    def beginning(self, name: str, size: int) -> bytes:
        """The first bytes of a blob that is too large to be read whole; they are not held to the hash."""
        try:
            with self.path(name).open("rb") as file:
                return file.read(size)
        except FileNotFoundError as error:
            raise _missing(self.folder, name) from error

    def names(self) -> Iterator[str]:
        """Every hash that is kept."""
        for path in sorted(self.folder.glob("??/*")):
            if not path.name.startswith("."):
                yield path.name

    def path(self, name: str) -> Path:
        """Where the blob of this hash lies."""
        return self.folder / name[:2] / name


class Incoming:
    """A blob on its way: write, then keep; what is not kept is dropped. One thread at a time."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs
        handle, half = tempfile.mkstemp(prefix=HALF, dir=blobs.folder)
        self._half = Path(half)
        self._file = os.fdopen(handle, "wb")
        self._hash = hashlib.sha256()
        self._size = 0

    def write(self, piece: bytes) -> None:
        """Add some bytes. Raises OutcomeError as `Blobs.put` does."""
        self._hash.update(piece)
        self._size += len(piece)
        try:
            self._file.write(piece)
        except OSError as error:
            raise explained(self._blobs.folder, error) from error

    def keep(self) -> Blob:
        """That was all: it is on disk when this returns."""
        blob = Blob(self._hash.hexdigest(), self._size)
        target = self._blobs.path(blob.name)
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
            target.parent.mkdir(mode=0o700, exist_ok=True)
            self._half.rename(target)
            # The rename itself is on disk only when its directory is.
            directory = os.open(target.parent, os.O_RDONLY)
            try:
                os.fsync(directory)
            finally:
                os.close(directory)
        except OSError as error:
            raise explained(self._blobs.folder, error) from error
        return blob

    def drop(self) -> None:
        """Let go of it; what was kept stays."""
        # A full disk is told of once more when the rest of what was buffered cannot be written.
        with suppress(OSError):
            self._file.close()
        with suppress(FileNotFoundError):
            self._half.unlink()


def _missing(folder: Path, name: str) -> OutcomeError:
    text = f"The blob {name} is missing under {folder}: restore it from a backup."
    return OutcomeError(Issue("not-found", text))


def explained(folder: Path, error: OSError) -> OutcomeError:
    """Why a folder could not be written, for who runs careloom."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return OutcomeError(
            Issue("no-store", f"The disk under {folder} is full: free some space, then try again.")
        )
    text = f"The folder {folder} cannot be written ({error.strerror}): give careloom the right to."
    return OutcomeError(Issue("forbidden", text))
