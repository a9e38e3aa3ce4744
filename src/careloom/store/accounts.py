"""store.accounts: who may come in: people by password and session, programs by token.

Room: store. May import: fhir.outcome. Touches: the tables account, session, token, audit; of whom is confined, res.
Standards: RFC 9106 (argon2id), RFC 6750 (Bearer); NIST SP 800-63B 5.1.1.2 (passwords), 7.1 (sessions).

Secrets are never stored: a password as argon2id, tokens (256 random bits) as SHA-256. That a form comes from our own
page is proved by web.security from the session's token; nothing is stored for it.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError
from psycopg.errors import UniqueViolation

from careloom.fhir.outcome import Issue, OutcomeError
from careloom.store.actor import ROLES, Actor
from careloom.store.audit import Access, record
from careloom.store.confinement import patients_within
from careloom.store.database import Connection, Database

IDLE = timedelta(hours=1)
"""A session that nobody uses ends after this time."""

SHIFT = timedelta(hours=12)
"""A session ends after this time even when it is used: about one shift."""

SLIDE_AFTER = timedelta(minutes=1)
"""A session's end is written at most this often, so that reading a page is not also a write."""

FAILURES = 5
REST = timedelta(minutes=15)
"""After five wrong passwords in a row an account rests for a quarter of an hour."""

LEAST_PASSWORD = 8

DEMO_PASSWORD = "careloom-demo"  # noqa: S105 - it is public, and made only where `demo` is set
DEMO_ACCOUNTS = {
    "nurse": "Amina Haddad, nurse",
    "physician": "Jonas Berg, physician",
    "integration": "Priya Nair, integration engineer",
    "admin": "Lucia Romero, administrator",
}
"""Name, which is also the role -> display name."""

_REFUSAL = f"Name or password is wrong. After {FAILURES} wrong passwords an account rests for 15 minutes."

# The try is counted before the password is looked at, so that tries at once cannot outrun the count.
TRY = """
UPDATE account SET failures = CASE WHEN locked_until <= %(now)s THEN 1 ELSE failures + 1 END,
  locked_until = CASE WHEN locked_until <= %(now)s THEN NULL
                      WHEN failures + 1 >= %(most)s THEN %(until)s ELSE locked_until END
WHERE name = %(name)s AND is_active AND (locked_until IS NULL OR locked_until <= %(now)s)
RETURNING password
"""

SUCCEED = "UPDATE account SET failures = 0, locked_until = NULL WHERE name = %s RETURNING display, roles, confined_to"

LISTED = """
SELECT name, display, roles, is_active, coalesce(locked_until > %s, false),
  (SELECT max(recorded) FROM audit WHERE actor = account.name AND interaction = 'login' AND outcome = 0),
  confined_to
FROM account ORDER BY name
"""

BEGIN = "INSERT INTO session (hash, account, begun, expires) VALUES (%s, %s, %s, %s)"

SESSION = """
SELECT name, display, roles, confined_to, begun, expires FROM session JOIN account ON account = name
WHERE hash = %s AND expires > %s AND is_active
"""


@dataclass(frozen=True, slots=True)
class Session:
    """One sign-in. The token is the secret that the browser keeps; it is not stored."""

    token: str
    actor: Actor
    display: str
    expires: datetime


@dataclass(frozen=True, slots=True)
class Account:
    """Who may sign in, as an administrator sees them: never a secret."""

    name: str
    display: str
    roles: list[str]
    is_active: bool
    is_locked: bool
    last_login: datetime | None
    confined_to: list[str] | None


def create_account(
    connection: Connection, name: str, password: str, roles: Iterable[str], display: str = ""
) -> None:
    """Make an account. Raises OutcomeError: `duplicate` name, `value` for a short password or an unknown role."""
    name = name.strip().lower()
    if not name:
        raise OutcomeError(Issue("required", "An account needs a name."))
    if len(password) < LEAST_PASSWORD:
        raise OutcomeError(Issue("value", f"A password has at least {LEAST_PASSWORD} characters."))
    row = [name, display or name, PasswordHasher().hash(password), _known(roles)]
    try:
        with connection.transaction():
            connection.execute(
                "INSERT INTO account (name, display, password, roles) VALUES (%s, %s, %s, %s)", row
            )
    except UniqueViolation as error:
        raise OutcomeError(Issue("duplicate", f"There is an account {name} already.")) from error


def displays(connection: Connection) -> dict[str, str]:
    """Name -> how the person is called, of all accounts, also of those that are shut."""
    return dict(
        cast("list[tuple[str, str]]", connection.execute("SELECT name, display FROM account").fetchall())
    )


def set_password(connection: Connection, name: str, password: str) -> None:
    """Replace a password, lift a lock, and end the account's sessions. Raises OutcomeError `not-found`, `value`."""
    if len(password) < LEAST_PASSWORD:
        raise OutcomeError(Issue("value", f"A password has at least {LEAST_PASSWORD} characters."))
    sql = "UPDATE account SET password = %s, failures = 0, locked_until = NULL WHERE name = %s"
    if not connection.execute(sql, [PasswordHasher().hash(password), name.lower()]).rowcount:
        raise OutcomeError(Issue("not-found", f"There is no account {name}."))
    connection.execute("DELETE FROM session WHERE account = %s", [name.lower()])


def set_active(connection: Connection, name: str, *, is_active: bool) -> None:
    """Let an account in, or shut it out and end its sessions. Raises OutcomeError `not-found`."""
    sql = "UPDATE account SET is_active = %s WHERE name = %s"
    if not connection.execute(sql, [is_active, name.lower()]).rowcount:
        raise OutcomeError(Issue("not-found", f"There is no account {name}."))
    if not is_active:
        connection.execute("DELETE FROM session WHERE account = %s", [name.lower()])


def set_roles(connection: Connection, name: str, roles: Iterable[str]) -> None:
    """Replace what an account may do, and end its sessions. Raises OutcomeError `not-found`, `value`."""
    sql = "UPDATE account SET roles = %s WHERE name = %s"
    if not connection.execute(sql, [_known(roles), name.lower()]).rowcount:
        raise OutcomeError(Issue("not-found", f"There is no account {name}."))
    connection.execute("DELETE FROM session WHERE account = %s", [name.lower()])


def listed(connection: Connection, now: datetime) -> list[Account]:
    """All accounts by name."""
    rows = connection.execute(LISTED, [now]).fetchall()
    return [Account(*row) for row in rows]


def sign_in(
    database: Database,
    name: str,
    password: str,
    now: datetime,
    address: str = "",
    *,
    new_token: Callable[[], str] = secrets.token_urlsafe,
) -> Session:
    """Begin a session. Raises OutcomeError `login`: the same words for a wrong password, an unknown name, a lock.

    Both are audited, with the caller's network address. It takes the database, not a connection: the count of wrong
    passwords and the line of the audit trail stay although the sign-in fails.
    """
    # In a zone with summer time, a time plus an hour is not always an hour later.
    now = now.astimezone(UTC)
    name = name.strip().lower()
    values = {"name": name, "now": now, "until": now + REST, "most": FAILURES}
    with database.connection() as connection:
        found = cast("tuple[str] | None", connection.execute(TRY, values).fetchone())
    # An unknown name takes as long as a known one, so that the time tells nothing.
    if not _matches(found[0] if found else _decoy(), password) or found is None:
        _record_refusal(database, name, now, address)
        raise OutcomeError(Issue("login", _REFUSAL))
    token = new_token()
    expires = now + IDLE
    with database.connection() as connection:
        row = connection.execute(SUCCEED, [name]).fetchone()
        if row is None:
            raise OutcomeError(Issue("login", _REFUSAL))
        connection.execute("DELETE FROM session WHERE expires <= %s", [now])
        connection.execute(BEGIN, [_hash(token), name, now, expires])
        record(connection, Access(now, name, "login", address=address))
        display, roles, confined_to = row
        actor = _actor(connection, name, roles, confined_to, now)
    return Session(token, actor, display, expires)


def session_of(connection: Connection, token: str, now: datetime) -> Session | None:
    """The living session of a token; its end slides, up to the end of the shift. None: sign in again."""
    row = connection.execute(SESSION, [_hash(token), now]).fetchone()
    if row is None:
        return None
    name, display, roles, confined_to, begun, expires = row
    until = min(now.astimezone(UTC) + IDLE, begun + SHIFT)
    if until - expires >= SLIDE_AFTER:
        connection.execute("UPDATE session SET expires = %s WHERE hash = %s", [until, _hash(token)])
        expires = until
    return Session(token, _actor(connection, name, roles, confined_to, now), display, expires)


def actor_of(connection: Connection, name: str, now: datetime) -> Actor | None:
    """Whom an account makes its owner, for what runs in their name; None for none, or one that is shut."""
    sql = "SELECT name, roles, confined_to FROM account WHERE name = %s AND is_active"
    row = connection.execute(sql, [name]).fetchone()
    return _actor(connection, row[0], row[1], row[2], now) if row else None


def actor_of_session(connection: Connection, token: str, now: datetime) -> Actor | None:
    """Who holds this session's token; None for none or one that has ended."""
    session = session_of(connection, token, now)
    return session.actor if session else None


def sign_out(connection: Connection, token: str, now: datetime, address: str = "") -> None:
    """End a session, and say so in the audit trail."""
    ended = connection.execute(
        "DELETE FROM session WHERE hash = %s RETURNING account", [_hash(token)]
    ).fetchone()
    if ended:
        record(connection, Access(now, ended[0], "logout", address=address))


def create_token(
    connection: Connection,
    name: str,
    roles: Iterable[str],
    expires: datetime | None = None,
    *,
    new_token: Callable[[], str] = secrets.token_urlsafe,
) -> str:
    """A token for a program; shown once, for only its hash is kept. Raises OutcomeError `duplicate`, `value`."""
    token = "clm_" + new_token()
    try:
        with connection.transaction():
            connection.execute(
                "INSERT INTO token (hash, name, roles, expires) VALUES (%s, %s, %s, %s)",
                [_hash(token), name, _known(roles), expires],
            )
    except UniqueViolation as error:
        raise OutcomeError(
            Issue("duplicate", f"There is a token {name} already: `careloom token revoke {name}` ends it.")
        ) from error
    return token


def revoke_token(connection: Connection, name: str) -> None:
    """End a program's token. Raises OutcomeError `not-found`."""
    if not connection.execute("DELETE FROM token WHERE name = %s", [name]).rowcount:
        raise OutcomeError(Issue("not-found", f"There is no token {name}."))


def tokens(connection: Connection) -> list[tuple[str, list[str], datetime | None, list[str] | None]]:
    """All tokens by name: whose, roles, when they end, and to what they are confined."""
    rows = connection.execute("SELECT name, roles, expires, confined_to FROM token ORDER BY name").fetchall()
    return cast("list[tuple[str, list[str], datetime | None, list[str] | None]]", rows)


def actor_of_token(connection: Connection, token: str, now: datetime) -> Actor | None:
    """Who holds this Bearer token; None for one that is unknown or has ended."""
    sql = "SELECT name, roles, confined_to FROM token WHERE hash = %s AND (expires IS NULL OR expires > %s)"
    row = connection.execute(sql, [_hash(token), now]).fetchone()
    return _actor(connection, row[0], row[1], row[2], now) if row else None


def ensure_demo_accounts(database: Database) -> None:
    """The demo's people, one for each role of the pages; those that are there stay as they are."""
    with database.connection() as connection:
        there = {name for (name,) in connection.execute("SELECT name FROM account")}
        for name, display in DEMO_ACCOUNTS.items():
            if name not in there:
                create_account(connection, name, DEMO_PASSWORD, [name], display)


def _record_refusal(database: Database, name: str, now: datetime, address: str) -> None:
    with database.connection() as connection:
        # Not the name that was typed: people type passwords into the wrong field.
        known = connection.execute("SELECT name FROM account WHERE name = %s", [name]).fetchone()
        record(connection, Access(now, known[0] if known else "unknown", "login", 4, address=address))


def _actor(
    connection: Connection, name: str, roles: list[str], confined_to: list[str] | None, now: datetime
) -> Actor:
    patients = None if confined_to is None else patients_within(connection, confined_to, now)
    return Actor(name, frozenset(roles), patients)


def _known(roles: Iterable[str]) -> list[str]:
    names = sorted(set(roles))
    unknown = [name for name in names if name not in ROLES]
    if unknown or not names:
        text = f"There is no role {unknown[0]}" if unknown else "At least one role is needed"
        raise OutcomeError(Issue("value", f"{text}: choose from {', '.join(sorted(ROLES))}."))
    return names


def _hash(token: str) -> bytes:
    # 256 random bits need no salt and no slow hash: nobody can guess them.
    return hashlib.sha256(token.encode()).digest()


def _matches(hashed: str, password: str) -> bool:
    try:
        return PasswordHasher().verify(hashed, password)
    except VerifyMismatchError:
        return False


_decoys: list[Any] = []


def _decoy() -> str:
    if not _decoys:
        _decoys.append(PasswordHasher().hash(secrets.token_hex()))
    return _decoys[0]
