"""cli.confining: to whom an account or a token is confined: the options that say so, and how it is told.

Room: cli.
"""

from __future__ import annotations

import getpass
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, TextIO

import click

from careloom.fhir.outcome import Issue, OutcomeError
from careloom.store import confinement
from careloom.store.database import Connection

MOST_TOLD = 3
"""So many names are told of what somebody is confined to."""

_OPTIONS = (
    click.option("--patient", "Patient", multiple=True, metavar="ID", help="Sees this patient."),
    click.option("--group", "Group", multiple=True, metavar="ID", help="Sees who is in this Group."),
    click.option(
        "--location",
        "Location",
        multiple=True,
        metavar="NAME|ID",
        help="Sees who is at this place or a part of it: a ward.",
    ),
    click.option(
        "--file",
        type=click.File("r"),
        help="Patients and more, one a line: 7, Patient/7, Group/x, Location/w.",
    ),
)


def within(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that name whom somebody sees; several are taken together."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def named(connection: Connection, options: dict[str, Any]) -> list[str] | None:
    """What the options name; takes them out of `options`. None: no option was given.

    Raises OutcomeError for what is not there, and for a file that names nothing.
    """
    given = [(rtype, text) for rtype in confinement.CONFINES for text in options.pop(rtype)]
    file: TextIO | None = options.pop("file")
    found = [confinement.found(connection, rtype, text) for rtype, text in given]
    if file is not None:
        found += _of_file(connection, file)
    return found or None


def operator() -> str:
    """Who works at the machine, as the audit trail calls them."""
    return f"command:{getpass.getuser()}"


def seen(connection: Connection, confined_to: Sequence[str] | None, now: datetime) -> str:
    """Whom somebody sees at this moment, and why."""
    if confined_to is None:
        return "everyone"
    number = len(confinement.patients_within(connection, confined_to, now))
    names = confinement.names(connection, confined_to[:MOST_TOLD])
    more = f" and {len(confined_to) - MOST_TOLD} more" if len(confined_to) > MOST_TOLD else ""
    return f"{number} patient{'' if number == 1 else 's'} now: {', '.join(names)}{more}"


def _of_file(connection: Connection, file: TextIO) -> list[str]:
    lines = [(number, line.strip()) for number, line in enumerate(file, 1)]
    told = {number: line if "/" in line else f"Patient/{line}" for number, line in lines if line}
    if not told:
        raise OutcomeError(Issue("required", "The file names nobody: nothing was changed."))
    there = confinement.present(connection, told.values())
    # A line may say more than an id: it is not said back.
    wrong = [str(number) for number, one in told.items() if one not in there]
    if wrong:
        more = " ..." if len(wrong) > MOST_TOLD else ""
        lines_told = f"line {', '.join(wrong[:MOST_TOLD])}{more}"
        text = f"The file names, in {lines_told}, no Patient, Group or Location that is here: nothing was changed."
        raise OutcomeError(Issue("not-found", text))
    return list(told.values())
