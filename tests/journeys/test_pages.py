"""Every page in a real browser: accessible (WCAG 2.2 AA), within its budget, in light and dark, by keyboard alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

pytestmark = pytest.mark.browser

HTML_BUDGET = 100 * 1024


def person_of(story: Any) -> str:
    """The id of the Person of the story."""
    with story.flow.database.connection() as connection:
        return Reader(connection, STATION).find("Person", ("active", "true"))[0]["id"]
