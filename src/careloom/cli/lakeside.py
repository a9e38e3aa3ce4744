"""cli.lakeside: `careloom lake build|status|compact|vacuum|asof|sql|lineage`.

Room: cli. The engines of analysis are imported when a command runs: they cost half a second.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Generator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Column, Table

from careloom.cli import options as shared
from careloom.cli.preflight import refuse_mistakes
from careloom.fhir.outcome import Issue, OutcomeError
from careloom.settings import Settings, lake_root, settings_from, views_root
from careloom.store.actor import STATION
from careloom.store.blobs import Blobs
from careloom.store.database import Database
from careloom.store.server import database_served

if TYPE_CHECKING:
    from careloom.lake.build import Writer
    from careloom.lake.delivery import Form

WAIT_S = 60.0
"""How long a command waits for another writer of the lake: that of `careloom up` lets go every few seconds."""

_HOW = {
    "element": "field    ",
    "reference": "fields that identify what it points to:",
    "shared": "field of another resource with the same element:",
    "resource": "added by careloom to a resource that is made of",
    "none": "field     none: careloom derived it of this message",
    "untold": "field     which place of this message states it cannot be told",
}


@click.group()
def lake() -> None:
    """Typed tables of all resources, for SQL: build, look at, tidy up, and ask as of a time.

    `careloom up` keeps the lake fresh by itself (settings lake, lake_folder, lake_every_s).

    \b
    careloom lake build
    careloom lake status
    careloom lake asof now 'select gender, count(*) from "Patient" group by all'
    """


@lake.command()
@click.option(
    "--fresh",
    "--backfill",
    "is_fresh",
    is_flag=True,
    help="Throw the tables away first, and read everything again.",
)
@click.option("--json", "is_json", is_flag=True, help="Tell the result as one JSON object.")
@shared.home
def build(*, is_fresh: bool, is_json: bool, **options: Any) -> None:
    """Bring the lake up to the store. After an interruption, however rude, run the same command again.

    It is the step `lake` of `careloom pipeline run`, and is recorded as such.

    \b
    careloom lake build
    careloom lake build --fresh
    """
    from careloom.cli.pipeline import ran

    settings = settings_of(options)
    made = ran(settings, "lake", {"is_backfill": is_fresh, "wait_s": WAIT_S}, is_json=is_json)
    if not is_json:
        click.echo(f"{made.rows:,} versions came; the lake is in {lake_root(settings)}.")


@lake.command()
@shared.home
def status(**options: Any) -> None:
    """Say how fresh the lake is, how large, and which resources were set aside.

    `unsettled` are versions in files that do not say themselves which of them have ended: each reader works it out, and
    `careloom lake compact` writes it down.

    \b
    careloom lake status
    """
    from careloom.lake.lake import Lake
    from careloom.lake.status import status as status_of

    settings = settings_of(options)
    with database_served(settings) as database:
        found = status_of(database, Lake(lake_root(settings)))
    table = Table(
        "table", *(Column(name, justify="right") for name in ("versions", "files", "MB", "unsettled"))
    )
    for one in found.tables:
        table.add_row(
            one.rtype, f"{one.versions:,}", str(one.files), f"{one.size / 1e6:.1f}", f"{one.unsettled:,}"
        )
    console = Console()
    console.print(table)
    when = f"{found.published:%Y-%m-%d %H:%M:%S} UTC" if found.published else "never"
    click.echo(f"Fresh at {when}, up to transaction {found.reached - 1}; {found.waiting:,} versions wait.")
    if found.aside:
        click.echo("Set aside, as they could not be laid into columns:")
    for one in found.aside:
        # An id may be made of a number of the patient's: it is for eyes at a terminal.
        name = f"{one.rtype}/{one.id}" if console.is_terminal else one.rtype
        click.echo(f"  {name} version {one.version}, message {one.event_id or '-'}: {one.reason}")


@lake.command()
@shared.home
def compact(**options: Any) -> None:
    """Make few large files of many small ones, and fill in the ends of versions: reads get faster.

    \b
    careloom lake compact
    """
    from careloom.lake import compaction

    settings = settings_of(options)
    rows = fewer = 0
    with (
        database_served(settings) as database,
        bar("Compacting") as moved,
        writing_lake(database, settings) as writer,
    ):
        for number, rtype in enumerate(writer.types):
            moved(number, len(writer.types))
            rows += compaction.settle(writer, rtype, is_whole=True)
            fewer += compaction.gather(writer, rtype)
        moved(len(writer.types), None)
    click.echo(f"{rows:,} rows were rewritten with the ends of versions; {fewer} files are gone into others.")


@lake.command()
@click.option(
    "--hours", default=24.0, show_default=True, help="Keep what readers of so many hours may have open."
)
@shared.home
def vacuum(*, hours: float, **options: Any) -> None:
    """Delete files that were replaced, and what a killed writer left.

    \b
    careloom lake vacuum
    careloom lake vacuum --hours 0
    """
    from careloom.lake import compaction

    settings = settings_of(options)
    with database_served(settings) as database, writing_lake(database, settings) as writer:
        count = compaction.vacuum(writer, hours)
    click.echo(f"{count} files were deleted.")


@lake.command()
@click.argument("when")
@click.argument("sql", default="")
@shared.home
def asof(when: str, sql: str, **options: Any) -> None:
    """Ask the lake as it was: WHEN is a time, a transaction (a number), or `now`; the answer to SQL is CSV.

    Without SQL: how many resources of each type there were. A time without an offset is of the setting time_zone.

    \b
    careloom lake asof now
    careloom lake asof 2026-03-01T12:00 'select count(*) from "Observation"'
    careloom lake asof 48211 'select id, birthDate from "Patient" limit 5' > patients.csv
    """
    from careloom.lake.lake import Lake
    from careloom.lake.session import rows

    settings = settings_of(options)
    found = Lake(lake_root(settings))
    counts = " union all ".join(
        f'select \'{name}\' as "table", count(*) as resources from "{name}"' for name in found.types
    )
    with found.connection(STATION, when=_when(when, settings)) as duck:
        out = csv.writer(sys.stdout, lineterminator="\n")
        out.writerows(rows(duck, sql or counts or "select 'none' as \"table\", 0 as resources"))


@lake.command()
@click.argument("statement")
@click.option(
    "--format",
    "form",
    type=click.Choice(["csv", "json", "parquet", "xlsx"]),
    default="csv",
    show_default=True,
)
@click.option("-p", "given", multiple=True, metavar="NAME=VALUE", help="The value of $NAME; it is a text.")
@shared.home
def sql(statement: str, form: Form, given: tuple[str, ...], **options: Any) -> None:
    """Ask the lake as it is, with all rows, in one statement that only reads; the answer goes to standard output.

    \b
    careloom lake sql 'select gender, count(*) from Patient group by all'
    careloom lake sql 'select id from Patient where birthDate < $before' -p before=1950
    careloom lake sql 'from Observation' --format parquet > observations.parquet
    """
    from careloom.lake.delivery import delivered
    from careloom.lake.lake import Lake
    from careloom.lake.sandbox import Limits, asked
    from careloom.lake.session import SCRATCH

    settings = settings_of(options)
    values = {name: value for name, _, value in (one.partition("=") for one in given)}
    limits = Limits(rows=sys.maxsize, seconds=86_400.0, memory="1GB", spill="20GB")
    with (
        database_served(settings) as database,
        asked(
            database, Lake(lake_root(settings), views_root(settings)), STATION, statement, values, limits
        ) as rows,
    ):
        # $(... | tail -1) in a shell would keep the carriage return of RFC 4180.
        for piece in delivered(rows, form, lake_root(settings) / SCRATCH, "\n"):
            sys.stdout.buffer.write(piece)


@lake.command()
@click.argument("table")
@click.argument("id_", metavar="ID")
@click.argument("column")
@shared.home
def lineage(table: str, id_: str, column: str, **options: Any) -> None:
    """Say where a cell comes from: the version, its message, and the field of the message.

    \b
    careloom lake lineage Patient 7 birthDate
    careloom lake lineage Observation bp-1 component[0].valueQuantity.value
    """
    from careloom.lake.lake import Lake
    from careloom.lake.lineage import Cell
    from careloom.lake.lineage import lineage as lineage_of

    settings = settings_of(options)
    with database_served(settings) as database:
        found = lineage_of(
            database,
            Lake(lake_root(settings)),
            STATION,
            Cell(table, id_, column),
            Blobs(settings.home / "blobs"),
        )
    click.echo(f"cell      {found.cell}, version {found.version}")
    click.echo(
        f"stated    in version {found.stated}, {found.recorded:%Y-%m-%d %H:%M:%S} UTC, by {found.agent}"
    )
    if found.event_id is None:
        click.echo("message   none: it was written through /fhir or by a page")
        return
    click.echo(f"message   {found.event_id}, {found.kind} from {found.source}")
    click.echo(f"{_HOW[found.how]} {', '.join(found.fields)}".rstrip())


def settings_of(options: dict[str, Any]) -> Settings:
    """The settings, those of the command line before those of the environment; mistakes in them are refused."""
    settings = settings_from(**options)
    refuse_mistakes(settings)
    return settings


@contextmanager
def writing_lake(database: Database, settings: Settings, *, is_fresh: bool = False) -> Generator[Writer]:
    """The writer of the lake, alone; waits for another one for a while."""
    from careloom.lake.build import writing

    root, views = lake_root(settings), views_root(settings)
    with writing(database, root, is_fresh=is_fresh, wait_s=WAIT_S, views=views) as writer:
        yield writer


@contextmanager
def bar(words: str) -> Generator[Any]:
    """A progress bar on standard error, moved by `(done, total or None)`."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(words, total=None)

        def moved(done: int, total: int | None) -> None:
            progress.update(task, completed=done)
            if total is not None:
                progress.update(task, total=total)

        yield moved


def _when(text: str, settings: Settings) -> int | datetime | None:
    if text == "now":
        return None
    if text.isdecimal():
        return int(text)
    return instant_of(text, settings)


def instant_of(text: str, settings: Settings) -> datetime:
    """A time that was typed; without an offset it is of the setting time_zone. Raises OutcomeError(invalid)."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise OutcomeError(
            Issue(
                "invalid",
                "WHEN is a time such as 2026-03-01T12:00, a number of a transaction, or now; --since is a time.",
            )
        ) from None
    return found if found.tzinfo else found.replace(tzinfo=ZoneInfo(settings.time_zone))
