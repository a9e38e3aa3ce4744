"""A figure is judged by its floor, and a check that proved nothing is not ok."""

from __future__ import annotations

from careloom.verify.figure import Figure, judged


def test_a_value_below_its_floor_fails():
    assert not judged(Figure(check="a", value=0.5), {"a": {"least": 0.9}}, 0).ok
    assert judged(Figure(check="a", value=0.95), {"a": {"least": 0.9}}, 0).ok


def test_a_failed_case_fails_the_check_unless_the_floor_allows_it():
    assert not judged(Figure(check="a", passed=10, failed=1), {}, 0).ok
    assert judged(Figure(check="a", passed=10, failed=1), {"a": {"failed": 1}}, 0).ok


def test_a_check_that_ran_nothing_is_not_ok():
    assert not judged(Figure(check="a"), {}, 0).ok


def test_a_value_without_floor_and_cases_proves_nothing():
    assert not judged(Figure(check="a", value=1.0), {}, 0).ok


def test_an_absent_suite_is_not_ok():
    assert not judged(Figure(check="a", passed=3, note="suite absent"), {}, 0).ok
