"""The public ADT and ORU samples, whole: every figure of v2-ledger holds its floor."""

from __future__ import annotations

import pytest

from careloom.settings import settings_from
from careloom.verify.figure import floors, judged
from careloom.verify.v2_ledger import ARCHIVE, check


@pytest.mark.conformance
def test_every_sample_is_converted_and_every_field_accounted_for() -> None:
    settings = settings_from()
    if not (settings.conformance / ARCHIVE).exists():
        pytest.skip(f"The suite {ARCHIVE} is absent: set CARELOOM_CONFORMANCE.")
    figures = [judged(figure, floors(), 0) for figure in check(settings)]
    assert len(figures) == 10
    assert [figure for figure in figures if not figure.ok] == []
