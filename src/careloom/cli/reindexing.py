"""cli.reindexing: `careloom reindex`.

Room: cli.
"""

from __future__ import annotations

import time
from typing import Any

import click

from careloom.cli import options as shared
from careloom.flow import utc_now
from careloom.flow.job import run_job
from careloom.flow.parameters import KIND as PARAMETER
from careloom.flow.reindexing import start
from careloom.settings import Settings, settings_from
from careloom.store import jobs
from careloom.store.catalogue import Progress, progress
from careloom.store.database import Database
from careloom.store.server import database_served

_WAIT_S = 0.1


@click.command(short_help="Index every resource anew, while careloom runs.")
@click.option(
    "--status", "is_status", is_flag=True, help="Say how far the search parameters are that R4 does not have."
)
@click.option(
    "--parameters", "is_parameters", is_flag=True, help="Only help to index by search parameters that came."
)
@shared.home
def reindex(*, is_parameters: bool, is_status: bool, **options: Any) -> None:
    """Index every resource anew, by the search rules of this version; careloom may go on running.

    \b
    careloom reindex
    careloom reindex --status
    careloom reindex --parameters
    """
    settings = settings_from(**options)
    with database_served(settings) as database:
        if is_status:
            with database.connection() as connection:
                click.echo(
                    "\n".join(map(_said, progress(connection))) or "There are the parameters of R4 alone."
                )
            return
        if is_parameters:
            _carry_on(database, settings)
            return
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


def _said(one: Progress) -> str:
    types = ", ".join(base.rtype for base in one.entry.definition.bases)
    far = "" if one.total is None else f", {one.done:,} of {one.total:,} rows"
    return f"{one.entry.definition.code} of {types}: {one.word}{far}"


def _carry_on(database: Database, settings: Settings) -> None:
    """Do steps of the jobs for search parameters, beside the engine, until all are done."""
    with click.progressbar(length=0, label="Indexing") as bar:
        while True:
            with database.connection() as connection:
                left = [one for one in jobs.jobs(connection, PARAMETER) if one.is_open]
            if not left:
                return
            bar.length = sum(one.total or 0 for one in left)
            bar.update(sum(one.done for one in left) - bar.pos)
            if not run_job(database, settings, utc_now()):
                # What a transaction that began before holds is waited for.
                time.sleep(_WAIT_S)
