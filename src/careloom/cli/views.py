"""cli.views: `careloom lake run` and `careloom lake views`.

Room: cli. The engines of analysis are imported when a command runs: they cost half a second.
"""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

from careloom.cli import options as shared
from careloom.cli.keeping import lake
from careloom.cli.omop import omop
from careloom.cli.reporting import report
from careloom.fhir.outcome import Issue, OutcomeError
from careloom.fhir.resource import dumps
from careloom.lake.order import Form, Wanted
from careloom.settings import Settings, lake_root, settings_from, views_root
from careloom.store.actor import STATION
from careloom.store.server import database_served

if TYPE_CHECKING:
    from careloom.lake.engine import Connection
    from careloom.lake.shelf import Shelf
    from careloom.lake.view.statement import Statement

_SOME = 20
_NOT_ALL = 2
"""Exit status where something could not be read and was left out."""

lake.add_command(omop)
lake.add_command(report)


@lake.command()
@click.argument("view")
@click.option(
    "--from",
    "source",
    type=click.Path(path_type=Path, exists=True),
    help="NDJSON, Bundles, or a folder of them.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["csv", "ndjson", "json", "parquet"]),
    default="csv",
    show_default=True,
)
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), help="A file instead of standard output."
)
@click.option("--limit", type=click.IntRange(min=0), help="The most rows.")
@click.option(
    "--since", type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"]), help="UTC."
)
@click.option("--no-header", is_flag=True, help="CSV without its first line.")
@click.option(
    "--sql", "only_sql", type=click.Choice(["duckdb", "spark"]), help="Print the SQL of an engine, and stop."
)
@shared.home
def run(view: str, *, source: Path | None, out: Path | None, only_sql: Any, **options: Any) -> None:
    """Run a ViewDefinition of SQL on FHIR: a JSON file, a view that comes with careloom, of your folder, or of the store.

    VIEW is a file, a name, a url, or the id of a ViewDefinition. Rows come from the lake, or with --from from files.
    The same as the operation $run of /fhir, with all rows.

    \b
    careloom lake run patient
    careloom lake run last_hba1c.json --format parquet --out hba1c.parquet
    careloom lake run observation --from exported/ --format ndjson --limit 10
    careloom lake run observation --sql spark
    """
    from careloom.lake.lake import Lake

    wanted = _wanted(options)
    settings = settings_from(**options)
    statement = _compiled(view, settings)
    if only_sql:
        click.echo(statement.sql(only_sql))
        return
    if source is not None:
        if wanted.since:
            raise OutcomeError(
                Issue("not-supported", "--since chooses from the lake: files do not say when.")
            )
        _run_on_files(statement, source, wanted, out)
        return
    found = Lake(lake_root(settings))
    with found.connection(types=[statement.resource], may_lack=True) as connection:
        _deliver(connection, statement, "", wanted, out)


def _compiled(view: str, settings: Settings) -> Statement:
    """The view, ready to run; what is odd is told. Raises OutcomeError that names the file, the place in it and the column."""
    from careloom.lake.view.statement import compile_view

    definition = _definition(view, settings)
    try:
        statement = compile_view(definition)
    except OutcomeError as error:
        raise OutcomeError(*(_placed(view, definition, issue) for issue in error.issues)) from None
    for issue in statement.warnings:
        placed = _placed(view, definition, issue)
        click.echo(f"{placed.severity}: {placed.text}", err=True)
    return statement


def _placed(view: str, definition: Any, issue: Issue) -> Issue:
    """The issue with the view, the place in its JSON, and the name of the column there, in its text."""
    where = f" at {issue.expression}" if issue.expression else ""
    column = _column_at(definition, issue.expression)
    return replace(issue, text=f"{view}{where}{f', column {column}' if column else ''}: {issue.text}")


def _column_at(definition: Any, place: str) -> str:
    """The name of the column that a place such as `ViewDefinition.select[0].column[4].path` stands in; "" if in none."""
    if "column[" not in place:
        return ""
    found, name = definition, ""
    for step, at in re.findall(r"(\w+)(?:\[(\d+)\])?", place)[1:]:
        found = found.get(step) if isinstance(found, dict) else None
        if at:
            found = found[int(at)] if isinstance(found, list) and int(at) < len(found) else None
        if step == "column" and isinstance(found, dict):
            name = str(found.get("name", ""))[:64]
    return name


def _wanted(options: dict[str, Any]) -> Wanted:
    form: Form = options.pop("form")
    since: datetime | None = options.pop("since")
    is_bare = options.pop("no_header")
    return Wanted(form, not is_bare, options.pop("limit"), since and since.replace(tzinfo=UTC))


@lake.command()
@click.argument("name", default="")
@shared.home
def views(name: str, **options: Any) -> None:
    """List the views that come with careloom, and those in the folder of your own (setting views_folder): name, type, columns;
    or print the definition of the view NAME as JSON.

    A file of the folder that is no view is named with place and cause, and keeps no other from being known.

    \b
    careloom lake views
    careloom lake views patient > my_patient.json
    """
    from careloom.lake.known import KnownView, ready
    from careloom.lake.ready import ready_views

    settings = settings_from(**options)
    if name:
        click.echo(dumps(_definition(name, settings)))
        return
    own = _own(settings)
    for one in (
        *map(ready, ready_views()),
        *(KnownView(each, told, file=file) for each, (file, told) in own.views.items()),
    ):
        where = f", in {one.file}" if one.file else ""
        told = one.statement
        click.echo(f"{one.name}  ({told.resource}{where}): {', '.join(told.columns)}")
    for each in own.left_out:
        click.echo(f"careloom: {each.words}", err=True)
    if own.left_out:
        sys.exit(_NOT_ALL)


def _own(settings: Settings) -> Shelf:
    """What is in the site's folder; the store is only asked where it may have the same names."""
    from careloom.lake.known import site_views
    from careloom.lake.shelf import shelf

    found = shelf(views_root(settings))
    if not found.views:
        return found
    with database_served(settings) as database, database.connection() as connection:
        return site_views(connection, views_root(settings))


def _definition(view: str, settings: Settings) -> Any:
    from careloom.lake.ready import ready_view, ready_views
    from careloom.lake.shelf import parsed

    if view in ready_views():
        return ready_view(view)
    path = Path(view)
    if path.is_file():
        try:
            return parsed(path.read_bytes())
        except OutcomeError as error:
            raise OutcomeError(
                *(replace(issue, text=f"{view}: {issue.text}") for issue in error.issues)
            ) from None
    return _of_store(view, settings)


def _of_store(view: str, settings: Settings) -> Any:
    from careloom.lake.known import all_views, view_of

    folder = views_root(settings)
    with database_served(settings) as database, database.connection() as connection:
        try:
            return view_of(connection, STATION, view, folder).definition
        except OutcomeError as error:
            if error.issues[0].code != "not-found":
                raise
            names = ", ".join(sorted(all_views(connection, STATION, folder)))
    text = f"There is no file {view}, and no view of that name; there are: {names}."
    raise OutcomeError(Issue("not-found", text))


def _run_on_files(statement: Statement, source: Path, wanted: Wanted, out: Path | None) -> None:
    from careloom.lake.engine import connect
    from careloom.lake.files import typed
    from careloom.lake.reading import literal

    with tempfile.TemporaryDirectory(prefix="careloom-") as folder:
        found = typed(source, statement.resource, Path(folder) / "table.parquet")
        with connect(spill=Path(folder)) as connection:
            _deliver(connection, statement, f"read_parquet({literal(found.path)})", wanted, out)
    if found.unread:
        some = ", ".join(found.unread[:5])
        click.echo(f"careloom: {len(found.unread)} could not be read and were left out: {some}.", err=True)
        sys.exit(_NOT_ALL)


def _deliver(
    connection: Connection, statement: Statement, source: str, wanted: Wanted, out: Path | None
) -> None:
    """Write the rows. Resources on which the view cannot be run are left out and named; the exit status tells of it."""
    from careloom.lake.poison import is_of_a_resource, left_out, may_stop, without
    from careloom.lake.stream import source_of

    # Several threads would hold what they made until it is its turn.
    connection.execute("set threads = 1")
    with ExitStack() as stack:
        is_held = out is None and may_stop(statement)
        spool = stack.enter_context(tempfile.TemporaryFile()) if is_held else None
        file = spool or (stack.enter_context(out.open("wb")) if out else sys.stdout.buffer)
        aside: dict[str, str] = {}
        try:
            rows = _poured(connection, statement, source, wanted, file)
        except OutcomeError as error:
            if not is_of_a_resource(error) or not may_stop(statement):
                raise
            whole = source_of(statement, wanted, source)
            aside = left_out(connection, statement, whole)
            file.seek(0)
            file.truncate()
            rows = _poured(connection, statement, without(whole, aside), replace(wanted, since=None), file)
        if spool:
            spool.seek(0)
            shutil.copyfileobj(spool, sys.stdout.buffer)
    if out:
        click.echo(f"{rows:,} rows are in {out}.", err=True)
    _told_aside(statement.resource, aside)


def _poured(
    connection: Connection, statement: Statement, source: str, wanted: Wanted, file: IO[bytes]
) -> int:
    from careloom.lake.stream import piped, streamed

    with piped() as pipe:
        for piece in streamed(connection, statement, wanted, pipe, source):
            file.write(piece)
        return pipe.rows


def _told_aside(rtype: str, aside: dict[str, str]) -> None:
    if not aside:
        return
    for id_, reason in list(aside.items())[:_SOME]:
        click.echo(f"careloom: {rtype}/{id_} is left out: {reason}", err=True)
    click.echo(
        f"careloom: {len(aside)} resources were left out, as the view cannot be run on them.", err=True
    )
    sys.exit(_NOT_ALL)
