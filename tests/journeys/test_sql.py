"""The SQL workbench in a real browser: by keyboard alone, accessible, in light and dark, and small with every table."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.journeys.test_pages import HTML_BUDGET

from careloom.fhir.facts import resource_types
from careloom.fhir.resource import dumps
from careloom.lake.build import writing
from careloom.lake.omop.facts import tables
from careloom.lake.ready import ready_views
from careloom.settings import lake_root
from careloom.store.actor import Actor

pytestmark = pytest.mark.browser
CLINIC = Actor("clinic", frozenset({"source"}))


@pytest.mark.parametrize("scheme", ["light", pytest.param("dark", marks=pytest.mark.conformance)])
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
    page.wait_for_selector("html[data-columns]", state="attached")
    page.keyboard.press("/")
    page.keyboard.type("select birthDate[1:4] as year, count(*) as n from Patient where birth")
    page.keyboard.press("Tab")
    page.keyboard.type(" > $after group by year order by year")
    assert "where birthDate > $after" in page.input_value("#sql")
    page.get_by_label("$after").fill("1951")
    page.keyboard.press("Control+Enter")
    page.wait_for_selector("#rows")
    assert page.locator("#rows tbody tr").all_inner_texts() == ["1951\t3", "1952\t3", "1953\t3"]
    assert page.locator("[data-plot] .bar-of").count() == 3
    # By keys from bar to bar, each is said; another chart is drawn of the same rows.
    page.locator(".chart-of").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert page.locator("[data-point]").inner_text() == "1952: 3"
    for kind, drawn in (
        ("line", ".curve"),
        ("scatter", ".dot"),
        ("histogram", ".bar-of"),
        ("number", ".big"),
    ):
        page.locator("#chart-kind").select_option(kind)
        assert page.locator(f"[data-drawn] {drawn}").count() > 0
    page.get_by_label("Filter tables").fill("pat")
    page.locator("summary", has_text="Patient").first.press("Enter")
    page.get_by_role("button", name="birthDate").wait_for()
    shot(page, f"sql-{scheme}")
    assert violations(page) == []
    with page.expect_download() as download:
        page.get_by_role("button", name="Export CSV").click()
    assert download.value.suggested_filename == "careloom.csv"
    # What a column tells by the year is labelled by it, and the first number is what is drawn.
    by_year = "select date_trunc('year', cast(birthDate as timestamp)) as year, count(*) as n, 7 as days from Patient"
    page.locator("#sql").fill(f"{by_year} where birthDate > '1951' group by year order by year")
    page.keyboard.press("Control+Enter")
    page.locator("#rows th", has_text="days").wait_for()
    assert page.locator("#chart-y").input_value() == "n"
    assert page.locator("#rows tbody td").first.inner_text() == "1951-01-01"
    labels = page.locator("[data-drawn] .tick").all_text_contents()
    assert {"1951", "1952", "1953"} <= set(labels)


def test_fields_behind_a_dot_are_suggested_and_an_error_leads_to_its_place(
    served: Any, visit: Callable[..., Any]
) -> None:
    body = {"resourceType": "Patient", "id": "p1", "name": [{"family": "Berg"}]}
    served.flow.update("Patient", "p1", dumps(body), CLINIC)
    with writing(served.database, lake_root(served.settings)) as writer:
        while writer.step(1_000):
            pass
    page = visit("physician")
    page.goto("/sql")
    page.wait_for_selector("html[data-columns]", state="attached")
    page.locator("#sql").fill("from Patient p\nselect p.name[1].")
    page.keyboard.type("f")
    page.wait_for_selector("#hinted button")
    assert page.locator("#hinted button").all_inner_texts() == ["family"]
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    assert page.input_value("#sql").endswith("p.name[1].family")
    page.keyboard.type(", nothing")
    page.keyboard.press("Control+Enter")
    page.get_by_role("button", name="Go to line 2").click()
    assert page.locator("#sql").evaluate("e => e.value.slice(e.selectionStart, e.selectionEnd)") == "nothing"
    page.locator("#sql").fill("from marts.per")
    page.keyboard.type("s")
    page.wait_for_selector("#hinted button")
    assert page.locator("#hinted button").first.inner_text() == "persons"


def test_a_page_with_every_table_of_r4_is_within_the_budget() -> None:
    names = [
        *resource_types(),
        *(f"omop.{name}" for name in tables()),
        *(f"views.{name}" for name in ready_views()),
    ]
    assert sum(len(name) + 250 for name in names) + 10_000 < HTML_BUDGET
