"""fhir.profile.compile: the tree of a profile to closures that check what the profile adds to R4.

Room: fhir. May import: fhir.facts, fhir.profile. Standard: https://hl7.org/fhir/R4/profiling.html

A resource has passed fhir.validate before it comes here, so only differences to R4 are compiled: where an element
asks for no more than R4 does, there is no closure, and nothing is looked at.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from careloom.fhir.facts import Element, facts
from careloom.fhir.profile.constraint import constraints
from careloom.fhir.profile.element import element_of, kinds_of, type_of
from careloom.fhir.profile.item import Item, getter, owner_kind, owner_of
from careloom.fhir.profile.node import Node
from careloom.fhir.profile.run import Check, Run, Where
from careloom.fhir.profile.slicing import sliced
from careloom.fhir.profile.terms import Terms
from careloom.fhir.profile.value import value_checks

_HERE = Where(None, "")
Member = Callable[[dict[str, Any], Where, Run], None]
"""Checks one element of an owner: how many items there are, each of them, and its slices."""


class Known(Protocol):
    """The profiles that one another name; a check of another one is asked for when it is needed."""

    terms: Terms

    def root(self, url: str) -> Node | None:
        """The tree of a profile, or None if it is not known."""
        ...

    def check(self, url: str) -> Check | None:
        """The compiled profile, or None if it is not known."""
        ...


class Compiler:
    """Compiles one profile; `name` stands in what is said."""

    def __init__(self, known: Known, name: str) -> None:
        self.known = known
        self.name = name

    def says(self, text: str) -> str:
        """A text with the profile that it comes from."""
        return f"{text} ({self.name})"

    def check(self, node: Node, kinds: list[str], base: Element | None) -> Check | None:
        """What a profile asks of one item of an element; None where that is no more than R4 does."""
        found = [
            part
            for part in (
                self._types(node, base),
                *value_checks(node, base, self.known.terms, self.says),
                self._targets(node, base),
                self._profiles(node),
                self._children(node, kinds),
                *constraints(node, self.says),
            )
            if part is not None
        ]
        return _all(found)

    def member(self, owner: str, node: Node) -> Member | None:
        """What a profile asks of an element of `owner` as a whole."""
        read, base = getter(owner, node.name), element_of(owner, node.name)
        if read is None or base is None:
            return None
        check = self.check(node, kinds_of(owner, node, base), base)
        slices = sliced(self, node, owner, base)
        least, most = node.min if node.min > base.min else 0, node.max
        if most is not None and (not base.many) and most > 0:
            most = None
        if check is None and slices is None and not least and most is None:
            return None
        return self._member(node, read, (least, most), check, slices)

    def _member(
        self,
        node: Node,
        read: Callable[[dict[str, Any]], list[Item]],
        bounds: tuple[int, int | None],
        check: Check | None,
        slices: Callable[[list[Item], Where, Run], None] | None,
    ) -> Member:
        least, most = bounds
        name = node.name.removesuffix("[x]")
        text = self.says(
            f"There must be {least} {node.name} or more" if least > 1 else f"{node.name} is required"
        )
        too_many = self.says(
            f"There may be {most} {node.name} at most" if most else f"There may be no {node.name}"
        )

        def run_member(owner: dict[str, Any], where: Where, run: Run) -> None:
            items = read(owner)
            if len(items) < least:
                run.fault(where, "required", text, name=name)
            if most is not None and len(items) > most:
                run.fault(where, "structure", too_many, name=name)
            if check is not None:
                for item in items:
                    check(item, Where(where, item.place), run)
            if slices is not None:
                slices(items, where, run)

        return run_member

    def _types(self, node: Node, base: Element | None) -> Check | None:
        """Types left of a choice, or of the resources that may stand here."""
        allowed = frozenset(node.types)
        if (
            base is None
            or not allowed
            or base.like
            or allowed >= frozenset(base.types)
            or "Resource" in allowed
        ):
            return None
        text = self.says(f"Expected {' or '.join(sorted(allowed))}")

        def check(item: Item, where: Where, run: Run) -> None:
            if item.kind not in allowed and facts().types.get(item.kind) is not None:
                run.fault(where, "structure", text)

        return None if base.types == ("BackboneElement",) else check

    def _targets(self, node: Node, base: Element | None) -> Check | None:
        """Types of what a reference leads to, and the profiles of those that are here to be looked at."""
        urls = node.profiles("targetProfile")
        if not urls or (base is not None and {type_of(url) for url in urls} == {*base.targets}):
            return None
        kinds = {kind for url in urls if (kind := self.kind_of(url))}
        if len(kinds) < len({*urls}) and any(not self.kind_of(url) for url in urls):
            kinds = set[str]()  # a profile that is not known may be of any type
        if "Resource" in kinds:
            return None
        text = self.says(f"Expected a reference to {' or '.join(sorted(kinds))}")
        none_fits = self.says("What the reference leads to conforms to none of the profiles asked for")

        def check(item: Item, where: Where, run: Run) -> None:
            if item.kind not in {"Reference", "canonical"} or item.value is None:
                return
            resource, kind = run.resolve(item.value)
            if kind and kinds and kind not in kinds:
                run.fault(where, "value", text)
            elif resource is not None:
                target = Item(resource, None, kind, "")
                if not any(self.conforms(url, target, run) is not False for url in urls):
                    run.fault(where, "value", none_fits)

        return check

    def conforms(self, url: str, item: Item, run: Run) -> bool | None:
        """Whether a resource conforms to a type or profile; None where it is not here, or the profile not known."""
        kind = self.kind_of(url)
        if item.kind and kind and kind not in {item.kind, "Resource"}:
            return False
        if type_of(url):
            return True if item.kind else None
        check = self.known.check(url)
        if item.value is None or check is None:
            return None
        return run.attempt(check, item, _HERE)

    def kind_of(self, url: str) -> str:
        """The type that a profile is of, or "" if it is not known."""
        node = None if type_of(url) else self.known.root(url)
        return type_of(url) or (node.name if node is not None else "")

    def _profiles(self, node: Node) -> Check | None:
        """Profiles of the value itself: of an extension, a data type, a resource within."""
        by_kind: dict[str, list[str]] = {}
        for kind in node.definition.get("type", ()):
            urls = [url.partition("|")[0] for url in kind.get("profile", ())]
            if urls and not any(type_of(url) == kind["code"] for url in urls):
                by_kind[kind["code"]] = urls
        if not by_kind:
            return None

        def check(item: Item, where: Where, run: Run) -> None:
            urls = by_kind.get(item.kind) or by_kind.get("Resource", ())
            checks = [found for url in urls if (found := self.known.check(url)) is not None]
            if len(checks) < len(urls):
                missing = next(url for url in urls if self.known.check(url) is None)
                run.unchecked(where, self.says(f"Not checked: the profile {missing} is not known here"))
            elif len(checks) == 1:
                checks[0](item, where, run)
            elif checks and not any(run.attempt(one, item, where) for one in checks):
                run.fault(where, "structure", self.says("It conforms to none of the profiles asked for"))

        return check

    def _children(self, node: Node, kinds: list[str]) -> Check | None:
        by_kind: dict[str, list[Member]] = {}
        for kind in kinds:
            members = [self.member(owner_kind(kind), child) for child in node.children]
            found = [member for member in members if member is not None]
            if found:
                by_kind[kind] = found
        if not by_kind:
            return None

        def check(item: Item, where: Where, run: Run) -> None:
            owner = owner_of(item)
            for member in by_kind.get(item.kind, ()):
                member(owner, where, run)

        return check


def _all(checks: list[Check]) -> Check | None:
    if len(checks) < 2:  # noqa: PLR2004 one needs no loop
        return checks[0] if checks else None

    def check(item: Item, where: Where, run: Run) -> None:
        for one in checks:
            one(item, where, run)

    return check
