"""Saved reports over a real socket: who opens what, values that never stand in an address, limits, and results that were kept."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from tests.web.test_sql import lake  # noqa: F401 - a fixture

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
    assert "every 1 minutes, next " in told
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
        with httpx.Client(base_url=lake.url, cookies=client.cookies) as own:
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
