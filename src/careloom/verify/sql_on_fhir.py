"""verify.sql_on_fhir: the official suite of SQL on FHIR v2, whole, on DuckDB and on Spark.

Room: verify. Reads `sql-on-fhir` of the public suites (github.com/FHIR/sql-on-fhir-v2, tests). The resources of a file are
laid into the tables of the lake, and views run on those tables, as they do in use.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from careloom.fhir.outcome import OutcomeError
from careloom.fhir.resource import dumps, loads
from careloom.lake import engine, spark
from careloom.lake.view.statement import Statement, compile_view
from careloom.settings import Settings
from careloom.verify.figure import Figure

NAME = "sql-on-fhir"
FOLDER = Path("sql-on-fhir") / "tests"

Rows = list[dict[str, Any]]
Run = Callable[[Statement], Rows]
Open = Callable[[list[dict[str, Any]]], Run]
"""Resources laid into tables -> how a view is run on them."""


@dataclass(frozen=True, slots=True)
class Result:
    """What a test gave: an empty fault is a pass."""

    file: str
    title: str
    fault: str


def check(settings: Settings) -> list[Figure]:
    """Figure: sql-on-fhir, the tests on DuckDB."""
    return _figures(settings, NAME, on_duckdb)


def check_spark(settings: Settings) -> list[Figure]:
    """Figure: sql-on-fhir-spark, the same tests on Spark."""
    if why := spark.absent():
        return [Figure(check=f"{NAME}-spark", note=why)]
    return _figures(settings, f"{NAME}-spark", on_spark)


def _figures(settings: Settings, name: str, opened: Callable[[], Any]) -> list[Figure]:
    folder = settings.conformance / FOLDER
    if not folder.exists():
        return [Figure(check=name, note=f"The suite {FOLDER} is absent: set CARELOOM_CONFORMANCE.")]
    with opened() as tables:
        found = list(results(folder, tables))
    failed = [result for result in found if result.fault]
    return [Figure(check=name, passed=len(found) - len(failed), failed=len(failed))]


def results(folder: Path, tables: Open) -> Iterator[Result]:
    """The result of every test of the suite, file by file."""
    for path in sorted(folder.glob("*.json")):
        suite = loads(path.read_bytes())
        run = tables(suite["resources"])
        for test in suite["tests"]:
            yield Result(path.name, test["title"], fault(test, run))


@contextmanager
def on_duckdb() -> Generator[Open]:
    """Tables in the memory of DuckDB."""

    def tables(resources: list[dict[str, Any]]) -> Run:
        connection = engine.connect(threads=1)
        found = engine.tables_of(resources)

        def run(statement: Statement) -> Rows:
            nothing = engine.tables_of([{"resourceType": statement.resource}])[statement.resource].slice(0, 0)
            return engine.run(connection, statement, found.get(statement.resource, nothing))

        return run

    yield tables


@contextmanager
def on_spark() -> Generator[Open]:
    """Tables as Parquet files that Spark reads."""
    session = spark.session()
    with tempfile.TemporaryDirectory() as folder:
        count = 0

        def tables(resources: list[dict[str, Any]]) -> Run:
            nonlocal count
            count += 1
            place = Path(folder) / str(count)
            place.mkdir()
            spark.open_tables(session, engine.tables_of(resources), place)
            return lambda statement: spark.run(session, statement)

        try:
            yield tables
        finally:
            session.stop()


def fault(test: dict[str, Any], run: Run) -> str:
    """What is wrong with what a test gives; "" for nothing."""
    try:
        statement = compile_view(test["view"])
        rows = run(statement)
    except OutcomeError as error:
        return "" if test.get("expectError") else f"refused: {error}"
    if test.get("expectError"):
        return "an error was expected"
    if "expectCount" in test:
        return "" if len(rows) == test["expectCount"] else f"{len(rows)} rows"
    expected = [_row(dict.fromkeys(statement.columns) | row) for row in test["expect"]]
    if sorted(map(_row, rows)) != sorted(expected):
        return "other rows than expected"
    columns = test.get("expectColumns", list(statement.columns))
    return "" if list(statement.columns) == columns else "other columns than expected"


def _row(row: dict[str, Any]) -> bytes:
    return dumps({name: _value(row[name]) for name in sorted(row)})


def _value(value: Any) -> Any:
    """Numbers are compared by what they are worth."""
    if isinstance(value, list):
        return [_value(each) for each in value]
    is_number = isinstance(value, int | float | Decimal) and not isinstance(value, bool)
    return float(value) if is_number else value


def report(found: list[Result]) -> dict[str, Any]:
    """The results in the format in which implementations publish them (test_report/test-report.schema.json).

    >>> report([Result("basic.json", "two columns", "")])
    {'basic.json': {'tests': [{'name': 'two columns', 'result': {'passed': True}}]}}
    """
    files: dict[str, Any] = {}
    for result in found:
        said: dict[str, Any] = {"passed": not result.fault}
        if result.fault:
            said["error"] = result.fault
        files.setdefault(result.file, {"tests": []})["tests"].append({"name": result.title, "result": said})
    return files
