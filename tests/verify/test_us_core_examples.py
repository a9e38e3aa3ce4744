"""US Core, IPS and mCODE: their examples conform, and do not where they were made wrong; every figure holds its floor."""

from __future__ import annotations

import pytest

from careloom.settings import settings_from
from careloom.verify.figure import floors, judged
from careloom.verify.us_core_examples import PACKAGES, check


@pytest.mark.conformance
def test_examples_conform_and_their_broken_variants_do_not() -> None:
    settings = settings_from()
    if not all((settings.conformance / one).exists() for of_guide in PACKAGES.values() for one in of_guide):
        pytest.skip("US Core, IPS or mCODE is absent: set CARELOOM_CONFORMANCE.")
    figures = [judged(figure, floors(), 0) for figure in check(settings)]
    # Speeds are for `careloom verify`: a busy machine is no failed law.
    assert [figure for figure in figures if not figure.ok and not figure.unit.startswith("us ")] == []
