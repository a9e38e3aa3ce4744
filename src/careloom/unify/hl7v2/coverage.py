"""unify.hl7v2.coverage: IN1, IN2, GT1 to Coverage, payor Organization, subscriber, guarantor.

Room: unify. May import: store, fhir. Standard: HL7 v2.9 chapter 6.5.6 (IN1), 6.5.7 (IN2), 6.5.5 (GT1).
"""

from __future__ import annotations

from typing import Any

from careloom.unify.hl7v2.datatypes import string, token
from careloom.unify.hl7v2.mapping import Element, cells, converter, map_segment
from careloom.unify.hl7v2.message import Segment
from careloom.unify.hl7v2.reading import Cell, Made, Reading
from careloom.unify.hl7v2.scene import Scene
from careloom.unify.hl7v2.tables import TERMINOLOGY, Vocabulary

_SELF = frozenset({"SEL", "SELF", "S", "18"})
_NO_COVERAGE = "no IN1 stands before it"


@converter("CWE[class]")
def plan_class(reading: Reading, cell: Cell, path: str, _vocabulary: Vocabulary | None = None) -> Any:
    """A class of a Coverage: R4 asks for a value, so that a plan known by its name alone has the name as value."""
    sent, shown = cell.part(1), cell.part(2)
    value = token(reading, sent, f"{path}.value") if sent else None
    name = string(reading, shown, f"{path}.name" if value else f"{path}.value") if shown else None
    for number, part in cell.parts():
        if number > 2:  # noqa: PLR2004
            reading.keep(part, "a class holds one value and its name")
    if value and name:
        return {"value": value, "name": name}
    return {"value": value or name} if value or name else None


def on_guarantor(scene: Scene, index: int, segment: Segment) -> None:
    """GT1: a RelatedPerson who pays, and the guarantor of the Account."""
    reading, patient = scene.reading, scene.patient
    if patient is None:
        return
    key = _texts(reading, index, segment, (2,)) or _texts(reading, index, segment, (3, 21))
    guarantor = reading.new(
        "RelatedPerson", patient.resource["id"], "GT1", key, extent=scene.extent, anchor=patient.path
    )
    guarantor.resource["patient"] = patient.reference
    map_segment(reading, index, {"Guarantor": (guarantor.resource, guarantor.path)})
    role = {"coding": [{"system": f"{TERMINOLOGY}v3-RoleClass", "code": "GUAR", "display": "guarantor"}]}
    guarantor.resource.setdefault("relationship", []).append(role)
    if scene.account:
        scene.account.resource.setdefault("guarantor", []).append({"party": guarantor.reference})


def on_insurance(scene: Scene, index: int, segment: Segment) -> None:
    """IN1: a Coverage of the patient, who pays it and who holds it."""
    reading, patient = scene.reading, scene.patient
    if patient is None:
        return
    plan = _texts(reading, index, segment, (2, 3, 4, 36, 49)) or _texts(reading, index, segment, (1,))
    coverage = reading.new("Coverage", patient.resource["id"], plan, extent=scene.extent, anchor=patient.path)
    resource = coverage.resource
    resource.update({"status": "active", "beneficiary": patient.reference})
    payor = _organization(reading, index, segment, 3, 4)
    holder = _organization(reading, index, segment, 10, 11)
    subscriber = _subscriber(scene, index, segment, plan)
    none = "neither a name nor an identifier is given"
    slots: dict[str, tuple[Element, str] | str] = {
        "Coverage": (resource, coverage.path),
        "Payor": (payor.resource, payor.path) if payor else none,
        "PolicyHolder": (holder.resource, holder.path) if holder else none,
        "Subscriber": (subscriber.resource, subscriber.path)
        if subscriber
        else "the patient is the insured: PID says it",
    }
    map_segment(reading, index, slots)
    if subscriber:
        resource["subscriber"] = subscriber.reference
    elif _relationship(reading, index, segment) in _SELF:
        resource["subscriber"] = patient.reference
    if holder and len(holder.resource) > len(reading.shell("Organization")):
        resource["policyHolder"] = holder.reference
    resource["payor"] = [payor.reference if payor else patient.reference]
    scene.coverage, scene.subscriber = coverage, subscriber
    if scene.account:
        scene.account.resource.setdefault("coverage", []).append({"coverage": coverage.reference})


def on_insurance_more(scene: Scene, index: int, _segment: Segment) -> None:
    """IN2: more about the Coverage of the IN1 before it."""
    coverage, subscriber = scene.coverage, scene.subscriber
    slots: dict[str, tuple[Element, str] | str] = {"Coverage": _NO_COVERAGE, "Subscriber": _NO_COVERAGE}
    if coverage:
        slots["Coverage"] = (coverage.resource, coverage.path)
        slots["Subscriber"] = (
            (subscriber.resource, subscriber.path)
            if subscriber
            else "the patient is the insured: PID says it"
        )
    map_segment(scene.reading, index, slots)


def _organization(reading: Reading, index: int, segment: Segment, number: int, name: int) -> Made | None:
    """An organization that the rows of IN1 fill; found again by its identifier and name together."""
    key = _texts(reading, index, segment, (number, name))
    if not key:
        return None
    path = f"Organization/{reading.id_of('Organization', key)}"
    # Two IN1 of one payor: the second gets a copy of its own only where it says something else.
    return (
        reading.new("Organization", key, extent="partial") if path not in reading.made else reading.made[path]
    )


def _subscriber(scene: Scene, index: int, segment: Segment, plan: str) -> Made | None:
    """The insured, when it is not the patient."""
    patient, reading = scene.patient, scene.reading
    says = any(segment.is_valued(number) for number in (16, 18, 19, 43, 49))
    if patient is None or not says or _relationship(reading, index, segment) in _SELF:
        return None
    made = reading.new(
        "RelatedPerson", patient.resource["id"], "IN1", plan, extent=scene.extent, anchor=patient.path
    )
    made.resource["patient"] = patient.reference
    return made


def _relationship(reading: Reading, index: int, segment: Segment) -> str:
    return next((reading.part_text(cell, 1).upper() for cell in cells(index, segment, 17)), "")


def _texts(reading: Reading, index: int, segment: Segment, numbers: tuple[int, ...]) -> str:
    return "|".join(
        ",".join(reading.text(leaf) for leaf in found[0].leaves())
        for number in numbers
        if (found := cells(index, segment, number))
    )
