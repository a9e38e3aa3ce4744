"""The official patch suites, whole."""

from __future__ import annotations

import pytest

from careloom.settings import settings_from
from careloom.verify.patch import check


@pytest.mark.conformance
def test_every_official_case_of_both_patches_passes() -> None:
    figures = {figure.check: figure for figure in check(settings_from())}
    if "patch" in figures:
        pytest.skip(figures["patch"].note)
    assert {name: (figure.passed, figure.failed) for name, figure in figures.items()} == {
        "patch.json": (16, 0),
        "patch.fhirpath": (33, 0),
    }
