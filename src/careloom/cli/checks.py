"""cli.checks: `careloom verify`.

Room: cli.
"""

from __future__ import annotations

import signal
import sys
from types import FrameType

import click

from careloom.registry import CHECKS
from careloom.settings import settings_from
from careloom.verify import run


@click.command()
@click.argument("names", nargs=-1)
@click.option("--list", "only_list", is_flag=True, help="List the checks and stop.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def verify(names: tuple[str, ...], *, only_list: bool, as_json: bool) -> None:
    """Measure claims again: all checks, or those that are named.

    Each prints a line for each of its figures. The exit status is 0 only if every figure holds its floor.

    \b
    careloom verify --list
    careloom verify v2-ledger mllp-once
    careloom verify --json > figures.ndjson
    """
    if only_list:
        for name in sorted(CHECKS):
            click.echo(name)
        return
    # What a check has started is ended by whoever started it, also when this process is told to end.
    signal.signal(signal.SIGTERM, _end)
    holds = True
    for figure in run.figures(settings_from(), names):
        click.echo(run.json_line(figure) if as_json else run.line(figure))
        holds = holds and figure.ok
    sys.exit(0 if holds else 1)


def _end(number: int, _frame: FrameType | None) -> None:
    sys.exit(128 + number)
