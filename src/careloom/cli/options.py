"""cli.options: options that several commands share.

Room: cli.
"""

from __future__ import annotations

from pathlib import Path

import click

home = click.option("--home", type=click.Path(path_type=Path), help="Folder of the database, blobs and logs.")
