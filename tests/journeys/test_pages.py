"""Every page in a real browser: accessible (WCAG 2.2 AA), within its budget, in light and dark, by keyboard alone."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

pytestmark = pytest.mark.browser

HTML_BUDGET = 100 * 1024
TABS = ("", "/timeline", "/vitals", "/results", "/identity")


@pytest.mark.conformance
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_is_accessible_small_and_free_of_errors(
    visit: Callable[..., Any],
    story: Any,
    violations: Callable[[Any], list[str]],
    shot: Callable[[Any, str], None],
    scheme: str,
) -> None:
    story.well()
    story.worse()
    story.flow.accept(story.broken())
    page = visit("integration", scheme)
    page.goto("/worklist")
    task = page.locator("tr[data-row] th a").first.get_attribute("href")
    record = page.locator("tr[data-row] td a", has_text="Record").get_attribute("href")
    page.goto(record)
    message = page.locator("#beside .val").first.get_attribute("href")
    paths = {
        "worklist": "/worklist",
        "worklist-ended": "/worklist?show=ended",
        "patients": "/patients",
        "task": task,
        "messages": "/messages",
        "quarantine": "/messages?status=quarantined",
        "message": message,
        "message-fhir": "/messages/2",
        "browse": "/browse?type=Observation",
        "resource": "/browse/" + re.search(r"resource=([^&]+)", message)[1],
        "health": "/health",
        "pipelines": "/pipelines",
        "pipeline-runs": "/pipelines/lake",
        "not-found": "/nothing-here",
        "sign-in": "/sign-in",
        **{f"record{tab.replace('/', '-') or '-summary'}": f"{record}{tab}" for tab in TABS},
    }
    for name, path in paths.items():
        answer = page.goto(path)
        assert len(answer.body()) < HTML_BUDGET, name
        page.wait_for_timeout(250)
        shot(page, f"{name}-{scheme}")
        assert violations(page) == [], name


def test_a_role_without_the_right_reads_a_calm_refusal(
    visit: Callable[..., Any], violations: Callable[[Any], list[str]]
) -> None:
    page = visit("admin")
    assert page.goto("/worklist").status == 403
    assert page.get_by_role("heading", level=1).inner_text() == "Your role may not see this"
    assert page.get_by_role("navigation", name="Main").inner_text().split() == ["Health"]
    assert violations(page) == []


def test_the_whole_way_to_a_task_is_walked_by_keys(visit: Callable[..., Any], story: Any) -> None:
    story.well()
    story.worse()
    page = visit("nurse")
    page.goto("/worklist")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_url("**/tasks/*")
    page.keyboard.press("/")
    page.keyboard.type("okafor")
    page.keyboard.press("Enter")
    page.wait_for_url("**/patients")
    page.get_by_text("Found: 1 person.").wait_for()
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    page.get_by_text("down and up through the rows").wait_for()
    page.keyboard.press("?")
    assert not page.get_by_text("down and up through the rows").is_visible()


def test_a_search_as_one_types_finds_a_person_by_a_former_name_and_keeps_it_out_of_the_address(
    visit: Callable[..., Any], story: Any
) -> None:
    story.well()
    page = visit("nurse")
    page.goto("/patients")
    for typed in ("eze", "1980-05-03", "03-May-1980", "l-88213", "okafor adaeze"):
        page.get_by_label("Name, birth date").fill(typed)
        page.get_by_text("Found: 1 person.").wait_for()
        assert page.locator("tr[data-row] a").inner_text() == "OKAFOR, Adaeze Ngozi"
    page.get_by_label("Name, birth date").fill("nobody")
    page.get_by_text("Found: nobody.").wait_for()
    assert "eze" not in page.url


def test_a_draft_outlives_going_back(visit: Callable[..., Any], story: Any) -> None:
    story.well()
    story.worse()
    page = visit("nurse")
    page.goto("/worklist")
    page.locator("tr[data-row] th a").click()
    page.get_by_role("button", name="Acknowledge").click()
    page.get_by_label("In your words").fill("Oxygen turned up")
    page.goto("/worklist")
    page.go_back()
    assert page.get_by_label("In your words").input_value() == "Oxygen turned up"


@pytest.mark.conformance
def test_going_back_from_a_person_finds_the_search_as_it_was(visit: Callable[..., Any], story: Any) -> None:
    story.well()
    page = visit("nurse")
    page.goto("/worklist")
    page.keyboard.press("/")
    page.keyboard.type("okafro")
    page.keyboard.press("Enter")
    page.get_by_text("spelled nearly so: 1 person").wait_for()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_url("**/patients/*")
    page.go_back()
    page.get_by_text("spelled nearly so: 1 person").wait_for()
    assert page.get_by_label("Name, birth date").input_value() == "okafro"
    assert page.url.endswith("/patients")


@pytest.mark.conformance
def test_what_was_written_outlives_the_end_of_the_session_and_goes_out_once(
    visit: Callable[..., Any], story: Any, served: Any
) -> None:
    story.well()
    story.worse()
    page = visit("nurse")
    page.goto("/worklist")
    page.locator("tr[data-row] th a").click()
    page.wait_for_url("**/tasks/*")
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url) if request.method == "POST" else None)
    page.get_by_role("button", name="Acknowledge").dblclick()
    page.get_by_label("In your words").fill("Oxygen turned up")
    assert len(sent) == 1
    page.get_by_role("radio").first.check()
    task = page.url
    with served.database.connection() as connection:
        connection.execute("DELETE FROM session")
    page.get_by_role("button", name="Close the task").click()
    page.wait_for_url("**/sign-in")
    page.locator("button[value=nurse]").click()
    page.wait_for_url(task)
    assert page.get_by_label("In your words").input_value() == "Oxygen turned up"
    assert page.get_by_role("radio").first.is_checked()
    page.get_by_role("button", name="Close the task").click()
    page.locator("[data-draft-taken]").wait_for()
    assert page.evaluate("Object.keys(sessionStorage).filter(key => key.startsWith('draft'))") == []


def test_a_page_turns_visibly_stale_when_the_stream_stops(
    visit: Callable[..., Any], served: Any, shot: Callable[[Any, str], None]
) -> None:
    page = visit("nurse")
    page.clock.install()
    page.goto("/worklist")
    page.get_by_text("Live, checked").wait_for()
    page.context.set_offline(True)
    served.live.end_streams()
    page.clock.fast_forward(20_000)
    page.get_by_text("Not live: last heard").wait_for()
    assert page.locator("#work").evaluate("node => getComputedStyle(node).opacity") == "0.55"
    shot(page, "stale-light")


def test_clicking_a_field_lights_what_became_of_it_and_back(visit: Callable[..., Any], story: Any) -> None:
    story.well()
    page = visit("integration")
    page.goto("/messages/3")
    page.locator('.raw [data-where="OBX#1-5"]').click()
    assert page.locator(".raw .lit[data-where]").all_inner_texts() == ["5.9"]
    assert page.locator(".json .lit").all_inner_texts() == ["5.9"]
    assert page.locator("tr.lit").count() == 1
    page.locator('.json [data-path$=".code.coding[0].code"]', has_text="2160-0").click()
    assert page.locator(".raw .lit[data-where]").all_inner_texts() == ["2160-0"]


@pytest.mark.parametrize("scheme", ["light", pytest.param("dark", marks=pytest.mark.conformance)])
def test_the_fhir_browser_is_walked_by_keys_from_a_hint_to_a_reference_and_back(
    visit: Callable[..., Any],
    story: Any,
    violations: Callable[[Any], list[str]],
    shot: Callable[[Any, str], None],
    scheme: str,
) -> None:
    story.well()
    page = visit("integration", scheme)
    page.goto("/browse?type=Observation")
    page.keyboard.press("/")
    page.keyboard.type("status")
    page.locator("[data-hint]").first.get_by_text("token: a code").wait_for()
    page.keyboard.press("Tab")
    assert page.locator("#values-status option").count() == 8
    page.keyboard.type("final")
    page.keyboard.press("Enter")
    page.locator("#found tr[data-row]").first.wait_for()
    assert page.url.endswith("/browse?type=Observation")
    assert violations(page) == []
    shot(page, f"browse-found-{scheme}")
    page.locator("h1").click()
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_url("**/browse/Observation/*")
    page.locator("#from .none, #from table").first.wait_for()
    assert violations(page) == []
    shot(page, f"resource-found-{scheme}")
    page.locator("#json a", has_text="Patient/").click()
    page.wait_for_url("**/browse/Patient/*")
    page.get_by_role("button", name="Observation by subject").click()
    page.locator("#found tr[data-row]").first.wait_for()
    page.go_back()
    page.wait_for_url("**/browse/Patient/*")
    page.go_back()
    page.go_back()
    # Back on the search: what was asked stands there again, and so does what was found.
    page.locator("#found tr[data-row]").first.wait_for()
    assert page.get_by_label("Value").first.input_value() == "final"


def test_a_mistake_in_a_search_is_said_where_one_looks(visit: Callable[..., Any], story: Any) -> None:
    story.well()
    page = visit("integration")
    page.goto("/browse?type=Patient")
    page.get_by_label("Parameter").first.fill("shoe")
    page.locator("[data-hint]").first.get_by_text("no parameter of this type").wait_for()
    page.get_by_label("Value").first.fill("7")
    page.get_by_role("button", name="Search", exact=True).click()
    page.get_by_role("alert").get_by_text("not known for Patient").wait_for()


def test_the_resource_is_copied_as_json(visit: Callable[..., Any], story: Any) -> None:
    story.well()
    page = visit("integration")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto("/browse?type=Patient")
    page.get_by_role("button", name="Search", exact=True).click()
    page.locator("#found tr[data-row] a").first.click()
    page.get_by_role("button", name="Copy").click()
    page.get_by_text("Copied").wait_for()
    copied = json.loads(page.evaluate("navigator.clipboard.readText()"))
    assert copied["resourceType"] == "Patient"
    assert page.url.endswith(copied["id"])
