"""The workbench and its API, over a real socket."""

from __future__ import annotations

import io
import re
import time
import zipfile
from collections.abc import Callable
from typing import Any

import httpx
import pyarrow.parquet as pq
import pytest

from careloom.fhir.resource import dumps
from careloom.lake.build import writing
from careloom.settings import lake_root
from careloom.store.actor import Actor

CLINIC = Actor("clinic", frozenset({"source"}))
Enter = Callable[[str], httpx.Client]


@pytest.fixture
def lake(served: Any) -> Any:
    for number in range(3):
        body = {"resourceType": "Patient", "id": f"p{number}", "birthDate": f"19{number}0"}
        served.flow.update("Patient", f"p{number}", dumps(body), CLINIC)
    with writing(served.database, lake_root(served.settings)) as writer:
        while writer.step(1_000):
            pass
    return served


def posted(client: httpx.Client, **told: Any) -> httpx.Response:
    found = re.search(r'name="csrf" value="([^"]+)"', client.get("/sql").text)
    assert found
    return client.post("/sql", json=told, headers={"X-CSRF": found[1]})


def test_the_api_answers_in_four_forms_and_names_what_is_wrong(lake: Any, signed_in: Enter) -> None:
    client = signed_in("physician")
    sql = "select id, birthDate from Patient where birthDate > $after order by id"
    told = posted(client, sql=sql, parameters={"after": "1905"}).json()
    assert told == {
        "columns": [{"name": "id", "type": "VARCHAR"}, {"name": "birthDate", "type": "VARCHAR"}],
        "rows": [["p1", "1910"], ["p2", "1920"]],
        "isCut": False,
    }
    text = posted(client, sql=sql, parameters={"after": "1905"}, format="csv").text
    assert text == "id,birthDate\r\np1,1910\r\np2,1920\r\n"
    for after, count in (("1905", 2), ("2000", 0)):
        file = posted(client, sql=sql, parameters={"after": after}, format="parquet").content
        found = pq.read_table(io.BytesIO(file))
        assert (found.column_names, found.num_rows) == (["id", "birthDate"], count)
    many = posted(
        client, sql="select i, repeat('x', 50) as t from range(7000) r(i)", format="parquet"
    ).content
    assert pq.read_table(io.BytesIO(many))["i"].to_pylist() == list(range(7000))
    book = posted(client, sql=sql, parameters={"after": "1905"}, format="xlsx")
    assert "spreadsheetml" in book.headers["content-type"]
    assert 'careloom.xlsx"' in book.headers["content-disposition"]
    assert zipfile.ZipFile(io.BytesIO(book.content)).testzip() is None
    wrong = posted(client, sql="select nothing from Patient")
    assert (wrong.status_code, wrong.json()["resourceType"]) == (400, "OperationOutcome")
    assert "line 1, column 8" in wrong.json()["issue"][0]["diagnostics"]
    for body in (
        {},
        {"sql": 1},
        {"sql": "select 1", "format": "xml"},
        {"sql": "select 1", "parameters": {"a": []}},
    ):
        assert posted(client, **body).status_code == 400


def test_the_page_shows_tables_rows_and_errors(lake: Any, signed_in: Enter) -> None:
    client = signed_in("physician")
    page = client.get("/sql").text
    assert 'data-table="Patient"' in page
    assert re.findall('group">([^<]+)<', page)[:2] == [
        "Resources",
        "Marts: by person, computed from what you see",
    ]
    told = client.get("/sql/columns").json()
    patient, *_ = (one for one in told["groups"][0]["tables"] if one["name"] == "Patient")
    assert ["birthDate", "date"] in patient["columns"]
    assert ["family", "string"] in told["fields"]["HumanName"]
    csrf = re.search(r'name="csrf" value="([^"]+)"', page)
    assert csrf
    asked = {"csrf": csrf[1], "sql": "select id from Patient where id = $id", "p.id": "p2"}
    assert "<td>p2</td>" in client.post("/sql", data=asked).text
    failed = client.post("/sql", data=asked | {"sql": "select <b> from Patient"})
    assert failed.status_code == 400
    assert "&lt;b&gt;" in failed.text
    file = client.post("/sql", data=asked | {"format": "csv"})
    assert (file.text, "attachment" in file.headers["content-disposition"]) == ("id\r\np2\r\n", True)


def test_who_has_not_the_right_is_refused_and_each_use_leaves_a_line_without_values(
    lake: Any, signed_in: Enter
) -> None:
    assert signed_in("nurse").get("/sql").status_code == 403
    assert "SQL" not in signed_in("nurse").get("/worklist").text
    client = signed_in("physician")
    posted(client, sql="select 'Zebedee'")
    posted(client, sql="nonsense Zebedee")
    served_audit = "select interaction, what, parameters from audit where what = 'sql'"
    for _ in range(600):
        with lake.database.connection() as connection:
            lines = connection.execute(served_audit).fetchall()
        if len(lines) >= 2:
            break
        time.sleep(0.1)
    assert lines == [("operation", "sql", ""), ("operation", "sql", "")]
