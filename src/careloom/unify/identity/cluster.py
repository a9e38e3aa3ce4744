"""unify.identity.cluster: links between pairs -> a partition in which no two members contradict each other.

Room: unify. May import: the standard library only. The result depends on the set of edges, never on their order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Edge:
    """A link between two records: rank 0 a steward's, 1 the source's own merge, 2 a deterministic rule, 3 the score."""

    one: str
    two: str
    rank: int
    score: Decimal

    @property
    def order(self) -> tuple[int, Decimal, str, str]:
        """The strongest first; ties are broken by the ids, so that every run agrees."""
        return (self.rank, -self.score, min(self.one, self.two), max(self.one, self.two))


@dataclass(frozen=True, slots=True)
class Partition:
    """Disjoint sets of records, and the edges that the guard refused."""

    clusters: tuple[frozenset[str], ...]
    refused: tuple[Edge, ...]


def partition(
    ids: Iterable[str], edges: Iterable[Edge], conflict: Callable[[str, str, int], bool]
) -> Partition:
    """Join along the edges, the strongest first, unless a member of one side conflicts with one of the other.

    `conflict(a, b, rank)` says whether a and b may not be in one person for the sake of an edge of this rank.

    >>> ann = [Edge("a", "b", 3, Decimal(20)), Edge("b", "c", 3, Decimal(9))]
    >>> result = partition("abc", ann, lambda one, two, rank: {one, two} == {"a", "c"})
    >>> [sorted(cluster) for cluster in result.clusters]
    [['a', 'b'], ['c']]
    """
    home = {each: frozenset({each}) for each in ids}
    refused: list[Edge] = []
    for edge in sorted(edges, key=lambda edge: edge.order):
        left, right = home[edge.one], home[edge.two]
        if left is right:
            continue
        if any(conflict(a, b, edge.rank) for a in left for b in right):
            refused.append(edge)
            continue
        home.update(dict.fromkeys(left | right, left | right))
    clusters = sorted(set(home.values()), key=min)
    return Partition(tuple(clusters), tuple(edge for edge in refused if home[edge.one] != home[edge.two]))
