"""What was exported and imported is equal, and what is not equal is seen."""

from __future__ import annotations

import pytest

from careloom.settings import settings_from
from careloom.verify import bulk


@pytest.mark.conformance
def test_what_was_exported_and_imported_is_equal() -> None:
    settings = settings_from()
    if not (settings.conformance / bulk.SUITE).exists():
        pytest.skip(f"{bulk.SUITE} is absent")
    resources, *_ = bulk.check(settings, bundles=2)
    assert resources.failed == 0
    assert resources.passed > 50


def test_what_is_lost_added_or_changed_is_counted() -> None:
    before = {"Basic/1": b"a", "Basic/2": b"b", "Basic/3": b"c"}
    after = {"Basic/1": b"a", "Basic/2": b"x", "Basic/4": b"d"}
    figure = bulk.compared(before, after, 1, 1)[0]
    assert (figure.passed, figure.failed) == (1, 3)
