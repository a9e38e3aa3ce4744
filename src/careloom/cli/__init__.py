"""cli: the careloom command. One file for each group of subcommands; each says what it does with examples.

Room: cli, on top: it may import everything.
"""

from __future__ import annotations

import sys

import click

from careloom import __version__
from careloom.cli.checks import verify
from careloom.cli.exchange import load, send
from careloom.cli.omop import omop
from careloom.cli.people import account, token
from careloom.cli.pipeline import BUSY, pipeline
from careloom.cli.reindexing import reindex
from careloom.cli.reporting import report
from careloom.cli.running import demo, stop, up
from careloom.cli.safekeeping import backup, doctor, restore
from careloom.cli.views import lake
from careloom.cli.worker import worker
from careloom.fhir.outcome import OutcomeError
from careloom.logs import configure, place_of
from careloom.settings import WrongSetting


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
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


lake.add_command(omop)
lake.add_command(report)
for command in (
    up,
    stop,
    demo,
    load,
    send,
    verify,
    doctor,
    backup,
    restore,
    reindex,
    lake,
    pipeline,
    account,
    token,
    worker,
):
    careloom.add_command(command)


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
        sys.exit(BUSY if isinstance(error, OutcomeError) and _is_busy(error) else 1)
    except Exception as error:  # noqa: BLE001 - the words of an error that nobody foresaw may quote a patient's row
        click.echo(f"careloom: This should not have happened: {place_of(error)}. Please report it.", err=True)
        sys.exit(1)


def _is_busy(error: OutcomeError) -> bool:
    return any(issue.code in {"lock-error", "throttled"} for issue in error.issues)
