from __future__ import annotations

from careloom.web.pace import FIRST_REST_S, LIMIT, PATIENCE_S, QUICK_S, REST_S, Pace, kind_of


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


def test_a_kind_that_is_slow_each_time_is_tried_ever_more_seldom_and_one_that_stalls_once_rests_but_shortly() -> (
    None
):
    clock = Clock()
    pace = Pace(clock)
    rests: list[float] = []
    for _ in range(9):
        pace.took("search", PATIENCE_S)
        before = clock.now
        while not pace.is_quick("search"):
            clock.now += FIRST_REST_S / 10
        rests.append(round(clock.now - before, 2))
    assert rests == [0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0, 2.0]
    clock.now += REST_S
    pace.took("search", QUICK_S / 4)
    pace.took("search", PATIENCE_S)
    clock.now += 2 * FIRST_REST_S
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
