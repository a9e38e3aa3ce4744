"""store.read: resources, read for an actor.

Room: store. Touches: the tables res, hist. Standard: https://hl7.org/fhir/R4/http.html#read
Every statement here carries the predicate of store.visible.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, NamedTuple

from careloom.fhir.catalogue import R4_ALONE, knowing
from careloom.fhir.instant import Span
from careloom.fhir.outcome import Issue, OutcomeError
from careloom.fhir.query import Pairs, Query, parse
from careloom.fhir.resource import Resource
from careloom.store.actor import Actor
from careloom.store.compartment import WHOLE, Leaf, Slice, by_reference, members
from careloom.store.condition import Condition, all_of
from careloom.store.cursor import cursor_text, cursor_values
from careloom.store.database import Connection
from careloom.store.fetch import fetch
from careloom.store.hashes import hash64
from careloom.store.provenance import provenance_of, version_named
from careloom.store.resource_type import number_of
from careloom.store.search import Page, search
from careloom.store.session import session_of
from careloom.store.stored import FIELDS, SHOWN, STORED, Kind, M, Shown, Stored, stored_of
from careloom.store.visible import versions, visible


@dataclass(frozen=True, slots=True)
class Window:
    """Which versions a history shows: written in [since, before), or current at some moment of `at`."""

    since: datetime | None = None
    before: datetime | None = None
    at: Span | None = None
    is_ascending: bool = False
    patient: str = ""
    """`Patient/7`: only what belongs to this patient."""
    maker: str = ""
    """Only what this actor, or this mapper, station or client, has written."""

    def conditions(self) -> list[Condition]:
        """The conditions on a version, aliased r."""
        found: list[Condition] = []
        if self.since is not None:
            found.append(Condition("r.lm >= %s", (self.since,)))
        if self.before is not None:
            found.append(Condition("r.lm < %s", (self.before,)))
        if self.patient:
            key = hash64(self.patient)
            sql = "(r.pat = %s or coalesce(r.also && %s::bigint[], false))"
            found.append(Condition(sql, (key, [key])))
        if self.maker:
            sql = "r.maker in (select id from maker where actor = %s or agent = %s)"
            found.append(Condition(sql, (self.maker, self.maker)))
        if self.at is not None:
            # It had been written before the end of the span, and no later one had before its beginning.
            found.append(Condition("r.lm < %s", (self.at[1],)))
            next_of = "n where n.key = r.key and n.ver = r.ver + 1 and n.lm <= %s"
            sql = f"not exists (select from res {next_of}) and not exists (select from hist {next_of})"
            found.append(Condition(sql, (self.at[0], self.at[0])))
        return found


ALL = Window()


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
        self, rtype: str = "", id_: str = "", which: Window = ALL, *, count: int = 100, cursor: str = ""
    ) -> History:
        """Versions of one resource, of a type, or of all, the newest first; at most `count` a page.

        Raises OutcomeError(invalid) for a cursor that this did not give.
        """
        conditions = _of_history(rtype, id_, which)
        if cursor:
            behind = "(r.lm, r.rid) > (%s, %s)" if which.is_ascending else "(r.lm, r.rid) < (%s, %s)"
            conditions.append(Condition(behind, tuple(cursor_values(cursor, (datetime, int)))))
        sql, bound = versions(self._actor, FIELDS, all_of(conditions))
        way = "asc" if which.is_ascending else "desc"
        found = self._read(f"{sql} order by lm {way}, rid {way} limit %s", [*bound, count + 1])
        last = found[count - 1] if len(found) > count > 0 else None
        return History(found[:count], cursor_text((last.last_updated, last.seq)) if last else None)

    def history_total(self, rtype: str = "", id_: str = "", which: Window = ALL) -> int:
        """How many versions `history` gives on all its pages."""
        sql, bound = versions(self._actor, "1", all_of(_of_history(rtype, id_, which)))
        row = self._connection.execute(f"select count(*) from ({sql}) v".encode(), bound).fetchone()
        return row[0] if row else 0

    def asked(
        self,
        rtype: str,
        pairs: Pairs,
        *,
        strict: bool,
        base: str = "",
        within: tuple[str, str] | None = None,
    ) -> Query:
        """A search read by the parameters that this store knows, beside those of R4; else as fhir.query.parse.

        A process goes by the catalogue that it saw last. It looks again before it says that it does not know a name,
        or uses one that may have left.
        """
        session = session_of(self._connection)
        before = session.catalogue
        try:
            with knowing(before):
                query = parse(rtype, pairs, strict=strict, base=base, within=within)
        except OutcomeError:
            if session.current(self._connection) is before:
                raise
        else:
            if not query.ignored and not before.concerns(pairs):
                # Nothing of the catalogue is used: whatever becomes of it changes no answer.
                return replace(query, catalogue=R4_ALONE) if before is not R4_ALONE else query
            if session.current(self._connection) is before:
                return query
        with knowing(session.catalogue):
            return parse(rtype, pairs, strict=strict, base=base, within=within)

    def search(self, query: Query) -> Page[Stored]:
        """One page of a search. Raises OutcomeError(not-supported) for what cannot be answered exactly."""
        return self._search(query, STORED)

    def shown(self, query: Query) -> Page[Shown]:
        """The same for who shows what is found and asks not who wrote it."""
        return self._search(query, SHOWN)

    def _search(self, query: Query, kind: Kind[M]) -> Page[M]:
        page = search(self._connection, self._actor, query, kind)
        if query.catalogue.ready and not session_of(self._connection).current(self._connection).holds(
            query.catalogue
        ):
            text = "A search parameter left while the search went on: ask again."
            raise OutcomeError(Issue("transient", text))
        return page

    def members(self, owner: str, which: Slice = WHOLE, count: int = 1_000) -> Leaf:
        """What belongs to a patient, encounter or other owner of a compartment, itself included."""
        return members(self._connection, self._actor, owner, which, count)

    def named(self, references: Iterable[str]) -> list[Stored]:
        """The current resources that these `Type/id` name."""
        return by_reference(self._connection, self._actor, references)

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

    def version_named(self, id_: str) -> Stored | None:
        """The version that the id of a Provenance of ours names; None if there is none."""
        named = version_named(id_)
        if named is None:
            return None
        condition = Condition("r.key = %s and r.ver = %s", named)
        found = self._read(*versions(self._actor, FIELDS, condition))
        return found[0] if found else None

    def provenance(self, rtype: str, id_: str) -> list[Resource]:
        """Who made each version of a resource, when, and from which Event: FHIR Provenance, the newest first."""
        return [provenance_of(stored) for stored in self.history(rtype, id_, count=1_000).versions]

    def _read(self, sql: str, values: Sequence[Any]) -> list[Stored]:
        return stored_of(self._connection, fetch(self._connection, sql.encode(), values))


def _of_history(rtype: str, id_: str, which: Window) -> list[Condition]:
    conditions = which.conditions()
    if rtype:
        conditions.append(Condition("r.rtype = %s", (number_of(rtype),)))
    if id_:
        conditions.append(Condition("r.key = %s and r.id = %s", (hash64(f"{rtype}/{id_}"), id_)))
    return conditions
