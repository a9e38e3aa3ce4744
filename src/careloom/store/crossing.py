"""store.crossing: rows that have all of some codes, of which each may be common and all together rare.

Room: store. Touches: the table res. Standard: https://hl7.org/fhir/R4/search.html#combining

Rows are walked in their order if enough of the first have all of them. If not, the index of hashes is asked, which skips
through the lists of all codes together; whoever walked on by one of them might come upon the others nowhere.
"""

from __future__ import annotations

from collections.abc import Sequence

from careloom.fhir.clause import Clause, Criterion
from careloom.fhir.queryvalue import Token
from careloom.store.chain import NEWEST
from careloom.store.condition import ALWAYS, Condition, all_of, equals, overlaps
from careloom.store.criterion import criterion_condition, hot_codes
from careloom.store.fetch import fetch
from careloom.store.hashes import code_entry
from careloom.store.look import Look
from careloom.store.resource_type import number_of
from careloom.store.visible import visible

ENOUGH = 20
"""So many of the newest rows are enough to walk on."""
FEW = 2_000
"""So many rows are few: they are found first, and put in order then."""


def is_of_many(clause: Clause) -> bool:
    """Whether it asks for a code, of which there are a few and many resources with each; identifiers are the others."""
    return (
        isinstance(clause, Criterion)
        and clause.parameter.type == "token"
        and clause.parameter.code not in {"identifier", "_id"}
        and not clause.modifier
    )


def crossed(look: Look, rtype: str, criteria: Sequence[Clause], driver: Criterion | None) -> Condition | None:
    """The rows that meet the criteria, if they are few and not found at once; None if they are to be walked.

    Where a criterion must be checked, these are rows that may meet it. `driver` is the one that a column answers.
    """
    if look.is_whole or rtype == "Resource" or not all(map(is_of_many, criteria)):
        return None
    others = [_on(rtype, one) for one in criteria if one is not driver]
    if not others or not all(one.sql.startswith("r.ix && ") for one in others):
        return None
    if _is_enough(look, rtype, others, driver):
        return None
    codes = overlaps("r.ix", _entries(driver)) if driver is not None else ALWAYS
    where = all_of([codes, *others])
    sql = f"select r.rid from res r where {where.sql} limit {FEW + 1:d}"
    found = fetch(look.connection, sql.encode(), where.values)
    return equals("r.rid", [rid for (rid,) in found]) if len(found) <= FEW else None


def _on(rtype: str, clause: Clause) -> Condition:
    return criterion_condition(rtype, clause) if isinstance(clause, Criterion) else ALWAYS


def _is_enough(look: Look, rtype: str, others: Sequence[Condition], driver: Criterion | None) -> bool:
    """Whether enough of the newest rows (that have the code of the driver) meet the others."""
    first = equals("x.code", hot_codes(rtype, driver)) if driver is not None else ALWAYS
    newest = all_of([Condition("x.rtype = %s", (number_of(rtype),)), first])
    key = "" if driver is not None else ", x.key desc"
    rows = f"select * from res x where {newest.sql} order by x.dlo desc{key} limit {NEWEST:d}"
    seen = all_of([Condition("not r.is_deleted"), visible(look.actor), *others])
    sql = f"select 1 from ({rows}) r where {seen.sql} limit {ENOUGH:d}"
    return len(fetch(look.connection, sql.encode(), [*newest.values, *seen.values])) == ENOUGH


def _entries(driver: Criterion) -> list[int]:
    """Entries of its codes, whatever their system: of first codings and of others."""
    codes = [value.code for value in driver.values if isinstance(value, Token) and value.code is not None]
    return [code_entry(driver.parameter.id, code) for code in codes]
