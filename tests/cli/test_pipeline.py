"""`careloom pipeline` as a scheduler has it: exit statuses, results, and that running again does no harm."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from careloom.cli import careloom
from careloom.store.commit import Origin, Write, commit
from careloom.store.database import Database
from careloom.store.turn import turn_held

HOWTO = Path(__file__).parents[2] / "docs/howto/orchestrate.md"
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Site:
    """A store, its home, and the command."""

    def __init__(self, database: Database, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.database = database
        self.home = home
        monkeypatch.setenv("CARELOOM_DATABASE_URL", database.url)
        monkeypatch.setenv("CARELOOM_HOME", str(home))
        monkeypatch.chdir(home)

    def say(self, *ids: str, now: datetime = NOW) -> None:
        with self.database.connection() as connection:
            writes = [Write({"resourceType": "Patient", "id": id_, "gender": "female"}) for id_ in ids]
            commit(connection, writes, Origin(now, "ehr"))

    def run(self, *arguments: str) -> tuple[int, Any]:
        """The exit status, and what the last line of standard output says."""
        result = CliRunner().invoke(careloom, ["pipeline", *arguments])
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.exit_code, json.loads(result.stdout.splitlines()[-1])


@pytest.fixture
def site(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    return Site(database, tmp_path, monkeypatch)


def test_a_step_tells_what_it_did_and_does_nothing_where_nothing_changed(site: Site) -> None:
    site.say("a", "b")
    status, told = site.run("run", "lake", "--json")
    assert (status, told["outcome"], told["rows"], told["isNew"], told["parts"]) == (
        0,
        "done",
        2,
        True,
        {"Patient": 2},
    )
    assert [gate["isHeld"] for gate in told["gates"]] == [True, True]
    status, told = site.run("run", "lake", "--json")
    assert (status, told["rows"], told["isNew"]) == (0, 0, False)
    status, told = site.run("run", "lake", "--backfill", "--json")
    assert (status, told["rows"], told["isBackfill"]) == (0, 2, True)


def test_a_file_that_is_no_view_keeps_none_from_being_made_and_a_gate_names_it(site: Site) -> None:
    (site.home / "views").mkdir()
    column = [{"name": "key", "path": "id"}]
    told = {"resource": "Patient", "select": [{"column": column}]}
    (site.home / "views" / "mine.json").write_text(json.dumps(told))
    site.say("a")
    site.run("run", "lake", "--json")
    assert site.run("run", "views", "mine", "--json")[1]["parts"] == {"mine": 1}
    (site.home / "views" / "odd.json").write_text("{")
    assert site.run("run", "views", "mine", "--json")[0] == 0
    status, told = site.run("run", "views", "--json")
    assert (status, told["outcome"], told["parts"]["mine"]) == (1, "failed", 1)
    assert "odd.json" in told["gates"][-1]["told"]


def test_the_cdm_that_is_built_by_hand_stands_on_the_board(site: Site) -> None:
    site.say("a", "b")
    site.run("run", "lake", "--json")
    for wanted in ("Built", "Nothing had changed"):
        told = CliRunner().invoke(careloom, ["lake", "omop", "build"])
        assert f"{wanted}: " in told.stdout
        assert "OMOP quality checks" in told.stdout
    runs = CliRunner().invoke(careloom, ["pipeline", "history", "omop", "--json"]).stdout.splitlines()
    assert [json.loads(line)["askedBy"] for line in runs] == ["command", "command"]


def test_a_resource_on_which_a_view_cannot_be_run_is_left_out_of_its_file(site: Site) -> None:
    (site.home / "views").mkdir()
    told = {"resource": "Patient", "select": [{"column": [{"name": "family", "path": "name.family"}]}]}
    (site.home / "views" / "one.json").write_text(json.dumps(told))
    site.say("a", "b")
    odd = {"resourceType": "Patient", "id": "odd", "name": [{"family": "A"}, {"family": "B"}]}
    with site.database.connection() as connection:
        commit(connection, [Write(odd)], Origin(NOW, "ehr"))
    site.run("run", "lake", "--json")
    status, made = site.run("run", "views", "one", "--json")
    assert (status, made["parts"], made["gates"][-1]["told"]) == (0, {"one": 2}, "1 of one")


def test_views_and_marts_are_files_that_are_made_once(site: Site) -> None:
    site.say("a", "b")
    site.run("run", "lake", "--json")
    status, told = site.run("run", "views", "patient", "--json")
    assert (status, told["parts"]) == (0, {"patient": 2})
    file = site.home / "lake/_views/patient.parquet"
    before = file.stat().st_mtime_ns
    assert site.run("run", "views", "patient", "--json")[1]["isNew"] is False
    assert file.stat().st_mtime_ns == before
    site.say("c")
    site.run("run", "lake", "--json")
    assert site.run("run", "views", "patient", "--json")[1]["parts"] == {"patient": 3}
    assert sorted(pq.read_table(file)["id"].to_pylist()) == ["a", "b", "c"]
    status, told = site.run("run", "marts", "persons", "--out", "made", "--json")
    assert (status, told["parts"]) == (0, {"persons": 3})
    assert pq.read_table(site.home / "made/persons.parquet").num_rows == 3
    assert "a person is one row" in {gate["name"] for gate in told["gates"]}


def test_since_a_time_a_view_has_the_rows_that_were_written_since(site: Site) -> None:
    site.say("old", now=datetime(2026, 2, 1, tzinfo=UTC))
    site.say("new", now=datetime(2026, 3, 2, tzinfo=UTC))
    site.run("run", "lake", "--json")
    arguments = ("run", "views", "patient", "--since", "2026-03-01T00:00", "--out", "extract", "--json")
    assert site.run(*arguments)[1]["parts"] == {"patient": 1}
    assert pq.read_table(site.home / "extract/patient.parquet")["id"].to_pylist() == ["new"]
    status, told = site.run("run", "marts", "--since", "2026-03-01T00:00", "--json")
    assert status == 1
    assert "no --since" in told["reason"]


def test_what_is_busy_may_be_tried_again_and_says_so(site: Site) -> None:
    site.say("a")
    site.run("run", "lake", "--json")
    with turn_held(site.database, "pipeline marts") as is_ours:
        assert is_ours
        status, told = site.run("run", "marts", "--json")
    assert (status, told["outcome"]) == (75, "busy")
    assert site.run("run", "marts", "persons", "--json")[0] == 0


def test_a_gate_that_does_not_hold_fails_the_step_and_names_the_table(site: Site) -> None:
    site.say("a", "b")
    site.run("run", "lake", "--json")
    # A version is gone from the store, as no careloom lets one go.
    with site.database.connection() as connection:
        connection.execute("delete from res where id = 'a'")
    status, told = site.run("run", "lake", "--json")
    assert (status, told["outcome"]) == (1, "failed")
    assert told["reason"] == "Does not hold: rows equal the store: Patient 2 for 1."
    status, standings = site.run("status", "--json")
    assert status == 1
    lake = next(one for one in standings if one["name"] == "lake")
    assert (lake["state"], lake["retries"], lake["error"]) == ("failed", 1, told["reason"])
    assert [json.loads(line)["outcome"] for line in _lines("pipeline", "history", "lake", "--json")] == [
        "failed",
        "done",
    ]


def _lines(*arguments: str) -> list[str]:
    return CliRunner().invoke(careloom, list(arguments)).stdout.splitlines()


def test_a_command_that_finds_the_lake_written_by_another_leaves_with_75(site: Site) -> None:
    site.say("a")
    with turn_held(site.database, f"lake {(site.home / 'lake').resolve()}"):
        done = subprocess.run(
            [sys.executable, "-c", "import careloom.cli.lakeside as s; s.WAIT_S = 0.1; from careloom.cli import main; main()",
             "lake", "compact"], check=False, capture_output=True, text=True,
        )  # fmt: skip
    assert done.returncode == 75
    assert "try again later" in done.stderr


def test_the_commands_of_the_guide_run_as_they_stand_there(site: Site) -> None:
    site.say("a")
    text = HOWTO.read_text()
    commands = [
        line for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL) for line in block.splitlines()
    ]
    # Those within the Python of Airflow and Dagster are the same for each step.
    assert 'bash_command=f"careloom pipeline run {name} --json"' in text
    assert '["careloom", "pipeline", "run", step, "--json"]' in text
    assert {f"careloom pipeline run {name} --json" for name in ("lake", "marts", "omop")} <= set(commands)
    for command in commands:
        result = CliRunner().invoke(careloom, shlex.split(command)[1:])
        # With one patient and no vocabulary the CDM has failed checks; they are told, and nothing else may go wrong.
        told = json.loads(result.stdout.splitlines()[-1])
        assert result.exit_code == 0 or ("omop" in command or "status" in command), (command, result.stdout)
        assert told
