"""`careloom lake` as a person at a terminal has it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from careloom.cli import careloom
from careloom.fhir.outcome import OutcomeError
from careloom.fhir.resource import dumps
from careloom.store.commit import Origin, Write, commit
from careloom.store.database import Database
from careloom.store.turn import turn_held

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
Run = Callable[..., Result]


@pytest.fixture
def run(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("CARELOOM_DATABASE_URL", database.url)
    monkeypatch.setenv("CARELOOM_HOME", str(tmp_path))
    monkeypatch.setattr("careloom.cli.lakeside.WAIT_S", 0.3)

    def run(*arguments: str) -> Result:
        result = CliRunner().invoke(careloom, ["lake", *arguments])
        if result.exception and not isinstance(result.exception, OutcomeError | SystemExit):
            raise result.exception
        return result

    return run


def say(database: Database, *ids: str, gender: str = "female") -> int:
    with database.connection() as connection:
        writes = [Write({"resourceType": "Patient", "id": id_, "gender": gender}) for id_ in ids]
        commit(connection, writes, Origin(NOW, "ehr"))
        return connection.execute("select feed_now()").fetchone()[0]


def test_build_status_compact_vacuum_and_ask(run: Run, database: Database) -> None:
    first = say(database, "a", "b")
    assert "2 versions came" in run("build").output
    say(database, "b", gender="male")
    run("build")
    assert run("asof", "now").output.splitlines() == ["table,resources", "Patient,2"]
    sql = 'select id, gender from "Patient" order by id'
    assert run("asof", "now", sql).output.splitlines() == ["id,gender", "a,female", "b,male"]
    assert run("asof", str(first), sql).output.splitlines() == ["id,gender", "a,female", "b,female"]
    assert "2 files are gone" not in run("compact").output
    assert run("asof", str(first), sql).output.splitlines() == ["id,gender", "a,female", "b,female"]
    status = run("status").output
    assert "Patient" in status
    assert "0 versions wait" in status
    assert "files were deleted" in run("vacuum", "--hours", "0").output
    assert run("asof", "now", sql).output.splitlines() == ["id,gender", "a,female", "b,male"]


def test_lineage_says_what_made_a_cell(run: Run, database: Database) -> None:
    say(database, "a")
    run("build")
    output = run("lineage", "Patient", "a", "gender").output
    assert "Patient/a.gender, version 1" in output
    assert "by ehr" in output


def test_bad_sql_is_answered_with_its_place_and_no_value(run: Run, database: Database) -> None:
    say(database, "a", gender="female")
    run("build")
    wrong = run("asof", "now", 'select nothing from "Patient"')
    assert "nothing" in str(wrong.exception)
    assert "LINE 1" in str(wrong.exception)
    cast = run("asof", "now", 'select gender::int from "Patient"')
    assert "female" not in str(cast.exception)


@pytest.mark.parametrize(
    ("when", "said"), [("yesterday", "WHEN is a time"), ("99999999999", "up to transaction")]
)
def test_a_time_that_cannot_be_is_refused(run: Run, database: Database, when: str, said: str) -> None:
    say(database, "a")
    run("build")
    assert said in str(run("asof", when).exception)


def test_without_a_lake_one_is_told_to_build_it(run: Run) -> None:
    assert "careloom lake build" in str(run("status").exception)


def test_a_second_writer_is_told_to_wait(run: Run, database: Database, tmp_path: Path) -> None:
    with turn_held(database, f"lake {(tmp_path / 'lake').resolve()}"):
        assert "Another process writes" in str(run("build").exception)


def test_build_fresh_reads_everything_again(run: Run, database: Database) -> None:
    say(database, "a", "b")
    run("build")
    assert "0 versions came" in run("build").output
    assert "2 versions came" in run("build", "--fresh").output


@pytest.mark.parametrize("command", ["build", "status", "compact", "vacuum", "asof", "lineage"])
def test_help_shows_an_example(run: Run, command: str) -> None:
    assert f"careloom lake {command}" in run(command, "--help").output


def test_a_statement_is_answered_with_values_by_name_and_one_that_writes_is_refused(
    run: Run, database: Database
) -> None:
    say(database, "b", gender="male")
    run("build")
    asked = "select id from Patient where gender = $which"
    assert run("sql", asked, "-p", "which=male").output.split() == ["id", "b"]
    assert run("sql", asked, "-p", "which=male").stdout_bytes == b"id\nb\n", (
        "a shell would keep a carriage return"
    )
    assert '"rows":[["b"]]' in run("sql", asked, "-p", "which=male", "--format", "json").output
    assert isinstance(run("sql", "drop table Patient").exception, OutcomeError)


def test_a_view_of_the_store_is_run_by_its_name_and_an_unknown_one_names_those_that_there_are(
    run: Run, database: Database
) -> None:
    columns = [{"name": "id", "path": "getResourceKey()"}, {"name": "sex", "path": "gender"}]
    view = {
        "resourceType": "ViewDefinition",
        "id": "v",
        "name": "sexes",
        "status": "active",
        "resource": "Patient",
    }
    say(database, "a", "b")
    with database.connection() as connection:
        commit(connection, [Write({**view, "select": [{"column": columns}]})], Origin(NOW, "ehr"))
    run("build")
    assert run("run", "sexes").output.splitlines() == ["id,sex", "a,female", "b,female"]
    assert run("run", "sexes", "--since", "2026-03-02").output.splitlines() == ["id,sex"]
    assert '"name":"sexes"' in run("views", "sexes").output
    assert run("run", "condition", "--format", "json").output.split() == ["[", "]"]
    assert "observation_coding" in str(run("run", "elephant").exception)


def test_a_view_of_the_sites_folder_is_listed_run_kept_and_asked_and_a_broken_one_named(
    run: Run, database: Database, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CARELOOM_VIEWS_FOLDER", str(tmp_path))
    column = [{"name": "id", "path": "id"}, {"name": "sex", "path": "gender"}]
    told = {"resourceType": "ViewDefinition", "resource": "Patient", "select": [{"column": column}]}
    (tmp_path / "sexes.json").write_bytes(dumps(told))
    say(database, "a")
    run("build")
    assert "sexes  (Patient, in sexes.json): id, sex" in run("views").output
    assert run("run", "sexes").output.splitlines() == ["id,sex", "a,female"]
    assert run("sql", "select sex from views.sexes").output.split() == ["sex", "female"]
    assert "sexes" in run("keep", "sexes").output
    (tmp_path / "broken.json").write_bytes(dumps(told).replace(b"gender", b"hover()"))
    listed = run("views")
    assert listed.exit_code == 2
    assert "broken.json is left out: ViewDefinition.select[0].column[1].path" in listed.output
    assert "hover" in str(run("run", "broken").exception)
    assert run("run", "sexes").exit_code == 0


def test_views_are_kept_refreshed_and_dropped(run: Run, database: Database) -> None:
    say(database, "a", "b")
    run("build")
    kept = run("keep", "patient", "nothing")
    assert "the view nothing is not kept" in kept.output
    say(database, "c")
    [line] = [line for line in run("refresh").output.splitlines() if "patient" in line]
    assert " 3 " in line
    assert "patient" not in run("keep", "--drop", "patient", "nothing").output
