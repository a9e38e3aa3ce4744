"""cli.printed: a table for a terminal of any width: what is an id or a number is whole, texts fold.

Room: cli. A column without a single value is left out.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Literal

from rich import box
from rich.console import Console
from rich.table import Table

Kind = Literal["id", "text", "number"]
_PIPED = 200
"""Columns of what is no terminal: nothing needs to fold for a file."""


def print_table(columns: dict[str, Kind], rows: Sequence[Sequence[str]], title: str = "") -> None:
    """Print rows under their headers; an `id` or a `number` is never cut, a `text` goes on in the next line."""
    table = Table(
        title=title or None, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False
    )
    shown = [at for at in range(len(columns)) if not rows or any(row[at] for row in rows)]
    for at, (name, kind) in enumerate(columns.items()):
        if at in shown:
            is_whole = kind != "text"
            table.add_column(
                name, no_wrap=is_whole, overflow="fold", justify="right" if kind == "number" else "left"
            )
            if is_whole:
                table.columns[-1].min_width = max((len(row[at]) for row in rows), default=0)
    for row in rows:
        table.add_row(*(row[at] for at in shown))
    console = Console(file=sys.stdout, markup=False, highlight=False)
    console.width = console.width if console.is_terminal else max(console.width, _PIPED)
    console.print(table)
