"""store.dictionary: bodies are compressed with zstd and a dictionary of their kind; dictionaries have versions.

Room: store. Touches: the table dictionary. https://github.com/facebook/zstd#dictionary-compression-how-to

A FHIR body is small and alike its siblings: with a trained dictionary it shrinks some sevenfold, alone twofold.
The dictionary that ships was trained on records made up by scripts/train_dictionary.py; a type gets its own from the
store's rows once a connection has written some hundreds of it. A row names its dictionary: old rows stay readable.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from hashlib import blake2b
from importlib.resources import files

import zstandard

from careloom.store.database import Connection
from careloom.store.fetch import fetch

SHIPPED = 1
"""Number of the dictionary that ships with careloom."""

LEVEL = 3
DICTIONARY_BYTES = 16_384
"""Four times as much compressed Synthea no better (111 against 117 bytes an Observation) and slower."""
FIRST_TRAINING = 500
"""After so many bodies of a type with the shipped dictionary, a connection trains one for the type."""
TRAINING_LOCK = 4_214_010
"""An arbitrary number: the class of the advisory lock under which a type's first dictionary is trained."""
REFRESH = timedelta(minutes=1)
"""How long a connection goes on with the dictionaries it knows when newer ones were trained."""

_FRAME = zstandard.ZstdCompressionParameters.from_level(LEVEL, write_dict_id=0, write_checksum=0)


class Codec:
    """Compresses and restores bodies for one connection (a zstd context serves one thread at a time)."""

    def __init__(self) -> None:
        self._current: dict[int, int] = {}
        self._read: datetime | None = None
        self._untrained: Counter[int] = Counter()
        self._compressors: dict[int, zstandard.ZstdCompressor] = {}
        self._restorers: dict[int, Callable[[bytes], bytes]] = {}

    def refresh(self, connection: Connection, now: datetime) -> None:
        """Ask which dictionaries are current, at most once a minute."""
        if self._read is not None and abs(now - self._read) < REFRESH:
            return
        # Only dictionaries whose transaction has certainly committed: a row must never name one that was rolled back.
        rows = connection.execute(
            "select rtype, max(id) from dictionary where born < feed_horizon() group by rtype"
        )
        self._current = dict(rows.fetchall())
        self._read = now

    def compress(self, connection: Connection, type_number: int, body: bytes) -> tuple[int, bytes]:
        """(number of the dictionary, frame)."""
        number = self._current.get(type_number, SHIPPED)
        if number == SHIPPED:
            self._untrained[type_number] += 1
        compressor = self._compressors.get(number)
        if compressor is None:
            content = _content(connection, number)
            compressor = zstandard.ZstdCompressor(dict_data=content, compression_params=_FRAME)
            self._compressors[number] = compressor
        return number, compressor.compress(body)

    def restore(self, connection: Connection, number: int, frame: bytes) -> bytes:
        """The body of a frame; b"" for the empty frame of a deletion."""
        return self.restorer(connection, {number})[number](frame) if frame else b""

    def restorer(self, connection: Connection, numbers: set[int]) -> Mapping[int, Callable[[bytes], bytes]]:
        """By the number of a dictionary what restores its frames, for these numbers at least."""
        for number in numbers - self._restorers.keys():
            decompressor = zstandard.ZstdDecompressor(dict_data=_content(connection, number))
            self._restorers[number] = decompressor.decompress
        return self._restorers

    def train_firsts(self, connection: Connection, now: datetime) -> None:
        """Train the first dictionary of each type that this connection has written often enough for it."""
        due = [number for number, count in self._untrained.items() if count >= FIRST_TRAINING]
        for type_number in due:
            del self._untrained[type_number]
            row = connection.execute(FREE_TO_TRAIN, [TRAINING_LOCK, type_number, type_number]).fetchone()
            if row and row[0]:
                train(connection, self, type_number, now)
                self._read = None


FREE_TO_TRAIN = """
select pg_try_advisory_xact_lock(%s, %s) and not exists (select from dictionary where rtype = %s)"""


def train(
    connection: Connection, codec: Codec, type_number: int, now: datetime, samples: int = 4_000
) -> int | None:
    """Train a dictionary for a type from a sample of its rows; its number, or None if there is too little to learn.

    Rows written from then on use it (other connections within a minute); those written before stay as they are.
    """
    rows = connection.execute(
        "select dict, body from res where rtype = %s and not is_deleted order by rid desc limit %s",
        [type_number, samples],
    ).fetchall()
    bodies = [codec.restore(connection, number, frame) for number, frame in rows]
    if sum(map(len, bodies)) < 8 * DICTIONARY_BYTES:
        return None
    try:
        # The stubs ask for a list of ByteString, which Python is giving up.
        content = zstandard.train_dictionary(DICTIONARY_BYTES, bodies).as_bytes()  # pyright: ignore[reportArgumentType]
    except zstandard.ZstdError:
        return None
    row = connection.execute(
        "insert into dictionary (id, rtype, digest, born, trained, rows, bytes)"
        " select greatest(coalesce(max(id), 0), 99) + 1, %s, %s, feed_now(), %s,"
        " (select count(*) from res where rtype = %s), %s from dictionary returning id",
        [type_number, _digest(content), now, type_number, content],
    ).fetchone()
    return row[0] if row else None


def _content(connection: Connection, number: int) -> zstandard.ZstdCompressionDict:
    if number == SHIPPED:
        return _shipped()
    rows = fetch(connection, b"select digest from dictionary where id = %s", [number])
    digest = bytes(rows[0][0]) if rows else b""
    if digest not in _shared:
        rows = fetch(connection, b"select bytes from dictionary where id = %s", [number])
        if not rows:
            raise LookupError(f"dictionary {number} is not in this database")
        _shared[digest] = _prepared(bytes(rows[0][0]))
    return _shared[digest]


_shared: dict[bytes, zstandard.ZstdCompressionDict] = {}
"""Digest -> dictionary: the connections of a process share the prepared tables, some hundred KiB each."""


@lru_cache(maxsize=1)
def _shipped() -> zstandard.ZstdCompressionDict:
    return _prepared((files("careloom.store") / "shipped.zdict").read_bytes())


def _prepared(content: bytes) -> zstandard.ZstdCompressionDict:
    prepared = zstandard.ZstdCompressionDict(content)
    prepared.precompute_compress(compression_params=_FRAME)
    return prepared


def _digest(content: bytes) -> bytes:
    return blake2b(content, digest_size=16).digest()
