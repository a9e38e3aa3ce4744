"""unify.hl7v2.results: ORC, OBR, OBX, SPM, NTE to ServiceRequest, DiagnosticReport, Observation, Specimen.

Room: unify. May import: store, fhir. Standard: HL7 v2.9 chapter 7.3.1 (ORU), 7.4.1 (OBR), 7.4.2 (OBX), 7.4.3 (SPM),
4.5.1 (ORC), 2.14.10 (NTE).
"""

from __future__ import annotations

from typing import Any

from careloom.unify.hl7v2.datatypes import code, date_time
from careloom.unify.hl7v2.mapping import Element, cells, convert, map_segment
from careloom.unify.hl7v2.mentions import organization
from careloom.unify.hl7v2.message import Segment
from careloom.unify.hl7v2.reading import Made, Reading
from careloom.unify.hl7v2.scene import Order, Scene, stamp
from careloom.unify.hl7v2.tables import TERMINOLOGY, vital_signs, vocabularies
from careloom.unify.hl7v2.values import finish_value, map_value

LOINC = "http://loinc.org"
_NO_ORDER = "no OBR follows it"
_LABORATORY = frozenset(
    [
        "BG",
        "BLB",
        "CG",
        "CH",
        "CP",
        "GE",
        "HM",
        "IMM",
        "LAB",
        "MB",
        "MCB",
        "MYC",
        "OSL",
        "SR",
        "SP",
        "TX",
        "VR",
    ]
)


def on_orc(scene: Scene, index: int, segment: Segment) -> None:
    """An ORC waits for the OBR whose order it is about."""
    leave_order(scene)
    scene.pending_order = (index, segment)


def on_obr(scene: Scene, index: int, segment: Segment) -> None:
    """OBR: a DiagnosticReport, the ServiceRequest it answers, and in older versions the Specimen."""
    reading, patient = scene.reading, scene.patient
    if patient is None:
        return
    control = scene.pending_order
    scene.pending_order = None
    key = _order_key(scene, index, segment, control)
    report = reading.new("DiagnosticReport", *key)
    request = reading.new("ServiceRequest", *key, anchor=report.path)
    order = scene.order = Order(report, request)
    scene.orders.append(order)
    scene.specimen = None
    report.resource.update({"basedOn": [request.reference], "subject": patient.reference})
    request.resource.update({"intent": "order", "subject": patient.reference})
    slots: dict[str, tuple[Element, str] | str] = {
        "DiagnosticReport": (report.resource, report.path),
        "ServiceRequest": (request.resource, request.path),
    }
    if any(segment.is_valued(number) for number in (9, 10, 14, 15, 39)):
        specimen = reading.new("Specimen", *key, "OBR", anchor=report.path)
        order.specimens.append(specimen)
        slots["Specimen"] = (specimen.resource, specimen.path)
    if control:
        _control(scene, control, request)
    map_segment(reading, index, slots)
    _effective(reading, index, segment, report)
    scene.noted = report


def on_obx(scene: Scene, index: int, segment: Segment) -> None:
    """OBX: an Observation of the order, or of the patient where no order stands before it."""
    reading, patient = scene.reading, scene.patient
    if patient is None:
        return
    order = scene.order
    key = _observation_key(scene, index, segment)
    observation = reading.new("Observation", *key, anchor=order.report.path if order else scene.anchor())
    resource, path = observation.resource, observation.path
    map_value(reading, index, segment, resource, path)
    slots: dict[str, tuple[Element, str] | str] = {
        "Observation": (resource, path),
        "Laboratory": "OBX-23 names no organization",
    }
    _laboratory(reading, index, segment, resource, slots)
    map_segment(reading, index, slots)
    _observation_status(scene, index, segment, resource, path)
    _observation_code(scene, resource)
    finish_value(resource)
    _categories(resource, order)
    resource["subject"] = patient.reference
    if scene.visit:
        resource["encounter"] = scene.visit.reference
    if "effectiveDateTime" not in resource and order:
        for name in ("effectiveDateTime", "effectivePeriod"):
            if name in order.report.resource:
                resource[name] = order.report.resource[name]
    if order:
        order.observations.append(observation)
        if scene.specimen:
            resource["specimen"] = scene.specimen.reference
    scene.noted = observation


def on_specimen(scene: Scene, index: int, segment: Segment) -> None:
    """SPM: the Specimen of the order; the OBX after it are about the specimen."""
    reading, patient = scene.reading, scene.patient
    if patient is None:
        return
    anchor = scene.order.report.path if scene.order else scene.anchor()
    numbers = [
        reading.part_text(part, 1)
        for field in (2, 30, 31)
        for cell in cells(index, segment, field)[:1]
        for _, part in cell.parts()[:2]
    ]
    whose = scene.order.report.resource["id"] if scene.order else patient.resource["id"]
    specimen = reading.new("Specimen", whose, *numbers, anchor=anchor)
    resource = specimen.resource
    map_segment(reading, index, {"Specimen": (resource, specimen.path)})
    for cell in cells(index, segment, 17)[:1]:
        _collected(reading, cell, resource, specimen.path)
    resource["subject"] = patient.reference
    scene.specimen = scene.noted = specimen
    if scene.order:
        scene.order.specimens.append(specimen)


def on_note(scene: Scene, index: int, _segment: Segment) -> None:
    """NTE: a note on what stands before it, where R4 holds notes there."""
    reading, noted = scene.reading, scene.noted
    kind = noted.resource["resourceType"] if noted else ""
    note: Element = {}
    if noted is None or kind in {"Patient", "Encounter"}:
        map_segment(reading, index, {"Note": "R4 has no notes on a Patient or Encounter"})
        return
    if kind == "DiagnosticReport" and scene.order:
        noted = scene.order.request
    notes: list[Any] = noted.resource.get("note", [])
    map_segment(reading, index, {"Note": (note, f"{noted.path}.note[{len(notes)}]")})
    if note:
        note.setdefault("text", "-")
        noted.resource["note"] = [*notes, note]


def finish_order(scene: Scene, order: Order) -> None:
    """Close an order: what it holds, whose it is, and when it was stated."""
    report, request = order.report.resource, order.request.resource
    report.setdefault("status", "unknown")
    request.setdefault(
        "status", "completed" if report["status"] in {"final", "corrected", "amended"} else "active"
    )
    for resource in (report, request):
        resource.setdefault("code", {"text": "not named by the sender"})
    if scene.visit:
        report["encounter"] = request["encounter"] = scene.visit.reference
    if order.observations:
        report["result"] = [made.reference for made in order.observations]
    for specimen in order.specimens:
        specimen.resource["subject"] = request["subject"]
        specimen.resource["request"] = [order.request.reference]
    if order.specimens:
        report["specimen"] = [made.reference for made in order.specimens]
    if len(order.specimens) == 1:
        for observation in order.observations:
            observation.resource.setdefault("specimen", order.specimens[0].reference)
    stamp(scene, order.report)


def leave_order(scene: Scene) -> None:
    """An ORC that no OBR followed: its fields stay in the Event."""
    if scene.pending_order:
        index, _ = scene.pending_order
        map_segment(scene.reading, index, {"ServiceRequest": _NO_ORDER, "Facility": _NO_ORDER})
        for cell in cells(index, scene.reading.message.segments[index], 1):
            scene.reading.keep(cell, _NO_ORDER)
    scene.pending_order = None


def _control(scene: Scene, control: tuple[int, Segment], request: Made) -> None:
    index, segment = control
    reading = scene.reading
    slots: dict[str, tuple[Element, str] | str] = {"ServiceRequest": (request.resource, request.path)}
    names = cells(index, segment, 21)
    name = reading.part_text(names[0], 1) if names else ""
    if name:
        facility = reading.new("Organization", "ordering", name, extent="partial")
        slots["Facility"] = (facility.resource, facility.path)
        request.resource["extension"] = [
            {
                "url": "urn:careloom:ordering-facility",
                "valueReference": {**facility.reference, "display": name},
            }
        ]
    else:
        slots["Facility"] = "ORC-21 names no facility"
    map_segment(reading, index, slots)
    for cell in cells(index, segment, 1)[:1]:
        if "status" in request.resource:
            reading.keep(cell, "ORC-5 gives the status")
        elif value := code(reading, cell, f"{request.path}.status", vocabularies()["OrderControl"]):
            request.resource["status"] = value


def _order_key(
    scene: Scene, index: int, segment: Segment, control: tuple[int, Segment] | None
) -> tuple[str, ...]:
    """Filler number, else placer number, else the patient, what was asked and when."""
    reading = scene.reading
    for kind, number in (("filler", 3), ("placer", 2)):
        for at, holder in ((index, segment), *((control,) if control else ())):
            for cell in cells(at, holder, number)[:1]:
                if value := reading.part_text(cell, 1):
                    return (
                        kind,
                        value,
                        *(reading.part_text(cell, n) for n in (2, 3)),
                    )
    texts = [
        reading.part_text(cell, part)
        for number, part in ((4, 1), (4, 2), (7, 1))
        for cell in cells(index, segment, number)[:1]
    ]
    return (scene.patient.resource["id"] if scene.patient else "", *texts)


def _observation_key(scene: Scene, index: int, segment: Segment) -> tuple[str, ...]:
    """OBX-21, else the order, OBX-3, OBX-4 and the time (without one the set id)."""
    reading = scene.reading
    for cell in cells(index, segment, 21)[:1]:
        if value := reading.part_text(cell, 1):
            return ("instance", value, *(reading.part_text(cell, part) for part in (2, 3)))
    whose = scene.order.report.resource["id"] if scene.order else scene.subject.get("reference", "")
    texts = [
        reading.part_text(found[0], part) if (found := cells(index, segment, number)) else ""
        for number, part in ((3, 1), (3, 2), (3, 3), (4, 1), (14, 1))
    ]
    if not texts[-1]:
        texts += [reading.text(cell) for cell in cells(index, segment, 1)[:1]]
        if not scene.order:
            texts.append(scene.stated.text)
    return (whose, *texts)


def _effective(reading: Reading, index: int, segment: Segment, report: Made) -> None:
    """OBR-7 and OBR-8: a dateTime, or a Period when both are given."""
    starts, ends = cells(index, segment, 7)[:1], cells(index, segment, 8)[:1]
    if starts and not ends:
        if value := date_time(reading, starts[0], f"{report.path}.effectiveDateTime"):
            report.resource["effectiveDateTime"] = value
        return
    period: Element = {}
    for name, found in (("start", starts), ("end", ends)):
        if found and (value := date_time(reading, found[0], f"{report.path}.effectivePeriod.{name}")):
            period[name] = value
    if period:
        report.resource["effectivePeriod"] = period


def _laboratory(
    reading: Reading,
    index: int,
    segment: Segment,
    resource: Element,
    slots: dict[str, tuple[Element, str] | str],
) -> None:
    """OBX-23: who performed it; OBX-24 is that organization's address."""
    for cell in cells(index, segment, 23)[:1]:
        reference = organization(reading, cell, "")
        if reference:
            resource["performer"] = [reference]
            made = reading.made[reference["reference"]]
            slots["Laboratory"] = (made.resource, made.path)


def _observation_status(scene: Scene, index: int, segment: Segment, resource: Element, path: str) -> None:
    reading = scene.reading
    resource["status"] = "unknown"
    for cell in cells(index, segment, 11)[:1]:
        if value := code(reading, cell, f"{path}.status", vocabularies()["ObservationStatus"]):
            resource["status"] = value
    if resource["status"] == "unknown":
        scene.warn("OBX-11 is missing or unknown: send the result status.", "OBX-11")


def _observation_code(scene: Scene, resource: Element) -> None:
    if "code" not in resource:
        scene.warn("OBX-3 is missing: the code of the order stands for it.", "OBX-3")
        asked = scene.order.report.resource.get("code") if scene.order else None
        resource["code"] = asked or {"text": "not named by the sender"}


def _categories(resource: Element, order: Order | None) -> None:
    """Vital signs by their LOINC code; results of a laboratory section are laboratory."""
    codings: list[Element] = resource["code"].get("coding", [])
    found = ""
    if any(item.get("system") == LOINC and item.get("code") in vital_signs() for item in codings):
        found = "vital-signs"
    elif order and (
        order.specimens
        or any(
            item.get("code") in _LABORATORY
            for category in order.report.resource.get("category", [])
            for item in category.get("coding", [])
        )
    ):
        found = "laboratory"
    if found:
        coding = {"system": f"{TERMINOLOGY}observation-category", "code": found}
        resource["category"] = [*resource.get("category", []), {"coding": [coding]}]


def _collected(reading: Reading, cell: Any, resource: Element, path: str) -> None:
    if cell.part(2):
        period = convert(reading, "DR[Period]", cell, f"{path}.collection.collectedPeriod")
        if period:
            resource.setdefault("collection", {})["collectedPeriod"] = period
    elif value := date_time(reading, cell, f"{path}.collection.collectedDateTime"):
        resource.setdefault("collection", {})["collectedDateTime"] = value
