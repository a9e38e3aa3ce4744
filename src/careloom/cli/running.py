"""cli.running: `careloom up`, `stop` and `demo`.

Room: cli.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import click

from careloom.cli import options as shared
from careloom.cli.here import demo_home, settings_here
from careloom.cli.supervisor import Supervisor, stop_running
from careloom.settings import settings_from

_port = click.option("--port", type=int, help="Port of the web server (default 8080).")
_mllp = click.option("--mllp-port", type=int, help="Port of the HL7 v2 listener (default 2575; 0: none).")
_host = click.option("--host", help="Address to bind (default 127.0.0.1).")


@click.command()
@shared.home
@_host
@_port
@_mllp
@click.option("--database-url", help="A PostgreSQL 16+ URL instead of the embedded one.")
@click.option("--forward-to", help="Send each HL7 v2 message on: mllp://host:port, several with commas.")
def up(**options: Any) -> None:
    """Start careloom: database, listeners, stations, pages and /fhir. Ctrl-C stops all of it.

    \b
    careloom up
    careloom up --port 9000 --mllp-port 6661
    careloom up --database-url postgresql://care@db.local/care
    careloom up --forward-to mllp://lab.local:2575
    """
    Supervisor(settings_from(**options)).run()


@click.command()
@shared.home
def stop(**options: Any) -> None:
    """Stop the careloom that runs in this home, database included.

    \b
    careloom stop
    """
    settings = settings_here(**options)
    stopped = stop_running(settings)
    click.echo(f"Stopped: {', '.join(stopped)}." if stopped else f"Nothing was running in {settings.home}.")


@click.command(short_help="Start careloom with a synthetic hospital.")
@shared.home
@_host
@_port
@_mllp
@click.option(
    "--people",
    type=click.IntRange(min=1),
    default=200,
    show_default=True,
    help="How many people the hospital knows.",
)
@click.option("--seed", default=2026, show_default=True, help="The same seed gives the same hospital.")
@click.option(
    "--speed",
    type=click.FloatRange(min=0, min_open=True),
    default=60.0,
    show_default=True,
    help="Simulated seconds in one real second.",
)
@click.option("--fresh", is_flag=True, help="Forget what the demo home holds and begin anew.")
def demo(people: int, seed: int, speed: float, *, fresh: bool, **options: Any) -> None:
    """Start careloom with a synthetic hospital: three systems that share no key, people, and a story.

    \b
    careloom demo
    careloom demo --people 50 --speed 120
    """
    base = settings_from(**options)
    home = base.home if options.get("home") else demo_home(base)
    # A line for each of the hospital's messages would hide what the demo has to say.
    level = "warning" if base.log_level == "info" else base.log_level
    settings = replace(base, home=home, demo=True, log_level=level)
    Supervisor(settings, hospital=(people, seed, speed), fresh=fresh).run()
