"""The whole story in a real browser: one woman out of three records; she worsens; somebody acts; the loop is closed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from careloom import registry

pytestmark = pytest.mark.browser


def test_three_records_are_one_person_with_reasons(
    visit: Callable[..., Any], story: Any, shot: Callable[[Any, str], None]
) -> None:
    story.well()
    page = visit("nurse")
    page.goto("/patients")
    page.get_by_label("Name, birth date").fill("eze")
    page.get_by_role("link", name="OKAFOR, Adaeze Ngozi").click()
    banner = page.get_by_role("region", name="Patient")
    for fact in (
        "OKAFOR, Adaeze Ngozi",
        "03-May-1980",
        "Female",
        "4711003",
        "L-88213",
        "C-2204",
        "Penicillin",
    ):
        assert fact in banner.inner_text()
    page.get_by_text("One person, 3 records").wait_for()
    page.locator("vitals-chart[data-drawn]").wait_for()
    assert page.locator("vitals-chart canvas").count() == 7
    shot(page, "story-1-one-person")
    page.get_by_role("link", name="Why").click()
    page.get_by_text("One person from 3 records").wait_for()
    assert page.get_by_text("day and month exchanged").is_visible()
    assert page.locator(".differs").count() >= 2
    shot(page, "story-2-why")
    page.get_by_role("link", name="Timeline").click()
    line = page.locator(".line").inner_text()
    for source in ("ehr", "lab", "clinic", "careloom"):
        assert source in line
    page.get_by_label("Source").select_option("lab")
    page.wait_for_url("**source=lab**")
    assert "Potassium" in page.locator(".line").inner_text()
    assert "Heart rate" not in page.locator(".line").inner_text()


def test_worse_vitals_bring_a_task_without_a_reload_and_the_loop_is_closed(
    visit: Callable[..., Any], story: Any, shot: Callable[[Any, str], None]
) -> None:
    story.well()
    page = visit("nurse")
    record = page.context.new_page()
    record.goto("/patients")
    record.locator("tr[data-row] a").first.click()
    record.locator(".score.big", has_text="0").wait_for()
    page.goto("/worklist")
    page.get_by_text("Nothing waits").wait_for()
    page.get_by_text("Live, checked").wait_for()
    for one in (page, record):
        one.evaluate("window.stayed = true")

    story.worse()

    row = page.locator("tr[data-row]")
    row.wait_for(timeout=60_000)
    assert "Act now" in row.inner_text()
    assert "Respiration rate 26 /min" in row.inner_text()
    record.locator(".score.big.high", has_text="12").wait_for(timeout=60_000)
    assert "26 /min" in record.locator("vitals-chart").inner_text()
    assert all(one.evaluate("window.stayed === true") for one in (page, record))
    shot(page, "story-3-task-appears")
    shot(record, "story-4-worse")

    row.get_by_role("button", name="Acknowledge").click()
    page.get_by_text("Acknowledged", exact=True).wait_for()
    page.locator("tr[data-row] th a").click()
    page.get_by_label("Treatment started or changed").check()
    page.get_by_label("In your words").fill("High-flow oxygen, bloods taken, Dr Berg at the bedside.")
    shot(page, "story-5-close")
    page.get_by_role("button", name="Close the task").click()
    ended = page.locator(".ended").inner_text()
    assert "Treatment started or changed" in ended
    assert "Dr Berg at the bedside" in ended
    history = page.locator(".steps").inner_text()
    for said in ("Opened: NEWS2 12.", "Acknowledged.", "Closed: Treatment started or changed."):
        assert said in history
    shot(page, "story-6-closed")
    page.goto("/worklist")
    page.get_by_text("Nothing waits").wait_for()
    page.goto("/worklist?show=ended")
    assert page.locator("tr[data-row]").count() == 1
    assert "acted on in 1 of 1" in page.locator("tr[data-row]").inner_text()


def test_a_number_opens_the_message_that_brought_it(
    visit: Callable[..., Any], story: Any, shot: Callable[[Any, str], None]
) -> None:
    story.well()
    story.worse()
    page = visit("nurse")
    page.goto("/worklist")
    page.locator(".reasons .val", has_text="26 /min").click()
    page.wait_for_url("**/messages/*resource=Observation/*")
    assert page.locator(".raw .lit[data-where]").all_inner_texts() == ["26"]
    assert page.locator(".json .lit").all_inner_texts() == ["26"]
    assert "valueQuantity.value" in page.locator("tr.lit").inner_text()
    assert page.locator("tr.lit").evaluate(IS_IN_VIEW)
    shot(page, "story-7-message")


@pytest.mark.conformance
def test_every_number_of_the_record_leads_to_its_field(visit: Callable[..., Any], story: Any) -> None:
    story.well()
    story.worse()
    page = visit("nurse")
    page.goto("/patients")
    record = page.locator("tr[data-row] a").first.get_attribute("href")
    links: dict[str, str] = {}
    for tab in ("", "/timeline", "/vitals", "/results", "/identity"):
        page.goto(record + tab)
        for link in page.locator("main .val").all():
            links.setdefault(link.get_attribute("href"), link.inner_text())
    assert len(links) > 40
    for href, text in links.items():
        page.goto(href)
        assert page.locator(".json .lit, .raw .lit").count() > 0, (href, text)


def test_a_quarantined_message_is_driven_again_by_the_integration_engineer(
    visit: Callable[..., Any],
    story: Any,
    monkeypatch: pytest.MonkeyPatch,
    shot: Callable[[Any, str], None],
) -> None:
    story.well()
    with monkeypatch.context() as patch:
        # The map is not there yet when the message comes: it is kept, and waits for a person.
        patch.delitem(registry.MAPPERS, "hl7v2")
        story.worse()
    page = visit("integration")
    page.goto("/messages")
    page.get_by_role("link", name="Quarantine (1)").click()
    page.locator("tr[data-row] a").click()
    page.get_by_text("No map is registered").wait_for()
    shot(page, "story-8-quarantine")
    page.get_by_role("button", name="Reprocess").click()
    page.locator(".chip", has_text="Done").first.wait_for()
    assert "2 attempts" in page.locator(".headline").inner_text()
    story.settle()
    page.goto("/worklist")
    assert "NEWS2 12" in page.locator("tr[data-row]").inner_text()


IS_IN_VIEW = """node => {
  const box = node.getBoundingClientRect(), pane = node.closest('[data-pane]').getBoundingClientRect();
  return box.top >= pane.top && box.bottom <= pane.bottom;
}"""
