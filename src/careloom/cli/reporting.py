"""cli.reporting: `careloom lake report list|run|schedule`: saved reports, for who works at a terminal or in a scheduler.

Room: cli. Whoever runs commands beside the store may do what its owners may: a report runs as its owner.
"""

from __future__ import annotations

import csv
import io
import sys
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import click

from careloom.cli import options as shared
from careloom.cli.lakeside import settings_of
from careloom.cli.printed import Kind, print_table
from careloom.store import report_runs, reports
from careloom.store.actor import STATION
from careloom.store.report import WEEKDAYS, Plan, Schedule, next_due
from careloom.store.server import database_served


@click.group()
def report() -> None:
    """Saved reports: list them, run one now, say when one runs by itself. Exit status 1: it failed, and says why.

    \b
    careloom lake report list
    careloom lake report run 4mZ0xQ7bTn2Kp1Vc > beds.csv
    careloom lake report schedule 4mZ0xQ7bTn2Kp1Vc --daily 06:30
    """


@report.command("list")
@shared.home
def list_(**options: Any) -> None:
    """List all reports with their owners, schedules and last runs.

    \b
    careloom lake report list
    """
    settings = settings_of(options)
    zone = ZoneInfo(settings.time_zone)
    rows: list[list[str]] = []
    with database_served(settings) as database, database.connection() as connection:
        for one in reports.reports(connection, STATION):
            last = next(iter(report_runs.runs(connection, one.id, 1)), None)
            told = f"{last.status}, {last.rows or 0:,} rows" if last else "never"
            due = f"{one.next_due.astimezone(zone):%Y-%m-%d %H:%M}" if one.next_due else ""
            words = one.schedule.words if one.schedule else ""
            rows.append([one.id, one.name, one.owner, words, due, told])
    columns: dict[str, Kind] = {
        "id": "id", "name": "text", "owner": "text", "schedule": "text", "next": "text", "last run": "text",
    }  # fmt: skip
    print_table(columns, rows)


@report.command()
@click.argument("id_", metavar="ID")
@click.option(
    "--format",
    "form",
    type=click.Choice(["csv", "json", "parquet", "xlsx"]),
    default="csv",
    show_default=True,
)
@click.option("-p", "given", multiple=True, metavar="NAME=VALUE", help="The value of a parameter.")
@shared.home
def run(id_: str, *, form: Any, given: tuple[str, ...], **options: Any) -> None:
    """Run a report now as its owner; the answer goes to standard output.

    \b
    careloom lake report run 4mZ0xQ7bTn2Kp1Vc -p before=1950-01-01 --format parquet > old.parquet
    """
    from careloom.flow.report import answer_of, owner_of

    settings = settings_of(options)
    values = {name: value for name, _, value in (one.partition("=") for one in given)}
    with database_served(settings) as database:
        with database.connection() as connection:
            found = reports.report(connection, id_, STATION)
        owner = owner_of(database, found, datetime.now(UTC))
        answer = answer_of(database, settings, found, owner, values, form)
    sys.stdout.buffer.write(_by_line_feeds(answer.body) if form == "csv" else answer.body)
    click.echo(f"{answer.count:,} rows{', there are more' if answer.is_cut else ''}.", err=True)


def _by_line_feeds(body: bytes) -> bytes:
    """CSV for a shell: lines end as those of its other programs do; what stands in a cell stays."""
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator="\n").writerows(csv.reader(io.StringIO(body.decode(), newline="")))
    return out.getvalue().encode()


@report.command()
@click.argument("id_", metavar="ID")
@click.option("--daily", metavar="HH:MM", help="Every day at this time.")
@click.option("--weekly", metavar="DAY@HH:MM", help="Every week: Monday@06:30.")
@click.option("--monthly", metavar="DAY@HH:MM", help="Every month: 1@06:30.")
@click.option("--every", type=int, metavar="MINUTES", help="Every so many minutes.")
@click.option("--off", is_flag=True, help="Not by itself any more.")
@click.option("--keep-days", default=30, show_default=True, help="How long results are kept.")
@shared.home
def schedule(id_: str, *, keep_days: int, **options: Any) -> None:
    """Say when a report runs by itself, in the zone of the setting time_zone.

    \b
    careloom lake report schedule 4mZ0xQ7bTn2Kp1Vc --daily 06:30
    careloom lake report schedule 4mZ0xQ7bTn2Kp1Vc --weekly Monday@06:30 --keep-days 365
    careloom lake report schedule 4mZ0xQ7bTn2Kp1Vc --every 15
    careloom lake report schedule 4mZ0xQ7bTn2Kp1Vc --off
    """
    wish = {name: options.pop(name) for name in ("daily", "weekly", "monthly", "every", "off")}
    when = _schedule(wish)
    settings = settings_of(options)
    now = datetime.now(UTC)
    zone = ZoneInfo(settings.time_zone)
    with database_served(settings) as database, database.connection() as connection:
        found = reports.report(connection, id_, STATION)
        if when is not None:
            reports.refuse_schedule(when, found.parameters)
        due = next_due(when, now, zone) if when else None
        reports.schedule(connection, STATION, id_, Plan(when, due, keep_days), now)
    click.echo(
        f"{when.words}, next {due.astimezone(zone):%Y-%m-%d %H:%M}" if when and due else "not scheduled"
    )


def _schedule(wish: dict[str, Any]) -> Schedule | None:
    given = [name for name, value in wish.items() if value]
    if len(given) != 1:
        raise click.UsageError("Say one of --daily, --weekly, --monthly, --every and --off.")
    day, _, at = str(wish[given[0]]).partition("@")
    match given[0]:
        case "daily":
            return Schedule("daily", at=day)
        case "weekly":
            if day.title() not in WEEKDAYS:
                raise click.BadParameter(f"the day is one of {', '.join(WEEKDAYS)}.", param_hint="--weekly")
            return Schedule("weekly", at=at, weekday=WEEKDAYS.index(day.title()))
        case "monthly":
            if not day.isdecimal():
                raise click.BadParameter("it is written as 1@06:30.", param_hint="--monthly")
            return Schedule("monthly", at=at, day=int(day))
        case "every":
            return Schedule("minutes", minutes=wish["every"])
        case _:
            return None
