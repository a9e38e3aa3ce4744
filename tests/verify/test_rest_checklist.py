"""The mapping of behaviours names tests that exist, and a reason where there is none."""

from __future__ import annotations

import pytest

from careloom.settings import settings_from
from careloom.verify import rest_checklist

MAPPED = [
    (area, what, held)
    for area, behaviours in rest_checklist.behaviours().items()
    for what, held in behaviours.items()
]


@pytest.mark.parametrize(("area", "what", "held"), MAPPED, ids=[f"{area}-{what}" for area, what, _ in MAPPED])
def test_each_behaviour_is_held_by_tests_that_exist_or_has_a_reason(
    area: str, what: str, held: list[str] | str
) -> None:
    if isinstance(held, str):
        assert held.endswith(".")
    else:
        assert held
        assert [test for test in held if not rest_checklist.exists(test)] == []


def test_no_area_of_the_checklist_is_forgotten() -> None:
    suite = settings_from().conformance / rest_checklist.SUITE
    if not suite.exists():
        pytest.skip(f"{rest_checklist.SUITE} is absent")
    assert set(rest_checklist.areas(suite.read_text())) == set(rest_checklist.behaviours())


def test_a_test_that_is_not_there_is_seen() -> None:
    assert rest_checklist.exists("verify/test_rest_checklist.py::test_a_test_that_is_not_there_is_seen")
    assert not rest_checklist.exists("verify/test_rest_checklist.py::test_nothing")
    assert not rest_checklist.exists("verify/none.py::test_nothing")
