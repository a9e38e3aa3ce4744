"""lake.listing: all tables that a statement may name, with their columns, as a page lists them.

Room: lake. May import: lake.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from careloom.fhir.outcome import OutcomeError
from careloom.lake.lake import Lake
from careloom.lake.offer import GROUPS, Offer
from careloom.lake.shape import Struct, shape_of
from careloom.lake.sight import columns_of, common_columns


def listing(lake: Lake, found: Iterable[Offer]) -> dict[str, Any]:
    """`groups`: title and tables, each with name, about and columns (name, type, about); `common`: those of every type;
    `fields`: what is within a type of R4 (`HumanName`): name and type. Without a lake there are no tables.
    """
    common = common_columns()
    try:
        types = lake.types
    except OutcomeError:
        return {"groups": [], "common": common, "fields": {}}
    own = [
        {"name": rtype, "about": "", "columns": [one for one in columns_of(rtype) if one not in common]}
        for rtype in types
    ]
    offered = list(found)
    groups = [{"title": "Resources", "tables": own}]
    groups += [
        {"title": title, "tables": [_told(one) for one in offered if one.group == group]}
        for group, title in GROUPS.items()
    ]
    return {"groups": [one for one in groups if one["tables"]], "common": common, "fields": _fields(types)}


def _told(one: Offer) -> dict[str, Any]:
    return {
        "name": one.full,
        "about": one.about,
        "columns": [(each.name, each.type, each.about) for each in one.columns],
    }


def _fields(types: Iterable[str]) -> dict[str, list[tuple[str, str]]]:
    found: dict[str, list[tuple[str, str]]] = {}
    waiting = [shape_of(rtype) for rtype in types]
    while waiting:
        for field in waiting.pop().fields:
            if isinstance(field.holds, Struct) and field.type not in found:
                found[field.type] = [
                    (each.name, (each.type or "text") + ("[]" if each.many else ""))
                    for each in field.holds.fields
                ]
                waiting.append(field.holds)
    return found
