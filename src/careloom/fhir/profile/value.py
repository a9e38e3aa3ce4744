"""fhir.profile.value: what a profile asks of a single value: fixed, pattern, bounds, length, and bindings.

Room: fhir. May import: fhir.facts, fhir.path, fhir.profile.
Standard: https://hl7.org/fhir/R4/elementdefinition.html and https://hl7.org/fhir/R4/terminologies.html#strength
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from careloom.fhir.facts import Element
from careloom.fhir.outcome import OutcomeError, Severity
from careloom.fhir.path import Node as PathNode
from careloom.fhir.path.equality import order
from careloom.fhir.profile.coded import has_code, is_member
from careloom.fhir.profile.element import bound, recommended
from careloom.fhir.profile.item import Item
from careloom.fhir.profile.match import fits, is_fixed
from careloom.fhir.profile.node import Node
from careloom.fhir.profile.run import Check, Run, Where
from careloom.fhir.profile.terms import Terms

Says = Callable[[str], str]
_RECOMMENDED: dict[str, tuple[Severity, str]] = {
    "extensible": ("warning", "Expected a code of the value set {}, unless none of them applies"),
    "preferred": ("information", "A code of the value set {} is preferred"),
}


def value_checks(node: Node, base: Element | None, terms: Terms, says: Says) -> list[Check]:
    """The checks of one value, where the profile asks for more than R4 does. `mustSupport` asks nothing of a resource."""
    return [
        *_required(node, says),
        *_length(node, says),
        *_bounds(node, says),
        *_binding(node, base, terms, says),
        *_recommendation(node, terms, says),
    ]


def _required(node: Node, says: Says) -> Iterator[Check]:
    if node.required is None:
        return
    how, asked = node.required
    test = is_fixed if how == "fixed" else fits
    text = says(f"Expected the {how} value of the profile")

    def check(item: Item, where: Where, run: Run) -> None:
        if not test(item.value, asked):
            run.fault(where, "value", text)

    yield check


def _length(node: Node, says: Says) -> Iterator[Check]:
    most = node.definition.get("maxLength")
    if most is None:
        return
    text = says(f"There may be {most} characters at most")

    def check(item: Item, where: Where, run: Run) -> None:
        if type(item.value) is str and len(item.value) > most:
            run.fault(where, "too-long", text)

    yield check


def _bounds(node: Node, says: Says) -> Iterator[Check]:
    """minValue[x] and maxValue[x]: numbers, dates and times to their precision, quantities with their units."""
    for key, limit in node.definition.items():
        if key.startswith(("minValue", "maxValue")):
            is_least = key.startswith("min")
            kind = key[len("minValue") :]
            text = says(f"The {'least' if is_least else 'greatest'} value that the profile allows is passed")
            yield _bound(_end(limit, kind), beyond=-1 if is_least else 1, text=text)


def _end(limit: Any, kind: str) -> PathNode:
    return PathNode(limit, kind if kind == "Quantity" else kind[:1].lower() + kind[1:])


def _bound(end: PathNode, *, beyond: int, text: str) -> Check:
    def check(item: Item, where: Where, run: Run) -> None:
        if item.value is None:
            return
        try:
            sign = order(PathNode(item.value, item.kind), end)
        except OutcomeError:
            return  # another type of a choice, a unit that is not known, or a time that counts from today
        if sign == beyond:
            run.fault(where, "value", text)

    return check


def _binding(node: Node, base: Element | None, terms: Terms, says: Says) -> Iterator[Check]:
    url = bound(node)
    if not url or (base is not None and base.required and url.endswith(f"/{base.required}")):
        return
    members = terms.members(url)
    text = says(f"Expected a code of the value set {url}")
    unsure = says(f"Not checked: the codes of the value set {url} are not all known here")

    def check(item: Item, where: Where, run: Run) -> None:
        if item.value is None:
            return
        found = is_member(item, members)
        if found is False:
            run.fault(where, "code-invalid", text)
        elif found is None and members.undecided:
            run.unchecked(where, unsure)

    yield check


def _recommendation(node: Node, terms: Terms, says: Says) -> Iterator[Check]:
    """An extensible or preferred binding: never an error, and nothing where the codes are not known or only text is."""
    strength, url = recommended(node)
    if not url:
        return
    severity, written = _RECOMMENDED[strength]
    members, text = terms.members(url), says(written.format(url))

    def check(item: Item, where: Where, run: Run) -> None:
        if item.value is not None and has_code(item) and is_member(item, members) is False:
            run.fault(where, "code-invalid", text, severity=severity)

    yield check
