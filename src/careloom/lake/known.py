"""lake.known: every view that can be named: those that come with careloom, and the ViewDefinitions of the store.

Room: lake. May import: lake, store.read, fhir. Who may not see a ViewDefinition does not know its name.

A name means one view. Those of careloom keep theirs, for marts and reports are made of them; of several in the store the
active one that was changed last has it. A retired one is found by its id or url alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

from careloom.fhir.outcome import Issue, OutcomeError
from careloom.fhir.resource import Resource, dumps, loads
from careloom.lake.ready import ready_view, ready_views
from careloom.lake.view.statement import Statement, compile_view
from careloom.store.actor import Actor
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
    """Of the resource in the store; "" for one that comes with careloom."""

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


def all_views(connection: Connection, actor: Actor) -> dict[str, KnownView]:
    """Each view that has a name, by it; names are not told apart by case."""
    found = {name: ready(name) for name in ready_views()}
    taken = {name.lower() for name in found}
    for view in _stored(connection, actor):
        if view.name and view.name.lower() not in taken and view.definition.get("status") != _RETIRED:
            taken.add(view.name.lower())
            found[view.name] = view
    return found


def ready(name: str) -> KnownView:
    """A view that comes with careloom. Raises OutcomeError(not-found)."""
    return KnownView(name, ready_view(name))


def view_of(connection: Connection, actor: Actor, told: str) -> KnownView:
    """The view that is meant by an id, `ViewDefinition/id`, a name, or a url (with `|version` or without).

    Raises OutcomeError(not-found).
    """
    id_ = told.removeprefix(f"{RTYPE}/")
    stored = Reader(connection, actor).resource(RTYPE, id_) if "/" not in id_ else None
    found = _known(stored) if stored else _by_url(connection, actor, told) if told else None
    if found is None:
        # An id may have no underscore, the names of views do.
        names = {name.lower(): view for name, view in all_views(connection, actor).items()}
        found = names.get(id_.lower()) or names.get(id_.lower().replace("-", "_"))
    if found is None:
        raise OutcomeError(Issue("not-found", f"There is no view '{told[:200]}'."))
    return found


def _by_url(connection: Connection, actor: Actor, told: str) -> KnownView | None:
    url, _, version = told.partition("|")
    views = [*_stored(connection, actor, url), *map(ready, ready_views())]
    meant = (one for one in views if one.url == url and version in {"", one.definition.get("version")})
    return next(meant, None)


def _stored(connection: Connection, actor: Actor, url: str = "") -> list[KnownView]:
    """Those of the store (or with this url): the active ones first, of each those that were changed last."""
    which = [("url", "".join("\\" + each if each in "\\,$|" else each for each in url))] if url else []
    found = Reader(connection, actor).find(RTYPE, *which, count=MOST, sort="-_lastUpdated")
    return sorted(map(_known, found), key=lambda view: view.definition.get("status") != "active")


def _known(stored: Resource) -> KnownView:
    return KnownView(str(stored.get("name", "")), stored, str(stored["id"]))
