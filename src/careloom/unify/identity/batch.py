"""unify.identity.batch: the partition of many records at once, by the same rules as the station's.

Room: unify. May import: blocking, decide, cluster. For measurements and for what-if runs over a whole population.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from careloom.unify.identity.blocking import Index
from careloom.unify.identity.cluster import Edge, Partition, partition
from careloom.unify.identity.decide import Decision, contradicts, decide
from careloom.unify.identity.record import Record

RANKS = {"replaced-by": 1, "same-number": 2, "national-id": 2}
"""Rank of an edge by the rule that made it; the score's is 3."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What came of it: the partition, and the pairs that were linked or wait for a steward."""

    partition: Partition
    decided: dict[tuple[str, str], Decision]


def batch(records: Iterable[Record]) -> Batch:
    """Block, decide each candidate pair once, and partition; no steward has ruled here."""
    by_id = {record.id: record for record in records}
    index = Index(by_id.values())
    decided: dict[tuple[str, str], Decision] = {}
    for record in by_id.values():
        for other in index.candidates(record):
            if record.id < other or record.id not in index.candidates(by_id[other]):
                pair = (min(record.id, other), max(record.id, other))
                decided[pair] = decide(by_id[pair[0]], by_id[pair[1]])
    decided = {pair: decision for pair, decision in decided.items() if decision.grade != "no"}
    edges = [edge(pair, decision) for pair, decision in decided.items() if decision.grade == "link"]
    return Batch(partition(by_id, edges, lambda a, b, rank: conflicts(by_id[a], by_id[b], rank)), decided)


def edge(pair: tuple[str, str], decision: Decision) -> Edge:
    """The edge of a pair that was decided to be one."""
    return Edge(*pair, RANKS.get(decision.rule, 3), decision.explanation.score)


def conflicts(one: Record, two: Record, rank: int) -> bool:
    """True if an edge of this rank may not bring the two into one person: the source's own merge always may."""
    return rank > 1 and contradicts(one, two)
