"""store.clause: a clause of a search as a condition on a row of res, and what the index alone cannot decide.

Room: store. Touches: the table res. Standard: https://hl7.org/fhir/R4/search.html#chaining
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

from careloom.fhir.clause import Chain, Clause, Criterion, Has, Junction, Listed, Negation
from careloom.fhir.matching import matches
from careloom.fhir.resource import Resource
from careloom.fhir.searchparam import SearchParameter, parameters
from careloom.store.canonical import addresses_of, by_canonical, canonicals_in, is_canonical, means
from careloom.store.condition import Condition, all_of, any_of, equals, negated, overlaps
from careloom.store.criterion import criterion_condition, hot_codes, needs_check, with_hot_code
from careloom.store.expansion import expanded, listed
from careloom.store.hashes import hash64, salt
from careloom.store.look import Look, chunks
from careloom.store.resource_type import columns_of, number_of
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
    """The row refers to a resource of the branch's type that meets its clause.

    The keys of those are gathered first, and an index then finds who refers to them.
    """
    rtype, clause = branch
    inner = f"{row}c"
    seen = _seen(look, rtype, clause, inner)
    if rtype == "Patient" and parameter.id in columns_of(parameter.rtype).single_patients:
        keys = _selected(f"{inner}.key", inner, seen)
        return Condition(f"{row}.pat in ({keys.sql})", keys.values)
    entries = _selected(f"{inner}.key # '{salt(parameter.id)}'::bigint", inner, seen)
    return Condition(f"{row}.ix && array({entries.sql})", entries.values)


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
    """A resource of another type refers to the row and meets a clause: the keys it refers to are its `ix`, unsalted."""
    inner = f"{row}c"
    seen = _seen(look, clause.rtype, clause.clause, inner)
    parameter = clause.parameter.id
    # One list of keys, so that the index on keys is walked by it; two joined by `or` would be a look at every row.
    columns = columns_of(clause.rtype)
    keys: list[Condition] = []
    if rtype != "Patient" or parameter not in columns.sole_patients:
        keys.append(_selected(f"unnest({inner}.ix) # '{salt(parameter)}'::bigint", inner, seen))
    if parameter in columns.single_patients and rtype in {"Patient", "Resource"}:
        keys.append(_selected(f"{inner}.pat", inner, seen))
    found = [_all_of_them(f"{row}.key", keys)]
    if is_canonical(clause.parameter) and "url" in parameters(rtype):
        sources = passed(look, clause.rtype, sieve_of(look, clause.rtype, clause.clause))
        found.append(by_canonical(rtype, canonicals_in(sources, clause.parameter), row))
    return any_of(found)


def _seen(look: Look, rtype: str, clause: Clause, row: str) -> Condition:
    """The condition on the rows of a type that meet a clause and that the actor may see."""
    hot = hot_codes(rtype, clause) if isinstance(clause, Criterion) else []
    one = with_hot_code(hot, row) if hot else condition_of(look, rtype, clause, row)
    of_type = Condition(f"{row}.rtype = %s and not {row}.is_deleted", (number_of(rtype),))
    return all_of([of_type, visible(look.actor, row), one])


def _selected(what: str, row: str, condition: Condition) -> Condition:
    """A select over rows that meet the condition."""
    return Condition(f"select {what} from res {row} where {condition.sql}", condition.values)


def _all_of_them(column: str, selects: Sequence[Condition]) -> Condition:
    values = tuple(value for one in selects for value in one.values)
    return Condition(f"{column} in ({' union all '.join(one.sql for one in selects)})", values)
