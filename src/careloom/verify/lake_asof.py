"""verify.lake_asof: the lake as of a transaction is what a replay of the feed up to it gives.

Room: verify. A store of its own: bundles, messages, then changes and deletions; a lake that is fed in parts.
"""

from __future__ import annotations

import random

from careloom.lake import compaction
from careloom.lake.build import writing
from careloom.settings import Settings
from careloom.verify.figure import Figure
from careloom.verify.lake_store import Held, hl7, shore, synthea
from careloom.verify.progress import progress

NAME = "lake-asof"
SEED = 20
TIMES = 20


def check(
    settings: Settings, *, bundles: int = 20, messages: int = 200, changes: int = 1_500
) -> list[Figure]:
    """Twenty transactions drawn by lot, before the ends of versions are filled in and after."""
    chance = random.Random(SEED)  # noqa: S311 - reproducible, not secret
    with progress(NAME, None) as told, shore(NAME) as store:
        told("filling a store", 0)
        store.accept(synthea(settings, bundles), hl7(messages))
        for _ in range(10):
            store.change(changes // 10, chance)
            store.build(500)
        feed = [(cursor.tx, one.rtype, one.id, one.version, one.body) for cursor, one in store.feed()]
        times = chance.sample(sorted({tx for tx, *_ in feed}), TIMES)
        told("before compaction", 0)
        right = sum(store.seen(tx) == _replay(feed, tx) for tx in times[: TIMES // 2])
        with writing(store.database, store.root) as writer:
            for rtype in writer.types:
                compaction.settle(writer, rtype, is_whole=True)
                compaction.gather(writer, rtype)
        told("after compaction", 0)
        right += sum(store.seen(tx) == _replay(feed, tx) for tx in times[TIMES // 2 :])
        is_now = store.seen() == _replay(feed, feed[-1][0])
    ended = sum(version > 1 for *_, version, _ in feed)
    return [
        Figure(check=f"{NAME}.times", passed=right, failed=TIMES - right),
        Figure(check=f"{NAME}.now", passed=int(is_now), failed=int(not is_now)),
        Figure(check=f"{NAME}.versions", value=len(feed), unit="versions"),
        Figure(check=f"{NAME}.ended", value=ended, unit="versions"),
    ]


def _replay(feed: list[tuple[int, str, str, int, bytes]], end: int) -> Held:
    held: Held = {}
    for tx, rtype, id_, version, body in feed:
        if tx <= end:
            held[rtype, id_] = (version, body)
    return {name: kept for name, kept in held.items() if kept[1]}
