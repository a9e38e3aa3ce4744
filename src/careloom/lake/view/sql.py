"""lake.view.sql: expressions that no engine owns: what a path becomes, before an engine's printer writes it.

Room: lake. May import: the standard library only.

A list may be NULL and then counts as empty; printers see to it wherever an engine would think otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal as OneOf

Kind = OneOf["text", "boolean", "integer", "double", "json"]


@dataclass(frozen=True, slots=True)
class Row:
    """The row of the table; its columns are got as if it were a struct."""


@dataclass(frozen=True, slots=True)
class Slot:
    """A column of the step before."""

    name: str


@dataclass(frozen=True, slots=True)
class Var:
    """What a lambda is called with."""

    name: str


@dataclass(frozen=True, slots=True)
class Constant:
    """A literal; None is NULL."""

    value: str | int | bool | Decimal | None


@dataclass(frozen=True, slots=True)
class Get:
    """A field of a struct."""

    base: Sql
    field: str


@dataclass(frozen=True, slots=True)
class Key:
    """One key that is read from JSON."""

    name: str
    kind: Kind
    many: bool = False


@dataclass(frozen=True, slots=True)
class Open:
    """A key of a JSON text; NULL where it is absent or of another kind."""

    text: Sql
    key: Key


@dataclass(frozen=True, slots=True)
class Fn:
    """A function or operator by a name that the printers know (lake.view.printer.NAMES)."""

    name: str
    arguments: tuple[Sql, ...]


@dataclass(frozen=True, slots=True)
class Each:
    """For each item of a list the body, as a list; `index` is a variable for its number, of which only the order counts."""

    items: Sql
    var: str
    body: Sql
    index: str = ""


@dataclass(frozen=True, slots=True)
class Keep:
    """The items of a list for which the test is true."""

    items: Sql
    var: str
    test: Sql


@dataclass(frozen=True, slots=True)
class Case:
    """The value of the first test that is true; else the last, which may be NULL."""

    tests: tuple[tuple[Sql, Sql], ...]
    otherwise: Sql = Constant(None)


Sql = Row | Slot | Var | Constant | Get | Open | Fn | Each | Keep | Case

NULL = Constant(None)
ZERO = Constant(0)
TRUE = Constant(value=True)
FALSE = Constant(value=False)


def fn(name: str, *arguments: Sql) -> Fn:
    """Short for Fn(name, (...)).

    >>> fn("not", TRUE).arguments
    (Constant(value=True),)
    """
    return Fn(name, arguments)


def when(test: Sql, then: Sql, otherwise: Sql = NULL) -> Case:
    """CASE WHEN test THEN then ELSE otherwise END."""
    return Case(((test, then),), otherwise)


def is_there(value: Sql) -> Fn:
    """IS NOT NULL."""
    return fn("is not null", value)


def length(items: Sql) -> Fn:
    """How many items a list has; 0 for NULL."""
    return fn("items", items)


def at(items: Sql, place: Sql) -> Fn:
    """The item at a place from 0; NULL where there is none."""
    return fn("at", items, place)


def fail(text: str, proof: Sql) -> Fn:
    """Stops the query. `proof` is part of the row, so that no engine fails before it has seen one."""
    return fn("fail", Constant(text), proof)
