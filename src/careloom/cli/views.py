"""cli.views: `careloom lake run` and `careloom lake views`.

Room: cli. The engines of analysis are imported when a command runs: they cost half a second.
"""

from __future__ import annotations

import csv
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from careloom.cli import options as shared
from careloom.cli.lakeside import lake
from careloom.fhir.outcome import Issue, OutcomeError, Severity
from careloom.fhir.resource import dumps, loads
from careloom.settings import lake_root, settings_from

if TYPE_CHECKING:
    from careloom.lake.engine import Connection, Format
    from careloom.lake.view.statement import Statement

_NOT_ALL = 2
"""Exit status where something could not be read and was left out."""


@lake.command()
@click.argument("view")
@click.option(
    "--from",
    "source",
    type=click.Path(path_type=Path, exists=True),
    help="NDJSON, Bundles, or a folder of them.",
)
@click.option(
    "--format", "form", type=click.Choice(["csv", "ndjson", "parquet"]), default="csv", show_default=True
)
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), help="A file instead of the terminal."
)
@click.option(
    "--sql", "only_sql", type=click.Choice(["duckdb", "spark"]), help="Print the SQL of an engine, and stop."
)
@shared.home
def run(
    view: str, *, source: Path | None, form: Format, out: Path | None, only_sql: Any, **options: Any
) -> None:
    """Run a ViewDefinition of SQL on FHIR: a JSON file, or the name of a view that comes with careloom.

    Rows come from the lake, or with --from from files.

    \b
    careloom lake run patient
    careloom lake run last_hba1c.json --format parquet --out hba1c.parquet
    careloom lake run observation --from exported/ --format ndjson
    careloom lake run observation --sql spark
    """
    from careloom.lake.lake import Lake
    from careloom.lake.view.statement import compile_view

    statement = compile_view(_definition(view))
    for issue in statement.warnings:
        _say(issue)
    if only_sql:
        click.echo(statement.sql(only_sql))
        return
    if form == "parquet" and out is None:
        raise OutcomeError(Issue("required", "Parquet goes to a file: say --out FILE."))
    if source is None:
        lake_of_site = Lake(lake_root(settings_from(**options)))
        with lake_of_site.connection(types=[statement.resource]) as connection:
            _deliver(connection, statement, "", form, out)
        return
    _run_on_files(statement, source, form, out)


@lake.command()
def views() -> None:
    """List the views that come with careloom: name, type, columns.

    \b
    careloom lake views
    """
    from careloom.lake.ready import ready_view, ready_views
    from careloom.lake.view.statement import compile_view

    for name in ready_views():
        statement = compile_view(ready_view(name))
        click.echo(f"{name}  ({statement.resource}): {', '.join(statement.columns)}")


def _definition(view: str) -> Any:
    from careloom.lake.ready import ready_view, ready_views

    if view in ready_views():
        return ready_view(view)
    path = Path(view)
    if not path.is_file():
        names = ", ".join(ready_views())
        raise OutcomeError(
            Issue("not-found", f"There is no file {view}, and no view of that name; there are: {names}.")
        )
    return loads(path.read_bytes())


def _run_on_files(statement: Statement, source: Path, form: Format, out: Path | None) -> None:
    from careloom.lake.engine import connect
    from careloom.lake.files import typed
    from careloom.lake.reading import literal

    with tempfile.TemporaryDirectory(prefix="careloom-") as folder:
        found = typed(source, statement.resource, Path(folder) / "table.parquet")
        with connect(spill=Path(folder)) as connection:
            _deliver(connection, statement, f"read_parquet({literal(found.path)})", form, out)
    if found.unread:
        some = ", ".join(found.unread[:5])
        click.echo(f"careloom: {len(found.unread)} could not be read and were left out: {some}.", err=True)
        sys.exit(_NOT_ALL)


def _deliver(
    connection: Connection, statement: Statement, source: str, form: Format, out: Path | None
) -> None:
    from careloom.lake import engine

    if out is not None:
        rows = engine.write(connection, statement, out, form, source)
        click.echo(f"{rows:,} rows are in {out}.", err=True)
        return
    if form == "csv":
        lines = csv.writer(sys.stdout, lineterminator="\n")
        lines.writerow(statement.columns)
        for rows in engine.texts(connection, statement, source):
            lines.writerows(rows)
        return
    for batch in engine.batches(connection, statement, source):
        for row in cast("list[dict[str, Any]]", batch.to_pylist()):
            click.echo(dumps(row))


def _say(issue: Issue) -> None:
    severity: Severity = issue.severity
    where = f"{issue.expression}: " if issue.expression else ""
    click.echo(f"{severity}: {where}{issue.text}", err=True)
