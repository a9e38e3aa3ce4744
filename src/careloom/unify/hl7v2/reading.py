"""unify.hl7v2.reading: one message under conversion: what it states so far, and the fate of each leaf.

Room: unify. May import: store, fhir.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from functools import lru_cache
from typing import Literal
from urllib.parse import quote
from uuid import NAMESPACE_URL, uuid5

from careloom.fhir.facts import has_other_choice
from careloom.fhir.outcome import Issue
from careloom.fhir.resource import Resource
from careloom.store.ledger import Fate, LedgerLine
from careloom.unify.hl7v2.message import NULL, Message, Position, Tree, is_empty

NOT_IN_MAP = "not in the map"
"""The reason of a leaf that no table row names: counted apart, since nobody decided it."""
CLASH = "R4 holds one of these, and an earlier field or repetition gave it"
_NOTHING = [""]
"""A component between two delimiters: by far the most that is empty."""
Extent = Literal["whole", "partial"]
Element = dict[str, object]


class Cell:
    """A part of a field: a repetition, component or subcomponent, and where it stands."""

    __slots__ = ("at", "tree")

    def __init__(self, tree: Tree, at: tuple[int, ...]) -> None:
        self.tree = tree
        self.at = at

    def part(self, number: int) -> Cell | None:
        """The component (of a component: the subcomponent) `number`, from 1; None when it is empty.

        What has no parts is its own first part, as chapter 2.5.3 rules for older senders.
        """
        tree = self.tree
        if isinstance(tree, str):
            return self if number == 1 else None
        if number > len(tree):
            return None
        part = tree[number - 1]
        if not part or is_empty(part):
            return None
        return Cell(part, (*self.at, number))

    def parts(self) -> list[tuple[int, Cell]]:
        """All parts that are not empty, with their numbers."""
        tree = self.tree
        if isinstance(tree, str):
            return [(1, self)]
        at = self.at
        return [
            (n, Cell(part, (*at, n)))
            for n, part in enumerate(tree, 1)
            if part != _NOTHING and not is_empty(part)
        ]

    def leaves(self) -> list[Cell]:
        """All leaves that are not empty."""
        if isinstance(self.tree, str):
            return [self]
        return [leaf for _, part in self.parts() for leaf in part.leaves()]


@dataclass(slots=True)
class Made:
    """A resource that the message states."""

    resource: Resource
    path: str
    """`Patient/<id>`, where the targets of the ledger begin."""
    extent: Extent
    anchor: str = ""
    """Path of the resource whose age decides whether this one is stale; empty: its own."""

    @property
    def reference(self) -> dict[str, str]:
        """A Reference to it."""
        return {"reference": self.path}


@dataclass(slots=True)
class Reading:
    """The state of one conversion."""

    message: Message
    source: str
    zone: tzinfo = UTC
    current: Callable[[str, str], Resource | None] = lambda _type, _id: None
    made: dict[str, Made] = field(default_factory=dict[str, Made])
    marks: list[tuple[Position, Fate, str]] = field(default_factory=list[tuple[Position, Fate, str]])
    issues: list[Issue] = field(default_factory=list[Issue])

    def text(self, cell: Cell) -> str:
        """The text of a cell's first leaf, escapes read; "" for the explicit null."""
        tree = cell.tree
        while not isinstance(tree, str):
            tree = tree[0]
        return "" if tree == NULL else self.message.text(tree)

    def part_text(self, cell: Cell, number: int) -> str:
        """The text of one part, or ""."""
        part = cell.part(number)
        return self.text(part) if part else ""

    def mark(self, cell: Cell, fate: Fate, target: str) -> None:
        """Say what became of the cell's first leaf. The first mark of a leaf counts; mapped beats the others."""
        at = cell.at
        self.marks.append(((*at, 1, 1, 1)[:5] if len(at) < 5 else at, fate, target))  # pyright: ignore[reportArgumentType]  # noqa: PLR2004

    def mapped(self, cell: Cell, target: str) -> None:
        """The first leaf of the cell stands at `target`."""
        self.mark(cell, "mapped", target)

    def keep(self, cell: Cell, reason: str) -> None:
        """All leaves of the cell are kept in the Event only."""
        for leaf in cell.leaves():
            self.mark(leaf, "kept_raw", reason)

    def reject(self, cell: Cell, reason: str) -> None:
        """All leaves of the cell say what their type forbids."""
        for leaf in cell.leaves():
            self.mark(leaf, "rejected", reason)

    def is_null(self, cell: Cell) -> bool:
        """True for the explicit null: the element shall be absent. The ledger says so."""
        if self.message.has_nulls and all(leaf.tree == NULL for leaf in cell.leaves()):
            self.keep(cell, 'explicit null (""): the element is left out')
            return True
        return False

    def remark(self, start: int, change: Callable[[str], str | None], reason: str) -> None:
        """Move the targets of the marks made since `start`; `change` gives None for what has no place."""
        for at in range(start, len(self.marks)):
            position, fate, target = self.marks[at]
            if fate == "mapped":
                moved = change(target)
                self.marks[at] = (
                    (position, fate, moved) if moved is not None else (position, "kept_raw", reason)
                )

    def refuse(self, start: int, reason: str) -> None:
        """Reject what was mapped since `start`."""
        for at in range(start, len(self.marks)):
            position, fate, target = self.marks[at]
            self.marks[at] = (position, "rejected", reason) if fate == "mapped" else (position, fate, target)

    def id_of(self, rtype: str, *key: str) -> str:
        """The id of what this source calls by this natural key."""
        return _id(self.source, rtype, key)

    def local(self, name: str) -> str:
        """The URI of a namespace or code system that only this source knows."""
        return f"urn:careloom:source:{self.source}:{quote(name, safe='')}"

    def shell(self, rtype: str, *key: str) -> Resource:
        """An empty resource with its id and source."""
        return {
            "resourceType": rtype,
            "id": self.id_of(rtype, *key),
            "meta": {"source": f"urn:careloom:source:{self.source}"},
        }

    def new(self, rtype: str, *key: str, extent: Extent = "whole", anchor: str = "") -> Made:
        """State a resource of its own: a second row with an equal key gets the key and its number."""
        resource, count = self.shell(rtype, *key), 1
        while f"{rtype}/{resource['id']}" in self.made:
            count += 1
            resource = self.shell(rtype, *key, f"#{count}")
        made = Made(resource, f"{rtype}/{resource['id']}", extent, anchor)
        self.made[made.path] = made
        return made

    def mention(self, rtype: str, *key: str, fill: Callable[[Resource, str], None]) -> Made:
        """State what many fields may name (a Practitioner ...): mentions of one key fill up one resource."""
        resource = self.shell(rtype, *key)
        path, start = f"{rtype}/{resource['id']}", len(self.marks)
        fill(resource, path)
        known = self.made.get(path)
        if known is None:
            known = self.made[path] = Made(resource, path, "partial")
        elif known.resource != resource:
            _absorb(self, known, resource, start)
        return known

    def ledger(self) -> tuple[LedgerLine, ...]:
        """One line for each leaf, in the order of the message."""
        fates: dict[Position, tuple[Fate, str]] = {}
        for position, fate, target in self.marks:
            if position not in fates or (fate == "mapped" and fates[position][0] != "mapped"):
                fates[position] = (fate, target)
        unseen: tuple[Fate, str] = ("kept_raw", NOT_IN_MAP)
        address = self.message.address
        return tuple(
            LedgerLine(address(position), *fates.get(position, unseen))
            for position, _ in self.message.leaves()
        )


@lru_cache(maxsize=32768)
def _id(source: str, rtype: str, key: tuple[str, ...]) -> str:
    return str(uuid5(NAMESPACE_URL, f"urn:careloom:{source}:{rtype}:{'|'.join(quote(part) for part in key)}"))


def _absorb(reading: Reading, known: Made, other: Resource, start: int) -> None:
    """Fill `known` with what `other` says more; the ledger's targets follow."""
    moves: dict[str, str | None] = {}
    for name, value in other.items():
        here = f"{known.path}.{name}"
        if name not in known.resource and has_other_choice(known.resource, name):
            moves[here] = None
            continue
        mine = known.resource.setdefault(name, value)
        if mine is value or mine == value:
            continue
        if not isinstance(value, list) or not isinstance(mine, list):
            moves[here] = None
            continue
        for at, item in enumerate(value):
            if item not in mine:
                mine.append(item)
            moves[f"{here}[{at}]"] = f"{here}[{mine.index(item)}]"

    def moved(target: str) -> str | None:
        for old, new in moves.items():
            if target == old or target.startswith((old + ".", old + "[")):
                return None if new is None else new + target[len(old) :]
        return target

    reading.remark(start, moved, CLASH)
