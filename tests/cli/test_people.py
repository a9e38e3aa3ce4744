"""`careloom account` and `careloom token`: who may come in, from the first day to the last."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from careloom.cli import careloom
from careloom.cli.pipeline import OPERATOR
from careloom.fhir.outcome import OutcomeError
from careloom.store import accounts
from careloom.store.audit import accesses
from careloom.store.commit import Origin, Write, commit
from careloom.store.database import Database


def test_accounts_and_tokens_are_made_listed_changed_and_ended(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CARELOOM_DATABASE_URL", database.url)

    def run(*arguments: str) -> str:
        result = CliRunner().invoke(careloom, [*arguments, "--home", str(tmp_path)], env={"COLUMNS": "200"})
        if result.exception:
            raise result.exception
        return result.output

    def row(*arguments: str) -> list[str]:
        return next(line.split() for line in run(*arguments).splitlines() if line.startswith("amina"))

    now = datetime.now(UTC)
    run("account", "add", "amina", "--role", "nurse", "--display", "Amina", "--password", "first-password")
    assert row("account", "list") == ["amina", "Amina", "nurse", "open", "everyone"]
    session = accounts.sign_in(database, "amina", "first-password", now)
    assert datetime.now(UTC).strftime("%b-%Y") in row("account", "list")[4]

    run("account", "roles", "amina", "--role", "physician")
    run("account", "password", "amina", "--password", "second-password")
    with database.connection() as connection:
        assert accounts.session_of(connection, session.token, now) is None
    with pytest.raises(OutcomeError, match="wrong"):
        accounts.sign_in(database, "amina", "first-password", now)
    assert accounts.sign_in(database, "amina", "second-password", now).actor.roles == {"physician"}

    run("account", "close", "amina")
    assert row("account", "list")[3] == "closed"
    with pytest.raises(OutcomeError, match="wrong"):
        accounts.sign_in(database, "amina", "second-password", now)
    run("account", "open", "amina")
    accounts.sign_in(database, "amina", "second-password", now)
    with pytest.raises(OutcomeError, match="no account nobody"):
        run("account", "close", "nobody")

    token = run("token", "create", "amina", "--role", "source", "--days", "30").strip()
    with database.connection() as connection:
        assert accounts.actor_of_token(connection, token, now) is not None
    assert row("token", "list")[:2] == ["amina", "source"]
    assert token not in run("token", "list")
    with pytest.raises(OutcomeError, match="careloom token revoke amina"):
        run("token", "create", "amina", "--role", "source")
    run("token", "revoke", "amina")
    with database.connection() as connection:
        assert accounts.actor_of_token(connection, token, now) is None


def test_accounts_and_tokens_are_confined_and_let_go(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CARELOOM_DATABASE_URL", database.url)
    now = datetime.now(UTC)
    ward = {"resourceType": "Location", "id": "w3", "name": "Ward 3"}
    visit = {
        "resourceType": "Encounter", "id": "e", "status": "in-progress", "class": {"code": "IMP"},
        "subject": {"reference": "Patient/ada"}, "location": [{"location": {"reference": "Location/w3"}}],
    }  # fmt: skip
    patients = [{"resourceType": "Patient", "id": id_} for id_ in ("ada", "bo", "cy")]
    group = {"resourceType": "Group", "id": "g", "type": "person", "actual": True, "name": "Study"}
    with database.connection() as connection:
        resources = [ward, visit, group, {**ward, "id": "w4", "name": "Ward 4"}, *patients]
        commit(connection, [Write(one) for one in resources], Origin(now, "ehr"))

    def run(*arguments: str) -> str:
        result = CliRunner().invoke(careloom, [*arguments, "--home", str(tmp_path)], env={"COLUMNS": "300"})
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.output

    def sees(kind: str, name: str) -> str:
        row = next(line for line in run(kind, "list").splitlines() if line.startswith(name))
        return " ".join(row.split())

    nora = ("account", "add", "nora", "--role", "nurse", "--password", "a long password")
    with pytest.raises(OutcomeError, match="no Location of that id, nor one of that name"):
        run(*nora, "--location", "Ward 9")
    assert "nora" not in run("account", "list")
    assert "nora may sign in as nurse and sees 1 patient now: Ward 3 (Location/w3)." in run(
        *nora, "--location", "Ward 3"
    )
    assert sees("account", "nora").endswith("open 1 patient now: Ward 3 (Location/w3)")
    lists = tmp_path / "patients.txt"
    lists.write_text("bo\n\nPatient/cy\n")
    told = run("account", "confine", "nora", "--location", "w3", "--group", "g", "--file", str(lists))
    assert told == "nora sees 3 patients now: Study (Group/g), Ward 3 (Location/w3), Patient/bo and 1 more.\n"
    assert (
        run("account", "confine", "nora", "--location", "w4")
        == "nora sees 0 patients now: Ward 4 (Location/w4).\n"
    )
    for text, said in (("bo\nPractitioner/x\nzed\n", "line 2, 3, no"), ("\n", "names nobody")):
        lists.write_text(text)
        with pytest.raises(OutcomeError, match=said):
            run("account", "confine", "nora", "--file", str(lists))
    assert "Say whom they see" in run("account", "confine", "nora")
    assert "Say whom they see" in run("account", "confine", "nora", "--everyone", "--patient", "bo")
    assert "0 patients now" in sees("account", "nora")
    assert run("account", "confine", "nora", "--everyone") == "nora sees everyone.\n"

    token = run("token", "create", "app", "--role", "source", "--patient", "bo").strip()
    with database.connection() as connection:
        actor = accounts.actor_of_token(connection, token, now)
        assert actor is not None
        assert actor.patients == {"Patient/bo"}
    assert sees("token", "app").endswith("when revoked 1 patient now: Patient/bo")
    run("token", "confine", "app", "--everyone")
    assert sees("token", "app").endswith("everyone")
    with database.connection() as connection:
        lines = accesses(connection, OPERATOR)
    assert {one.actor.partition(":")[0] for _, one in lines if one.what == "$confine"} == {"command"}
    assert [one.parameters for _, one in lines if one.what == "$confine"][:2] == [
        "token app: everyone",
        "token app: Patient/bo",
    ]
