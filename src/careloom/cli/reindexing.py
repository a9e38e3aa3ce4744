"""cli.reindexing: `careloom reindex`.

Room: cli.
"""

from __future__ import annotations

from typing import Any

import click

from careloom.cli import options as shared
from careloom.cli.opened import opened
from careloom.flow import utc_now
from careloom.flow.job import run_job
from careloom.flow.reindexing import start
from careloom.settings import settings_from
from careloom.store import jobs


@click.command()
@shared.home
def reindex(**options: Any) -> None:
    """Index every resource anew, by the search rules of this version; careloom may go on running.

    \b
    careloom reindex
    """
    settings = settings_from(**options)
    with opened(settings) as database:
        with database.connection() as connection:
            id_ = start(connection, "careloom", utc_now())
        with click.progressbar(length=0, label="Indexing") as bar:
            while True:
                with database.connection() as connection:
                    job = jobs.job(connection, id_)
                if job is None or not job.is_open:
                    break
                bar.length = job.total or 0
                bar.update(job.done - bar.pos)
                # An engine that runs takes steps of the same job in between.
                run_job(database, settings, utc_now())
        done = job.done if job else 0
        click.echo(f"{done} resources are indexed.")
