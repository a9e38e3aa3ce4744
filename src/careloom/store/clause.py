"""store.clause: a clause of a search as a condition on a row of res, and what the index alone cannot decide.

Room: store. Touches: the table res. Standard: https://hl7.org/fhir/R4/search.html#chaining
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

from careloom.fhir.matching import matches
from careloom.fhir.outcome import Issue, OutcomeError
from careloom.fhir.query import Chain, Clause, Criterion, Has
from careloom.fhir.resource import Resource
from careloom.fhir.searchparam import SearchParameter
from careloom.store.actor import Actor
from careloom.store.condition import Condition, all_of, any_of, equals
from careloom.store.criterion import criterion_condition, needs_check
from careloom.store.database import Connection
from careloom.store.hashes import salt
from careloom.store.resource_type import columns_of, number_of
from careloom.store.stored import FIELDS, Stored, stored_of
from careloom.store.visible import visible

TIME_LIMIT_S = 30.0
"""How long one search may look at resources."""
CHUNK = 500
"""Rows that are read at once where resources must be looked at."""


@dataclass(frozen=True, slots=True)
class Look:
    """One search under way: where it reads, for whom, until when (time.monotonic)."""

    connection: Connection
    actor: Actor
    until: float

    def go_on(self) -> None:
        """Raise OutcomeError(too-costly) when the time is up."""
        if time.monotonic() > self.until:
            text = "This search must look at too many resources: add a parameter that narrows it."
            raise OutcomeError(Issue("too-costly", text))


class Sieve(NamedTuple):
    """A condition and, where that lets through too much, what a resource must be to pass."""

    condition: Condition
    check: Callable[[Resource], bool] | None = None


def sieve_of(look: Look, rtype: str, clause: Clause, row: str = "r") -> Sieve:
    """The sieve of one clause on rows of a type."""
    if isinstance(clause, Criterion):
        condition = criterion_condition(rtype, clause, row)
        return Sieve(condition, partial(matches, criterion=clause) if needs_check(clause) else None)
    inner = f"{row}c"
    if isinstance(clause, Chain):
        branches = [_chain(look, clause.parameter, branch, row, inner) for branch in clause.branches]
        return Sieve(any_of(branches))
    return Sieve(_has(look, clause, row, inner))


def condition_of(look: Look, rtype: str, clause: Clause, row: str = "r") -> Condition:
    """The condition of one clause, exact: what must be looked at is looked at here, and its keys are put in."""
    sieve = sieve_of(look, rtype, clause, row)
    if sieve.check is None:
        return sieve.condition
    # The alias of the statement is the clause's own: it is asked apart from the row it will narrow.
    alone = sieve_of(look, rtype, clause, "r")
    return equals(f"{row}.key", [stored.key for stored in passed(look, rtype, alone)])


def passed(look: Look, rtype: str, sieve: Sieve) -> Iterator[Stored]:
    """Every current resource of a type that the actor may see and that passes."""
    where = all_of(
        [
            Condition("r.rtype = %s and not r.is_deleted", (number_of(rtype),)),
            visible(look.actor),
            sieve.condition,
        ]
    )
    for rows in chunks(look, f"select {FIELDS} from res r where {where.sql}", where.values):
        for stored in stored_of(look.connection, rows):
            if sieve.check is None or sieve.check(stored.resource()):
                yield stored


def chunks(look: Look, sql: str, values: Sequence[Any]) -> Iterator[list[tuple[Any, ...]]]:
    """The rows of a statement, some at a time, so that memory stays small and the time is watched."""
    with look.connection.transaction(), look.connection.cursor("careloom_look", binary=True) as cursor:
        cursor.execute(sql.encode(), values)
        while rows := cursor.fetchmany(CHUNK):
            look.go_on()
            yield rows


def _chain(
    look: Look, parameter: SearchParameter, branch: tuple[str, Clause], row: str, inner: str
) -> Condition:
    """The row refers to a resource of the branch's type that meets its clause.

    The keys of those are gathered first, and an index then finds who refers to them.
    """
    rtype, clause = branch
    condition = _seen(look, rtype, clause, inner)
    keys = f"select {inner}.key from res {inner} where {condition.sql}"
    if rtype == "Patient" and parameter.id in columns_of(parameter.rtype).single_patients:
        return Condition(f"{row}.pat in ({keys})", condition.values)
    entries = f"select {inner}.key # %s::bigint from res {inner} where {condition.sql}"
    return Condition(f"{row}.ix && array({entries})", (salt(parameter.id), *condition.values))


def _has(look: Look, clause: Has, row: str, inner: str) -> Condition:
    """A resource of another type refers to the row and meets a clause: the keys it refers to are its `ix`, unsalted."""
    condition = _seen(look, clause.rtype, clause.clause, inner)
    parameter = clause.parameter.id
    entries = f"select unnest({inner}.ix) # %s::bigint from res {inner} where {condition.sql}"
    has = Condition(f"{row}.key in ({entries})", (salt(parameter), *condition.values))
    if parameter not in columns_of(clause.rtype).single_patients:
        return has
    patients = f"select {inner}.pat from res {inner} where {condition.sql}"
    return any_of([Condition(f"{row}.key in ({patients})", condition.values), has])


def _seen(look: Look, rtype: str, clause: Clause, row: str) -> Condition:
    return all_of(
        [
            Condition(f"{row}.rtype = %s and not {row}.is_deleted", (number_of(rtype),)),
            visible(look.actor, row),
            condition_of(look, rtype, clause, row),
        ]
    )
