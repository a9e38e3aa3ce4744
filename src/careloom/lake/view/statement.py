"""lake.view.statement: a ViewDefinition compiled whole: its columns, what is odd about it, and its SQL for an engine.

Room: lake. May import: lake.view.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from careloom.fhir.outcome import Issue
from careloom.lake.view.definition import View, read
from careloom.lake.view.duckdb import DuckDB
from careloom.lake.view.output import finished
from careloom.lake.view.plan import DEEPEST, plan
from careloom.lake.view.printer import Dialect, query
from careloom.lake.view.spark import Spark

Engine = Literal["duckdb", "spark"]
_DEEPEST: dict[Engine, int] = {"duckdb": DEEPEST, "spark": 10}
"""Spark takes twice as long to plan for each level that `repeat` goes down."""

_DIALECTS: dict[Engine, Dialect] = {"duckdb": DuckDB(), "spark": Spark()}


@dataclass(frozen=True)
class Statement:
    """A compiled view."""

    name: str
    resource: str
    columns: tuple[str, ...]
    lists: frozenset[str]
    """The columns that hold lists."""
    warnings: tuple[Issue, ...]
    view: View

    def sql(self, engine: Engine = "duckdb", source: str = "") -> str:
        """The statement for an engine; `source` is what stands behind FROM, by default the type's own table."""
        dialect = _DIALECTS[engine]
        found = plan(self.view, deepest=_DEEPEST[engine])
        return query(found, dialect, source or dialect.name(self.resource))


def compile_view(definition: Any) -> Statement:
    """Compile a ViewDefinition. Raises OutcomeError: its expression is the place in the JSON, its text names the character.

    >>> compile_view({"resource": "Patient", "select": [{"column": [{"name": "a", "path": "id"}]}]}).sql()
    'SELECT CAST("c1" AS VARCHAR) AS "a" FROM (SELECT "id" AS "c1" FROM "Patient" AS q1) AS q0'
    """
    view = read(definition)
    found = plan(view)
    for column, value in found.columns:
        finished(column, value)
    names = tuple(column.name for column, _ in found.columns)
    lists = frozenset(column.name for column, _ in found.columns if column.collection)
    return Statement(view.name, view.resource, names, lists, tuple(found.warnings), view)
