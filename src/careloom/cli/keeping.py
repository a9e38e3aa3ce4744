"""cli.keeping: `careloom lake keep` and `careloom lake refresh`: views whose rows are kept.

Room: cli. The engines of analysis are imported when a command runs: they cost half a second.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Column, Table

from careloom.cli import options as shared
from careloom.cli.lakeside import lake, settings_of, writing_lake
from careloom.settings import Settings, lake_root
from careloom.store.server import database_served


@lake.command()
@click.argument("views", nargs=-1)
@click.option("--drop", "is_dropped", is_flag=True, help="Keep these no longer.")
@shared.home
def keep(views: tuple[str, ...], *, is_dropped: bool, **options: Any) -> None:
    """Keep the rows of VIEWS as tables that follow the feed; names of views that come with careloom, of your folder, or of the store.

    When a resource changes, its rows alone are made anew, by whatever feeds the lake (`careloom up`). Without VIEWS
    those are listed that are kept.

    \b
    careloom lake keep patient observation
    careloom lake keep --drop observation
    """
    from careloom.lake.kept.keeper import names, wish

    settings = settings_of(options)
    root = lake_root(settings)
    kept = names(root)
    wanted = [one for one in kept if one not in views] if is_dropped else [*kept, *views]
    if set(wanted) != set(kept):
        wish(root, wanted)
        _refreshed(settings)
    _told(root)


@lake.command()
@shared.home
def refresh(**options: Any) -> None:
    """Bring the lake and the views that are kept up to the store now, and list these.

    \b
    careloom lake refresh
    """
    settings = settings_of(options)
    _refreshed(settings)
    _told(lake_root(settings))


def _refreshed(settings: Settings) -> None:
    with database_served(settings) as database, writing_lake(database, settings) as writer:
        writer.kept.is_stale = True
        while writer.step():
            pass
        for name, reason in writer.kept.failed.items():
            click.echo(f"careloom: the view {name} is not kept: {reason}", err=True)


def _told(root: Path) -> None:
    from careloom.lake.lake import Lake

    found = Lake(root)
    table = Table("view", *(Column(name, justify="right") for name in ("rows", "files", "aside")), "folder")
    with found.connection(types=()) as duck:
        for name in found.kept:
            kept = found.kept_rows(name)
            sql = f"select count(*) filter (not _is_gone), count(_aside) from ({kept.unended()})"
            rows, aside = duck.execute(sql).fetchone() or (0, 0)
            table.add_row(name, f"{rows:,}", str(len(kept.files())), f"{aside:,}", str(kept.folder))
    Console().print(table)
