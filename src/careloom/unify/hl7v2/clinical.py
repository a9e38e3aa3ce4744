"""unify.hl7v2.clinical: AL1, IAM, DG1, PR1 to AllergyIntolerance, Condition, Procedure.

Room: unify. May import: store, fhir. Standard: HL7 v2.9 chapter 3.4.6 (AL1), 3.4.7 (IAM), 6.5.2 (DG1), 6.5.4 (PR1).
"""

from __future__ import annotations

from careloom.unify.hl7v2.datatypes import code, string, system_of
from careloom.unify.hl7v2.mapping import Element, cells, map_segment
from careloom.unify.hl7v2.message import Segment
from careloom.unify.hl7v2.reading import Cell, Made, Reading
from careloom.unify.hl7v2.scene import Scene
from careloom.unify.hl7v2.tables import TERMINOLOGY, vocabularies

_NOT_KNOWN = {"text": "not named by the sender"}


def on_allergy(scene: Scene, index: int, segment: Segment) -> None:
    """AL1 or IAM: an allergy or intolerance of the patient."""
    reading, patient = scene.reading, scene.patient
    if patient is None:
        return
    key = _identifier(reading, index, segment, 7) if segment.name == "IAM" else ""
    key = key or _code_key(reading, index, segment, 3)
    allergy = reading.new(
        "AllergyIntolerance", patient.resource["id"], key, extent=scene.extent, anchor=patient.path
    )
    resource = allergy.resource
    map_segment(reading, index, {"AllergyIntolerance": (resource, allergy.path)})
    _allergen(reading, index, segment, allergy)
    _severity(reading, index, segment, allergy)
    _allergy_state(reading, index, segment, allergy)
    if "reaction" in resource and "manifestation" not in resource["reaction"][0]:
        resource["reaction"][0]["manifestation"] = [_NOT_KNOWN]
    resource["patient"] = patient.reference
    resource.setdefault("code", _NOT_KNOWN)


def on_diagnosis(scene: Scene, index: int, segment: Segment) -> None:
    """DG1: a Condition, and its role in the visit."""
    reading, patient = scene.reading, scene.patient
    if patient is None:
        return
    whose = scene.visit.resource["id"] if scene.visit else patient.resource["id"]
    key = _identifier(reading, index, segment, 20) or _code_key(reading, index, segment, 3, 4)
    condition = reading.new("Condition", whose, key, extent=scene.extent, anchor=patient.path)
    resource = condition.resource
    use: Element = {}
    slots: dict[str, tuple[Element, str] | str] = {
        "Condition": (resource, condition.path),
        "Diagnosis": "no visit is named",
    }
    if scene.visit:
        held: list[Element] = scene.visit.resource.get("diagnosis", [])
        slots["Diagnosis"] = (use, f"{scene.visit.path}.diagnosis[{len(held)}]")
    map_segment(reading, index, slots)
    for cell in cells(index, segment, 2)[:1]:
        _method(reading, cell, resource, condition.path)
    deleted = _is_deleted(reading, index, segment, 21, f"{condition.path}.verificationStatus.coding[0].code")
    if deleted:
        resource["verificationStatus"] = _concept("condition-ver-status", "entered-in-error")
    else:
        resource["clinicalStatus"] = _concept("condition-clinical", "active")
    resource.setdefault("category", []).append(
        _concept("condition-category", "encounter-diagnosis", "Encounter Diagnosis")
    )
    resource["subject"] = patient.reference
    resource.setdefault("code", _NOT_KNOWN)
    if scene.visit:
        resource["encounter"] = scene.visit.reference
        if not deleted or use:
            scene.visit.resource["diagnosis"] = [
                *scene.visit.resource.get("diagnosis", []),
                {"condition": condition.reference, **use},
            ]
    scene.clinical = scene.noted = condition


def on_procedure(scene: Scene, index: int, segment: Segment) -> None:
    """PR1: a Procedure."""
    reading, patient = scene.reading, scene.patient
    if patient is None:
        return
    whose = scene.visit.resource["id"] if scene.visit else patient.resource["id"]
    when = "".join(reading.text(cell) for cell in cells(index, segment, 5)[:1])
    key = _identifier(reading, index, segment, 19) or f"{_code_key(reading, index, segment, 3, 4)}|{when}"
    procedure = reading.new("Procedure", whose, key, extent=scene.extent, anchor=patient.path)
    resource = procedure.resource
    resource["status"] = "completed"
    map_segment(reading, index, {"Procedure": (resource, procedure.path)})
    for cell in cells(index, segment, 2)[:1]:
        _method(reading, cell, resource, procedure.path)
    if _is_deleted(reading, index, segment, 20, f"{procedure.path}.status"):
        resource["status"] = "entered-in-error"
    resource["subject"] = patient.reference
    resource.setdefault("code", _NOT_KNOWN)
    if scene.visit:
        resource["encounter"] = scene.visit.reference
    scene.clinical = scene.noted = procedure


def _allergen(reading: Reading, index: int, segment: Segment, allergy: Made) -> None:
    """AL1-2: category and type by the guide, and the code as it was sent."""
    for cell in cells(index, segment, 2)[:1]:
        text = reading.part_text(cell, 1).upper()
        category = vocabularies()["AllergyCategory"].concepts.get(text)
        kind = vocabularies()["AllergyType"].concepts.get(text)
        if category:
            allergy.resource["category"] = [category.code]
        if kind:
            allergy.resource["type"] = kind.code
        target = "category[0]" if category else "type" if kind else ""
        if target:
            for part in cell.leaves():
                reading.mapped(part, f"{allergy.path}.{target}")
        elif not reading.is_null(cell):
            extensions: list[Element] = allergy.resource.get("extension", [])
            shown = cell.part(2) or cell.part(1) or cell
            value = string(reading, shown, f"{allergy.path}.extension[{len(extensions)}].valueString")
            if value:
                extension = {"url": "urn:careloom:allergen-type", "valueString": value}
                allergy.resource["extension"] = [*extensions, extension]
            reading.keep(cell, "its text is kept")


def _severity(reading: Reading, index: int, segment: Segment, allergy: Made) -> None:
    """AL1-4: how severe a reaction was, where there is one, else how critical the allergy is."""
    for cell in cells(index, segment, 4)[:1]:
        if reading.is_null(cell):
            continue
        reaction: list[Element] = allergy.resource.get("reaction", [])
        if reaction and reading.part_text(cell, 1).upper() in vocabularies()["ReactionSeverity"].concepts:
            value = code(
                reading, cell, f"{allergy.path}.reaction[0].severity", vocabularies()["ReactionSeverity"]
            )
            if value:
                reaction[0]["severity"] = value
            continue
        value = code(reading, cell, f"{allergy.path}.criticality", vocabularies()["AllergyCriticality"])
        if value:
            allergy.resource["criticality"] = value


def _allergy_state(reading: Reading, index: int, segment: Segment, allergy: Made) -> None:
    resource = allergy.resource
    resource["clinicalStatus"] = _concept("allergyintolerance-clinical", "active")
    if segment.name != "IAM":
        return
    for cell in cells(index, segment, 12)[:1]:
        if "onsetDateTime" in resource:
            reading.keep(cell, "IAM-11 gives the onset, and R4 holds one of the two")
        elif text := string(reading, cell, f"{allergy.path}.onsetString"):
            resource["onsetString"] = text
    for cell in cells(index, segment, 17)[:1]:
        text = reading.part_text(cell, 1).upper()
        clinical = vocabularies()["AllergyClinicalStatus"].concepts.get(text)
        verified = vocabularies()["AllergyVerification"].concepts.get(text)
        if clinical:
            resource["clinicalStatus"] = {"coding": [clinical.coding()]}
        if verified:
            resource["verificationStatus"] = {"coding": [verified.coding()]}
        target = "clinicalStatus" if clinical else "verificationStatus" if verified else ""
        for part in cell.leaves():
            if target:
                reading.mapped(part, f"{allergy.path}.{target}.coding[0].code")
            else:
                reading.mark(part, "rejected", "the code is not in AllergyClinicalStatus")
    is_deleted = _is_deleted(reading, index, segment, 6, f"{allergy.path}.verificationStatus.coding[0].code")
    if is_deleted:
        resource["verificationStatus"] = _concept("allergyintolerance-verification", "entered-in-error")
    if resource.get("verificationStatus", {}).get("coding", [{}])[0].get("code") == "entered-in-error":
        # Invariant ait-2: what was entered in error has no clinical status.
        resource.pop("clinicalStatus", None)


def _method(reading: Reading, cell: Cell, resource: Element, path: str) -> None:
    """DG1-2, PR1-2 (older versions): the coding system of a code that comes without one."""
    codings: list[Element] = resource.get("code", {}).get("coding", [])
    name = reading.text(cell)
    if codings and name and "system" not in codings[0]:
        codings[0]["system"] = system_of(reading, name)
        reading.mapped(cell, f"{path}.code.coding[0].system")
    else:
        reading.keep(cell, "the code names its own system")


def _is_deleted(reading: Reading, index: int, segment: Segment, number: int, target: str) -> bool:
    """An action code D takes back what stands in the segment."""
    for cell in cells(index, segment, number)[:1]:
        if reading.part_text(cell, 1).upper() == "D":
            reading.mapped(cell, target)
            return True
        reading.keep(cell, "it adds or updates, which the resource shows")
    return False


def _identifier(reading: Reading, index: int, segment: Segment, number: int) -> str:
    for cell in cells(index, segment, number)[:1]:
        if value := reading.part_text(cell, 1):
            return "|".join([value, *(reading.part_text(cell, part) for part in (2, 3, 4))])
    return ""


def _code_key(reading: Reading, index: int, segment: Segment, *numbers: int) -> str:
    """What names it: its code and system, else its text."""
    for number in numbers:
        for cell in cells(index, segment, number)[:1]:
            first, system = reading.part_text(cell, 1), reading.part_text(cell, 3)
            text = f"{first}|{system}" if first else reading.part_text(cell, 2)
            if text:
                return text
    return ""


def _concept(system: str, value: str, display: str = "") -> Element:
    coding = {"system": TERMINOLOGY + system, "code": value}
    return {"coding": [{**coding, "display": display} if display else coding]}
