"""Write docs/reference/hl7v2.md from the tables of the map: `python scripts/hl7v2_reference.py`.

A test holds the page to the tables; CARELOOM_REWRITE_GOLDENS=1 rewrites it.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

from careloom.unify.hl7v2 import tables

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "hl7v2.md"
HEAD = (Path(__file__).parent / "hl7v2_reference_head.md").read_text(encoding="utf-8")
SEGMENTS = files(tables.__package__ or "") / "tables" / "segments"


def page() -> str:
    """The whole page."""
    return "\n".join([HEAD.rstrip("\n"), "", *_triggers(), *_segments(), *_datatypes(), *_kept(), ""])


def _triggers() -> Iterator[str]:
    yield "## Events"
    yield ""
    yield "`ORU^R01` is a result. Of ADT:"
    yield ""
    yield "| event | name | kind | Encounter.status after it |"
    yield "|---|---|---|---|"
    for trigger in tables.triggers().values():
        status = {"keep": "as it was", "": ""}.get(trigger.status, trigger.status)
        yield f"| {trigger.code} | {trigger.name} | {trigger.kind} | {status} |"
    yield ""


def _segments() -> Iterator[str]:
    yield "## Segments"
    yield ""
    for file in sorted(path.name for path in SEGMENTS.iterdir() if path.name.endswith(".csv")):
        yield f"### {file.removesuffix('.csv')}"
        yield ""
        yield "| field | name | goes to | by |"
        yield "|---|---|---|---|"
        for row in tables.rows_of(f"segments/{file}"):
            yield _line(row["field"], row)
        yield ""


def _datatypes() -> Iterator[str]:
    yield "## Data types"
    yield ""
    yield "| component | name | goes to | by |"
    yield "|---|---|---|---|"
    for row in tables.rows_of("datatypes.csv"):
        yield _line(f"{row['map']}.{row['component']}", row)
    yield ""


def _kept() -> Iterator[str]:
    yield "## Segments that are kept raw as a whole"
    yield ""
    yield "| segment | why |"
    yield "|---|---|"
    for segment, why in tables.whole_segments().items():
        yield f"| {segment} | {why} |"


def _line(place: str, row: dict[str, str]) -> str:
    if row["why"]:
        return f"| {place} | {_cell(row['name'])} | kept raw: {_cell(tables.reasons()[row['why']])} | |"
    by = row["by"] + (f", {row['vocabulary']}" if row["vocabulary"] else "")
    target = f"`{_cell(row['to'])}`" if row["to"] else "the element itself"
    return f"| {place} | {_cell(row['name'])} | {target} | {_cell(by)} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
