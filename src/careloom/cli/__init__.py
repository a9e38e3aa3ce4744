"""cli: the careloom command. One file for each group of subcommands; each says what it does with examples.

Room: cli, on top: it may import everything.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

import click

from careloom import __version__
from careloom.fhir.outcome import OutcomeError
from careloom.logs import configure, place_of
from careloom.settings import WrongSetting

COMMANDS: dict[str, str] = {
    "up": "careloom.cli.running:up",
    "stop": "careloom.cli.running:stop",
    "demo": "careloom.cli.running:demo",
    "load": "careloom.cli.exchange:load",
    "send": "careloom.cli.exchange:send",
    "verify": "careloom.cli.checks:verify",
    "doctor": "careloom.cli.safekeeping:doctor",
    "backup": "careloom.cli.safekeeping:backup",
    "restore": "careloom.cli.safekeeping:restore",
    "reindex": "careloom.cli.reindexing:reindex",
    "lake": "careloom.cli.views:lake",
    "pipeline": "careloom.cli.pipeline:pipeline",
    "account": "careloom.cli.people:account",
    "token": "careloom.cli.people:token",
    "worker": "careloom.cli.worker:worker",
}
"""Command -> `module:attribute`: imported when it is called, for all of them together take a second and a half, which each
process of a load would spend before its first resource."""


class _Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        return imported(COMMANDS[cmd_name]) if cmd_name in COMMANDS else None


@click.group(
    cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110}
)
@click.version_option(__version__, prog_name="careloom")
def careloom() -> None:
    """Connect, unify, analyze and act on health data, on one machine.

    \b
    careloom up            start everything and serve pages and /fhir
    careloom demo          the same with a synthetic hospital that is alive
    careloom load PATH...  take in bundles, NDJSON, HL7 files and archives
    careloom lake          typed tables of everything, for SQL
    careloom pipeline      run a step of what is made of it, see how all stand
    careloom verify        measure every claim again
    """
    configure("warning")


def main() -> None:
    """Run the command; what cannot be done is said in one sentence, with exit status 1."""
    try:
        careloom.main(standalone_mode=False)
    except click.exceptions.Abort:
        sys.exit(130)
    except click.exceptions.Exit as leave:
        sys.exit(leave.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (OutcomeError, WrongSetting) as error:
        click.echo(f"careloom: {error}", err=True)
        is_busy = isinstance(error, OutcomeError) and _is_busy(error)
        sys.exit(imported("careloom.cli.pipeline:BUSY") if is_busy else 1)
    except Exception as error:  # noqa: BLE001 - the words of an error that nobody foresaw may quote a patient's row
        click.echo(f"careloom: This should not have happened: {place_of(error)}. Please report it.", err=True)
        sys.exit(1)


def _is_busy(error: OutcomeError) -> bool:
    return any(issue.code in {"lock-error", "throttled"} for issue in error.issues)


def imported(target: str) -> Any:
    """Import `module:attribute`."""
    module, _, attribute = target.partition(":")
    return getattr(import_module(module), attribute)
