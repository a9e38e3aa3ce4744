"""store.compartment: all that belongs to one patient, encounter, practitioner: the compartments of R4.

Room: store. Touches: the table res. Standard: https://hl7.org/fhir/R4/compartmentdefinition.html
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from careloom.fhir.facts import facts, resource_types
from careloom.fhir.searchparam import parameters
from careloom.store.actor import Actor
from careloom.store.condition import Condition, all_of, any_of, equals, overlaps
from careloom.store.current import current
from careloom.store.database import Connection
from careloom.store.fetch import fetch
from careloom.store.hashes import COMPARTMENT_SALT, hash64, salt
from careloom.store.resource_type import number_of
from careloom.store.stored import FIELDS, Stored, stored_of
from careloom.store.visible import visible


@dataclass(frozen=True, slots=True)
class Slice:
    """Which part of a compartment: absent choices are empty or None."""

    types: Collection[str] = ()
    since: datetime | None = None
    start: datetime | None = None
    """Clinical time from here on; what is undated belongs to every time."""
    end: datetime | None = None
    after: int = 0
    """The `seq` of the last one that the page before held."""


class Leaf(NamedTuple):
    """A page of a compartment."""

    members: list[Stored]
    next: int
    """`after` of the next page; 0: that was the last."""


WHOLE = Slice()


def members(
    connection: Connection, actor: Actor, owner: str, which: Slice = WHOLE, count: int = 1_000
) -> Leaf:
    """What belongs to `owner` (`Patient/7`), itself included, in the order in which it was written last."""
    types = sorted(which.types or resource_types())
    conditions = [
        Condition("r.rtype = any(%s::smallint[])", ([number_of(rtype) for rtype in types],)),
        Condition("not r.is_deleted and r.rid > %s", (which.after,)),
        visible(actor),
        belonging(owner, types),
    ]
    if which.since is not None:
        conditions.append(Condition("r.lm >= %s", (which.since,)))
    if which.start is not None:
        conditions.append(Condition("(r.dhi is null or r.dhi > %s)", (which.start,)))
    if which.end is not None:
        conditions.append(Condition("(r.dhi is null or r.dlo < %s)", (which.end,)))
    where = all_of(conditions)
    sql = f"select {FIELDS} from res r where {where.sql} order by r.rid limit %s"
    found = stored_of(connection, fetch(connection, sql.encode(), [*where.values, count + 1]))
    is_more = len(found) > count
    return Leaf(found[:count], found[count - 1].seq if is_more else 0)


def belonging(owner: str, types: Iterable[str], row: str = "r") -> Condition:
    """The condition on a row that it belongs to the compartment of `owner`."""
    key = hash64(owner)
    kind = owner.partition("/")[0]
    if kind == "Patient":
        also = overlaps(f"{row}.ix", [key ^ COMPARTMENT_SALT])
        return any_of([equals(f"{row}.pat", [key]), also])
    ways = facts().compartments[kind]
    found = [
        key ^ salt(parameters(rtype)[code].id)
        for rtype in types
        for code in ways.get(rtype, ())
        if code in parameters(rtype)
    ]
    return any_of([equals(f"{row}.key", [key]), overlaps(f"{row}.ix", sorted(set(found)))])


def by_reference(connection: Connection, actor: Actor, references: Iterable[str]) -> list[Stored]:
    """The current resources that these `Type/id` name, as far as the actor may see them."""
    keys = sorted({hash64(reference) for reference in references})
    if not keys:
        return []
    return sorted(current(connection, actor, equals("r.key", keys)), key=lambda stored: stored.seq)
