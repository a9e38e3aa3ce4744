"""verify.replicas: the Synthea bundles over and over, each time as other people: every UUID in them is exchanged.

Room: verify. Touches: the folder that it is given. Only ids change, so that what grows with a store is the number of its rows and nothing else.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

from careloom.verify.archive import files

_UUID = re.compile(rb"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


def replicated(archive: Path, folder: Path, wanted: int, *, first: int = 0) -> int:
    """Write bundles of at least `wanted` resources into the folder; how many they hold. Copy 0 is as published."""
    folder.mkdir(parents=True, exist_ok=True)
    written = 0
    for name, raw in _bundles(archive, first):
        if written >= wanted:
            break
        (folder / name).write_bytes(raw)
        written += raw.count(b'"fullUrl"')
    return written


def _bundles(archive: Path, copy: int) -> Iterator[tuple[str, bytes]]:
    bundles = sorted(files(archive))
    while True:
        for place, (_, raw) in enumerate(bundles):
            yield f"{copy:03d}-{place:05d}.json", _renamed(raw, copy)
        copy += 1


def _renamed(raw: bytes, copy: int) -> bytes:
    if copy == 0:
        return raw
    salt = copy.to_bytes(4, "big")

    def other(found: re.Match[bytes]) -> bytes:
        digest = hashlib.blake2b(found[0], digest_size=16, key=salt).hexdigest()
        return "-".join((digest[:8], digest[8:12], digest[12:16], digest[16:20], digest[20:])).encode()

    return _UUID.sub(other, raw)
