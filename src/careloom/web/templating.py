"""web.templating: Jinja2 with everything escaped, nothing undefined, and the few words that every page uses.

Room: web. Reads web/templates.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import cast

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from careloom import __version__
from careloom.web.assets import address
from careloom.web.call import Call

FOLDER = Path(__file__).with_name("templates")
SHAPES = 6
"""How many shapes and colours app.css has for sources."""

JOBS = (
    ("Worklist", "/worklist", "clinical.read"),
    ("Patients", "/patients", "clinical.read"),
    ("Messages", "/messages", "event.read"),
    ("FHIR", "/browse", "clinical.read"),
    ("SQL", "/sql", "sql"),
    ("Reports", "/reports", "sql"),
    ("Health", "/health", "page"),
)
"""The top bar: title, address, and the right without which it is not shown."""

_SIGNS = {
    "visit": "M3 17V7l7-4 7 4v10M8 17v-5h4v5",
    "result": "M8 3v5L4 16h12l-4-8V3M7 3h6",
    "vital": "M2 10h4l2-5 4 10 2-5h4",
    "score": "M4 16V9M10 16V4M16 16v-5",
    "report": "M5 3h7l3 3v11H5zM8 9h4M8 12h4",
    "problem": "M10 3v9M10 15v2M3 10a7 7 0 1 0 14 0a7 7 0 1 0-14 0",
    "allergy": "M10 3l8 14H2zM10 8v4M10 14v1",
    "medicine": "M5 10l5-5a3.5 3.5 0 0 1 5 5l-5 5a3.5 3.5 0 0 1-5-5zM7.500 7.500l5 5",
    "procedure": "M4 16L14 6l2 2L6 18zM13 3l4 4",
    "immunization": "M4 16l6-6M8 6l6 6M12 4l4 4M9 7l5-4 3 3-4 5z",
    "document": "M5 3h7l3 3v11H5zM8 9h4M8 12h4",
    "task": "M4 10l4 4 8-9",
    "other": "M6 10h8",
}


@dataclass(frozen=True, slots=True)
class Item:
    """One entry of the top bar."""

    title: str
    path: str
    is_here: bool


def templates() -> Environment:
    """The environment of all pages."""
    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    words: dict[str, object] = {
        "asset": address,
        "navigation": navigation,
        "source_class": source_class,
        "sign": sign,
        "version": __version__,
    }
    cast("dict[str, object]", environment.globals).update(words)
    return environment


def navigation(call: Call) -> list[Item]:
    """What this actor's top bar shows."""
    return [Item(title, path, call.path.startswith(path)) for title, path, right in JOBS if call.may(right)]


def source_class(name: str) -> str:
    """A source keeps its shape and colour on every page; its name always stands beside them.

    >>> source_class("careloom")
    'own'
    """
    return "own" if name in {"careloom", "unknown"} else f"s{sum(name.encode()) % SHAPES}"


def sign(kind: str) -> Markup:
    """A small drawing for a kind of entry; the word for it stands beside it for those who do not see it."""
    path = _SIGNS.get(kind, _SIGNS["other"])
    return Markup(
        '<svg viewBox="0 0 20 20" aria-hidden="true" fill="none" stroke="currentColor" stroke-width="1.8"'
        ' stroke-linejoin="round"><path d="{}"/></svg>'
    ).format(path)
