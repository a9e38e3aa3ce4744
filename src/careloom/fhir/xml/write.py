"""fhir.xml.write: the JSON form of a resource to FHIR XML.

Room: fhir. May import: fhir.facts, fhir.outcome, fhir.xml.slot, fhir.xml.narrative.
Standard: https://hl7.org/fhir/R4/xml.html

Elements are put into the order of the standard. What R4 does not know is refused rather than left out.
"""

from __future__ import annotations

from typing import Any

from careloom.fhir.facts import resource_types
from careloom.fhir.outcome import Issue, OutcomeError
from careloom.fhir.resource import Resource
from careloom.fhir.xml.lexical import text_of
from careloom.fhir.xml.narrative import embeddable
from careloom.fhir.xml.slot import ATTRIBUTE, COMPLEX, FHIR, MAX_DEPTH, NARRATIVE, PRIMITIVE, Slot, slots


def dumps(resource: Resource, *, pretty: bool = False) -> bytes:
    """Write a resource. Raises OutcomeError where it is none that R4 knows or cannot stand in XML.

    >>> dumps({"resourceType": "Basic", "id": "7"})[38:]
    b'<Basic xmlns="http://hl7.org/fhir"><id value="7"/></Basic>'
    """
    parts: list[str] = []
    _Writer(parts, "\n" if pretty else "", "  " if pretty else "").resource(resource, f' xmlns="{FHIR}"', 0)
    return ('<?xml version="1.0" encoding="UTF-8"?>' + "".join(parts)).encode()


class _Writer:
    """`line` and `indent` stand before each tag; both are empty where size counts."""

    def __init__(self, parts: list[str], line: str, indent: str) -> None:
        self._put = parts.append
        self._line = line
        self._indent = indent

    def resource(self, resource: Any, namespace: str, depth: int) -> None:
        rtype = resource.get("resourceType") if type(resource) is dict else None
        if type(rtype) is not str or rtype not in resource_types():
            raise OutcomeError(
                Issue("structure", "Expected the name of an R4 resource type.", "resourceType")
            )
        bare = {key: value for key, value in resource.items() if key != "resourceType"}
        self._element(rtype, rtype, bare, namespace, depth)

    def _element(self, name: str, owner: str, value: Any, attributes: str, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise OutcomeError(Issue("too-costly", "The resource is nested too deeply."))
        if type(value) is not dict:
            raise OutcomeError(Issue("structure", f"Expected an object ({owner}).", name))
        known, children = slots(owner), dict[str, Slot]()
        for key, item in value.items():
            slot = known.get(key) or (known.get(key[1:]) if key[:1] == "_" else None)
            if slot is None or (slot.key != key and slot.form != PRIMITIVE):
                raise OutcomeError(
                    Issue("structure", "There is no such element here.", f"{owner}.{key[:64]}")
                )
            if slot.form == ATTRIBUTE:
                attributes += f' {key}="{_attribute(item, key)}"'
            else:
                children[slot.key] = slot
        before = f"{self._line}{self._indent * depth}"
        if not children:
            self._put(f"{before}<{name}{attributes}/>")
            return
        self._put(f"{before}<{name}{attributes}>")
        for slot in sorted(children.values()):
            self._child(slot, value, depth + 1)
        self._put(f"{before}</{name}>")

    def _child(self, slot: Slot, owner: dict[str, Any], depth: int) -> None:
        if slot.form == PRIMITIVE:
            self._primitives(slot, owner, depth)
            return
        value = owner[slot.key]
        if slot.is_many != (type(value) is list):
            expected = "an array" if slot.is_many else "one value"
            raise OutcomeError(Issue("structure", f"Expected {expected}.", slot.key))
        before = f"{self._line}{self._indent * depth}"
        for item in value if slot.is_many else [value]:
            if slot.form == COMPLEX:
                self._element(slot.key, slot.kind, item, "", depth)
            elif slot.form == NARRATIVE:
                self._put(f"{before}{embeddable(item)}")
            else:
                self._put(f"{before}<{slot.key}>")
                self.resource(item, "", depth + 1)
                self._put(f"{before}</{slot.key}>")

    def _primitives(self, slot: Slot, owner: dict[str, Any], depth: int) -> None:
        values, siblings = owner.get(slot.key), owner.get(f"_{slot.key}")
        if not slot.is_many:
            self._primitive(slot, values, siblings, depth)
            return
        given = [items for items in (values, siblings) if items is not None]
        if not given or not all(type(items) is list and len(items) == len(given[0]) for items in given):
            raise OutcomeError(Issue("structure", "Expected arrays of equal length.", slot.key))
        for index in range(len(given[0])):
            value, sibling = values and values[index], siblings and siblings[index]
            self._primitive(slot, value, sibling, depth)

    def _primitive(self, slot: Slot, value: Any, sibling: Any, depth: int) -> None:
        if value is None and not sibling:
            raise OutcomeError(Issue("structure", "There is neither value nor extension.", slot.key))
        attribute = "" if value is None else f' value="{text_of(value, slot.key)}"'
        if sibling:
            self._element(slot.key, "Element", sibling, attribute, depth)
        else:
            self._put(f"{self._line}{self._indent * depth}<{slot.key}{attribute}/>")


def _attribute(value: Any, key: str) -> str:
    if type(value) is not str:
        raise OutcomeError(Issue("structure", "Expected a text.", key))
    return text_of(value, key)
