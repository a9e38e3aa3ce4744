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

from careloom.cli import options as shared
from careloom.cli.here import settings_here
from careloom.settings import Settings
from careloom.store import accounts
from careloom.store.actor import ROLES
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
    careloom account password amina
    careloom account close amina
    """


@account.command("add")
@click.argument("name")
@_role
@click.option("--display", default="", help="How pages call the person (default: NAME).")
@click.password_option(help="Asked for where it is not given; a shell remembers what is typed here.")
@shared.home
def add(name: str, roles: tuple[str, ...], display: str, password: str, **options: Any) -> None:
    """Make an account; the password is asked for.

    \b
    careloom account add amina --role nurse
    careloom account add jonas --role physician --role integration
    """
    with _connected(options) as (connection, _):
        accounts.create_account(connection, name, password, roles, display)
    click.echo(f"{name} may sign in as {', '.join(roles)}.")


@account.command("list")
@shared.home
def accounts_listed(**options: Any) -> None:
    """List all accounts: who, with which roles, open or closed, and when they last signed in.

    \b
    careloom account list
    """
    with _connected(options) as (connection, settings):
        table = _table("Name", "Display", "Roles", "State", "Last sign-in")
        for one in accounts.listed(connection, datetime.now(UTC)):
            state = (
                "closed" if not one.is_active else "rests after wrong passwords" if one.is_locked else "open"
            )
            table.add_row(one.name, one.display, ", ".join(one.roles), state, _when(one.last_login, settings))
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
    careloom token revoke clinic
    """


@token.command("create")
@click.argument("name")
@_role
@click.option(
    "--days", type=click.IntRange(min=1), help="It ends after so many days (default: when revoked)."
)
@shared.home
def create(name: str, roles: tuple[str, ...], days: int | None, **options: Any) -> None:
    """Print a new token for NAME; only its hash is kept, so it is shown once.

    \b
    careloom token create clinic --role source
    careloom token create study --role integration --days 90
    """
    expires = datetime.now(UTC) + timedelta(days=days) if days else None
    with _connected(options) as (connection, _):
        click.echo(accounts.create_token(connection, name, roles, expires))


@token.command("list")
@shared.home
def tokens_listed(**options: Any) -> None:
    """List all tokens: whose, with which roles, and until when; never the token itself.

    \b
    careloom token list
    """
    with _connected(options) as (connection, settings):
        table = _table("Name", "Roles", "Ends")
        for name, roles, expires in accounts.tokens(connection):
            table.add_row(name, ", ".join(roles), _when(expires, settings) or "when revoked")
    Console(highlight=False).print(table)


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


@contextmanager
def _connected(options: dict[str, Any]) -> Generator[tuple[Connection, Settings]]:
    settings = settings_here(**options)
    with database_served(settings) as database, database.connection() as connection:
        yield connection, settings


def _table(*titles: str) -> Table:
    table = Table(box=None, pad_edge=False)
    for title in titles:
        table.add_column(title)
    return table


def _when(at: datetime | None, settings: Settings) -> str:
    return at.astimezone(ZoneInfo(settings.time_zone)).strftime("%d-%b-%Y %H:%M %Z") if at else ""
