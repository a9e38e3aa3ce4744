"""cli.safekeeping: `careloom backup`, `careloom restore` and `careloom doctor`.

Room: cli.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from careloom.cli import options as shared
from careloom.cli.here import settings_here
from careloom.fhir.resource import dumps
from careloom.settings import settings_from
from careloom.store import backup as keeping
from careloom.store.doctor import examine


@click.command(short_help="Write everything to a folder, while careloom runs.")
@click.argument("path", type=click.Path(path_type=Path))
@shared.home
def backup(path: Path, **options: Any) -> None:
    """Write everything (database, blobs, a manifest with hashes) to PATH; careloom may go on running.

    \b
    careloom backup /backups/careloom-monday
    """
    click.echo(keeping.backup(settings_here(**options), path))


@click.command(short_help="Bring a backup back into an empty home.")
@click.argument("path", type=click.Path(path_type=Path, exists=True))
@shared.home
def restore(path: Path, **options: Any) -> None:
    """Bring a backup back into an empty home, after its hashes were checked.

    \b
    careloom restore /backups/careloom-monday --home /srv/careloom
    """
    click.echo(keeping.restore(settings_from(**options), path))


@click.command(short_help="Say what is wrong on this machine, and what to do.")
@shared.home
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def doctor(*, as_json: bool, **options: Any) -> None:
    """Look at the machine and the store, and say what is wrong and what to do.

    \b
    careloom doctor
    """
    findings = examine(settings_here(**options))
    for finding in findings:
        if as_json:
            click.echo(dumps({"name": finding.name, "ok": finding.ok, "sentence": finding.sentence}).decode())
        else:
            click.echo(f"{'ok    ' if finding.ok else 'FAILED'}  {finding.name}: {finding.sentence}")
    sys.exit(0 if all(finding.ok for finding in findings) else 1)
