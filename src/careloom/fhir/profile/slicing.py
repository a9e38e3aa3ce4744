"""fhir.profile.slicing: the items of an element sorted into the slices of a profile, and counted.

Room: fhir. May import: fhir.facts, fhir.profile. Standard: https://hl7.org/fhir/R4/profiling.html#slicing
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from careloom.fhir.facts import Element
from careloom.fhir.profile.discriminator import Predicate, predicate
from careloom.fhir.profile.element import kinds_of
from careloom.fhir.profile.item import Item
from careloom.fhir.profile.node import Node
from careloom.fhir.profile.run import Check, Run, Where

if TYPE_CHECKING:
    from careloom.fhir.profile.compile import Compiler

Sliced = Callable[[list[Item], Where, Run], None]
DEFAULT = "@default"
"""The name of the slice of all that belongs to no other one."""
OUTSIDE, UNSURE = -1, -2
"""Where an item is that belongs to no slice, and one of which it cannot be said."""


@dataclass(frozen=True, slots=True)
class Slice:
    """One slice: who belongs to it, what is asked of them, and how they are sliced again."""

    node: Node
    is_in: Predicate
    check: Check | None
    slices: Sliced | None


def sliced(compiler: Compiler, node: Node, owner: str, base: Element) -> Sliced | None:
    """What the slicing of an element asks of its items; None where it asks nothing."""
    if not node.slices:
        return None
    slicing = node.definition.get("slicing", {})
    found = [_slice(compiler, one, owner, base, slicing.get("discriminator", [])) for one in node.slices]
    name = node.name.removesuffix("[x]")
    rules, is_ordered = slicing.get("rules", "open"), slicing.get("ordered", False)
    stranger = compiler.says(f"It belongs to no slice of {name}, and others are not allowed")
    unsure = compiler.says(f"Not checked: to which slice of {name} something belongs cannot be said here")
    disorder = compiler.says(f"The slices of {name} do not stand in the order of the profile")

    def check(items: list[Item], where: Where, run: Run) -> None:
        places = [_place(item, found, run) for item in items]
        for item, place in zip(items, places, strict=True):
            if place == OUTSIDE and rules == "closed":
                run.fault(Where(where, item.place), "structure", stranger)
            elif place == UNSURE:
                run.unchecked(Where(where, item.place), unsure)
            elif place >= 0 and (inside := found[place].check) is not None:
                inside(item, Where(where, item.place), run)
        if not _is_in_order(places, rules, is_ordered=is_ordered):
            run.fault(where, "structure", disorder, name=name)
        for index, one in enumerate(found):
            of_slice = [item for item, place in zip(items, places, strict=True) if place == index]
            _count(compiler, one.node, len(of_slice), where, run, is_sure=UNSURE not in places)
            if one.slices is not None:
                one.slices(of_slice, where, run)

    return check


def _slice(
    compiler: Compiler, node: Node, owner: str, base: Element, discriminators: list[dict[str, str]]
) -> Slice:
    check = compiler.check(node, kinds_of(owner, node, base), base)
    return Slice(
        node, predicate(compiler, node, check, discriminators), check, sliced(compiler, node, owner, base)
    )


def _place(item: Item, slices: list[Slice], run: Run) -> int:
    """The index of the first slice that an item belongs to, or OUTSIDE, or UNSURE."""
    answer = OUTSIDE
    for index, one in enumerate(slices):
        if one.node.slice_name == DEFAULT:
            answer = index if answer == OUTSIDE else answer
            continue
        is_in = one.is_in(item, run)
        if is_in:
            return index
        if is_in is None:
            answer = UNSURE
    return answer


def _is_in_order(places: list[int], rules: str, *, is_ordered: bool) -> bool:
    inside = [place for place in places if place >= 0]
    if is_ordered and inside != sorted(inside):
        return False
    return rules != "openAtEnd" or OUTSIDE not in places[: len(inside)]


def _count(compiler: Compiler, node: Node, count: int, where: Where, run: Run, *, is_sure: bool) -> None:
    name = f"{node.name.removesuffix('[x]')}:{node.slice_name}"
    if count < node.min and is_sure:
        text = (
            f"The slice {name} is required" if node.min == 1 else f"There must be {node.min} {name} or more"
        )
        run.fault(where, "required", compiler.says(text), name=node.name.removesuffix("[x]"))
    if node.max is not None and count > node.max:
        text = f"There may be {node.max} {name} at most" if node.max else f"There may be no {name}"
        run.fault(where, "structure", compiler.says(text), name=node.name.removesuffix("[x]"))
