"""lake.offer: what a statement may name beside the tables of the types: marts, views and the CDM, each in a schema.

Room: lake. May import: lake. A schema for each group, for their names are not told apart otherwise: `Patient` is the table
of the type, `views.patient` the ready view, `omop.person` is not `marts.persons`.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from careloom.fhir.outcome import OutcomeError
from careloom.fhir.resource import Resource
from careloom.lake.known import KnownView, all_views, ready
from careloom.lake.lake import Lake
from careloom.lake.marts import mart
from careloom.lake.omop import build, ddl
from careloom.lake.omop.facts import tables
from careloom.lake.ready import ready_views
from careloom.lake.shelf import shelf
from careloom.lake.view.statement import Statement
from careloom.store.actor import Actor
from careloom.store.database import Connection

Group = Literal["marts", "views", "omop"]
GROUPS: dict[Group, str] = {
    "marts": "Marts: by person, computed from what you see",
    "views": "Views: flat tables of one type",
    "omop": "OMOP CDM 5.4",
}
"""In the order in which they are shown."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column as it is shown."""

    name: str
    type: str
    about: str = ""


@dataclass(frozen=True, slots=True)
class Offer:
    """One table that is made when a statement names it."""

    group: Group
    name: str
    about: str
    columns: tuple[Column, ...]
    statement: Statement | None = None
    """Of a view."""
    definition: Resource | None = None
    """The same, as it was written."""

    @property
    def full(self) -> str:
        """As a statement names it."""
        return f"{self.group}.{self.name}"


def offers(lake: Lake, views: Iterable[KnownView] | None = None) -> dict[str, Offer]:
    """All there are, by their full names; `views` None: the ready ones and those of the lake's folder, which everybody knows.
    The CDM only where it was built.
    """
    shown = (*_views(), *_own(lake)) if views is None else map(_view, views)
    cdm = _cdm() if (lake.root / build.FILE).exists() else ()
    return {one.full: one for one in (*_marts(), *filter(None, shown), *cdm)}


def offered_to(lake: Lake, connection: Connection, actor: Actor, sql: str | None = None) -> dict[str, Offer]:
    """The same with the views of the store that `actor` may see, where a statement may mean one."""
    is_meant = sql is None or _MAY_MEAN_VIEWS.search(sql)
    return offers(lake, all_views(connection, actor, lake.views).values() if is_meant else None)


_MAY_MEAN_VIEWS = re.compile(r"views|information_schema|show", re.IGNORECASE)


@cache
def _marts() -> tuple[Offer, ...]:
    told = tomllib.loads((mart.HERE / "about.toml").read_text("utf-8"))
    return tuple(
        Offer("marts", name, told[name]["about"], tuple(Column(*one) for one in told[name]["columns"]))
        for name in mart.MARTS
    )


@cache
def _views() -> tuple[Offer | None, ...]:
    return tuple(_view(ready(name)) for name in ready_views())


def _own(lake: Lake) -> Iterator[Offer | None]:
    for name, (file, definition) in shelf(lake.views).views.items():
        yield _view(KnownView(name, definition, file=file))


def _view(view: KnownView) -> Offer | None:
    try:
        statement = view.statement
    except OutcomeError:
        # What cannot be compiled any more is no table; running it says why.
        return None
    told = view.definition
    types = {str(one["name"]): str(one.get("type", "string")) for one in _columns(told)}
    columns = (
        Column(each, types.get(each, "string") + ("[]" if each in statement.lists else ""))
        for each in statement.columns
    )
    about = str(told.get("title") or told.get("description") or _origin(view))
    return Offer("views", view.name, about, tuple(columns), statement, told)


def _origin(view: KnownView) -> str:
    return f"of the file {view.file}" if view.file else "of the store"


def _columns(select: object) -> Iterator[dict[str, object]]:
    """Every column of a ViewDefinition, however deep."""
    waiting = [select]
    while waiting:
        one = waiting.pop()
        if isinstance(one, list):
            waiting.extend(one)
        elif isinstance(one, dict):
            yield from (each for each in one.get("column", ()) if "name" in each)
            waiting.extend(one[key] for key in ("select", "unionAll") if key in one)


@cache
def _cdm() -> tuple[Offer, ...]:
    told = tomllib.loads((Path(build.__file__).parent / "about.toml").read_text("utf-8"))
    return tuple(
        Offer(
            "omop",
            table.name,
            told.get(table.name, "Empty here; a site's own data may fill it."),
            tuple(Column(field.name, ddl.column_type(field, "careloom").lower()) for field in table.fields),
        )
        for table in tables().values()
        if table.schema != "RESULTS"
    )
