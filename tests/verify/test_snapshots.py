"""Snapshots: what is made of the differentials is what was published; every figure holds its floor."""

from __future__ import annotations

import pytest

from careloom.settings import settings_from
from careloom.verify.figure import floors, judged
from careloom.verify.snapshots import PACKAGES, check, differences


@pytest.mark.conformance
def test_snapshots_are_as_published() -> None:
    settings = settings_from()
    if not all((settings.conformance / one).exists() for of_guide in PACKAGES.values() for one in of_guide):
        pytest.skip("R4 or a guide is absent: set CARELOOM_CONFORMANCE.")
    figures = [judged(figure, floors(), 0) for figure in check(settings)]
    assert [figure for figure in figures if not figure.ok] == []


def test_each_difference_between_two_snapshots_is_seen() -> None:
    one = {
        "id": "Basic",
        "min": 0,
        "type": [{"code": "code"}],
        "constraint": [{"key": "a", "severity": "error"}],
    }
    for change in (
        {"min": 1},
        {"type": [{"code": "code", "profile": ["urn:p"]}]},
        {"slicing": {"rules": "closed"}},
        {"binding": {"strength": "required"}},
        {"fixedCode": "x"},
        {"constraint": [{"key": "b", "severity": "error"}]},
        {"constraint": [{"key": "a", "severity": "warning"}]},
    ):
        assert list(differences([one], [{**one, **change}])), change
    assert list(
        differences([one, {"id": "Basic.a"}, {"id": "Basic.b"}], [one, {"id": "Basic.b"}, {"id": "Basic.a"}])
    )
    assert list(differences([one], [one])) == []
