"""Saved reports over a real socket: who opens what, values that never stand in an address, limits, and results that were kept."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from tests.waiting import WAIT_S
from tests.web.test_sql import lake  # noqa: F401 - a fixture

from careloom.store.accounts import create_token

Enter = Callable[[str], httpx.Client]


def csrf(client: httpx.Client) -> str:
    found = re.search(r'name="csrf" value="([^"]+)"', client.get("/reports").text)
    assert found
    return found[1]


def saved(client: httpx.Client, sql: str, **more: str) -> str:
    answer = client.post("/reports", data={"csrf": csrf(client), "name": "Born after", "sql": sql, **more})
    assert answer.status_code == 200, answer.text
    return answer.url.path


def test_a_report_is_saved_opened_run_and_exported(lake: Any, signed_in: Enter) -> None:  # noqa: F811
    client = signed_in("physician")
    sql = "select id, birthDate from Patient where birthDate > $after order by id"
    drafted = client.post("/reports/draft", data={"csrf": csrf(client), "sql": sql, "chart.kind": "bar"}).text
    assert 'name="param.after.type"' in drafted
    chosen = {
        "param.after.type": "choice", "param.after.choices": "1905\n1915", "param.after.label": "After", "shared.integration": "1",
        "chart.kind": "bar", "chart.unit": "patients",
    }  # fmt: skip
    path = saved(client, sql, **chosen)
    page = client.get(path).text
    assert "<option>1915</option>" in page
    shown = client.post(path, data={"csrf": csrf(client), "p.after": "1915"}).text
    assert "<td>p2</td>" in shown
    assert "<td>p1</td>" not in shown
    assert 'data-kind="bar"' in shown
    file = client.post(path, data={"csrf": csrf(client), "p.after": "1905", "format": "csv"})
    assert (file.text, "born-after.csv" in file.headers["content-disposition"]) == (
        "id,birthDate\r\np1,1910\r\np2,1920\r\n",
        True,
    )
    wrong = client.post(path, data={"csrf": csrf(client), "p.after": "Zebedee"})
    assert (wrong.status_code, "$after must be one of its choices" in wrong.text) == (400, True)
    # The history has all three, and no value of any.
    with lake.database.connection() as connection:
        rows = connection.execute(
            "select status, rows, issues::text from report_run order by began"
        ).fetchall()
    assert [row[:2] for row in rows] == [("done", 1), ("done", 2), ("failed", None)]
    assert "Zebedee" not in repr(rows)
    other = signed_in("integration")
    assert "Born after" in other.get("/reports").text
    assert other.post(path, data={"csrf": csrf(other), "p.after": "1915"}).status_code == 200
    for deed in ("edit", "schedule", "remove"):
        assert other.post(
            f"{path}/{deed}", data={"csrf": csrf(other), "name": "x", "sql": "select 1"}
        ).status_code in {400, 403}
    assert signed_in("nurse").get(path).status_code == 403
    # Narrowed to its owner, it is not there for others.
    client.post(f"{path}/edit", data={"csrf": csrf(client), "name": "Mine", "sql": "select 1"})
    assert other.get(path).status_code == 404


def test_what_cannot_be_saved_is_shown_with_its_place(lake: Any, signed_in: Enter) -> None:  # noqa: F811
    client = signed_in("physician")
    for data, told in (
        ({"sql": "select 1\nfrm Patient x"}, "line 2, column 5"),
        ({"sql": "select 1", "name": ""}, "name"),
    ):
        answer = client.post("/reports", data={"csrf": csrf(client), "name": "x"} | data)
        assert (answer.status_code, told in answer.text) == (400, True), answer.text


def test_a_scheduled_result_is_shown_to_its_owner_alone(lake: Any, signed_in: Enter) -> None:  # noqa: F811
    client, other = signed_in("physician"), signed_in("integration")
    path = saved(client, "select id from Patient order by id", **{"shared.integration": "1"})
    told = client.post(
        f"{path}/schedule", data={"csrf": csrf(client), "period": "minutes", "minutes": "1"}
    ).text
    assert "every minute, next " in told
    with lake.database.connection() as connection:
        connection.execute("update report set next_due = now() - interval '1 hour'")
    assert lake.flow.run_reports() == 1
    found = re.search(rf"{path}/runs/[\w-]+", client.get(path).text)
    assert found
    assert "<td>p2</td>" in client.get(found[0]).text
    assert client.get(f"{found[0]}?format=csv").text == "id\r\np0\r\np1\r\np2\r\n"
    assert client.get(f"{found[0]}?format=json").json()["rows"] == [["p0"], ["p1"], ["p2"]]
    assert found[0] not in other.get(path).text
    assert other.get(found[0]).status_code == 404
    late = client.post(f"{path}/schedule", data={"csrf": csrf(client), "period": "daily", "at": "25:00"})
    assert late.status_code == 400
    assert client.post(f"{path}/remove", data={"csrf": csrf(client)}).url.path == "/reports"
    assert client.get(found[0]).status_code == 404


LONG = "select count(*) from range(100000000) a, range(100000000) b"


@pytest.mark.conformance
def test_a_statement_holds_no_thread_of_the_server_is_limited_for_a_user_and_stops_when_the_client_goes(
    lake: Any,  # noqa: F811
    signed_in: Enter,
) -> None:
    client = signed_in("physician")
    token = csrf(client)
    # Both processes stand before the clock runs.
    client.post("/sql", data={"csrf": token, "sql": "select 1"})

    def ask() -> None:
        with httpx.Client(base_url=lake.url, cookies=client.cookies, timeout=WAIT_S) as own:
            try:
                own.post("/sql", json={"sql": LONG}, headers={"X-CSRF": token}, timeout=8)
            except httpx.TimeoutException:
                gone.append(time.monotonic())

    gone: list[float] = []
    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    time.sleep(2)
    refused = client.post("/sql", json={"sql": "select 1"}, headers={"X-CSRF": token})
    assert (refused.status_code, "You have 2 statements at work" in refused.text) == (429, True)
    # The server has four threads; they answer meanwhile.
    assert all(client.get("/reports").status_code == 200 for _ in range(8))
    for thread in threads:
        thread.join()
    assert len(gone) == 2
    for _ in range(100):
        answer = client.post("/sql", json={"sql": "select 42 as x"}, headers={"X-CSRF": token})
        if answer.status_code == 200:
            break
        time.sleep(0.2)
    assert answer.json()["rows"] == [[42]]
    assert time.monotonic() - max(gone) < 20


def program(lake: Any, role: str) -> httpx.Client:  # noqa: F811
    with lake.database.connection() as connection:
        token = create_token(connection, f"bi-{role}", [role])
    headers = {"authorization": f"Bearer {token}", "accept": "application/json"}
    return httpx.Client(base_url=lake.url, headers=headers, timeout=60)


def test_a_program_saves_runs_changes_and_removes_a_report_with_its_token(lake: Any) -> None:  # noqa: F811
    sql = "select id, birthDate from Patient where birthDate > $after order by id"
    body = {
        "name": "Born",
        "sql": sql,
        "parameters": [{"name": "after", "default": "1905"}],
        "sharedWith": ["physician"],
    }
    with (
        program(lake, "integration") as client,
        program(lake, "physician") as other,
        program(lake, "nurse") as nurse,
    ):
        made = client.post("/reports", json=body)
        assert (made.status_code, made.json()["parameters"][0]["default"]) == (201, "1905"), made.text
        path = made.headers["location"]
        assert client.get("/reports").json()["reports"][0]["id"] == made.json()["id"]
        told = client.post(path, json={"parameters": {"after": 1915}}).json()
        assert (told["rows"], told["isCut"]) == ([["p2", "1920"]], False)
        rows = other.post(path, json={"format": "csv"})
        assert rows.text == "id,birthDate\r\np1,1910\r\np2,1920\r\n"
        # Of what others asked the history tells the owner alone.
        assert [len(one.get(path).json()["runs"]) for one in (client, other)] == [2, 1]
        for answer, status, words in (
            (
                client.post("/reports", json={"name": "x", "sql": "select 1\nfrm Patient x"}),
                400,
                "line 2, column 5",
            ),
            (client.post("/reports", json={"name": "x"}), 400, "sql"),
            (client.post("/reports", json=body | {"parameters": [{"name": "no"}]}), 400, "has no $no"),
            (client.post("/reports", json=body | {"odd": 1}), 400, "odd"),
            (
                client.post("/reports", content="{", headers={"content-type": "application/json"}),
                400,
                "not what",
            ),
            (client.post(path, json={"parameters": {"before": "1"}}), 400, "has no $before"),
            (client.post(path, json={"format": "pdf"}), 400, "xlsx"),
            (other.post(f"{path}/edit", json=body), 403, "Only who saved"),
            (other.post(f"{path}/remove", json={}), 403, "Only who saved"),
            (client.post(f"{path}/schedule", json={"schedule": {"period": "daily"}}), 403, "as an account"),
            (client.get("/reports/none"), 404, "no such report"),
        ):
            assert (answer.status_code, words in answer.text) == (status, True), answer.text
            assert answer.json()["resourceType"] == "OperationOutcome"
        changed = client.post(
            f"{path}/edit", json=body | {"sharedWith": [], "sql": "select 1 as one", "parameters": []}
        )
        assert (changed.status_code, other.get(path).status_code) == (200, 404)
        assert client.post(path, json={}).json()["rows"] == [[1]]
        for answer in (nurse.get("/reports"), nurse.post("/reports", json=body), nurse.post(path, json={})):
            assert answer.status_code == 403
        stranger = httpx.post(
            f"{lake.url}{path}", json={}, headers={"authorization": "Bearer clm_forged"}, timeout=WAIT_S
        )
        assert stranger.status_code == 401
        assert (client.post(f"{path}/remove", json={}).status_code, client.get(path).status_code) == (
            204,
            404,
        )


def test_a_session_speaks_json_with_the_proof_of_its_page(lake: Any, signed_in: Enter) -> None:  # noqa: F811
    client = signed_in("physician")
    body = {"name": "One", "sql": "select 1 as one"}
    assert client.post("/reports", json=body).status_code == 403
    proof = {"x-csrf": csrf(client)}
    path = client.post("/reports", json=body, headers=proof).headers["location"]
    due = {"schedule": {"period": "weekly", "weekday": 4, "at": "06:30"}, "keepDays": 7}
    told = client.post(f"{path}/schedule", json=due, headers=proof).json()
    assert (told["schedule"]["weekday"], told["keepDays"], told["nextDue"] is None) == (4, 7, False)
    assert client.post(f"{path}/schedule", json={}, headers=proof).json()["nextDue"] is None


def test_what_was_typed_and_chosen_is_carried_on(lake: Any, signed_in: Enter) -> None:  # noqa: F811
    client = signed_in("physician")
    sql = "select id, birthDate from Patient where birthDate > $after"
    typed = {
        "csrf": csrf(client),
        "sql": sql,
        "p.after": "1915",
        "chart.kind": "",
        "chart.x": "id",
        "chart.y": "n",
    }
    drafted = client.post("/reports/draft", data=typed).text
    assert 'name="param.after.default" value="1915"' in drafted
    # Columns that are named for a chart are a chart, also where its kind was left as it was offered.
    path = saved(client, sql, **{"param.after.type": "date", "chart.kind": "", "chart.y": "n"})
    edited = client.get(f"{path}/edit").text
    assert '<option value="bar" selected>' in edited
    assert 'name="chart.y" value="n"' in edited
    # $after has no default, so nobody would say its value at night.
    wish = {"csrf": csrf(client), "period": "weekly", "at": "07:45", "weekday": "3", "keep_days": "77"}
    refused = client.post(f"{path}/schedule", data=wish)
    assert refused.status_code >= 400
    form = refused.text[refused.text.index(f'action="{path}/schedule"') :]
    form = form[: form.index("</form>")]
    for kept in (
        'class="notice soon"',
        '"weekly" selected',
        'value="07:45"',
        'value="3" selected',
        'value="77"',
    ):
        assert kept in form, kept


def test_on_the_page_numbers_are_rounded_and_days_are_days_and_the_whole_stands_beside(
    lake: Any,  # noqa: F811
    signed_in: Enter,
) -> None:
    client = signed_in("physician")
    sql = "select 23/21 as ratio, timestamp '2026-01-01 00:00:00' as year"
    told = client.post("/sql", data={"csrf": csrf(client), "sql": sql}).text
    assert ">1.09524</td>" in told
    assert 'data-value="1.0952380952380953"' in told
    assert ">2026-01-01</td>" in told
    file = client.post("/sql", data={"csrf": csrf(client), "sql": sql, "format": "csv"}).text
    assert "1.0952380952380953,2026-01-01 00:00:00" in file
