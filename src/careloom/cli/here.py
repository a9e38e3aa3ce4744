"""cli.here: which careloom a command is about: that of its home, or the demo where only the demo runs.

Room: cli.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from careloom.cli.supervisor import running
from careloom.settings import Settings, settings_from

DEMO = "demo"
"""The folder below the home in which `careloom demo` lives: it never mixes with what is real."""


def demo_home(base: Settings) -> Path:
    """Where the demo of this home lives."""
    return base.home / DEMO


def settings_here(**options: Any) -> Settings:
    """The settings of the home; of the demo's, said aloud, where no home was named and nothing else runs."""
    settings = settings_from(**options)
    demo = replace(settings, home=demo_home(settings))
    if options.get("home") or settings.database_url or running(settings) or not running(demo):
        return settings
    click.echo(f"The demo runs, in {demo.home}: this is about the demo.", err=True)
    return demo
