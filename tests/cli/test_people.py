"""`careloom account` and `careloom token`: who may come in, from the first day to the last."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from careloom.cli import careloom
from careloom.fhir.outcome import OutcomeError
from careloom.store import accounts
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
    assert row("account", "list") == ["amina", "Amina", "nurse", "open"]
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
