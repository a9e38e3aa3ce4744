"""cli.people: `careloom account` and `careloom token`: who may come in.

Room: cli.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import click
from rich.console import Console
from rich.table import Table

from careloom.cli import confining
from careloom.cli import options as shared
from careloom.cli.here import settings_here
from careloom.settings import Settings
from careloom.store import accounts
from careloom.store.actor import ROLES
from careloom.store.confinement import Holder, confine
from careloom.store.database import Connection
from careloom.store.server import database_served

_role = click.option(
    "--role",
    "roles",
    multiple=True,
    required=True,
    type=click.Choice(sorted(ROLES)),
    help="What they may do; several with --role again.",
)


@click.group()
def account() -> None:
    """People who sign in.

    \b
    careloom account add amina --role nurse --display "Amina Haddad, nurse"
    careloom account list
    careloom account confine amina --location WARD3
    careloom account password amina
    careloom account close amina
    """


@account.command("add")
@click.argument("name")
@_role
@click.option("--display", default="", help="How pages call the person (default: NAME).")
@click.password_option(help="Asked for where it is not given; a shell remembers what is typed here.")
@confining.within
@shared.home
def add(name: str, roles: tuple[str, ...], display: str, password: str, **options: Any) -> None:
    """Make an account; the password is asked for.

    \b
    careloom account add amina --role nurse
    careloom account add jonas --role physician --role integration
    careloom account add nora --role nurse --location WARD3
    """
    with _connected(options) as (connection, _):
        accounts.create_account(connection, name, password, roles, display)
        sees = _begun(connection, "account", name, options)
    click.echo(f"{name} may sign in as {', '.join(roles)}{sees}.")


@account.command("list")
@shared.home
def accounts_listed(**options: Any) -> None:
    """List all accounts: who, with which roles, open or closed, when they last signed in, and whom they see.

    \b
    careloom account list
    """
    with _connected(options) as (connection, settings):
        table = _table("Name", "Display", "Roles", "State", "Last sign-in", "Sees")
        now = datetime.now(UTC)
        for one in accounts.listed(connection, now):
            state = (
                "closed" if not one.is_active else "rests after wrong passwords" if one.is_locked else "open"
            )
            when, roles = _when(one.last_login, settings), ", ".join(one.roles)
            sees = confining.seen(connection, one.confined_to, now)
            table.add_row(one.name, one.display, roles, state, when, sees)
    Console(highlight=False).print(table)


@account.command("password")
@click.argument("name")
@click.password_option(help="Asked for where it is not given; a shell remembers what is typed here.")
@shared.home
def password_set(name: str, password: str, **options: Any) -> None:
    """Give NAME a new password; it lifts a lock, and ends their sessions.

    \b
    careloom account password amina
    """
    with _connected(options) as (connection, _):
        accounts.set_password(connection, name, password)
    click.echo(f"{name} has a new password; their sessions have ended.")


@account.command("roles")
@click.argument("name")
@_role
@shared.home
def roles_set(name: str, roles: tuple[str, ...], **options: Any) -> None:
    """Say anew what NAME may do; it ends their sessions.

    \b
    careloom account roles amina --role nurse --role integration
    """
    with _connected(options) as (connection, _):
        accounts.set_roles(connection, name, roles)
    click.echo(f"{name} may sign in as {', '.join(roles)}; their sessions have ended.")


@account.command("confine")
@click.argument("name")
@confining.within
@click.option("--everyone", is_flag=True, help="Sees all patients again.")
@shared.home
def confine_account(name: str, *, everyone: bool, **options: Any) -> None:
    """Let NAME see some patients and no others, from the next click on; what is named is taken together.

    A ward is who is there at that moment: a transfer or a discharge needs no command. An empty ward is nobody.

    \b
    careloom account confine amina --location WARD3
    careloom account confine amina --group study-7 --patient 4711
    careloom account confine amina --file patients.txt
    careloom account confine amina --everyone
    """
    _confine("account", name, options, everyone=everyone)


@account.command("close")
@click.argument("name")
@shared.home
def close(name: str, **options: Any) -> None:
    """Shut NAME out, at once: their sessions end, and what they did stays.

    \b
    careloom account close amina
    """
    with _connected(options) as (connection, _):
        accounts.set_active(connection, name, is_active=False)
    click.echo(f"{name} can no longer sign in; their sessions have ended.")


@account.command("open")
@click.argument("name")
@shared.home
def reopen(name: str, **options: Any) -> None:
    """Let NAME in again.

    \b
    careloom account open amina
    """
    with _connected(options) as (connection, _):
        accounts.set_active(connection, name, is_active=True)
    click.echo(f"{name} may sign in again.")


@click.group()
def token() -> None:
    """Systems that speak to /fhir and /events.

    \b
    careloom token create clinic --role source
    careloom token list
    careloom token confine clinic --location WARD3
    careloom token revoke clinic
    """


@token.command("create")
@click.argument("name")
@_role
@click.option(
    "--days", type=click.IntRange(min=1), help="It ends after so many days (default: when revoked)."
)
@confining.within
@shared.home
def create(name: str, roles: tuple[str, ...], days: int | None, **options: Any) -> None:
    """Print a new token for NAME; only its hash is kept, so it is shown once.

    \b
    careloom token create clinic --role source
    careloom token create study --role integration --days 90
    """
    expires = datetime.now(UTC) + timedelta(days=days) if days else None
    with _connected(options) as (connection, _):
        made = accounts.create_token(connection, name, roles, expires)
        _begun(connection, "token", name, options)
    click.echo(made)


@token.command("list")
@shared.home
def tokens_listed(**options: Any) -> None:
    """List all tokens: whose, with which roles, until when, and whom they see; never the token itself.

    \b
    careloom token list
    """
    with _connected(options) as (connection, settings):
        table = _table("Name", "Roles", "Ends", "Sees")
        for name, roles, expires, confined_to in accounts.tokens(connection):
            sees = confining.seen(connection, confined_to, datetime.now(UTC))
            table.add_row(name, ", ".join(roles), _when(expires, settings) or "when revoked", sees)
    Console(highlight=False).print(table)


@token.command("confine")
@click.argument("name")
@confining.within
@click.option("--everyone", is_flag=True, help="Sees all patients again.")
@shared.home
def confine_token(name: str, *, everyone: bool, **options: Any) -> None:
    """Let the token of NAME see some patients and no others, within two seconds; as `careloom account confine`.

    \b
    careloom token confine clinic --location WARD3
    """
    _confine("token", name, options, everyone=everyone)


@token.command("revoke")
@click.argument("name")
@shared.home
def revoke(name: str, **options: Any) -> None:
    """End the token of NAME: what it asks from now on is refused.

    \b
    careloom token revoke clinic
    """
    with _connected(options) as (connection, _):
        accounts.revoke_token(connection, name)
    click.echo(f"The token of {name} is revoked.")


def _confine(holder: Holder, name: str, options: dict[str, Any], *, everyone: bool) -> None:
    told = [value for key, value in options.items() if key != "home" and value]
    if everyone == bool(told):
        text = "Say whom they see: --patient, --group, --location or --file, or else --everyone."
        raise click.UsageError(text)
    now = datetime.now(UTC)
    with _connected(options) as (connection, _):
        within = confining.named(connection, options)
        confine(connection, holder, name, within, confining.operator(), now)
        sees = confining.seen(connection, within, now)
    click.echo(f"{name} sees {sees}.")


def _begun(connection: Connection, holder: Holder, name: str, options: dict[str, Any]) -> str:
    """Confine who was just made; what is to be said of it."""
    within = confining.named(connection, options)
    if within is None:
        return ""
    now = datetime.now(UTC)
    confine(connection, holder, name, within, confining.operator(), now)
    return f" and sees {confining.seen(connection, within, now)}"


@contextmanager
def _connected(options: dict[str, Any]) -> Generator[tuple[Connection, Settings]]:
    settings = settings_here(**options)
    # One transaction around those of the store: nobody is there before they are confined.
    with database_served(settings) as database, database.connection() as connection, connection.transaction():
        yield connection, settings


def _table(*titles: str) -> Table:
    table = Table(box=None, pad_edge=False)
    for title in titles:
        table.add_column(title)
    return table


def _when(at: datetime | None, settings: Settings) -> str:
    return at.astimezone(ZoneInfo(settings.time_zone)).strftime("%d-%b-%Y %H:%M %Z") if at else ""
