"""The pipeline board is true, and its buttons are for who may press them."""

from __future__ import annotations

import html
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import httpx
from tests.waiting import WAIT_S

from careloom.flow.lake import Diary, Follower
from careloom.flow.pipeline import Errands
from careloom.settings import lake_root
from careloom.store import events, outbox, runs
from careloom.store.actor import STATION
from careloom.store.commit import Origin, Write, commit
from careloom.store.event import Arrival
from careloom.store.turn import turn_held

SignedIn = Callable[[str], httpx.Client]
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def say(served: Any, *ids: str) -> None:
    with served.database.connection() as connection:
        commit(connection, [Write({"resourceType": "Patient", "id": id_}) for id_ in ids], Origin(NOW, "ehr"))


def rows(client: httpx.Client, path: str = "/pipelines") -> dict[str, str]:
    """Step -> the text of its row."""
    found: dict[str, str] = {}
    for row in re.findall(r"<tr><th scope=\"row\">(.*?)</tr>", client.get(path).text, re.DOTALL):
        name, _, rest = row.partition("</th>")
        words = html.unescape(re.sub(r"<[^>]+>", " ", rest))
        found[re.sub(r"<[^>]+>", "", name)] = " ".join(words.split())
    return found


def press(client: httpx.Client, step: str, **more: str) -> httpx.Response:
    token = re.search(r'name="csrf" value="([^"]+)"', client.get("/pipelines").text)
    return client.post(f"/pipelines/{step}", data={"csrf": token[1] if token else "", **more})


def test_a_step_that_is_asked_for_is_run_recorded_and_audited(served: Any, signed_in: SignedIn) -> None:
    say(served, "a", "b")
    client = signed_in("integration")
    assert rows(client)["lake"].startswith("never run")
    assert press(client, "lake", backfill="yes").status_code == 200
    assert rows(client)["lake"].startswith("asked")
    press(client, "lake")
    errands = Errands(served.database, served.settings, lambda: NOW)
    assert errands.look()
    errands.wait(60)
    assert not errands.look(), "what is asked for twice is run once"
    board = rows(client)
    assert board["lake"].startswith("in order 0 2 ")
    assert "passed: rows equal the store 2 versions in 1 tables" in board["lake"]
    assert board["Patient"].startswith("in order 0 2")
    with served.database.connection() as connection:
        (run,) = runs.runs(connection, "lake")
    assert (run.asked_by, run.is_backfill, run.outcome, run.rows) == ("integration", True, "done", 2)
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        with served.database.connection() as connection:
            told = connection.execute("select actor, what from audit where what like 'pipeline%'").fetchall()
        if told:
            break
        time.sleep(0.1)
    assert ("integration", "pipeline-backfill lake") in told
    assert "integration backfill done" in " ".join(
        re.sub(r"<[^>]+>", " ", client.get("/pipelines/lake").text).split()
    )


def test_who_may_not_run_a_step_sees_no_button_and_is_refused(served: Any, signed_in: SignedIn) -> None:
    for role, may in (("nurse", False), ("physician", False), ("admin", True)):
        client = signed_in(role)
        assert (">Backfill</button>" in client.get("/pipelines").text) is may
        token = re.search(r'name="csrf" value="([^"]+)"', client.get("/pipelines").text)
        posted = client.post("/pipelines/lake", data={"csrf": token[1] if token else ""})
        assert (posted.status_code == 200) is may
    forged = signed_in("admin").post("/pipelines/omop", data={"csrf": "no"})
    assert forged.status_code == 403
    assert signed_in("admin").get("/pipelines/nothing").status_code == 404


def test_what_the_lake_does_by_itself_stands_on_the_board_with_what_it_is_behind(
    served: Any, signed_in: SignedIn
) -> None:
    say(served, "a", "b", "c")
    follower = Follower(served.database, lake_root(served.settings))
    diary = Diary(served.database, served.settings)
    diary.heard(follower.round(), NOW)
    diary.heard(follower.round(), NOW)
    say(served, "d")
    client = signed_in("nurse")
    board = rows(client)
    assert board["lake"].startswith("behind 1 ")
    assert board["Patient"].startswith("behind 1 ")
    diary.failed("The lake's folder cannot be written.", NOW)
    assert rows(client)["lake"].startswith("failed 1 ")
    assert "The lake's folder cannot be written." in rows(client)["lake"]


def test_deliveries_and_what_was_set_aside_are_told_with_reasons_that_lead_to_the_message(
    served: Any, signed_in: SignedIn
) -> None:
    receipt = served.flow.accept(Arrival("lab", "hl7v2", b"MSH|^~\\&|LAB\rnothing", "M1"))
    with served.database.connection() as connection:
        for destination in ("mllp://a:1", "mllp://b:2"):
            outbox.post(connection, [destination], receipt.event_id, NOW)
            parcel = outbox.first(connection, destination)
            assert parcel
            status = "refused" if destination.endswith("1") else "waiting"
            outbox.tried(connection, parcel, status, "AR", NOW)
        connection.execute(
            "insert into set_aside (station, rtype, resource_id, version, event_id, reason)"
            " values ('news2', 'Observation', 'o1', 1, %s, 'It has no time.')",
            [receipt.event_id],
        )
        assert events.counts(connection, STATION)
    board = rows(signed_in("integration"))
    assert board["messages"].startswith("in order 0 1 1")
    assert board["mllp://b:2"].startswith("failed 1 ")
    assert "AR" in board["mllp://b:2"]
    text = signed_in("integration").get("/pipelines").text
    assert f'<a href="/messages/{receipt.event_id}">message {receipt.event_id}</a>' in text
    assert "It has no time." in text
    assert "Observation/o1" in text
    # An administrator reads counts, no names of resources.
    assert "Observation/o1" not in signed_in("admin").get("/pipelines").text
    assert "news2" in signed_in("admin").get("/pipelines").text


def test_a_run_whose_process_was_killed_is_told_as_failed_by_the_next(served: Any) -> None:
    with served.database.connection() as connection:
        runs.begin(connection, "omop", "command", NOW)
    with served.database.connection() as connection:
        runs.begin(connection, "omop", "command", NOW)
        later, earlier = runs.runs(connection, "omop")
    assert (later.outcome, earlier.outcome, earlier.reason) == ("running", "failed", runs.KILLED)


def test_a_run_that_was_killed_is_seen_to_be_so_and_one_that_goes_on_is_left_alone(served: Any) -> None:
    with served.database.connection() as connection:
        runs.begin(connection, "omop", "command", NOW)
        runs.begin(connection, "marts", "command", NOW)
    with turn_held(served.database, "pipeline marts"):
        assert not Errands(served.database, served.settings, lambda: NOW).look()
    with served.database.connection() as connection:
        assert [run.step for run in runs.running(connection)] == ["marts"]
        assert runs.latest(connection, ["omop"])["omop"].reason == runs.KILLED


def test_old_runs_are_forgotten(served: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(runs, "KEPT", 3)
    with served.database.connection() as connection:
        for number in range(6):
            runs.told(connection, "lake", NOW, NOW, runs.Result(outcome="done", rows=number))
        assert [run.rows for run in runs.runs(connection, "lake")] == [5, 4, 3]
