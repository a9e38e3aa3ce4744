"""lake.view.plan: a checked view as a plan: what is asked of each context, and in which order rows are multiplied.

Room: lake. May import: lake.view, lake.shape.

Of each context everything that will be asked of it is computed when it is at hand, lists for later steps too. So the
steps after it carry finished cells only, and an engine reads no more of a table than is asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import count
from typing import TypeVar

from careloom.fhir.outcome import Issue, OutcomeError
from careloom.lake.shape import RAW, Leaf, Struct, shape_of
from careloom.lake.view import function as _functions
from careloom.lake.view import textual as _texts
from careloom.lake.view.definition import Column, Path, Select, View
from careloom.lake.view.fault import placed, refused
from careloom.lake.view.output import cell
from careloom.lake.view.path import Compiler
from careloom.lake.view.sql import Constant, Each, Get, Row, Slot, Sql, Var, fn, when
from careloom.lake.view.value import Choice, Empty, Names, Value, as_list

_ = _functions, _texts  # importing them fills the table of functions

Found = TypeVar("Found")


def _proof(level: str) -> Sql:
    return fn("text", fn("items", Slot(level)))


DEEPEST = 20
"""How deep `repeat` goes, unless told otherwise; a deeper resource stops the query, as rows would be missing."""


@dataclass
class Context:
    """What is asked of one context: cells, and then steps that multiply the rows."""

    cells: list[tuple[str, Sql]] = field(default_factory=list[tuple[str, Sql]])
    steps: list[Step] = field(default_factory=list["Step"])


@dataclass
class Unnest:
    """One row for each item of a list that a cell holds."""

    items: str
    element: str
    index: str
    or_null: bool
    inner: Context


@dataclass
class Union:
    """The rows of several branches, below each other; each branch names its cells for the columns."""

    branches: list[tuple[Context, dict[str, str]]]


@dataclass
class Compute:
    """One more cell, made of cells that are there."""

    name: str
    sql: Sql
    needs: tuple[str, ...]


Step = Unnest | Union | Compute


@dataclass
class Plan:
    """The whole: the table, the condition, and the cell of each column."""

    resource: str
    where: list[Sql]
    root: Context
    columns: list[tuple[Column, Value]]
    warnings: list[Issue]


class _NeedsJson(Exception):  # noqa: N818 - not an error: the plan is made again
    """A repeat begins at an element that is held as a struct."""


def plan(view: View, *, deepest: int = DEEPEST) -> Plan:
    """The plan of a view. Raises OutcomeError with the place in the JSON and the character in the path."""
    try:
        return _Planner(view, as_json=False, deepest=deepest).plan()
    except _NeedsJson:
        return _Planner(view, as_json=True, deepest=deepest).plan()


class _Planner:
    def __init__(self, view: View, *, as_json: bool, deepest: int) -> None:
        self._view = view
        self._deepest = deepest
        self._numbers = count(1)
        self._names = Names()
        self._warnings: list[Issue] = []
        self._kinds: dict[str, Value] = {}
        shape = shape_of(view.resource)
        self._root = Value(Row(), view.resource, shape)
        self._as_json = Value(Get(Row(), RAW), view.resource, Leaf.JSON)
        if as_json:
            self._root = self._as_json

    def plan(self) -> Plan:
        compiler = Compiler(self._names, self._view.constants, warnings=self._warnings)
        where = [self._condition(path, compiler) for path in self._view.where]
        root = Context()
        columns: dict[str, str] = {}
        for select in self._view.select:
            self._gather(select, self._root, compiler, root, columns)
        found = [
            (column, replace(self._kinds[column.name], sql=Slot(columns[column.name])))
            for column in self._view.columns()
        ]
        return Plan(self._view.resource, where, root, found, self._warnings)

    def _condition(self, path: Path, compiler: Compiler) -> Sql:
        found = self._placed(path, lambda: compiler.result(path.tree, self._root))
        is_boolean = isinstance(found, Value) and found.type in {"boolean", "Boolean"}
        if not is_boolean and not isinstance(found, Empty):
            raise refused("A where is true or false; this path gives something else.", path.place)
        return self._placed(path, lambda: compiler.truth(path.tree, self._root, "where"))

    def _gather(
        self, select: Select, this: Value, compiler: Compiler, into: Context, columns: dict[str, str]
    ) -> None:
        """Put a select into the context that it stands in; one that multiplies rows makes a context of its own."""
        if select.for_each is not None:
            items = self._for_each(select.for_each, this, compiler)
            self._unnest(select, items, compiler, into, columns)
        elif select.repeat:
            self._repeat(select, this, compiler, into, columns)
        else:
            self._body(select, this, compiler, into, columns)

    def _body(
        self, select: Select, this: Value, compiler: Compiler, into: Context, columns: dict[str, str]
    ) -> None:
        for column in select.columns:
            self._column(column, this, compiler, into, columns)
        for inner in select.selects:
            self._gather(inner, this, compiler, into, columns)
        if select.unions:
            into.steps.append(self._union(select, this, compiler, into, columns))

    def _column(
        self, column: Column, this: Value, compiler: Compiler, into: Context, columns: dict[str, str]
    ) -> None:
        value = self._placed(column.path, lambda: compiler.value(column.path.tree, this))
        found = self._placed(column.path, lambda: cell(column, value))
        known = self._kinds.get(column.name)
        if known is None or not known.type:
            self._kinds[column.name] = found
        elif found.type and (known.holds, known.many) != (found.holds, found.many):
            text = f"In one part of unionAll '{column.name}' is a {known.type}, here it is a {found.type}."
            raise refused(text, column.path.place)
        columns[column.name] = self._slot(into, found.sql, "c")

    def _union(
        self, select: Select, this: Value, compiler: Compiler, into: Context, columns: dict[str, str]
    ) -> Union:
        """Cells of the branches that need only this context are computed with its others."""
        branches: list[tuple[Context, dict[str, str]]] = []
        for branch in select.unions:
            own: dict[str, str] = {}
            steps = Context(cells=into.cells)
            self._gather(branch, this, compiler, steps, own)
            branches.append((steps, own))
        slots = {name: f"u{next(self._numbers)}" for name in branches[0][1]}
        columns.update(slots)
        return Union([(steps, {slots[name]: slot for name, slot in own.items()}) for steps, own in branches])

    def _unnest(
        self, select: Select, items: Value, compiler: Compiler, into: Context, columns: dict[str, str]
    ) -> None:
        element, index = f"e{next(self._numbers)}", f"i{next(self._numbers)}"
        inner = Context()
        item = replace(items, sql=Slot(element), many=False)
        self._body(select, item, compiler.at_index(Slot(index)), inner, columns)
        into.steps.append(Unnest(self._slot(into, items.sql, "l"), element, index, select.or_null, inner))

    def _slot(self, into: Context, sql: Sql, prefix: str) -> str:
        name = f"{prefix}{next(self._numbers)}"
        into.cells.append((name, sql))
        return name

    def _for_each(self, path: Path, this: Value, compiler: Compiler) -> Value:
        found = self._placed(path, lambda: compiler.result(path.tree, this))
        if isinstance(found, Choice):
            found = self._placed(path, lambda: compiler.value(path.tree, this))
        if isinstance(found, Empty):
            return Value(fn("no items"), "Element", Leaf.JSON, many=True)
        if isinstance(found.sql, Row):
            raise refused("This path gives the resource itself: leave it out.", path.place, "not-supported")
        return replace(found, sql=as_list(found), many=True)

    def _repeat(
        self, select: Select, this: Value, compiler: Compiler, into: Context, columns: dict[str, str]
    ) -> None:
        """All that the paths lead to, at any depth, each before what is below it.

        Level by level: engines take exponential time for lambdas in lambdas. Each item is kept with the numbers of
        those above it and its own, so that sorting brings what is below behind its own.
        """
        start = self._as_json if isinstance(this.sql, Row) else this
        if isinstance(start.holds, Struct):
            raise _NeedsJson
        # A path may lead somewhere from the items only (`answer.item`): that it does not from here is no matter.
        found = self._below(select, start, replace(compiler, warnings=None))
        if found is None:
            self._below(select, start, compiler)
            nothing = Value(fn("no items"), "Element", Leaf.JSON, many=True)
            self._unnest(select, nothing, compiler, into, columns)
            return
        levels = [self._slot(into, self._placed_items(found.sql, Constant("")), "r")]
        while (deeper := self._deeper(select, levels[-1], found.type, compiler)) is not None:
            name = f"r{next(self._numbers)}"
            into.steps.append(Compute(name, deeper, (levels[-1],)))
            levels.append(name)
            if len(levels) > self._deepest:
                break
        self._unnest_levels(select, levels, found.type, compiler, into, columns)

    def _placed_items(self, items: Sql, above: Sql) -> Sql:
        name, number = self._names.new(), self._names.new()
        return Each(items, name, fn("placed", above, Var(number), Var(name)), number)

    def _deeper(self, select: Select, level: str, kind: str, compiler: Compiler) -> Sql | None:
        """What is one level below the items of a level."""
        item = Var(self._names.new())
        inner = self._below(select, Value(Get(item, "n"), kind, Leaf.JSON), compiler)
        if inner is None:
            return None
        if inner.type != kind:
            text = f"repeat leads from {kind} to {inner.type}; in SQL it must stay with one type."
            raise refused(text, select.place, "not-supported")
        return fn("flatten", Each(Slot(level), item.name, self._placed_items(inner.sql, Get(item, "o"))))

    def _unnest_levels(
        self,
        select: Select,
        levels: list[str],
        kind: str,
        compiler: Compiler,
        into: Context,
        columns: dict[str, str],
    ) -> None:
        kept, rest = levels[: self._deepest], levels[self._deepest :]
        every: Sql = fn("concat lists", *map(Slot, kept)) if len(kept) > 1 else Slot(kept[0])
        every = fn("sorted", every)
        for level in rest:
            stopped = fn(
                "fail", Constant(f"repeat: an element is deeper than {self._deepest}."), _proof(level)
            )
            every = when(fn("not empty", Slot(level)), stopped, every)
        name, element, index = (f"{letter}{next(self._numbers)}" for letter in "lei")
        into.steps.append(Compute(name, every, tuple(levels)))
        inner = Context()
        item = Value(Get(Slot(element), "n"), kind, Leaf.JSON)
        self._body(select, item, compiler.at_index(Slot(index)), inner, columns)
        into.steps.append(Unnest(name, element, index, or_null=False, inner=inner))

    def _below(self, select: Select, this: Value, compiler: Compiler) -> Value | None:
        """One step of repeat: what its paths give, in a row; None for nothing."""
        lists: list[Value] = []
        for path in select.repeat:
            found = self._placed(path, lambda path=path: compiler.value(path.tree, this))
            if isinstance(found, Empty):
                continue
            if found.holds is not Leaf.JSON:
                raise refused("repeat leads to elements, not to primitives.", path.place)
            lists.append(replace(found, sql=as_list(found), many=True))
        if not lists:
            return None
        if len({value.type for value in lists}) > 1:
            raise refused("The paths of repeat lead to different types.", select.place, "not-supported")
        if len(lists) == 1:
            return lists[0]
        return replace(lists[0], sql=fn("concat lists", *(value.sql for value in lists)))

    def _placed(self, path: Path, work: Callable[[], Found]) -> Found:
        """What the work gives; its faults and warnings are told with the place in the JSON."""
        before = len(self._warnings)
        try:
            return work()
        except OutcomeError as error:
            raise placed(error, path.place) from None
        finally:
            told = [replace(issue, expression=path.place) for issue in self._warnings[before:]]
            self._warnings[before:] = [issue for issue in told if issue not in self._warnings[:before]]
