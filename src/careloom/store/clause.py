"""store.clause: a clause of a search as a condition on a row of res, and what the index alone cannot decide.

Room: store. Touches: the table res. Standard: https://hl7.org/fhir/R4/search.html#chaining
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import NamedTuple

from careloom.fhir.clause import Chain, Clause, Criterion, Has, Junction, Listed, Negation
from careloom.fhir.matching import matches
from careloom.fhir.resource import Resource
from careloom.fhir.searchparam import SearchParameter, parameters
from careloom.store.canonical import addresses_of, by_canonical, canonicals_in, is_canonical, means
from careloom.store.chain import Far, Way, is_referred_to, refers
from careloom.store.condition import Condition, all_of, any_of, equals, negated, overlaps
from careloom.store.criterion import by_hot_code, criterion_condition, hot_codes, needs_check, of_hot_code
from careloom.store.crossing import is_of_many
from careloom.store.expansion import expanded, listed
from careloom.store.hashes import hash64, salt
from careloom.store.look import Look, chunks, never
from careloom.store.resource_type import number_of
from careloom.store.stored import FIELDS, Stored, stored_of
from careloom.store.unit import in_all_units
from careloom.store.visible import visible


class Sieve(NamedTuple):
    """A condition and, where that lets through too much, what a resource must be to pass."""

    condition: Condition
    check: Callable[[Resource], bool] | None = None


def sieve_of(look: Look, rtype: str, clause: Clause, row: str = "r") -> Sieve:
    """The sieve of one clause on rows of a type."""
    match clause:
        case Criterion():
            clause = in_all_units(look, expanded(look, clause))
            condition = criterion_condition(rtype, clause, row)
            return Sieve(condition, partial(matches, criterion=clause) if needs_check(clause) else None)
        case Chain():
            branches = [_chain(look, clause.parameter, branch, row) for branch in clause.branches]
            return Sieve(any_of([*branches, *_by_url(look, rtype, clause, row)]))
        case Has():
            return Sieve(_has(look, rtype, clause, row))
        case Junction():
            return _junction(look, rtype, clause, row)
        case Negation():
            return Sieve(negated(condition_of(look, rtype, clause.clause, row)))
        case Listed():
            return Sieve(equals(f"{row}.key", sorted(listed(look, clause.lists))))


def condition_of(look: Look, rtype: str, clause: Clause, row: str = "r") -> Condition:
    """The condition of one clause, exact: what must be looked at is looked at here, and its keys are put in."""
    sieve = sieve_of(look, rtype, clause, row)
    if sieve.check is None:
        return sieve.condition
    # It is asked apart from the row that it will narrow, so under its own alias.
    alone = sieve_of(look, rtype, clause, "r")
    return equals(f"{row}.key", [stored.key for stored in passed(look, rtype, alone)])


def _junction(look: Look, rtype: str, clause: Junction, row: str) -> Sieve:
    if not clause.is_all:
        return Sieve(any_of([condition_of(look, rtype, one, row) for one in clause.clauses]))
    sieves = [sieve_of(look, rtype, one, row) for one in clause.clauses]
    checks = [sieve.check for sieve in sieves if sieve.check is not None]
    condition = all_of([sieve.condition for sieve in sieves])

    def check(resource: Resource) -> bool:
        return all(one(resource) for one in checks)

    return Sieve(condition, check if checks else None)


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


def _chain(look: Look, parameter: SearchParameter, branch: tuple[str, Clause], row: str) -> Condition:
    """The row refers to a resource of the branch's type that meets its clause."""
    rtype, clause = branch
    return refers(look, parameter, _far(look, rtype, clause, f"{row}c"), row)


def _by_url(look: Look, rtype: str, chain: Chain, row: str) -> list[Condition]:
    """The row names by canonical a resource that meets the clause of its type."""
    if not is_canonical(chain.parameter):
        return []
    addresses = {
        address
        for target, clause in chain.branches
        if "url" in parameters(target)
        for stored in passed(look, target, sieve_of(look, target, clause))
        for address in addresses_of(stored)
    }
    entries = [hash64(one) ^ salt(chain.parameter.id) for one in addresses]
    if not entries:
        return []
    check = partial(means, parameter=chain.parameter, addresses=addresses)
    naming = passed(look, rtype, Sieve(overlaps("r.ix", entries), check))
    return [equals(f"{row}.key", [one.key for one in naming])]


def _has(look: Look, rtype: str, clause: Has, row: str) -> Condition:
    """A resource of another type refers to the row and meets a clause."""
    far = _far(look, clause.rtype, clause.clause, f"{row}c")
    found = [is_referred_to(look, rtype, clause.parameter, far, row)]
    if is_canonical(clause.parameter) and "url" in parameters(rtype):
        sources = passed(look, clause.rtype, sieve_of(look, clause.rtype, clause.clause))
        found.append(by_canonical(rtype, canonicals_in(sources, clause.parameter), row))
    return any_of(found)


def _far(look: Look, rtype: str, clause: Clause, row: str) -> Far:
    """The rows of a type that meet a clause and that the actor may see."""
    seen = all_of([Condition(f"not {row}.is_deleted"), visible(look.actor, row)])
    hot = hot_codes(rtype, clause) if isinstance(clause, Criterion) else []
    if hot:
        first, second = zip(by_hot_code(hot, row), of_hot_code(hot, row), strict=True)
        return Far(rtype, row, seen, (Way(*first, is_of_patient=len(hot) == 1), Way(*second)))
    probe = condition_of(replace(look, is_narrow=never), rtype, clause, row)
    drive = condition_of(replace(look, is_narrow=never, is_whole=True), rtype, clause, row)
    return Far(rtype, row, seen, (Way(drive, probe, is_common=is_of_many(clause)),))
