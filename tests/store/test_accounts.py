from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from careloom.fhir.outcome import OutcomeError
from careloom.store import accounts
from careloom.store.accounts import FAILURES, IDLE, REST, SHIFT
from careloom.store.actor import Actor
from careloom.store.audit import accesses
from careloom.store.database import Database

# Half an hour before the clocks of Berlin jump.
LOCAL = datetime(2026, 3, 29, 1, 30, tzinfo=ZoneInfo("Europe/Berlin"))
NOW = LOCAL.astimezone(UTC)
PASSWORD = "correct horse"


@pytest.fixture
def house(database: Database) -> Database:
    with database.connection() as connection:
        accounts.create_account(connection, "Amina", PASSWORD, ["nurse"], "Amina H.")
    return database


def refused(database: Database, name: str, password: str, now: datetime = NOW) -> str:
    with pytest.raises(OutcomeError) as refusal:
        accounts.sign_in(database, name, password, now)
    assert refusal.value.issues[0].code == "login"
    return str(refusal.value)


def test_the_right_password_begins_a_session_that_names_the_actor(house: Database) -> None:
    session = accounts.sign_in(house, "AMINA ", PASSWORD, NOW)
    with house.connection() as connection:
        actor = accounts.actor_of_session(connection, session.token, NOW)
        assert accounts.actor_of_session(connection, session.token + "x", NOW) is None
    assert actor == session.actor
    assert (session.actor.id, session.actor.roles, session.display) == ("amina", {"nurse"}, "Amina H.")


def test_wrong_password_unknown_name_and_lock_have_the_same_words(house: Database) -> None:
    words = {refused(house, "amina", "wrong"), refused(house, "nobody", "wrong")}
    for _ in range(FAILURES):
        words.add(refused(house, "amina", "wrong"))
    words.add(refused(house, "amina", PASSWORD))
    assert len(words) == 1


def test_an_account_rests_after_wrong_passwords_and_then_lets_in_again(house: Database) -> None:
    for _ in range(FAILURES):
        refused(house, "amina", "wrong")
    refused(house, "amina", PASSWORD, NOW + REST - timedelta(seconds=1))
    assert accounts.sign_in(house, "amina", PASSWORD, NOW + REST).actor.id == "amina"
    # And the count began anew.
    refused(house, "amina", "wrong", NOW + REST)
    assert accounts.sign_in(house, "amina", PASSWORD, NOW + REST).actor.id == "amina"


def test_tries_at_once_cannot_outrun_the_lock(house: Database) -> None:
    threads = [
        threading.Thread(target=refused, args=[house, "amina", f"wrong {n}"]) for n in range(FAILURES + 3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with house.connection() as connection:
        row = connection.execute("SELECT failures, locked_until IS NOT NULL FROM account").fetchone()
    assert row == (FAILURES, True)


def test_a_session_slides_with_use_and_ends_unused_or_with_the_shift(house: Database) -> None:
    token = accounts.sign_in(house, "amina", PASSWORD, NOW).token
    moment = NOW
    with house.connection() as connection:
        while moment < NOW + SHIFT - IDLE:
            moment += IDLE - timedelta(minutes=1)
            session = accounts.session_of(connection, token, moment)
            assert session is not None
            assert session.expires == min(moment + IDLE, NOW + SHIFT)
        assert accounts.session_of(connection, token, NOW + SHIFT) is None
    other = accounts.sign_in(house, "amina", PASSWORD, NOW).token
    with house.connection() as connection:
        assert accounts.session_of(connection, other, NOW + IDLE) is None


def test_hours_are_hours_when_the_clock_is_set_forward(house: Database) -> None:
    session = accounts.sign_in(house, "amina", PASSWORD, LOCAL)
    assert session.expires == NOW + IDLE
    with house.connection() as connection:
        later = (NOW + IDLE / 2).astimezone(LOCAL.tzinfo)
        slid = accounts.session_of(connection, session.token, later)
    assert slid is not None
    assert slid.expires == NOW + IDLE / 2 + IDLE


def test_signing_out_shutting_out_and_a_new_password_end_sessions(house: Database) -> None:
    first, second, third = (accounts.sign_in(house, "amina", PASSWORD, NOW).token for _ in range(3))
    with house.connection() as connection:
        accounts.sign_out(connection, first, NOW)
        assert accounts.session_of(connection, first, NOW) is None
        assert accounts.session_of(connection, second, NOW) is not None
        accounts.set_password(connection, "amina", "another horse")
        assert accounts.session_of(connection, second, NOW) is None
    refused(house, "amina", PASSWORD)
    fourth = accounts.sign_in(house, "amina", "another horse", NOW).token
    with house.connection() as connection:
        accounts.set_active(connection, "amina", is_active=False)
        assert accounts.session_of(connection, fourth, NOW) is None
        assert accounts.session_of(connection, third, NOW) is None
    refused(house, "amina", "another horse")


def test_coming_failing_to_come_and_going_are_audited_without_what_strangers_typed(house: Database) -> None:
    refused(house, "amina", "wrong")
    refused(house, PASSWORD, "amina")
    session = accounts.sign_in(house, "amina", PASSWORD, NOW, "10.0.0.7")
    with house.connection() as connection:
        accounts.sign_out(connection, session.token, NOW)
        accounts.sign_out(connection, session.token, NOW)
        lines = [line for _, line in accesses(connection, Actor("lucia", frozenset({"admin"})))]
    assert [(line.actor, line.interaction, line.outcome) for line in lines] == [
        ("amina", "logout", 0),
        ("amina", "login", 0),
        ("unknown", "login", 4),
        ("amina", "login", 4),
    ]
    assert lines[1].address == "10.0.0.7"


def test_a_token_opens_until_it_ends_or_is_revoked(database: Database) -> None:
    with database.connection() as connection:
        token = accounts.create_token(connection, "clinic", ["source"], NOW + IDLE)
        actor = accounts.actor_of_token(connection, token, NOW)
        assert actor is not None
        assert (actor.id, actor.roles) == ("clinic", {"source"})
        assert accounts.actor_of_token(connection, token, NOW + IDLE) is None
        with pytest.raises(OutcomeError, match="token revoke"):
            accounts.create_token(connection, "clinic", ["source"])
        accounts.revoke_token(connection, "clinic")
        assert accounts.actor_of_token(connection, token, NOW) is None
        with pytest.raises(OutcomeError, match="no token"):
            accounts.revoke_token(connection, "clinic")


def test_no_secret_lies_in_the_database(house: Database) -> None:
    session = accounts.sign_in(house, "amina", PASSWORD, NOW)
    with house.connection() as connection:
        token = accounts.create_token(connection, "clinic", ["source"])
        rows = "".join(
            str(connection.execute(sql).fetchall())
            for sql in (
                b"SELECT account::text FROM account",
                b"SELECT session::text FROM session",
                b"SELECT token::text FROM token",
            )
        )
    assert not any(secret in rows for secret in (PASSWORD, session.token, token))
    assert "argon2id" in rows


@pytest.mark.parametrize(
    ("name", "password", "roles", "words"),
    [
        ("amina", PASSWORD, ["nurse"], "already"),
        ("Jonas", "short", ["nurse"], "at least 8"),
        ("jonas", PASSWORD, ["wizard"], "no role wizard"),
        ("jonas", PASSWORD, [], "At least one role"),
        (" ", PASSWORD, ["nurse"], "needs a name"),
    ],
)
def test_an_account_that_cannot_be_is_refused(
    house: Database, name: str, password: str, roles: list[str], words: str
) -> None:
    with house.connection() as connection, pytest.raises(OutcomeError, match=words):
        accounts.create_account(connection, name, password, roles)


def test_changing_what_is_not_there_is_refused(database: Database) -> None:
    with database.connection() as connection:
        with pytest.raises(OutcomeError, match="no account"):
            accounts.set_password(connection, "nobody", PASSWORD)
        with pytest.raises(OutcomeError, match="at least 8"):
            accounts.set_password(connection, "nobody", "short")
        with pytest.raises(OutcomeError, match="no account"):
            accounts.set_active(connection, "nobody", is_active=True)


def test_the_demo_has_one_person_for_each_role_and_making_them_again_changes_nothing(
    database: Database,
) -> None:
    accounts.ensure_demo_accounts(database)
    with database.connection() as connection:
        accounts.set_password(connection, "nurse", "of my own choice")
    accounts.ensure_demo_accounts(database)
    assert accounts.sign_in(database, "nurse", "of my own choice", NOW).actor.roles == {"nurse"}
    assert accounts.sign_in(database, "admin", accounts.DEMO_PASSWORD, NOW).actor.roles == {"admin"}


def test_looking_up_a_session_uses_its_index(house: Database) -> None:
    with house.connection() as connection:
        connection.execute("SET enable_seqscan = off")
        plan = connection.execute(b"EXPLAIN " + accounts.SESSION.encode(), [b"x" * 32, NOW]).fetchall()
    assert "Seq Scan" not in str(plan)
