"""The SQL workbench in a real browser: by keyboard alone, accessible, in light and dark, and small with every table."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.journeys.test_pages import HTML_BUDGET

from careloom.fhir.facts import resource_types
from careloom.fhir.resource import dumps
from careloom.lake.build import writing
from careloom.lake.sight import columns_of, common_columns
from careloom.settings import lake_root
from careloom.store.actor import Actor

pytestmark = pytest.mark.browser
CLINIC = Actor("clinic", frozenset({"source"}))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_statement_is_completed_asked_and_drawn_by_keys(
    served: Any,
    visit: Callable[..., Any],
    violations: Callable[[Any], list[str]],
    shot: Callable[[Any, str], None],
    scheme: str,
) -> None:
    for number in range(12):
        body = {"resourceType": "Patient", "id": f"p{number}", "birthDate": f"{1950 + number % 4}-01-01"}
        served.flow.update("Patient", f"p{number}", dumps(body), CLINIC)
    with writing(served.database, lake_root(served.settings)) as writer:
        while writer.step(1_000):
            pass
    page = visit("physician", scheme)
    page.goto("/sql")
    page.keyboard.press("/")
    page.keyboard.type("select birthDate[1:4] as year, count(*) as n from Patient where birth")
    page.keyboard.press("Tab")
    page.keyboard.type(" > $after group by year order by year")
    assert "where birthDate > $after" in page.input_value("#sql")
    page.get_by_label("$after").fill("1951")
    page.keyboard.press("Control+Enter")
    page.wait_for_selector("#rows")
    assert page.locator("#rows tbody tr").all_inner_texts() == ["1951\t3", "1952\t3", "1953\t3"]
    assert page.locator("[data-plot] rect").count() == 3
    page.locator("summary", has_text="Patient").press("Enter")
    page.get_by_role("button", name="birthDate").wait_for()
    shot(page, f"sql-{scheme}")
    assert violations(page) == []
    with page.expect_download() as download:
        page.get_by_role("button", name="Export CSV").click()
    assert download.value.suggested_filename == "careloom.csv"


def test_a_page_with_every_table_of_r4_is_within_the_budget() -> None:
    own = [[one for one in columns_of(rtype) if one not in common_columns()] for rtype in resource_types()]
    told = sum(len(" ".join(map(":".join, columns))) + 110 for columns in own)
    assert told + 10_000 < HTML_BUDGET
