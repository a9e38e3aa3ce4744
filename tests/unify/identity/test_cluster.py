"""A partition does not depend on the order of what it was made of, and holds no contradiction."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from careloom.unify.identity.cluster import Edge, partition

IDS = "abcdefgh"
PAIRS = [(one, two) for one in IDS for two in IDS if one < two]
EDGES = st.lists(
    st.builds(
        lambda pair, rank, score: Edge(*pair, rank, Decimal(score)),
        st.sampled_from(PAIRS),
        st.integers(0, 3),
        st.integers(0, 9),
    ),
    max_size=12,
)
CONFLICTS = st.sets(st.sampled_from(PAIRS), max_size=6)


@settings(max_examples=150)
@given(EDGES, CONFLICTS, st.randoms(use_true_random=False))
def test_order_does_not_matter_and_no_conflict_is_inside(
    edges: list[Edge], against: set[tuple[str, str]], random
):
    def conflict(one: str, two: str, rank: int) -> bool:
        return (min(one, two), max(one, two)) in against

    first = partition(IDS, edges, conflict)
    shuffled = [Edge(edge.two, edge.one, edge.rank, edge.score) for edge in edges]
    random.shuffle(shuffled)
    second = partition(reversed(IDS), shuffled, conflict)
    assert first.clusters == second.clusters
    assert {frozenset({edge.one, edge.two}) for edge in first.refused} == {
        frozenset({edge.one, edge.two}) for edge in second.refused
    }
    assert sorted(each for cluster in first.clusters for each in cluster) == list(IDS)
    for cluster in first.clusters:
        assert not any(one in cluster and two in cluster for one, two in against)


def test_the_stronger_edge_wins_the_contested_record():
    edges = [Edge("a", "b", 3, Decimal(5)), Edge("b", "c", 3, Decimal(9))]
    result = partition("abc", edges, lambda one, two, rank: {one, two} == {"a", "c"})
    assert result.clusters == (frozenset("a"), frozenset("bc"))
    assert [edge.one + edge.two for edge in result.refused] == ["ab"]
