"""fhir.profile.discriminator: which items belong to a slice: value, pattern, exists, type and profile.

Room: fhir. May import: fhir.profile. Standard: https://hl7.org/fhir/R4/profiling.html#discriminator

A discriminator names a path below the item. What the slice fixes there, or above it on the way there, tells its
items from others.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from careloom.fhir.profile.coded import is_member
from careloom.fhir.profile.element import bound
from careloom.fhir.profile.item import Item, getter, owner_kind, owner_of
from careloom.fhir.profile.match import fits, is_fixed
from careloom.fhir.profile.node import Node
from careloom.fhir.profile.run import Check, Run, Where

if TYPE_CHECKING:
    from careloom.fhir.profile.compile import Compiler

Predicate = Callable[[Item, Run], bool | None]
"""Whether an item belongs to a slice; None where that cannot be said."""
_HERE = Where(None, "")
_STEP = re.compile(r"(\$this)|(resolve)\(\)|(extension|ofType)\(\s*'?([^')]*)'?\s*\)|(\w+)")


class _Step(NamedTuple):
    """One word of a path: this, resolve, extension (with its url), ofType (with a type), or child (with a name)."""

    kind: str
    argument: str = ""


def predicate(
    compiler: Compiler, node: Node, check: Check | None, discriminators: list[dict[str, str]]
) -> Predicate:
    """Whether an item belongs to the slice `node`; `check` is what the slice asks of its items as a whole."""
    found = [_one(compiler, node, check, one["type"], steps(one["path"])) for one in discriminators]
    if not found:
        return _cannot_be_said
    if len(found) == 1:
        return found[0]

    def is_in(item: Item, run: Run) -> bool | None:
        answer: bool | None = True
        for test in found:
            holds = test(item, run)
            if holds is False:
                return False
            answer = holds if holds is None else answer
        return answer

    return is_in


def steps(path: str) -> list[_Step]:
    """The steps of a path.

    >>> [step.kind for step in steps("entry.resolve().extension('urn:x').value")]
    ['child', 'resolve', 'extension', 'child']
    """
    found: list[_Step] = []
    for match in _STEP.finditer(path):
        this, resolve, function, argument, name = match.groups()
        if this is None:
            found.append(_Step("resolve") if resolve else _Step(function or "child", argument or name))
    return found


def _one(compiler: Compiler, node: Node, check: Check | None, kind: str, path: list[_Step]) -> Predicate:
    """The test of one discriminator: walk down the slice until something is fixed or the path ends."""
    here: Node | None = node
    for depth in range(len(path) + 1):
        if here is not None and here.required is not None and kind in {"value", "pattern"}:
            return _matches(here, path[:depth])
        if depth < len(path):
            here = _below(compiler, here, path[depth], is_last=depth + 1 == len(path))
    if here is None:
        url = node.profiles()
        is_url = path == [_Step("child", "url")] and len(url) == 1
        # The profile of an extension has the address that its url must be.
        return _equals(url[0], path) if is_url else _cannot_be_said
    if kind == "exists":
        return _exists(path, is_wanted=here.min > 0 or here.max != 0)
    if kind == "type":
        return _is_of_type(compiler, here, path)
    if kind == "profile":
        return _conforms(compiler, here, path)
    return _passes(compiler, here, check if here is node else None, path)


def _below(compiler: Compiler, node: Node | None, step: _Step, *, is_last: bool) -> Node | None:
    """The element of the profile that a step leads to; where the slice says nothing, its own profile may."""
    if node is None:
        return None
    if step.kind == "resolve":
        return node if is_last else _root(compiler, node.profiles("targetProfile"))
    if step.kind == "ofType":
        return next((one for one in node.slices if one.types == [step.argument]), node)
    if step.kind == "extension":
        extension = node.child("extension")
        slices = extension.slices if extension is not None else []
        return next((one for one in slices if step.argument in _urls(one)), None)
    child = node.child(step.argument)
    if child is None and node.profiles():
        root = _root(compiler, node.profiles())
        return root.child(step.argument) if root is not None else None
    return child


def _root(compiler: Compiler, urls: list[str]) -> Node | None:
    return compiler.known.root(urls[0]) if len(urls) == 1 else None


def _urls(extension: Node) -> list[str]:
    url = extension.child("url")
    return [*extension.profiles(), *([url.required[1]] if url is not None and url.required else [])]


def _items(item: Item, path: list[_Step], run: Run) -> list[Item] | None:
    """What the path leads to; None where it leads through a reference to what is not here.

    What the last step resolves and is not here is an item without value: its type may be known.
    """
    found = [item]
    for depth, step in enumerate(path, 1):
        found = [below for one in found for below in _step(one, step, run)]
        if step.kind == "resolve" and depth < len(path) and any(one.value is None for one in found):
            return None
    return found


def _any(path: list[_Step], test: Callable[[Item, Run], bool | None]) -> Predicate:
    """Whether one of the items that the path leads to passes; None where that hangs on what cannot be said."""

    def is_in(item: Item, run: Run) -> bool | None:
        items = _items(item, path, run)
        if items is None:
            return None
        answers = {test(one, run) for one in items}
        return True if True in answers else None if None in answers else False

    return is_in


def _step(item: Item, step: _Step, run: Run) -> list[Item]:
    if step.kind == "resolve":
        resource, kind = run.resolve(item.value)
        return [Item(resource, None, kind, item.place)]
    if step.kind == "ofType":
        return [item] if item.kind == step.argument else []
    read = getter(owner_kind(item.kind), "extension" if step.kind == "extension" else step.argument)
    items = read(owner_of(item)) if read is not None else []
    if step.kind == "extension":
        return [one for one in items if one.value.get("url") == step.argument]
    return items


def _matches(node: Node, path: list[_Step]) -> Predicate:
    how, asked = node.required or ("fixed", None)
    test = is_fixed if how == "fixed" else fits
    return _any(path, lambda one, _run: test(one.value, asked))


def _equals(value: str, path: list[_Step]) -> Predicate:
    return _any(path, lambda one, _run: one.value == value)


def _exists(path: list[_Step], *, is_wanted: bool) -> Predicate:
    def is_in(item: Item, run: Run) -> bool | None:
        items = _items(item, path, run)
        return None if items is None else bool(items) == is_wanted

    return is_in


def _is_of_type(compiler: Compiler, node: Node, path: list[_Step]) -> Predicate:
    is_resolved = bool(path) and path[-1].kind == "resolve"
    urls = node.profiles("targetProfile") if is_resolved else []
    kinds = {compiler.kind_of(url) for url in urls} if is_resolved else set(node.types)
    wanted = kinds - {""}

    def is_of_type(item: Item, run: Run) -> bool | None:
        items = _items(item, path, run)
        found = {""} if items is None else {one.kind for one in items}
        if found & wanted or (found and {"Resource", "BackboneElement"} & wanted):
            return True
        return None if "" in found or "" in kinds else False

    return is_of_type


def _conforms(compiler: Compiler, node: Node, path: list[_Step]) -> Predicate:
    is_resolved = bool(path) and path[-1].kind == "resolve"
    urls = node.profiles("targetProfile" if is_resolved else "profile")

    def conforms(one: Item, run: Run) -> bool | None:
        answers = {compiler.conforms(url, one, run) for url in urls}
        return True if True in answers else None if None in answers or not urls else False

    return _any(path, conforms)


def _passes(compiler: Compiler, node: Node, check: Check | None, path: list[_Step]) -> Predicate:
    """Nothing is fixed at the path itself: a required binding, or what is asked of the parts, tells."""
    url = bound(node)
    if url:
        members = compiler.known.terms.members(url)

        return _any(path, lambda one, _run: is_member(one, members))
    checks: dict[str, Check | None] = {}

    def passes(one: Item, run: Run) -> bool | None:
        if one.value is None and one.sibling is None:
            return None  # what a reference leads to, and is not here
        if check is None and one.kind not in checks:
            checks[one.kind] = compiler.check(node, [one.kind], None)
        asked = check or checks[one.kind]
        return None if asked is None else run.attempt(asked, one, _HERE)

    return _any(path, passes)


def _cannot_be_said(_item: Item, _run: Run) -> None:
    return None
