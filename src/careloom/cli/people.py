"""cli.people: `careloom account` and `careloom token`: who may come in.

Room: cli.
"""

from __future__ import annotations

import click

from careloom.settings import settings_from
from careloom.store import accounts
from careloom.store.actor import ROLES
from careloom.store.server import database_served

_role = click.option("--role", "roles", multiple=True, required=True, type=click.Choice(sorted(ROLES)))


@click.group()
def account() -> None:
    """People who sign in.

    \b
    careloom account add amina --role nurse
    """


@account.command("add")
@click.argument("name")
@_role
@click.password_option()
def add(name: str, roles: tuple[str, ...], password: str) -> None:
    """Make an account; the password is asked for."""
    with database_served(settings_from()) as database, database.connection() as connection:
        accounts.create_account(connection, name, password, roles)
    click.echo(f"{name} may sign in as {', '.join(roles)}.")


@click.group()
def token() -> None:
    """Systems that speak to /fhir and /events.

    \b
    careloom token create clinic --role source
    """


@token.command("create")
@click.argument("name")
@_role
def create(name: str, roles: tuple[str, ...]) -> None:
    """Print a new token for NAME; only its hash is kept, so it is shown once."""
    with database_served(settings_from()) as database, database.connection() as connection:
        click.echo(accounts.create_token(connection, name, roles))
