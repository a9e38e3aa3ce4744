"""store.seen: which versions of a type an actor may see, for who reads them from another place than the store.

Room: store. Touches: the tables res, hist. The rule is that of store.visible, and stands there.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import NamedTuple

from careloom.store.actor import Actor
from careloom.store.condition import Condition
from careloom.store.database import Connection
from careloom.store.resource_type import number_of
from careloom.store.visible import SEES_RESTRICTED, versions, visible

HIDDEN = """
select id, ver from res where rtype = %s and is_restricted
union all
select id, ver from hist where rtype = %s and is_restricted
union all
select h.id, h.ver from hist h join res r on r.key = h.key where r.rtype = %s and r.is_restricted"""
"""What a label hides from who sees every patient: a restricted version, and all versions of what is restricted now."""


class Seen(NamedTuple):
    """Ids with their versions: those that are seen, or, `is_rest`, those that are hidden: all others are seen."""

    is_rest: bool
    pairs: list[tuple[str, int]]

    @property
    def is_all(self) -> bool:
        """Whether nothing is hidden."""
        return self.is_rest and not self.pairs

    def digest(self) -> str:
        """The same for whoever sees the same."""
        told = blake2b(b"rest" if self.is_rest else b"seen", digest_size=16)
        for id_, version in sorted(self.pairs):
            told.update(f"{id_}/{version}\n".encode())
        return told.hexdigest()


def seen(connection: Connection, actor: Actor, rtype: str) -> Seen:
    """Raises OutcomeError(forbidden) for an actor without clinical.read."""
    visible(actor)
    number = number_of(rtype)
    if actor.patients is not None:
        statement = versions(actor, "r.id, r.ver", Condition("r.rtype = %s", (number,)))
        return Seen(is_rest=False, pairs=_pairs(connection, statement))
    if actor.roles & SEES_RESTRICTED:
        return Seen(is_rest=True, pairs=[])
    return Seen(is_rest=True, pairs=_pairs(connection, Condition(HIDDEN, (number, number, number))))


def _pairs(connection: Connection, statement: Condition) -> list[tuple[str, int]]:
    found = connection.execute(statement.sql.encode(), statement.values)
    return [(str(id_), int(version)) for id_, version in found.fetchall()]
