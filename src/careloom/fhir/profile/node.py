"""fhir.profile.node: the snapshot of a StructureDefinition as a tree: elements, their children, their slices.

Room: fhir. May import: fhir.outcome. Standard: https://hl7.org/fhir/R4/elementdefinition.html

The ids of elements say where each belongs: `Observation.component:systolic.code` is the child `code` of the slice
`systolic` of `component`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from careloom.fhir.outcome import Issue, OutcomeError

Definition = dict[str, Any]


@dataclass(slots=True)
class Node:
    """One element of a profile. `name` is its last word: `component`, `value[x]`."""

    id: str
    name: str
    definition: Definition
    children: list[Node] = field(default_factory=list["Node"])
    slices: list[Node] = field(default_factory=list["Node"])

    @property
    def slice_name(self) -> str:
        """The name of the slice that this is, or "" for an element."""
        return self.definition.get("sliceName", "")

    @property
    def types(self) -> list[str]:
        """The codes of the types allowed; primitives that only FHIRPath names are left out."""
        codes = (kind["code"] for kind in self.definition.get("type", ()))
        return [code for code in codes if not code.startswith("http://hl7.org/fhirpath/")]

    @property
    def min(self) -> int:
        """The least number of items."""
        return self.definition.get("min", 0)

    @property
    def max(self) -> int | None:
        """The greatest number of items; None for *."""
        most = self.definition.get("max", "*")
        return None if most == "*" else int(most)

    @property
    def required(self) -> tuple[str, Any] | None:
        """("fixed" or "pattern", the value), where one is given."""
        for key, value in self.definition.items():
            if key.startswith(("fixed", "pattern")):
                return ("fixed" if key.startswith("fixed") else "pattern"), value
        return None

    def child(self, name: str) -> Node | None:
        """The child of this name; `value` finds `value[x]` too."""
        return next((one for one in self.children if one.name in {name, f"{name}[x]"}), None)

    def profiles(self, key: str = "profile") -> list[str]:
        """The canonical addresses under `profile` or `targetProfile` of its types, without version."""
        return [
            url.partition("|")[0] for kind in self.definition.get("type", ()) for url in kind.get(key, ())
        ]


def tree(profile: Definition) -> Node:
    """The root of the snapshot. Raises OutcomeError where there is none, or where it does not hang together.

    >>> elements = [{"id": "Basic", "path": "Basic"}, {"id": "Basic.code", "path": "Basic.code", "min": 1}]
    >>> tree({"url": "urn:p", "snapshot": {"element": elements}}).children[0].min
    1
    """
    elements = profile.get("snapshot", {}).get("element", [])
    if not elements:
        raise OutcomeError(Issue("not-supported", f"The profile {profile.get('url', '')} has no snapshot."))
    nodes: dict[str, Node] = {}
    for definition in elements:
        id_ = definition.get("id", definition["path"])
        _, _, last = id_.rpartition(".")
        node = nodes[id_] = Node(id_, last.partition(":")[0], definition)
        owner = _owner(nodes, id_)
        if owner is not None:
            (owner.slices if ":" in last else owner.children).append(node)
        elif len(nodes) > 1:
            text = f"The snapshot of {profile.get('url', '')} has an element without the one above it."
            raise OutcomeError(Issue("structure", text, id_))
    return nodes[elements[0].get("id", elements[0]["path"])]


def _owner(nodes: dict[str, Node], id_: str) -> Node | None:
    """What a node hangs on: a child on the element before the last dot, a slice on the element before its colon."""
    above, _, last = id_.rpartition(".")
    name, colon, slice_name = last.partition(":")
    if not colon:
        return nodes.get(above)
    element = f"{above}.{name}" if above else name
    outer, slash, _ = slice_name.rpartition("/")
    # A slice of a slice hangs on that slice, if the profile says of it that it is sliced again.
    return (nodes.get(f"{element}:{outer}") if slash else None) or nodes.get(element)


def walk(node: Node) -> Iterator[Node]:
    """The node and all below it."""
    yield node
    for one in (*node.children, *node.slices):
        yield from walk(one)
