"""verify.archive: the files of a public archive, .tar.zst or .tgz, read into memory one after the other.

Room: verify. Touches: the file that it is given.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

import zstandard

_WINDOW = 2**31


def files(archive: Path, suffix: str = ".json") -> Iterator[tuple[str, bytes]]:
    """Path within the archive and bytes of each file whose name ends so, in the order of the archive."""
    raw = archive.read_bytes()
    if archive.suffix == ".zst":
        raw = zstandard.ZstdDecompressor(max_window_size=_WINDOW).stream_reader(raw).read()
    with tarfile.open(fileobj=io.BytesIO(raw)) as tar:
        for member in tar:
            content = tar.extractfile(member) if member.name.endswith(suffix) else None
            if content is not None:
                yield member.name, content.read()
