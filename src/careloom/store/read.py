"""store.read: resources, read for an actor.

Room: store. Touches: the tables res, hist. Standard: https://hl7.org/fhir/R4/http.html#read
Every statement here carries the predicate of store.visible.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, NamedTuple

from careloom.fhir.query import Query, parse
from careloom.fhir.resource import Resource
from careloom.store.actor import Actor
from careloom.store.condition import Condition
from careloom.store.cursor import cursor_text, cursor_values
from careloom.store.database import Connection
from careloom.store.fetch import fetch
from careloom.store.hashes import hash64
from careloom.store.provenance import provenance_of
from careloom.store.resource_type import number_of
from careloom.store.search import Page, search
from careloom.store.stored import FIELDS, Stored, stored_of
from careloom.store.visible import versions, visible


class History(NamedTuple):
    """Versions, the newest first."""

    versions: list[Stored]
    next: str | None
    """Cursor of the next page; None: that was the last."""


class Reader:
    """Reads as one actor, in the transaction of one connection.

    Each method raises OutcomeError(forbidden) for an actor without clinical.read. What the actor may not see is,
    to them, not there.
    """

    def __init__(self, connection: Connection, actor: Actor) -> None:
        self._connection = connection
        self._actor = actor

    def resource(self, rtype: str, id_: str) -> Resource | None:
        """The current version, parsed; None if it is not there, or deleted."""
        stored = self.stored(rtype, id_)
        return None if stored is None or stored.is_deleted else stored.resource()

    def stored(self, rtype: str, id_: str) -> Stored | None:
        """The current version with its bytes; a deletion is told by `is_deleted`."""
        mine = visible(self._actor)
        sql = f"select {FIELDS} from res r where r.key = %s and r.id = %s and {mine.sql}"
        found = self._read(sql, [hash64(f"{rtype}/{id_}"), id_, *mine.values])
        return found[0] if found else None

    def version(self, rtype: str, id_: str, version: int) -> Stored | None:
        """One version, current or older."""
        key = hash64(f"{rtype}/{id_}")
        condition = Condition("r.key = %s and r.id = %s and r.ver = %s", (key, id_, version))
        found = self._read(*versions(self._actor, FIELDS, condition))
        return found[0] if found else None

    def history(
        self,
        rtype: str = "",
        id_: str = "",
        *,
        since: datetime | None = None,
        count: int = 100,
        cursor: str = "",
    ) -> History:
        """Versions of one resource, of a type, or of all, the newest first; at most `count` a page.

        Raises OutcomeError(invalid) for a cursor that this did not give.
        """
        wheres: list[str] = []
        values: list[Any] = []
        if rtype:
            wheres.append("r.rtype = %s")
            values.append(number_of(rtype))
        if id_:
            wheres.append("r.key = %s")
            values.append(hash64(f"{rtype}/{id_}"))
        if since is not None:
            wheres.append("r.lm >= %s")
            values.append(since)
        if cursor:
            wheres.append("(r.lm, r.rid) < (%s, %s)")
            values.extend(cursor_values(cursor, (datetime, int)))
        condition = Condition(" and ".join(wheres) or "true", tuple(values))
        sql, bound = versions(self._actor, FIELDS, condition)
        found = self._read(f"{sql} order by lm desc, rid desc limit %s", [*bound, count + 1])
        last = found[count - 1] if len(found) > count else None
        return History(found[:count], cursor_text((last.last_updated, last.seq)) if last else None)

    def search(self, query: Query) -> Page:
        """One page of a search. Raises OutcomeError(not-supported) for what cannot be answered exactly."""
        return search(self._connection, self._actor, query)

    def find(self, rtype: str, *pairs: tuple[str, str], count: int = 100, sort: str = "") -> list[Resource]:
        """The first `count` matches, parsed: for rooms. A parameter that is not known is an error.

        >>> reader.find("Observation", ("patient", "Patient/7"), ("code", "8867-4"), sort="-date")  # doctest: +SKIP
        """
        query = parse(rtype, [*pairs, *([("_sort", sort)] if sort else [])], strict=True)
        found: list[Resource] = []
        while len(found) < count:
            page = self.search(replace(query, count=count - len(found)))
            found += [match.resource() for match in page.matches]
            if page.next is None:
                break
            query = replace(query, cursor=page.next)
        return found

    def provenance(self, rtype: str, id_: str) -> list[Resource]:
        """Who made each version of a resource, when, and from which Event: FHIR Provenance, the newest first."""
        return [provenance_of(stored) for stored in self.history(rtype, id_, count=1_000).versions]

    def _read(self, sql: str, values: Sequence[Any]) -> list[Stored]:
        return stored_of(self._connection, fetch(self._connection, sql.encode(), values))
