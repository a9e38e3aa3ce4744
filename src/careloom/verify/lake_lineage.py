"""verify.lake_lineage: cells of the lake drawn by lot lead to the field of the message that states them.

Room: verify. A store of its own with HL7 v2 messages and bundles. Each field that is named must be there: the element
in the entry of the bundle with the same value (but for references and ids, which a transaction gives anew), the field
of the segment with something in it.
"""

from __future__ import annotations

import random
import re

from careloom.fhir.outcome import OutcomeError
from careloom.fhir.resource import loads
from careloom.lake.lake import Lake
from careloom.lake.lineage import Cell, Lineage, lineage
from careloom.lake.trail import leaves, value_at
from careloom.settings import Settings
from careloom.store import events
from careloom.store.actor import STATION
from careloom.verify.figure import Figure
from careloom.verify.lake_store import Shore, hl7, shore, synthea
from careloom.verify.progress import progress

NAME = "lake-lineage"
SEED = 50
CELLS = 50

_OURS = frozenset({"id", "resourceType", "meta", "text"})
"""What the store gives, and what is in no column."""

_WHERE = re.compile(r"([A-Z][A-Z0-9]{2})(?:#(\d+))?-(\d+)")


def check(settings: Settings, *, bundles: int = 10, messages: int = 200, cells: int = CELLS) -> list[Figure]:
    """Half of the cells of messages, half of bundles (all of messages where the suite is absent)."""
    chance = random.Random(SEED)  # noqa: S311 - reproducible, not secret
    given = synthea(settings, bundles)
    opened = 0
    with progress(NAME, cells) as told, shore(NAME) as store:
        told("filling a store", 0)
        store.accept(given, hl7(messages))
        store.build()
        drawn = _drawn(store, "hl7v2/%", cells - cells // 2 if given else cells, chance)
        drawn += _drawn(store, "fhir%", cells // 2 if given else 0, chance)
        for number, cell in enumerate(drawn):
            told("opening cells", number)
            opened += _opens(store, cell)
    return [Figure(check=f"{NAME}.cells", passed=opened, failed=cells - opened)]


def _drawn(store: Shore, agent: str, count: int, chance: random.Random) -> list[Cell]:
    """Cells of rows that such an agent made: a table, a row, a leaf of it, each by lot."""
    lake = Lake(store.root)
    found: list[Cell] = []
    with lake.connection() as duck:
        rows = {
            rtype: duck.execute(f'select raw from "{rtype}" where agent like ?', [agent]).fetchall()
            for rtype in lake.types
        }
    tables = [rtype for rtype in rows if rows[rtype]]
    while tables and len(found) < count:
        rtype = chance.choice(tables)
        resource = loads(chance.choice(rows[rtype])[0])
        paths = [path for path in leaves(resource) if path.partition(".")[0] not in _OURS]
        if paths:
            found.append(Cell(rtype, resource["id"], chance.choice(paths)))
    return found


def _opens(store: Shore, cell: Cell) -> bool:
    """Whether the cell leads to a field that is there."""
    try:
        found = lineage(store.database, Lake(store.root), STATION, cell)
    except OutcomeError:
        return False
    if found.event_id is None or not found.fields:
        return False
    with store.database.connection() as connection:
        event = events.event(connection, found.event_id, STATION)
    if event.kind == "hl7v2":
        return all(_stands(event.body, where) for where in found.fields)
    return _says_the_same(store, cell, found, event.body)


def _stands(body: bytes, where: str) -> bool:
    """Whether the field that `PID-5[1].1` or `OBX#3-5` names has something in it."""
    match = _WHERE.match(where)
    if match is None:
        return False
    segments = [
        line.split("|") for line in body.decode("utf-8", "replace").split("\r") if line.startswith(match[1])
    ]
    at = int(match[2] or 1) - 1
    # MSH-1 is the separator itself.
    number = int(match[3]) - (match[1] == "MSH")
    return at < len(segments) and number < len(segments[at]) and bool(segments[at][number])


def _says_the_same(store: Shore, cell: Cell, found: Lineage, body: bytes) -> bool:
    where = found.fields[0].removeprefix("Bundle.")
    said = value_at(loads(body), where)
    with Lake(store.root).connection(types=[cell.rtype]) as duck:
        ((raw,),) = duck.execute(f'select raw from "{cell.rtype}" where id = ?', [cell.id]).fetchall()
    return said is not None and (said == value_at(loads(raw), cell.path) or cell.path.endswith("reference"))
