"""fhir.profile.snapshot: the snapshot of a StructureDefinition that has a differential only.

Room: fhir. May import: fhir.facts, fhir.outcome, fhir.profile.
Standard: https://hl7.org/fhir/R4/profiling.html#snapshot

The base is taken as a tree, and each element of the differential walks down it: into slices (a new one begins as the
element that it is a slice of was in the base), into data types and their profiles, into what a contentReference
repeats, and from `valueQuantity` into `value[x]`. There it changes what it says, and leaves what it does not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from careloom.fhir.facts import facts
from careloom.fhir.outcome import Issue, OutcomeError
from careloom.fhir.profile.node import Definition, Node, tree

Elements = Callable[[str], list[Definition] | None]
"""The elements of the snapshot of a type or profile; None where it is not known."""
CORE = "http://hl7.org/fhir/StructureDefinition/"
_FHIRPATH = "http://hl7.org/fhirpath/"
_PLACE = frozenset({"id", "path", "sliceName"})
_VALUES = ("fixed", "pattern", "minValue", "maxValue")
_BY_URL = {"discriminator": [{"type": "value", "path": "url"}], "ordered": False, "rules": "open"}
_BY_TYPE = {"discriminator": [{"type": "type", "path": "$this"}], "ordered": False, "rules": "open"}


@dataclass(slots=True)
class _Part:
    """An element under way. `origin` is what it was in the base, from which its slices are made."""

    name: str
    slice_name: str
    definition: Definition
    origin: Node | None = None
    children: list[_Part] = field(default_factory=list["_Part"])
    slices: list[_Part] = field(default_factory=list["_Part"])


def snapshot(
    profile: Definition, elements: Elements, common: dict[str, list[Definition]] | None = None
) -> list[Definition]:
    """The elements of the snapshot. Raises OutcomeError where the base is not known or has no such element.

    `common` holds the constraints that a new type repeats at each element: of Element, and of Extension.

    >>> basic = [{"id": "Basic", "path": "Basic", "min": 0}, {"id": "Basic.code", "path": "Basic.code", "min": 1}]
    >>> differential = {"element": [{"path": "Basic.code", "min": 1, "max": "1"}]}
    >>> profile = {"url": "urn:p", "type": "Basic", "baseDefinition": "urn:b", "differential": differential}
    >>> [(one["id"], one.get("max")) for one in snapshot(profile, lambda url: basic)]
    [('Basic', None), ('Basic.code', '1')]
    """
    differential = profile.get("differential", {}).get("element", [])
    return list(_flat(_Maker(profile, elements, common or {}).made(differential), "", ""))


class _Maker:
    """Makes one snapshot."""

    def __init__(self, profile: Definition, elements: Elements, common: dict[str, list[Definition]]) -> None:
        self.common = common
        self.url: str = profile.get("url", "")
        self.is_type = profile.get("derivation") == "specialization" or "baseDefinition" not in profile
        self.elements = elements
        self.root = self._base(profile)
        self.choices: list[tuple[_Part, _Part]] = []

    def made(self, differential: list[Definition]) -> _Part:
        """The tree with all that the differential says."""
        for id_, element in _with_ids(differential):
            part = self.root
            for word in id_.split(".")[1:]:
                part = self._step(part, word)
            self._merge(part, element)
        for choice, chosen in self.choices:
            if chosen.definition["min"]:
                # One type is required: so no other is left.
                slicing = {**choice.definition["slicing"], "rules": "closed"}
                choice.definition |= {"min": 1, "type": chosen.definition["type"], "slicing": slicing}
        return self.root

    def _base(self, profile: Definition) -> _Part:
        base = profile.get("baseDefinition")
        if base is None:
            return _Part(profile["type"], "", {"min": 0, "max": "*"})
        found = self.elements(base.partition("|")[0])
        if found is None:
            text = (
                f"The profile {self.url} has no snapshot, and what it builds on, {base}, is not known here."
            )
            raise OutcomeError(Issue("not-supported", text))
        root = _part(tree({"url": base, "snapshot": {"element": found}}))
        root.name = profile["type"] if self.is_type else root.name
        return root

    def _step(self, part: _Part, word: str) -> _Part:
        """The child or slice that a word of an id names: `code`, `component:systolic`, `valueQuantity`."""
        name, _, slice_name = word.partition(":")
        self._open(part)
        child = next((one for one in part.children if one.name == name), None)
        if child is None and self.is_type:
            child = _Part(name, "", {})
            part.children.append(child)
        if child is None:
            child = self._of_choice(part, name)
        return _slice(child, slice_name) if slice_name else child

    def _of_choice(self, part: _Part, name: str) -> _Part:
        """`valueQuantity` as a slice of `value[x]`; `value[x]` itself within a slice, or where it has one type only."""
        for child in part.children:
            stem = child.name.removesuffix("[x]")
            types = child.definition.get("type", ()) if child.name != stem and name.startswith(stem) else ()
            kinds = [kind for kind in types if _capital(kind["code"]) == name[len(stem) :]]
            if not kinds:
                continue
            if part.slice_name or (len(types) == 1 and not child.slices):
                child.definition["type"] = kinds
                return child
            child.definition.setdefault("slicing", _BY_TYPE)
            found = _slice(child, name)
            found.definition["type"] = kinds
            self.choices.append((child, found))
            return found
        text = f"The differential of {self.url} speaks of an element that its base does not have."
        raise OutcomeError(Issue("structure", text, name))

    def _open(self, part: _Part) -> None:
        """Give an element the children of its type, of the profile of its type, or of what it repeats."""
        if part.children or part is self.root:
            return
        definition = part.definition
        if "contentReference" in definition:
            target = self._repeated(definition.pop("contentReference"))
            definition["type"] = target.definition.get("type", [])
            part.children = [_part(child) for child in target.children]
            return
        types = definition.get("type", [])
        urls = types[0].get("profile", []) if len(types) == 1 else []
        kind = types[0]["code"] if len(types) == 1 else "Element"
        found = self.elements(urls[0].partition("|")[0]) if len(urls) == 1 else None
        found = found or self.elements(CORE + kind)
        if found is not None:
            part.children = [_part(child) for child in tree({"snapshot": {"element": found}}).children]

    def _repeated(self, reference: str) -> Node:
        """The element that a contentReference names: `#Bundle.link`, or that behind the address of its type."""
        id_ = reference.rpartition("#")[2]
        if self.is_type and id_.partition(".")[0] == self.root.name:
            return _node(self.root, id_)
        found = self.elements(CORE + id_.partition(".")[0])
        here = tree({"snapshot": {"element": found or []}})
        for name in id_.split(".")[1:]:
            here = next(child for child in here.children if child.name == name)
        return here

    def _merge(self, part: _Part, element: Definition) -> None:
        definition = part.definition
        is_new = self.is_type and not definition
        values = [key for key in element if key.startswith(_VALUES)]
        if values or self.is_type:
            for key in [key for key in definition if key.startswith(_VALUES) or key == "maxLength"]:
                del definition[key]
        for key, value in element.items():
            if key == "constraint":
                self._constrain(definition, [{"source": self.url, **one} for one in value])
            elif key == "binding":
                kept = {name: said for name, said in definition.get(key, {}).items() if name != "extension"}
                definition[key] = kept | value
            elif key not in _PLACE:
                definition[key] = value
        if is_new:
            self._as_element(definition)
        elif "type" in element and not self.is_type:
            self._as_profile(definition)

    def _constrain(self, definition: Definition, constraints: list[Definition]) -> None:
        keys = {one["key"] for one in constraints}
        kept = [one for one in definition.get("constraint", ()) if one["key"] not in keys]
        definition["constraint"] = [*kept, *constraints]

    def _as_profile(self, definition: Definition) -> None:
        """What the profile of its type says of the value as a whole is said at the element too."""
        urls = [url for kind in definition["type"] for url in kind.get("profile", ())]
        is_one = len(urls) == len(definition["type"]) == 1
        kind = facts().types.get(definition["type"][0]["code"]) if is_one else None
        is_within = kind is not None and kind.kind != "resource"
        found = self.elements(urls[0].partition("|")[0]) if is_within else None
        if found:
            self._constrain(definition, found[0].get("constraint", []))

    def _as_element(self, definition: Definition) -> None:
        """What holds of every element (ele-1) and of every extension (ext-1) is said again at each."""
        codes = [kind["code"] for kind in definition.get("type", ())]
        if any(code.startswith(_FHIRPATH) or code == "Resource" for code in codes):
            return
        for root in ("Element", "Extension") if codes == ["Extension"] else ("Element",):
            self._constrain(definition, self.common.get(root, []))


def _slice(part: _Part, name: str) -> _Part:
    """The slice of this name; a new one, of what the element was in the base, where there is none."""
    found = next((one for one in part.slices if one.slice_name == name), None)
    if found is not None:
        return found
    outer = next((one for one in part.slices if name.startswith(f"{one.slice_name}/")), None)
    if outer is not None:
        return _slice_of(outer, name)
    if part.name in {"extension", "modifierExtension"}:
        part.definition.setdefault("slicing", _BY_URL)
    return _slice_of(part, name)


def _slice_of(part: _Part, name: str) -> _Part:
    origin = part.origin
    new = _part(origin) if origin is not None else _Part(part.name, "", dict(part.definition))
    new.slice_name, new.slices = name, []
    new.children = [_copy(child) for child in part.children]
    new.definition = {key: value for key, value in new.definition.items() if key != "slicing"} | {"min": 0}
    part.slices.append(new)
    return new


def _part(node: Node) -> _Part:
    definition = {key: value for key, value in node.definition.items() if key not in _PLACE}
    return _Part(
        node.name,
        node.slice_name,
        definition,
        node,
        [_part(child) for child in node.children],
        [_part(one) for one in node.slices],
    )


def _copy(part: _Part) -> _Part:
    """The part and all below it once more, to be changed on its own."""
    children, slices = [_copy(one) for one in part.children], [_copy(one) for one in part.slices]
    return _Part(part.name, part.slice_name, dict(part.definition), part.origin, children, slices)


def _node(root: _Part, id_: str) -> Node:
    found = tree({"snapshot": {"element": list(_flat(root, "", ""))}})
    for name in id_.split(".")[1:]:
        found = next(child for child in found.children if child.name == name)
    return found


def _flat(part: _Part, id_: str, path: str) -> Iterator[Definition]:
    here = f"{path}.{part.name}" if path else part.name
    mine = f"{id_}.{part.name}" if id_ else part.name
    named: dict[str, Any] = {"sliceName": part.slice_name} if part.slice_name else {}
    mine += f":{part.slice_name}" if part.slice_name else ""
    yield {"id": mine, "path": here, **named, **part.definition}
    for child in part.children:
        yield from _flat(child, mine, here)
    for one in part.slices:
        yield from _flat(one, id_, path)


def _with_ids(differential: list[Definition]) -> Iterator[tuple[str, Definition]]:
    """Each element with its id; where none is said, it belongs to the slice that was last named on its path."""
    latest: dict[str, str] = {}
    for element in differential:
        path: str = element["path"]
        above, _, name = path.rpartition(".")
        colon = f":{element['sliceName']}" if "sliceName" in element else ""
        id_ = element.get("id") or (f"{latest.get(above, above)}.{name}{colon}" if above else path)
        latest[path] = id_
        yield id_, element


def _capital(kind: str) -> str:
    return kind[:1].upper() + kind[1:]
