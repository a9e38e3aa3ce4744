"""connect.archive: open a file and whatever is packed in it (.gz .zst .tar .zip, nested), as streams.

Room: connect. May import: fhir. Touches: the files that it is given; a temporary file for a zip within an archive.

Nothing is unpacked to disk and no archive is held in memory: members come one after the other, each to be read before
the next. What a file is, its first bytes say, not its name.
"""

from __future__ import annotations

import gzip
import io
import shutil
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

import zstandard

from careloom.fhir.outcome import Issue, OutcomeError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_HEAD_BYTES = 512
_BUFFER_BYTES = 256 * 1024
_DEPTH = 4
_ZSTD, _GZIP, _ZIP, _TAR = b"\x28\xb5\x2f\xfd", b"\x1f\x8b", b"PK\x03\x04", b"ustar"
# `zstd --long=31` is the largest window there is; the memory is taken only if the archive asks for it.
_ZSTD_WINDOW = 2**31
# So many packed bytes become at most 128 MiB (a block of 4 bytes can stand for 128 KiB), and 30 KiB as a rule.
_ZSTD_STEP_BYTES = 4096

_BROKEN = (
    OSError,
    EOFError,
    zlib.error,
    tarfile.TarError,
    zipfile.BadZipFile,
    zstandard.ZstdError,
    RuntimeError,  # zipfile: a member is encrypted
    NotImplementedError,  # zipfile: an unknown compression
)


class Stream(Protocol):
    """What can be read."""

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes; none at the end."""
        ...


def members(path: Path, counted: Callable[[int], None]) -> Iterator[tuple[str, io.BufferedReader]]:
    """Each plain file in `path` (or the file itself): its name within, and its bytes.

    `counted` is told the bytes read of `path` as they are read. Raises OutcomeError(incomplete) where an archive is
    broken off or encrypted, after the members before that place. Read members within `reading()`.
    """
    with reading():
        file = path.open("rb")
    with file:
        yield from _opened(path.name, _Counting(file, counted), 0)


@contextmanager
def reading() -> Generator[None]:
    """What goes wrong in reading a packed stream becomes an OutcomeError."""
    try:
        yield
    except _BROKEN as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
        raise OutcomeError(Issue("incomplete", f"The file cannot be read to its end: {reason}.")) from error


def _opened(name: str, raw: Stream, depth: int) -> Iterator[tuple[str, io.BufferedReader]]:
    if depth > _DEPTH:
        raise OutcomeError(Issue("too-costly", f"Archives are nested more than {_DEPTH} deep."))
    with reading():
        head = raw.read(_HEAD_BYTES)
    stream = io.BufferedReader(cast("Any", _Ahead(head, raw)), _BUFFER_BYTES)
    if head.startswith(_ZSTD):
        yield from _opened(name.removesuffix(".zst"), _Unzstd(stream), depth + 1)
    elif head.startswith(_GZIP):
        yield from _opened(name.removesuffix(".gz"), gzip.GzipFile(fileobj=stream), depth + 1)
    elif head[257:262] == _TAR:
        yield from _tar(name, stream, depth + 1)
    elif head.startswith(_ZIP) and name.lower().endswith(".zip"):
        yield from _zip(name, raw if isinstance(raw, _Counting) else stream, depth + 1)
    else:
        yield name, stream


def _tar(name: str, stream: io.BufferedReader, depth: int) -> Iterator[tuple[str, io.BufferedReader]]:
    with reading():
        tar = tarfile.open(fileobj=stream, mode="r|")  # noqa: SIM115 - closed with its stream
    while True:
        with reading():
            member = tar.next()
            content = tar.extractfile(member) if member is not None and member.isreg() else None
        if member is None:
            return
        # tarfile remembers every member for ever; an archive of millions would fill the memory.
        cast("Any", tar).members.clear()
        if content is not None:
            yield from _opened(f"{name}!{member.name}", cast("Stream", content), depth)


def _zip(
    name: str, stream: _Counting | io.BufferedReader, depth: int
) -> Iterator[tuple[str, io.BufferedReader]]:
    # The table of contents stands at the end: a zip within a stream must be laid down to be sought in.
    with tempfile.TemporaryFile() as spool:
        with reading():
            if not stream.seekable():
                shutil.copyfileobj(stream, spool, _BUFFER_BYTES)
            archive = zipfile.ZipFile(stream if stream.seekable() else spool)
        for member in archive.infolist():
            if not member.is_dir():
                with reading():
                    content = archive.open(member)
                yield from _opened(f"{name}!{member.filename}", cast("Stream", content), depth)


class _Ahead(io.RawIOBase):
    """A stream whose first bytes were read already."""

    def __init__(self, head: bytes, rest: Stream) -> None:
        self._head = head
        self._rest = rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        view = memoryview(buffer)
        data = self._head[: len(view)] or self._rest.read(len(view))
        self._head = self._head[len(view) :]
        view[: len(data)] = data
        return len(data)


class _Unzstd:
    """The content of zstd frames. zstandard's own stream_reader takes a frame that is broken off for its end."""

    def __init__(self, packed: Stream) -> None:
        self._packed = packed
        self._frame = self._new_frame()
        self._is_begun = False
        self._rest = memoryview(b"")

    def read(self, size: int, /) -> bytes:
        while not self._rest:
            data = self._frame.unused_data if self._frame.eof else b""
            if self._frame.eof:
                self._frame, self._is_begun = self._new_frame(), False
            data = data or self._packed.read(_ZSTD_STEP_BYTES)
            if not data:
                if self._is_begun:
                    raise EOFError
                return b""
            self._is_begun = True
            self._rest = memoryview(self._frame.decompress(data))
        taken, self._rest = self._rest[:size], self._rest[size:]
        return bytes(taken)

    @staticmethod
    def _new_frame() -> zstandard.ZstdDecompressionObj:
        return zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW).decompressobj()


class _Counting(io.RawIOBase):
    """A file that says how much of it was read."""

    def __init__(self, file: io.BufferedReader, counted: Callable[[int], None]) -> None:
        self._file = file
        self._counted = counted

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return self._file.seekable()

    def seek(self, offset: int, whence: int = 0, /) -> int:
        return self._file.seek(offset, whence)

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        count = self._file.readinto(buffer)
        self._counted(count)
        return count
