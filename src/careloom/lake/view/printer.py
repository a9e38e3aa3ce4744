"""lake.view.printer: expressions and plans written as SQL; what differs between engines is left to their dialects.

Room: lake. May import: lake.view.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count
from typing import Protocol

from careloom.lake.view.output import finished
from careloom.lake.view.plan import Compute, Context, Plan, Step, Union, Unnest
from careloom.lake.view.sql import Case, Constant, Each, Fn, Get, Keep, Key, Open, Row, Slot, Sql, Var


class Dialect(Protocol):
    """What an engine writes in its own way."""

    def function(self, name: str, arguments: list[str]) -> str:
        """A function or operator, its arguments as written."""
        ...

    def name(self, text: str) -> str:
        """A quoted name."""
        ...

    def constant(self, value: object) -> str:
        """A literal."""
        ...

    def get(self, base: str, field: str) -> str:
        """A field of a struct."""
        ...

    def opened(self, text: str, key: Key) -> str:
        """A key of a JSON text."""
        ...

    def each(self, items: str, variables: str, body: str) -> str:
        """The items transformed."""
        ...

    def keep(self, items: str, var: str, test: str) -> str:
        """The items filtered."""
        ...

    def unnested(self, carried: list[str], step: Unnest, source: str, *, with_index: bool) -> str:
        """A query with one row for each item of a list."""
        ...


def written(sql: Sql, dialect: Dialect) -> str:  # noqa: PLR0911 - one for each kind of expression
    """An expression as text."""
    match sql:
        case Slot(name):
            return dialect.name(name)
        case Var(name):
            return name
        case Constant(value):
            return dialect.constant(value)
        case Get(Row(), field):
            return dialect.name(field)
        case Get(base, field):
            return dialect.get(written(base, dialect), field)
        case Open(text, key):
            return dialect.opened(written(text, dialect), key)
        case Fn(name, arguments):
            return dialect.function(name, [written(each, dialect) for each in arguments])
        case Each(items, var, body, index):
            variables = f"{var}, {index}" if index else var
            return dialect.each(written(items, dialect), variables, written(body, dialect))
        case Keep(items, var, test):
            return dialect.keep(written(items, dialect), var, written(test, dialect))
        case Case(tests, otherwise):
            whens = " ".join(
                f"WHEN {written(test, dialect)} THEN {written(then, dialect)}" for test, then in tests
            )
            return f"CASE {whens} ELSE {written(otherwise, dialect)} END"
        case Row():
            raise AssertionError  # a row is only ever asked for its fields


def query(plan: Plan, dialect: Dialect, source: str) -> str:
    """The statement of a plan over a table, or whatever may stand behind FROM."""
    return _Query(dialect).of(plan, source)


@dataclass
class _Rows:
    """A query, and the names of its columns."""

    text: str
    slots: list[str]

    @property
    def is_name(self) -> bool:
        """A table, or a query that stands before by that name."""
        return not self.text.startswith("SELECT ")

    @property
    def source(self) -> str:
        """As it stands behind FROM."""
        return self.text if self.is_name else f"({self.text})"


class _Query:
    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._shared: list[tuple[str, str]] = []
        self._numbers = count(1)

    def of(self, plan: Plan, source: str) -> str:
        live = {value.sql.name for _, value in plan.columns if isinstance(value.sql, Slot)}
        rows = self._cells(_Rows(source, []), plan.root, [])
        if plan.where:
            rows.text += " WHERE " + " AND ".join(f"({written(each, self._dialect)})" for each in plan.where)
        rows = self._steps(rows, plan.root.steps, live)
        cells = ", ".join(
            f"{written(finished(column, value), self._dialect)} AS {self._dialect.name(column.name)}"
            for column, value in plan.columns
        )
        shared = ", ".join(f"{name} AS ({text})" for name, text in self._shared)
        return f"{f'WITH {shared} ' if shared else ''}SELECT {cells} FROM {rows.source} AS q0"

    def _cells(self, rows: _Rows, context: Context, carried: list[str]) -> _Rows:
        """A query with the cells of a context."""
        parts = [self._dialect.name(slot) for slot in carried]
        parts += [
            f"{written(sql, self._dialect)} AS {self._dialect.name(name)}" for name, sql in context.cells
        ]
        slots = [*carried, *(name for name, _ in context.cells)]
        alias = f" AS q{next(self._numbers)}"
        return _Rows(f"SELECT {', '.join(parts) or '1 AS nothing'} FROM {rows.source}{alias}", slots)

    def _steps(self, rows: _Rows, steps: list[Step], live: set[str]) -> _Rows:
        for place, step in enumerate(steps):
            after = live | _needs(steps[place + 1 :])
            match step:
                case Unnest():
                    rows = self._unnest(rows, step, after)
                case Union():
                    rows = self._union(rows, step, after)
                case Compute():
                    carried = [slot for slot in rows.slots if slot in after]
                    rows = self._cells(rows, Context([(step.name, step.sql)]), carried)
        return rows

    def _unnest(self, rows: _Rows, step: Unnest, after: set[str]) -> _Rows:
        carried = [slot for slot in rows.slots if slot in after]
        with_index = any(_mentions(sql, step.index) for _, sql in step.inner.cells)
        source = f"{rows.source} AS q{next(self._numbers)}"
        text = self._dialect.unnested(carried, step, source, with_index=with_index)
        inner = self._cells(_Rows(text, [*carried, step.element]), step.inner, carried)
        return self._steps(inner, step.inner.steps, after)

    def _union(self, rows: _Rows, step: Union, after: set[str]) -> _Rows:
        name = rows.text
        if not rows.is_name:
            name = f"s{next(self._numbers)}"
            self._shared.append((name, rows.text))
        carried = [slot for slot in rows.slots if slot in after]
        columns = list(step.branches[0][1])
        texts: list[str] = []
        for context, slots in step.branches:
            branch = self._steps(_Rows(name, rows.slots), context.steps, after | set(slots.values()))
            parts = [self._dialect.name(slot) for slot in carried]
            parts += [
                f"{self._dialect.name(slots[column])} AS {self._dialect.name(column)}" for column in columns
            ]
            texts.append(f"SELECT {', '.join(parts)} FROM {branch.source} AS q{next(self._numbers)}")
        return _Rows(" UNION ALL ".join(texts), [*carried, *columns])


def _needs(steps: list[Step]) -> set[str]:
    found: set[str] = set()
    for step in steps:
        match step:
            case Unnest():
                found.add(step.items)
            case Compute():
                found |= set(step.needs)
            case Union():
                for context, slots in step.branches:
                    found |= set(slots.values()) | _needs(context.steps)
    return found


def _mentions(sql: Sql, slot: str) -> bool:
    match sql:
        case Slot(name):
            return name == slot
        case Get(base) | Open(base):
            return _mentions(base, slot)
        case Fn(_, arguments):
            return any(_mentions(each, slot) for each in arguments)
        case Each(items, _, body) | Keep(items, _, body):
            return _mentions(items, slot) or _mentions(body, slot)
        case Case(tests, otherwise):
            return _mentions(otherwise, slot) or any(
                _mentions(test, slot) or _mentions(then, slot) for test, then in tests
            )
        case _:
            return False
