"""lake.gate: what must hold of the lake before a step of the pipeline counts as done.

Room: lake. May import: lake, store.
"""

from __future__ import annotations

from collections.abc import Sequence

from careloom.lake.build import STATION
from careloom.lake.lake import Lake
from careloom.lake.omop.check import Result
from careloom.lake.omop.report import failed
from careloom.store import aside, feedcount
from careloom.store.database import Connection
from careloom.store.runs import Gate

SHOWN = 3
"""Names that a sentence has room for."""


def gates(connection: Connection, lake: Lake, most_aside: float) -> list[Gate]:
    """Of the tables: each has as many versions as the store up to the same place, and few were set aside.

    `most_aside`: the part of all versions that may be.
    """
    counted = feedcount.up_to(connection, lake.published.cursor)
    rows = rows_of(lake)
    wrong = [
        f"{rtype} {rows.get(rtype, 0):,} for {counted.get(rtype, 0):,}"
        for rtype in sorted({*rows, *counted})
        if rows.get(rtype, 0) != counted.get(rtype, 0)
    ]
    total, held_back = sum(rows.values()), aside.counts(connection).get(STATION, 0)
    share = held_back / total if total else 0.0
    return [
        Gate(
            "rows equal the store", not wrong, _listed(wrong) or f"{total:,} versions in {len(rows)} tables"
        ),
        Gate("set aside", share <= most_aside, f"{held_back:,} of {total:,}, {most_aside:.1%} are allowed"),
    ]


def rows_of(lake: Lake) -> dict[str, int]:
    """Versions in each table, as its log tells them."""
    return {rtype: sum(part.rows for part in lake.sources(rtype).parts) for rtype in lake.types}


def quality(results: Sequence[Result]) -> Gate:
    """Of the CDM: no check of its quality that is fatal has failed."""
    found = failed(results)
    fatal = sorted(
        {
            f"{each.check.kind.name} {each.check.place.table}"
            for each in found
            if each.check.kind.severity == "fatal"
        }
    )
    told = f"{len(results):,} checks, {len(found):,} failed, none of them fatal"
    return Gate("OMOP quality checks", not fatal, _listed(fatal) or told)


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN:,} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
