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
    "tabular-nums}.fatal{color:#a11212;font-weight:600}p{max-width:44rem}"
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
    yield "<table><thead><tr><th>check</th><th>table</th><th>field</th><th>concept</th><th>category</th>"
    yield '<th>severity</th><th class="n">violated</th><th class="n">rows</th><th class="n">%</th><th class="n">allowed %</th>'
    yield "</tr></thead><tbody>"
    for result in found:
        check = result.check
        texts = (
            check.kind.name, check.place.table, check.place.field, check.place.concept, check.kind.category,
            check.kind.severity,
        )  # fmt: skip
        cells = "".join(f"<td>{escape(text)}</td>" for text in texts)
        numbers = (f"{result.violated:,}", f"{result.rows:,}", f"{result.percent:g}", f"{check.threshold:g}")
        cells += "".join(f'<td class="n">{number}</td>' for number in numbers)
        yield f'<tr class="{escape(check.kind.severity)}">{cells}</tr>'
    yield "</tbody></table></main></html>"


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
