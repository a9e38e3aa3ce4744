"""Every number of the health page is true: counted again here, from the database and the disk themselves."""

from __future__ import annotations

import html
import re
import shutil
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.waiting import WAIT_S

from careloom.fhir.resource import dumps
from careloom.flow.station import hears
from careloom.lake.build import writing
from careloom.registry import STATIONS
from careloom.settings import lake_root
from careloom.store.actor import STATION
from careloom.store.backup import backup
from careloom.store.event import Arrival

GOOD = {"resourceType": "Patient", "id": "p1", "name": [{"family": "Okafor"}], "birthDate": "1980-05-03"}


@pytest.fixture
def admin(served: Any) -> Iterator[httpx.Client]:
    """The administrator's session."""
    with httpx.Client(
        base_url=served.url, headers={"Accept": "text/html"}, follow_redirects=True, timeout=WAIT_S
    ) as client:
        token = re.search(r'name="csrf" value="([^"]+)"', client.get("/sign-in").text)
        assert token
        client.post("/sign-in/demo", data={"csrf": token[1], "name": "admin", "next": "/"})
        yield client


def gauges(client: httpx.Client) -> dict[str, tuple[str, str]]:
    """Label -> number and note."""
    found = re.findall(
        r'class="gauge[^"]*"><span[^>]*>([^<]*)</span><b>([^<]*)</b><span[^>]*>([^<]*)</span>',
        client.get("/health").text,
    )
    return {label: (html.unescape(value), html.unescape(note)) for label, value, note in found}


def table(client: httpx.Client, caption: str) -> dict[str, list[str]]:
    """The rows of a table: its heading -> its cells, without markup."""
    page = client.get("/health").text
    part = page.split(f">{caption}</caption>", 1)[1].split("</table>", 1)[0]
    rows = re.findall(r"<tr><th scope=\"row\">(.*?)</th>(.*?)</tr>", part)
    plain = re.compile(r"<[^>]+>")
    return {
        plain.sub("", name): [plain.sub("", cell) for cell in re.findall(r"<td[^>]*>(.*?)</td>", cells)]
        for name, cells in rows
    }


def told(served: Any, count: int) -> None:
    for n in range(count):
        served.flow.accept(Arrival("clinic", "fhir", dumps(GOOD | {"id": f"p{n}"}), f"K{n}"))


def test_messages_and_quarantine_are_counted_by_source_and_status(served: Any, admin: httpx.Client) -> None:
    told(served, 3)
    for n in range(2):
        served.flow.accept(Arrival("lab", "hl7v2", b"MSH|^~\\&|LAB\rnothing %d" % n, f"M{n}"))
    assert gauges(admin)["Messages"] == ("5", "from 2 sources")
    assert gauges(admin)["Quarantine"] == ("2", "needs review")
    rows = table(admin, "Messages by source and status")
    assert rows["clinic"][1:] == ["0", "3", "0", "0"]
    assert rows["lab"][1:] == ["0", "0", "2", "0"]
    assert re.fullmatch(r"\d+ s ago", rows["lab"][0])
    with served.database.connection() as connection:
        (resources,) = connection.execute("SELECT count(*) FROM res").fetchone()
    assert gauges(admin)["Stored"][1] == f"{resources:,} resources"


def test_a_message_that_waits_is_told_with_its_age(served: Any, admin: httpx.Client) -> None:
    told(served, 1)
    with served.database.connection() as connection:
        connection.execute("UPDATE event SET status = 'received', received = now() - interval '90 s'")
    count, note = gauges(admin)["Waiting"]
    assert count == "1"
    assert re.fullmatch(r"the oldest for [12] min", note)


def test_a_station_that_never_ran_is_not_called_up_to_date(served: Any, admin: httpx.Client) -> None:
    told(served, 4)
    listeners = [name for name in STATIONS if "Patient" in hears(name).types]
    assert listeners
    for name in listeners:
        assert table(admin, "Stations")[name][0] == "4"
        assert table(admin, "Stations")[name][2] == "has never run: does the engine run?"


def test_the_lag_of_a_station_is_what_it_has_not_heard_and_since_when(
    served: Any, admin: httpx.Client
) -> None:
    name = next(name for name in STATIONS if "Patient" in hears(name).types)
    told(served, 1)
    while served.flow.run_station(name):
        pass
    assert table(admin, "Stations")[name] == ["0", "", "up to date"]
    told(served, 5)
    behind, since, state = table(admin, "Stations")[name]
    # The first of the five is the same as before, and no change.
    assert behind == "4"
    assert state == "working"
    assert re.fullmatch(r"\d+ s", since)
    with served.database.connection() as connection:
        connection.execute("UPDATE res SET lm = lm - interval '5 min'")
    assert table(admin, "Stations")[name][1:] == ["5 min", "behind"]


def test_the_last_backup_is_the_last_one_that_was_made(
    served: Any, admin: httpx.Client, tmp_path: Path
) -> None:
    assert gauges(admin)["Last backup"] == ("none yet", "careloom backup PATH makes one")
    settings = replace(served.settings, database_url=served.database.url)
    backup(settings, tmp_path / "monday")
    value, note = gauges(admin)["Last backup"]
    assert re.fullmatch(r"\d+ s ago", value)
    files = [file for file in (tmp_path / "monday").rglob("*") if file.is_file()]
    size = sum(file.stat().st_size for file in files if file.name != "manifest.json")
    assert note.startswith(f"{size / 1024:.1f} KB, ")


def test_the_disk_is_the_one_of_the_home(served: Any, admin: httpx.Client) -> None:
    disk = shutil.disk_usage(served.settings.home)
    value, note = gauges(admin)["Disk"]
    assert abs(int(value.split("%")[0]) - (disk.total - disk.free) / disk.total * 100) < 2
    assert abs(float(note.split()[0]) - disk.free / 1024**3) < 2


def test_search_parameters_of_ones_own_are_listed_with_how_far_they_are(
    admin: httpx.Client, served: Any
) -> None:
    assert "Search parameters" not in admin.get("/health").text
    resource = {
        "resourceType": "SearchParameter",
        "url": "http://example.org/nick",
        "name": "nick",
        "description": "nick",
        "status": "active",
        "code": "nick",
        "base": ["Patient"],
        "type": "string",
        "expression": "Patient.name.given",
    }
    served.flow.create("SearchParameter", dumps(resource), STATION)
    served.flow.create("Patient", dumps({"resourceType": "Patient", "active": True}), STATION)
    assert table(admin, "Search parameters") == {"nick": ["Patient", "building", ""]}
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and table(admin, "Search parameters")["nick"][1] != "ready":
        served.flow.run_job()
    assert table(admin, "Search parameters") == {"nick": ["Patient", "ready", ""]}


def test_the_lake_says_how_far_it_follows(admin: httpx.Client, served: Any) -> None:
    assert gauges(admin)["Lake"][0] == "not built"
    told(served, 3)
    with writing(served.database, lake_root(served.settings)) as writer:
        writer.step()
    value, note = gauges(admin)["Lake"]
    assert (value, note.split(",")[0]) == ("fresh", "1 table")
    for n in range(2):
        served.flow.create("Patient", dumps({"resourceType": "Patient", "active": bool(n)}), STATION)
    assert gauges(admin)["Lake"][0] == "2 behind"
