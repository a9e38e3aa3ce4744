"""lake.omop.report: what the data quality checks found, as JSON for machines and as one HTML file for people.

Room: lake. May import: lake.omop. Counts and names of the CDM only: no value of a patient is in it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from html import escape
from typing import Any

import msgspec

from careloom.lake.omop.check import Result

STATUSES = ("passed", "failed", "not applicable", "no vocabulary", "error")

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:72rem;margin:2rem auto;padding:0 1rem;color:#1c2430;background:#fff}"
    "table{border-collapse:collapse;width:100%;margin:1rem 0 2rem}th,td{text-align:left;padding:.35rem .6rem;"
    "border-bottom:1px solid #d9dee5;vertical-align:top}th{background:#f2f4f7}.n{text-align:right;font-variant-numeric:"
    "tabular-nums}.list{font-size:.875rem}.list td:nth-child(-n+3){overflow-wrap:anywhere}.fatal{color:#a11212;font-weight:600}p{max-width:44rem}"
)


def as_json(results: Sequence[Result], day: str) -> bytes:
    """A summary, and every check that was asked of."""
    told = {"day": day, "summary": summary(results), "checks": [_row(result) for result in results]}
    return msgspec.json.format(msgspec.json.encode(told), indent=1)


def summary(results: Iterable[Result]) -> dict[str, dict[str, int]]:
    """Kahn's category -> status -> number of checks, `all` with them."""
    counts: dict[str, Counter[str]] = {}
    for result in results:
        for category in (result.check.kind.category, "all"):
            counts.setdefault(category, Counter())[result.status] += 1
    return {name: {status: counts[name][status] for status in STATUSES} for name in sorted(counts)}


def failed(results: Iterable[Result]) -> list[Result]:
    """The fail list: fatal ones first, then those with the largest part of their rows."""
    found = [result for result in results if result.status == "failed"]
    return sorted(found, key=lambda each: (each.check.kind.severity != "fatal", -each.percent))


def as_html(results: Sequence[Result], day: str) -> str:
    """A page that stands alone."""
    return "".join(_page(results, day))


def _page(results: Sequence[Result], day: str) -> Iterator[str]:
    yield '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
    yield f"<title>Data quality of the CDM</title><style>{_STYLE}</style><main>"
    yield f"<h1>Data quality of the CDM</h1><p>OMOP CDM 5.4, {escape(day)}. The kinds of checks and their thresholds are"
    yield " those of OHDSI's DataQualityDashboard; a check fails when a larger part of the rows violates than its"
    yield " threshold allows. <i>Not applicable</i>: there is no row to look at. <i>No vocabulary</i>: the check needs"
    yield " concepts, and none are loaded. <i>Error</i>: a column has not the type of the CDM, so the check cannot be asked.</p>"
    yield "<h2>Summary</h2>"
    head = "".join(f'<th class="n">{status}</th>' for status in STATUSES)
    yield f"<table><thead><tr><th>category</th>{head}</tr></thead><tbody>"
    for name, counts in summary(results).items():
        cells = "".join(f'<td class="n">{counts[status]:,}</td>' for status in STATUSES)
        yield f"<tr><td>{escape(name)}</td>{cells}</tr>"
    yield "</tbody></table>"
    found = failed(results)
    yield f"<h2>Failed checks ({len(found):,})</h2>"
    if not found:
        yield "<p>None.</p></main></html>"
        return
    yield '<table class="list"><thead><tr><th>severity</th><th>check</th><th>where</th><th class="n">%</th>'
    yield '<th class="n">allowed&nbsp;%</th><th class="n">violated</th><th class="n">rows</th><th>category</th></tr></thead><tbody>'
    yield from (_failed_row(result) for result in found)
    yield "</tbody></table></main></html>"


def _failed_row(result: Result) -> str:
    kind, place = result.check.kind, result.check.place
    # A long name may break after its table, and anywhere else only where it must.
    where = f"{escape(place.table)}.<wbr>{escape(place.field)}" if place.field else escape(place.table)
    concept = f"<br>concept {escape(place.concept)}" if place.concept else ""
    numbers = (
        f"{result.percent:g}",
        f"{result.check.threshold:g}",
        f"{result.violated:,}",
        f"{result.rows:,}",
    )
    cells = "".join(f'<td class="n">{number}</td>' for number in numbers)
    severity = escape(kind.severity)
    return (
        f'<tr><td class="{severity}">{severity}</td><td>{escape(kind.name)}</td><td>{where}{concept}</td>'
        f"{cells}<td>{escape(kind.category)}</td></tr>"
    )


def _row(result: Result) -> dict[str, Any]:
    kind, place = result.check.kind, result.check.place
    return {
        "check": kind.name,
        "level": kind.level,
        "table": place.table,
        "field": place.field or None,
        "concept": place.concept or None,
        "context": kind.context,
        "category": kind.category,
        "subcategory": kind.subcategory or None,
        "severity": kind.severity,
        "status": result.status,
        "violated": result.violated,
        "rows": result.rows,
        "percent": result.percent,
        "threshold": result.check.threshold,
    }
