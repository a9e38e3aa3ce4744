"""cli.exchange: `careloom load` and `careloom send`.

Room: cli.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Column, Table

from careloom.cli import options as shared
from careloom.cli.preflight import refuse_mistakes
from careloom.connect import load as loading
from careloom.connect.load import Tally
from careloom.connect.mllp_send import send_file
from careloom.flow.loading import Settled, Taker
from careloom.settings import settings_from
from careloom.store.server import database_served

LINE_EVERY_S = 10.0
"""Where there is no terminal for a bar, a line so often says how far a load is."""


@click.command(short_help="Take in FHIR and HL7 v2 files, folders, archives.")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True))
@click.option(
    "--source", default="", help="Source of the files (default: MSH-3 and MSH-4 name it; FHIR: files)."
)
@click.option("--workers", type=click.IntRange(min=1), help="Processes (default: one for each core).")
@shared.home
def load(paths: tuple[Path, ...], source: str, **options: Any) -> None:
    """Take in FHIR bundles, NDJSON, HL7 v2 files, folders and archives (zip, tar, gz, zst).

    What was taken in already is skipped: after an interruption run the same command again.

    \b
    careloom load patients/ export.ndjson
    careloom load archive.tar.zst --workers 2
    """
    settings = settings_from(**options)
    refuse_mistakes(settings)
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with database_served(settings) as database, Progress(*columns, console=console) as bar:
        task = bar.add_task("Loading", total=None)
        due = [time.monotonic() + LINE_EVERY_S]

        def report(tally: Tally) -> None:
            words = f"{tally.kept:,} events, {tally.resources:,} resources"
            bar.update(task, total=tally.total_bytes, completed=tally.read_bytes, description=words)
            if not console.is_terminal and time.monotonic() >= due[0]:
                due[0] = time.monotonic() + LINE_EVERY_S
                share = f", {tally.read_bytes / tally.total_bytes:.0%}" if tally.total_bytes else ""
                click.echo(f"Loading: {words}{share}", err=True)

        tally = loading.load(
            paths,
            Taker(settings),
            workers=settings.workers or os.cpu_count() or 1,
            source=source,
            seen=Settled(database),
            report=report,
        )
    console.print(_table(tally))
    for trouble in tally.troubles[:10]:
        # A file's name may be a patient's: it is for eyes at a terminal, not for the log of a nightly job.
        name = f"{trouble.name}: " if console.is_terminal else ""
        console.print(f"{name}{trouble.reason}", markup=False)
    if tally.troubles and not console.is_terminal:
        console.print("Files are named at a terminal only, for their names may be those of patients.")
    if not tally.is_complete:
        console.print("Stopped before the end. Run the same command again: it goes on where it stopped.")
    was_read = tally.kept or tally.duplicates or tally.skipped
    is_bad = tally.quarantined or tally.failed or (tally.unread and not was_read)
    sys.exit(130 if not tally.is_complete else 2 if is_bad else 0)


def _table(tally: Tally) -> Table:
    table = Table("what", Column("count", justify="right"), title="Loaded")
    for row in tally.rows():
        table.add_row(*row)
    return table


@click.command(short_help="Send HL7 v2 messages of files over MLLP.")
@click.argument("path", type=click.Path(path_type=Path, exists=True))
@click.option("--to", "address", required=True, help="HOST:PORT of an MLLP listener.")
def send(path: Path, address: str) -> None:
    """Send the HL7 v2 messages of a file (or folder, or archive) over MLLP and wait for each ACK.

    Segments go out with the carriage return that the standard demands, whatever ends them in the file. Each answer is
    a line, control id and code; the exit status is 0 only if all are AA (or CA).

    \b
    careloom send admissions.hl7 --to 127.0.0.1:2575
    """
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        raise click.BadParameter("Give HOST:PORT, as in 127.0.0.1:2575.", param_hint="--to")
    is_accepted = True
    for answer in send_file(path, host, int(port)):
        click.echo(f"{answer.control_id} {answer.code}")
        is_accepted = is_accepted and answer.is_accepted
    sys.exit(0 if is_accepted else 1)
