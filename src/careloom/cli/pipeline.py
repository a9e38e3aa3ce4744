"""cli.pipeline: `careloom pipeline run|status|history`: the steps of the pipeline, for a scheduler or a person.

Room: cli. The engines of analysis are imported when a command runs.
"""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from careloom.cli import options as shared
from careloom.cli.lakeside import bar, instant_of, settings_of
from careloom.cli.printed import Kind, print_table
from careloom.fhir.outcome import OutcomeError
from careloom.registry import STEPS
from careloom.settings import Settings
from careloom.store import runs
from careloom.store.actor import Actor
from careloom.store.server import database_served

if TYPE_CHECKING:
    from careloom.flow.board import Standing
    from careloom.flow.steps.work import Made
    from careloom.store.runs import Run

DONE, FAILED, BUSY = 0, 1, 75
"""Exit statuses; 75 is EX_TEMPFAIL of sysexits.h: nothing is wrong, try again later."""
OPERATOR = Actor("command", frozenset({"admin"}))
"""Who works at the machine sees counts of all."""


@click.group(short_help="Run a step from the store to tables, see how all stand.")
def pipeline() -> None:
    """The steps from the store to what is made of it: run one, see how all stand.

    Exit status: 0 done, 1 failed (or a gate does not hold), 75 busy: try again later. A step may be run as often as one
    likes: where nothing changed nothing is done.

    \b
    careloom pipeline run lake
    careloom pipeline run marts --json
    careloom pipeline status
    """


@pipeline.command()
@click.argument("step", type=click.Choice(list(STEPS)))
@click.argument("names", nargs=-1)
@click.option(
    "--backfill", "is_backfill", is_flag=True, help="Make all of it anew, whatever was made before."
)
@click.option("--since", help="Only rows of resources that were written since this time (views).")
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), help="A folder for the files (views, marts)."
)
@click.option("--json", "is_json", is_flag=True, help="Tell the result as one JSON object.")
@shared.home
def run(
    step: str,
    names: tuple[str, ...],
    *,
    is_backfill: bool,
    since: str | None,
    out: Path | None,
    is_json: bool,
    **options: Any,
) -> None:
    """Run one step, alone, recorded; NAMES: of its views or marts only these.

    \b
    careloom pipeline run lake --json
    careloom pipeline run views patient encounter --since 2026-03-01T00:00 --out /srv/extract/2026-03-01
    careloom pipeline run omop --backfill
    """
    settings = settings_of(options)
    more = {
        "is_backfill": is_backfill,
        "names": names,
        "out": out,
        "since": instant_of(since, settings) if since else None,
    }
    ran(settings, step, more, is_json=is_json)


def ran(settings: Settings, step: str, more: dict[str, Any], *, is_json: bool) -> Made:
    """Run a step and tell how it went; leaves the program where it was not done. `more`: of flow.steps.work.Work."""
    from careloom.flow.pipeline import BUSY as BUSY_CODES

    try:
        found, made = ran_step(settings, step, more)
    except OutcomeError as error:
        is_busy = any(issue.code in BUSY_CODES for issue in error.issues)
        if not is_json:
            raise
        click.echo(
            json.dumps({"step": step, "outcome": "busy" if is_busy else "failed", "reason": str(error)})
        )
        sys.exit(BUSY if is_busy else FAILED)
    if is_json:
        click.echo(json.dumps(_told(found) | {"isNew": made.is_new, "parts": made.parts}))
    else:
        for gate in found.gates:
            click.echo(f"{'holds' if gate.is_held else 'DOES NOT HOLD':14} {gate.name}: {gate.told}")
        news = "Nothing had changed" if not made.is_new else f"{found.rows or 0:,} rows"
        click.echo(f"{step}: {found.outcome} in {found.seconds or 0:.1f} s. {news}.")
    if found.outcome != "done":
        sys.exit(FAILED)
    return made


def ran_step(settings: Settings, step: str, more: dict[str, Any]) -> tuple[Run, Made]:
    """Run a step in the name of the command, recorded. Raises OutcomeError. `more`: of flow.steps.work.Work."""
    from careloom.flow.pipeline import run as run_step
    from careloom.flow.steps.work import Work

    def clock() -> datetime:
        return datetime.now(UTC)

    with database_served(settings) as database, bar(f"Running {step}") as moved:
        work = Work(database=database, settings=settings, now=clock(), told=moved, **more)
        return run_step(work, step, "command", clock)


@pipeline.command()
@click.option("--json", "is_json", is_flag=True, help="Tell all as a JSON array.")
@shared.home
def status(*, is_json: bool, **options: Any) -> None:
    """How every step stands, as the page /pipelines shows it; exit status 1 if one has failed.

    \b
    careloom pipeline status
    careloom pipeline status --json | jq '.[] | select(.state != "in order")'
    """
    from careloom.flow.board import standings

    settings = settings_of(options)
    with database_served(settings) as database, database.connection() as connection:
        found = standings(connection, settings, OPERATOR, datetime.now(UTC))
    if is_json:
        told = [
            {
                "group": one.group, "name": one.name, "state": one.state, "behind": one.behind,
                "behindSeconds": round(one.behind_s, 1), "rows": one.rows, "added": one.added, "setAside": one.set_aside,
                "retries": one.retries, "error": one.error, "run": _told(one.run) if one.run else None,
            }
            for one in found
        ]  # fmt: skip
        click.echo(json.dumps(told))
    else:
        _show(found)
    if any(one.state == "failed" for one in found):
        sys.exit(FAILED)


def _show(found: list[Standing]) -> None:
    """A table for each group, and under it what is wrong."""
    columns: dict[str, Kind] = {
        "name": "id", "state": "id", "behind": "number", "for s": "number", "rows": "number",
        "last run": "number", "set aside": "number", "retries": "number",
    }  # fmt: skip
    for group, some in groupby(found, lambda one: one.group):
        lines = list(some)
        print_table(columns, [_cells(one) for one in lines], group)
        for one in lines:
            if one.error:
                click.echo(f"{one.name}: {one.error}")


def _cells(one: Standing) -> list[str]:
    # What is nothing to anybody leaves its column empty, so that the table stays narrow.
    rare = [f"{number:,}" if number else "" for number in (round(one.behind_s), one.set_aside, one.retries)]
    behind, rows, added = (
        "" if number is None else f"{number:,}" for number in (one.behind, one.rows, one.added)
    )
    return [one.name, one.state, behind, rare[0], rows, f"+{added}" if added else "", *rare[1:]]


@pipeline.command()
@click.argument("step", type=click.Choice(list(STEPS)))
@click.option("--json", "is_json", is_flag=True, help="A JSON object each line, for programs.")
@shared.home
def history(step: str, *, is_json: bool, **options: Any) -> None:
    """The last runs of a step, the newest first.

    \b
    careloom pipeline history omop
    careloom pipeline history omop --json
    """
    with database_served(settings_of(options)) as database, database.connection() as connection:
        found = list(runs.runs(connection, step))
    if is_json:
        for one in found:
            click.echo(json.dumps(_told(one)))
        return
    columns: dict[str, Kind] = {
        "began (UTC)": "id", "outcome": "id", "by": "text", "seconds": "number", "rows": "number", "reason": "text",
    }  # fmt: skip
    print_table(columns, [_ran(one) for one in found])


def _ran(run: Run) -> list[str]:
    began = f"{run.began:%Y-%m-%d %H:%M:%S}" if run.began else ""
    took = "" if run.seconds is None else f"{run.seconds:.1f}"
    return [began, run.outcome, run.asked_by, took, "" if run.rows is None else f"{run.rows:,}", run.reason]


def _told(run: Run) -> dict[str, Any]:
    return {
        "step": run.step,
        "outcome": run.outcome,
        "askedBy": run.asked_by,
        "isBackfill": run.is_backfill,
        "began": run.began.isoformat() if run.began else None,
        "seconds": run.seconds,
        "rows": run.rows,
        "cursor": {"tx": run.cursor.tx, "rid": run.cursor.rid},
        "reason": run.reason,
        "gates": [{"name": gate.name, "isHeld": gate.is_held, "told": gate.told} for gate in run.gates],
    }
