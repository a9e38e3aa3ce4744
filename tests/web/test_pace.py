from __future__ import annotations

from careloom.web.pace import LIMIT, PATIENCE_S, QUICK_S, REST_S, Pace, kind_of


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_what_is_quick_stays_in_the_loop_and_one_slow_answer_among_many_changes_nothing() -> None:
    pace = Pace(Clock())
    for seconds in [QUICK_S / 4] * 20 + [QUICK_S * 3] + [QUICK_S / 4] * 20:
        pace.took("read", seconds)
        assert pace.is_quick("read")


def test_what_is_slow_on_the_average_goes_to_the_threads_for_a_while_and_is_tried_again() -> None:
    clock = Clock()
    pace = Pace(clock)
    for _ in range(40):
        pace.took("search", QUICK_S * 2)
    assert not pace.is_quick("search")
    assert pace.is_quick("read")
    clock.now += REST_S
    assert pace.is_quick("search")


def test_one_that_was_given_up_goes_to_the_threads_at_once() -> None:
    pace = Pace(Clock())
    pace.took("search", PATIENCE_S)
    assert not pace.is_quick("search")


def test_no_more_kinds_are_remembered_than_the_limit() -> None:
    pace = Pace(Clock())
    for number in range(3 * LIMIT):
        pace.took(str(number), PATIENCE_S if number % 2 else 0.0)
    assert len(pace._mean) <= LIMIT
    assert len(pace._rests) <= LIMIT


def test_a_kind_holds_no_value_but_the_count() -> None:
    assert (
        kind_of("/fhir/Patient", b"name=secret&_count=20&birthdate=1970")
        == "/fhir/Patient?name&_count=20&birthdate"
    )
