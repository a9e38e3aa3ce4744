"""store.interest: which versions of the feed somebody wants to hear of, as a condition on their rows.

Room: store. Pure. A row of res knows its codes (column `ix`), a row of hist does not: of older versions more may be told
than was asked for, never less. So who hears must look himself; what he is spared is most of what he would throw away.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from careloom.fhir.searchparam import of_r4
from careloom.store.condition import Condition, any_of
from careloom.store.hashes import code_entry
from careloom.store.resource_type import UNIONS, number_of

Coded = tuple[str, tuple[str, ...]]
"""A token search parameter, and codes, of whatever system."""


@dataclass(frozen=True)
class Interest:
    """Versions of these types; of those in `coded` only what has such a code now, what is deleted, and older versions."""

    types: Collection[str]
    coded: Mapping[str, Coded] = field(default_factory=dict[str, Coded])

    @cached_property
    def older(self) -> Condition:
        """Of a row of hist, aliased r."""
        return _of_types(self.types)

    @cached_property
    def current(self) -> Condition:
        """Of a row of res, aliased r.

        >>> Interest({"Task"}, {"Task": ("code", ("x",))}).current.sql.partition(" or ")[2]
        '(r.rtype = any(%s::smallint[]) and (r.is_deleted or arrayoverlap(r.ix, %s::bigint[]))))'
        """
        found = [_of_types([rtype for rtype in self.types if rtype not in self.coded])]
        for rtype in sorted(self.coded):
            of_type = _of_types([rtype])
            # The function behind &&, which no index serves: the way is along the feed, whatever the codes.
            sql = f"{of_type.sql} and (r.is_deleted or arrayoverlap(r.ix, %s::bigint[]))"
            found.append(Condition(sql, (*of_type.values, _entries(rtype, *self.coded[rtype]))))
        return any_of(found)


def _of_types(types: Collection[str]) -> Condition:
    return Condition("r.rtype = any(%s::smallint[])", ([number_of(rtype) for rtype in sorted(types)],))


def _entries(rtype: str, parameter: str, codes: Sequence[str]) -> list[int]:
    """What stands in `ix` of a resource with one of these codes."""
    known = of_r4(rtype)
    stored = UNIONS.get(rtype, {}).get(parameter, (parameter,))
    return sorted(code_entry(known[name].id, code) for name in stored for code in codes)
