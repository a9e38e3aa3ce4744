"""flow.report: a saved report runs when it is due, as its owner, and what it gave is kept."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from click.testing import CliRunner

from careloom.cli import careloom
from careloom.fhir.resource import dumps
from careloom.flow import Flow
from careloom.lake.asking import asks_for
from careloom.lake.build import writing
from careloom.settings import Settings, lake_root
from careloom.store import accounts, report_runs, reports
from careloom.store.actor import Actor
from careloom.store.confinement import confine
from careloom.store.database import Database
from careloom.store.report import Draft, Parameter, Plan, Schedule, next_due

CLINIC = Actor("clinic", frozenset({"source"}))
OWNER = Actor("berg", frozenset({"physician"}), frozenset({"Patient/p1"}))
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")


class Hospital:
    """A store, its lake, a clock that is set by hand, and an owner who sees one patient."""

    def __init__(self, database: Database, home: Path) -> None:
        self.now = NOW
        self.settings = Settings(home=home, time_zone="Europe/Berlin", database_url=database.url)
        self.database = database
        self.flow = Flow(database, self.settings, lambda: self.now)
        with database.connection() as connection:
            accounts.create_account(connection, "berg", "a long password", ["physician"])
            confine(connection, "account", "berg", ["Patient/p1"], "test", NOW)
        for id_ in ("p1", "p2"):
            body = {"resourceType": "Patient", "id": id_, "birthDate": "1950-01-01"}
            self.flow.update("Patient", id_, dumps(body), CLINIC)
        with writing(database, lake_root(self.settings)) as writer:
            while writer.step(1_000):
                pass

    def save(self, sql: str, *parameters: Parameter) -> str:
        with self.database.connection() as connection:
            id_ = reports.save(connection, OWNER, Draft("Mine", "", sql, parameters), self.now)
            when = Schedule("daily", at="06:30")
            reports.schedule(connection, OWNER, id_, Plan(when, next_due(when, self.now, BERLIN)), self.now)
        return id_

    def runs(self, id_: str) -> list[report_runs.Run]:
        with self.database.connection() as connection:
            return report_runs.runs(connection, id_)


@pytest.fixture
def hospital(database: Database, tmp_path: Path) -> Hospital:
    return Hospital(database, tmp_path)


def test_it_runs_once_when_it_is_due_as_its_owner_and_fails_with_its_reason(hospital: Hospital) -> None:
    id_ = hospital.save(
        "select id, $least as least from marts.persons p, Patient where birthDate > $day",
        Parameter("least", "number", default="1"), Parameter("day", "text", default="1900"),
    )  # fmt: skip
    assert hospital.flow.run_reports() == 0
    hospital.now += timedelta(days=3)
    assert [hospital.flow.run_reports(), hospital.flow.run_reports()] == [1, 0]
    (run,) = hospital.runs(id_)
    # Of two patients the owner sees one.
    assert (run.status, run.rows, [name for name, _ in run.columns]) == ("done", 1, ["id", "least"])
    with hospital.database.connection() as connection:
        found = report_runs.kept(connection, id_, run.id, OWNER)
        assert found is not None
        assert found[1].startswith(b"PAR1")
        lines = "select actor, number from audit where what = %s and interaction = 'operation'"
        assert connection.execute(lines, [f"report/{id_}"]).fetchall() == [("berg", 1)]
        connection.execute("update report set sql = 'select nothing from Patient' where id = %s", [id_])
    hospital.now += timedelta(days=1)
    assert hospital.flow.run_reports() == 1
    failed = hospital.runs(id_)[0]
    assert (failed.status, failed.rows) == ("queued", None)
    assert "line 1, column 8" in failed.issues[0].text


def test_who_may_not_ask_any_more_has_no_report_run(hospital: Hospital) -> None:
    id_ = hospital.save("select 1")
    with hospital.database.connection() as connection:
        accounts.set_active(connection, "berg", is_active=False)
    hospital.now += timedelta(days=1)
    assert hospital.flow.run_reports() == 1
    assert hospital.runs(id_)[0].issues[0].code == "forbidden"


def test_the_commands_list_run_and_schedule_and_say_by_their_status_what_went_wrong(
    hospital: Hospital, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CARELOOM_DATABASE_URL", hospital.database.url)
    monkeypatch.setenv("CARELOOM_HOME", str(hospital.settings.home))
    id_ = hospital.save(
        "select id from Patient where birthDate < $before::text",
        Parameter("before", "date", default="2000-01-01"),
    )
    run = CliRunner().invoke
    assert "Mine" in run(careloom, ["lake", "report", "list"]).output
    ran = run(careloom, ["lake", "report", "run", id_])
    assert (ran.exit_code, ran.stdout_bytes) == (0, b"id\np1\n")
    assert run(careloom, ["lake", "report", "run", id_, "-p", "before=soon"]).exit_code == 1
    assert run(careloom, ["lake", "report", "run", "nothing"]).exit_code == 1
    for option, told in (
        ("--weekly Monday@07:15", "Mondays at 07:15"),
        ("--every 15", "every 15 minutes"),
        ("--off", "not scheduled"),
    ):
        assert told in run(careloom, ["lake", "report", "schedule", id_, *option.split()]).output
    assert run(careloom, ["lake", "report", "schedule", id_]).exit_code == 2
    assert asks_for(OWNER, "", Path("x")).patients == ("Patient/p1",)
