"""Values of a composite put together mean what they meant one by one."""

from __future__ import annotations

from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from careloom.fhir.queryvalue import Token
from careloom.store.composite import gathered, of_the_row
from careloom.store.condition import Condition

TOKENS = st.sampled_from([Token(None, code) for code in "abcde"])


@given(
    st.lists(st.tuples(TOKENS, TOKENS), min_size=1) | st.lists(st.tuples(TOKENS, TOKENS, TOKENS), min_size=1)
)
def test_what_is_put_together_means_the_same(rows: list[tuple[Token, ...]]) -> None:
    found = gathered(rows)
    assert {parts for slots in found for parts in product(*slots)} == set(rows)
    assert len(found) <= len(set(rows))


def test_many_values_of_few_codes_are_few_questions() -> None:
    rows = [(Token(None, f"code{number % 10}"), Token(None, str(number))) for number in range(200)]
    assert len(gathered(rows)) == 10
    assert len(gathered([(value, code) for code, value in rows])) == 10


def test_one_subquery_is_looked_up_row_by_row_and_several_are_left() -> None:
    assert of_the_row(Condition("exists (select 1)")).sql == "exists (select 1 offset 0)"
    several = Condition("(exists (select 1) or exists (select 2))")
    assert of_the_row(several) == several
