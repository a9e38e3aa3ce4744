"""lake.omop.check: the data quality checks of a CDM: some 2,500 of the DataQualityDashboard, and a few of our own.

Room: lake. May import: lake.omop, duckdb. Generated: kinds.tsv, checks.tsv, by scripts/omop_facts.py.
https://ohdsi.github.io/DataQualityDashboard
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import islice
from typing import Literal

import duckdb

from careloom.lake.omop.facts import lines, tables
from careloom.lake.omop.kind import NEEDS_VOCABULARY, Counted, Place, counted

Status = Literal["passed", "failed", "not applicable", "no vocabulary", "error"]
Told = Callable[[str, int, int], None]

TOGETHER = 100
"""Checks that are asked in one query."""

OURS: tuple[tuple[str, str, str, str], ...] = (
    ("valueWithoutUnitConcept", "measurement", "value_as_number", "5"),
    ("valueWithoutUnit", "measurement", "value_as_number", "5"),
    ("withinObservationPeriod", "condition_occurrence", "condition_start_date", "1"),
    ("withinObservationPeriod", "drug_exposure", "drug_exposure_start_date", "1"),
    ("withinObservationPeriod", "procedure_occurrence", "procedure_date", "1"),
    ("withinObservationPeriod", "device_exposure", "device_exposure_start_date", "1"),
    ("withinObservationPeriod", "measurement", "measurement_date", "1"),
    ("withinObservationPeriod", "observation", "observation_date", "1"),
    ("withinObservationPeriod", "visit_occurrence", "visit_start_date", "1"),
)
"""Checks that the dashboard lacks: kind, table, field, threshold in percent."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of check, in Kahn's terms."""

    name: str
    level: str
    context: str
    category: str
    subcategory: str
    severity: str


@dataclass(frozen=True, slots=True)
class Check:
    """One check."""

    kind: Kind
    place: Place
    threshold: float
    """Percent of the rows that may violate."""


@dataclass(frozen=True, slots=True)
class Result:
    """What a check found."""

    check: Check
    status: Status
    violated: int = 0
    rows: int = 0

    @property
    def percent(self) -> float:
        """The part that violates."""
        return round(100 * self.violated / self.rows, 4) if self.rows else 0.0


def checks() -> list[Check]:
    """All checks there are."""
    found: list[Check] = []
    kinds = {row[0]: Kind(*row) for row in lines("kinds.tsv")}
    for table, field, concept, said in lines("checks.tsv"):
        for one in said.split(";"):
            name, threshold, *arguments = one.split(" ")
            place = Place(table, field, concept, tuple(each for each in arguments if each))
            found.append(Check(kinds[name], place, float(threshold)))
    for name, table, field, threshold in OURS:
        category = "Completeness" if name.startswith("value") else "Plausibility"
        kind = Kind(name, "FIELD", "Verification", category, "", "characterization")
        found.append(Check(kind, Place(table, field, "", ()), float(threshold)))
    return found


def run(
    duck: duckdb.DuckDBPyConnection, today: date, told: Told = lambda _name, _done, _total: None
) -> list[Result]:
    """Run all checks on the CDM that is attached as `cdm`; what lies after `today` lies in the future."""
    chosen = checks()
    columns = _columns(duck)
    has_vocabulary = "concept" in columns and bool(
        duck.execute("select 1 from cdm.concept limit 1").fetchall()
    )
    results: dict[int, Result] = {}
    by_source: dict[str, list[tuple[int, Counted]]] = defaultdict(list)
    for number, check in enumerate(chosen):
        if (known := _without_asking(check, columns, has_vocabulary=has_vocabulary)) is not None:
            results[number] = known
        else:
            what = counted(check.kind.name, check.place)
            by_source[what.source].append((number, what))
    for source, asked in by_source.items():
        told(source.split()[0], len(results), len(chosen))
        for some in _some(asked):
            for number, told_of in _answers(duck, source, some, today):
                results[number] = _judged(chosen[number], told_of)
    told("done", len(chosen), len(chosen))
    return [results[number] for number in range(len(chosen))]


def _columns(duck: duckdb.DuckDBPyConnection) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    sql = "select table_name, column_name from duckdb_columns() where database_name = 'cdm' and schema_name = 'main'"
    for table, column in duck.execute(sql).fetchall():
        found.setdefault(table.lower(), set()).add(column.lower())
    return found


def _without_asking(check: Check, columns: dict[str, set[str]], *, has_vocabulary: bool) -> Result | None:
    """The result of what needs no query; None: it needs one."""
    place, name = check.place, check.kind.name
    is_there = place.table in columns and (not place.field or place.field in columns[place.table])
    if name in {"cdmTable", "cdmField"}:
        return Result(check, "passed" if is_there else "failed", 0 if is_there else 1, 1)
    if not is_there:
        return Result(check, "not applicable")
    needs = name in NEEDS_VOCABULARY or place.table.endswith("_era") or _leads_into_vocabulary(check)
    if not has_vocabulary and needs:
        return Result(check, "no vocabulary")
    if name == "isForeignKey" and place.arguments[0].lower() not in columns:
        return Result(check, "not applicable")
    return None


def _leads_into_vocabulary(check: Check) -> bool:
    other = check.place.arguments[0].lower() if check.kind.name == "isForeignKey" else ""
    return bool(other) and tables()[other].schema == "VOCAB"


def _some(asked: Sequence[tuple[int, Counted]]) -> Iterator[list[tuple[int, Counted]]]:
    rest = iter(asked)
    while some := list(islice(rest, TOGETHER)):
        yield some


def _answers(
    duck: duckdb.DuckDBPyConnection, source: str, some: list[tuple[int, Counted]], today: date
) -> Iterator[tuple[int, tuple[int, int] | None]]:
    """What each of some checks over one source counts; None for one that cannot be asked."""
    asked = ", ".join(f"{what.violated}, {what.rows}" for _, what in some)
    sql = f"select {asked} from {source}".replace("$today", f"date '{today.isoformat()}'")
    try:
        row = [int(value or 0) for value in duck.execute(sql).fetchall()[0]]
    except (duckdb.BinderException, duckdb.CatalogException, duckdb.ConversionException):
        # A column of another type than the CDM's, or one that lacks: the checks beside it are asked alone.
        if len(some) == 1:
            yield some[0][0], None
        else:
            for each in some:
                yield from _answers(duck, source, [each], today)
        return
    for at, (number, _) in enumerate(some):
        yield number, (row[2 * at], row[2 * at + 1])


def _judged(check: Check, told: tuple[int, int] | None) -> Result:
    if told is None:
        return Result(check, "error")
    violated, rows = told
    if not rows:
        return Result(check, "not applicable")
    is_failed = 100 * violated > check.threshold * rows
    return Result(check, "failed" if is_failed else "passed", violated, rows)
