"""cli.omop: `careloom lake omop build|check|ddl`.

Room: cli. The engines of analysis are imported when a command runs.
"""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import click
from rich.console import Console
from rich.table import Column, Table

from careloom.cli import options as shared
from careloom.cli.lakeside import bar, settings_of
from careloom.settings import lake_root

FOUND = 1
"""Exit code of a check that found what must not be."""


@click.group()
def omop() -> None:
    """The OMOP Common Data Model 5.4 of what the lake holds: build it, check it, print its tables.

    \b
    careloom lake build
    careloom lake omop build
    careloom lake omop check --html quality.html
    """


@omop.command()
@click.option("--fresh", "is_fresh", is_flag=True, help="Throw the file away first; ids are given anew.")
@click.option("--vocabulary", "omop_vocabulary", help="Folder of an unpacked download from Athena.")
@shared.home
def build(*, is_fresh: bool, **options: Any) -> None:
    """Bring the CDM up to the lake, and check its quality; nothing is built where nothing changed.

    It is the step `omop` of `careloom pipeline run`, and is recorded as such; exit status 1 if its gate does not hold.

    \b
    careloom lake omop build
    careloom lake omop build --vocabulary ~/athena
    duckdb ~/.local/share/careloom/lake/omop.duckdb 'select count(*) from person'
    """
    from careloom.cli.pipeline import ran_step
    from careloom.lake.omop.build import FILE, report

    settings = settings_of(options)
    file = lake_root(settings) / FILE
    run, step = ran_step(settings, "omop", {"is_backfill": is_fresh})
    made = report(file)
    table = Table("table", *(Column(name, justify="right") for name in ("rows", "mapped", "%")))
    mapped = {each.table: each.mapped for each in made.coverage}
    for name, rows in made.rows.items():
        part = (
            (f"{mapped[name]:,}", f"{100 * mapped[name] / rows:.1f}" if rows else "")
            if name in mapped
            else ("", "")
        )
        table.add_row(name, f"{rows:,}", *part)
    Console().print(table)
    for name, reason, rows in made.dropped:
        click.echo(f"left out of {name}: {rows:,} with {reason}")
    for concept, what in made.unknown:
        click.echo(f"the vocabulary: concept {concept.concept_id} ({concept.name}, {concept.use}) {what}")
    if not settings.omop_vocabulary:
        click.echo(
            "No vocabulary: concepts are 0, the codes are in the source values (setting omop_vocabulary)."
        )
    for gate in run.gates:
        click.echo(f"{'holds' if gate.is_held else 'DOES NOT HOLD':14} {gate.name}: {gate.told}")
    click.echo(f"{'Built' if step.is_new else 'Nothing had changed'}: {file}")
    if run.outcome != "done":
        sys.exit(FOUND)


@omop.command()
@click.option(
    "--json", "json_file", type=click.Path(dir_okay=False, path_type=Path), help="Write all results here."
)
@click.option(
    "--html", "html_file", type=click.Path(dir_okay=False, path_type=Path), help="Write a page here."
)
@click.option(
    "--fail-on",
    type=click.Choice(["fatal", "any", "never"]),
    default="fatal",
    show_default=True,
    help="Which failed checks make the exit code 1.",
)
@shared.home
def check(*, json_file: Path | None, html_file: Path | None, fail_on: str, **options: Any) -> None:
    """Run the data quality checks, and list those that failed.

    \b
    careloom lake omop check
    careloom lake omop check --json quality.json --html quality.html --fail-on never
    """
    from careloom.lake.omop import report
    from careloom.lake.omop.build import FILE, attach
    from careloom.lake.omop.check import run
    from careloom.lake.session import opened

    settings = settings_of(options)
    root = lake_root(settings)
    today = datetime.now(ZoneInfo(settings.time_zone)).date()
    with opened(root) as duck, bar("Checking the CDM") as moved:
        attach(duck, root / FILE, is_read_only=True)
        results = run(duck, today, told=lambda _name, done, total: moved(done, total))
    if json_file:
        json_file.write_bytes(report.as_json(results, today.isoformat()))
    if html_file:
        html_file.write_text(report.as_html(results, today.isoformat()), "utf-8")
    found = report.failed(results)
    for each in found:
        place = ".".join(part for part in (each.check.place.table, each.check.place.field) if part)
        concept = f" of concept {each.check.place.concept}" if each.check.place.concept else ""
        click.echo(
            f"{each.check.kind.severity:16} {each.check.kind.name} {place}{concept}:"
            f" {each.violated:,} of {each.rows:,} ({each.percent:g} %, allowed {each.check.threshold:g} %)"
        )
    click.echo(", ".join(f"{number:,} {status}" for status, number in report.summary(results)["all"].items()))
    is_bad = any(fail_on == "any" or each.check.kind.severity == "fatal" for each in found)
    if fail_on != "never" and is_bad:
        sys.exit(FOUND)


@omop.command()
@click.option("--dialect", type=click.Choice(["duckdb", "postgresql"]), default="duckdb", show_default=True)
@click.option("--schema", default="cdm", show_default=True, help="The schema that the tables are in.")
def ddl(dialect: Any, schema: str) -> None:
    """Print the tables of the CDM; for PostgreSQL also its keys and references.

    \b
    careloom lake omop ddl --dialect postgresql | psql cdm
    """
    from careloom.lake.omop.ddl import ddl as statements

    if not schema.isidentifier():
        raise click.BadParameter("a schema is named by letters, digits and _.", param_hint="--schema")
    for statement in statements(dialect, schema):
        click.echo(f"{statement};")
