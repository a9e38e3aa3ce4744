"""lake.known: every view that can be named: of careloom, of the folder of the site, and the ViewDefinitions of the store.

Room: lake. May import: lake, store.read, fhir. Who may not see a ViewDefinition of the store does not know its name.

A name means one view, and the same for everybody. Those of careloom keep theirs, for marts and reports are made of them; of
several in the store the active one that was changed last has it. A retired one is found by its id or url alone. A file
whose name one of these has is left out, and says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path

from careloom.fhir.outcome import Issue, OutcomeError
from careloom.fhir.resource import Resource, dumps, loads
from careloom.lake.ready import ready_view, ready_views
from careloom.lake.shelf import NAME, LeftOut, Shelf, shelf
from careloom.lake.view.statement import Statement, compile_view
from careloom.store.actor import STATION, Actor
from careloom.store.database import Connection
from careloom.store.read import Reader

RTYPE = "ViewDefinition"
MOST = 1_000
"""Views of the store that have a name in SQL; beyond, the oldest have none."""
_RETIRED = "retired"


@dataclass(frozen=True)
class KnownView:
    """A view and where it stands."""

    name: str
    definition: Resource
    id: str = ""
    """Of the resource in the store; "" for one that comes with careloom, or lies in a file."""
    file: str = ""
    """In the folder of the site; "" for one that does not."""

    @property
    def url(self) -> str:
        """Its canonical address; "" if it has none."""
        return str(self.definition.get("url", ""))

    @cached_property
    def statement(self) -> Statement:
        """The view, compiled. Raises OutcomeError with place and cause: the compiler may know less than when it was stored."""
        return compiled(dumps(self.definition))


@lru_cache(maxsize=256)
def compiled(raw: bytes) -> Statement:
    """A ViewDefinition as JSON, compiled once."""
    return compile_view(loads(raw))


def all_views(connection: Connection, actor: Actor, folder: Path | None = None) -> dict[str, KnownView]:
    """Each view that has a name, by it; names are not told apart by case. `folder`: that of the site's own files."""
    found = {name: ready(name) for name in ready_views()}
    for name, (file, definition) in site_views(connection, folder).views.items():
        found[name] = KnownView(name, definition, file=file)
    taken = {name.lower() for name in found}
    for view in _named(connection, actor):
        if view.name.lower() not in taken:
            taken.add(view.name.lower())
            found[view.name] = view
    return found


def site_views(connection: Connection, folder: Path | None) -> Shelf:
    """The views of a folder, without those whose name one of the store has."""
    found = shelf(folder)
    if not found.views:
        return found
    # Whoever asks: a name that means this to one and that to another would be no name.
    stored = {view.name.lower(): view.id for view in reversed(_named(connection, STATION))}
    clashes = {name: stored[name.lower()] for name in found.views if name.lower() in stored}
    if not clashes:
        return found
    more = tuple(LeftOut(found.views[name][0], name, _taken(name, id_)) for name, id_ in clashes.items())
    views = {name: one for name, one in found.views.items() if name not in clashes}
    return replace(found, views=views, left_out=(*found.left_out, *more))


def _taken(name: str, id_: str) -> Issue:
    text = f"'{name}' is the name of {RTYPE}/{id_} of the store: give this one another."
    return Issue("duplicate", text, f"{RTYPE}.name")


def ready(name: str) -> KnownView:
    """A view that comes with careloom. Raises OutcomeError(not-found)."""
    return KnownView(name, ready_view(name))


def view_of(connection: Connection, actor: Actor, told: str, folder: Path | None = None) -> KnownView:
    """The view that is meant by an id, `ViewDefinition/id`, a name, or a url (with `|version` or without).

    Raises OutcomeError: not-found, or what is wrong with the file that would be it.
    """
    id_ = told.removeprefix(f"{RTYPE}/")
    stored = Reader(connection, actor).resource(RTYPE, id_) if "/" not in id_ else None
    if stored:
        return _known(stored)
    views = all_views(connection, actor, folder)
    found = _by_url(connection, actor, told, views) if told else None
    if found is None:
        # An id may have no underscore, the names of views do.
        names = {name.lower(): view for name, view in views.items()}
        found = names.get(id_.lower()) or names.get(id_.lower().replace("-", "_"))
    if found is None:
        refuse_left_out(connection, folder, id_)
        raise OutcomeError(Issue("not-found", f"There is no view '{told[:200]}'."))
    return found


def refuse_left_out(connection: Connection, folder: Path | None, name: str) -> None:
    """Raise OutcomeError if a file that was left out would be called so: it says why."""
    for one in site_views(connection, folder).left_out:
        if name and name.lower() in {
            one.name.lower(),
            one.file.lower(),
            one.file.lower().removesuffix(".json"),
        }:
            raise OutcomeError(Issue(one.issue.code, one.words))


def _by_url(
    connection: Connection, actor: Actor, told: str, views: Mapping[str, KnownView]
) -> KnownView | None:
    url, _, version = told.partition("|")
    others = (view for view in views.values() if not view.id)
    meant = (
        one
        for one in (*_stored(connection, actor, url), *others)
        if one.url == url and version in {"", one.definition.get("version")}
    )
    return next(meant, None)


def _named(connection: Connection, actor: Actor) -> list[KnownView]:
    """Those of the store that may have their name: of several with the same the first."""
    return [
        view
        for view in _stored(connection, actor)
        if NAME.fullmatch(view.name) and view.definition.get("status") != _RETIRED
    ]


def _stored(connection: Connection, actor: Actor, url: str = "") -> list[KnownView]:
    """Those of the store (or with this url): the active ones first, of each those that were changed last."""
    which = [("url", "".join("\\" + each if each in "\\,$|" else each for each in url))] if url else []
    found = Reader(connection, actor).find(RTYPE, *which, count=MOST, sort="-_lastUpdated")
    return sorted(map(_known, found), key=lambda view: view.definition.get("status") != "active")


def _known(stored: Resource) -> KnownView:
    return KnownView(str(stored.get("name", "")), stored, str(stored["id"]))
