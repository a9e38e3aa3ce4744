"""unify.hl7v2.patient: PID, PD1, NK1, MRG to Patient, RelatedPerson, Account, and the sender's own merges.

Room: unify. May import: store, fhir. Standard: HL7 v2.9 chapter 3.4.2 (PID), 3.4.8 (PD1), 3.4.5 (NK1), 3.4.9 (MRG).
"""

from __future__ import annotations

from careloom.unify.hl7v2.assigners import system_of_assigner
from careloom.unify.hl7v2.mapping import Element, cells, map_segment
from careloom.unify.hl7v2.message import Segment
from careloom.unify.hl7v2.reading import Cell, Made, Reading
from careloom.unify.hl7v2.scene import NO_VISIT, Scene, overlay, stamp
from careloom.unify.hl7v2.tables import STRUCTURE, TERMINOLOGY
from careloom.unify.hl7v2.times import moment
from careloom.unify.hl7v2.visit import prior_visit

_PREFERRED = {"MR": 0, "PI": 1, "": 2}
"""Identifier types that name the patient in the sender's system, best first; the key must not depend on order."""
_MERGES = frozenset({"patient-merge"})
"""Kinds of trigger events after which the prior patient is no patient of its own."""


def on_pid(scene: Scene, index: int, segment: Segment) -> None:
    """A PID begins a patient: what follows is theirs."""
    reading = scene.reading
    finish_merge(scene)
    _forget(scene)
    key = patient_key(reading, index, segment, (3, 2, 4))
    if key is None:
        scene.fail("PID-3 is missing: send a patient identifier.", "PID-3")
        return
    path = f"Patient/{reading.id_of('Patient', *key)}"
    slots: dict[str, tuple[Element, str] | str] = {}
    scene.patient = Made(reading.shell("Patient", *key), path, scene.extent)
    if segment.is_valued(18):
        account = scene.account = _account(scene, index, segment, 18)
        slots["Account"] = (account.resource, account.path) if account else "no account number is given"
    if segment.is_valued(21):
        slots["Mother"] = _mother(scene, key)

    def fill(resource: Element, path: str) -> None:
        map_segment(reading, index, {**slots, "Patient": (resource, path)})
        _birth(reading, index, segment, resource, path)
        _multiple_birth(reading, index, segment, resource, path)
        _deceased(reading, index, segment, resource, path)

    # Two groups of one message may name the same survivor: they fill one Patient.
    scene.patient = scene.noted = reading.mention("Patient", *key, fill=fill)
    scene.patient.extent = scene.extent


def on_pd1(scene: Scene, index: int, _segment: Segment) -> None:
    """More about the patient."""
    if scene.patient:
        map_segment(scene.reading, index, {"Patient": (scene.patient.resource, scene.patient.path)})


def on_nk1(scene: Scene, index: int, segment: Segment) -> None:
    """Next of kin: a RelatedPerson; one that is an organization only is a contact of the Patient."""
    patient, reading = scene.patient, scene.reading
    if patient is None:
        return
    key = next(
        (reading.part_text(cell, 1) for number in (33, 12) for cell in cells(index, segment, number)), ""
    ) or "|".join(_first_texts(reading, index, segment, (2, 30, 3, 7)))
    related = reading.new(
        "RelatedPerson", patient.resource["id"], "NK1", key, extent=scene.extent, anchor=patient.path
    )
    related.resource["patient"] = patient.reference
    contact: Element = {}
    contacts: list[Element] = patient.resource.get("contact", [])
    slots: dict[str, tuple[Element, str] | str] = {
        "RelatedPerson": (related.resource, related.path),
        "Contact": (contact, f"{patient.path}.contact[{len(contacts)}]"),
    }
    map_segment(reading, index, slots)
    if contact:
        if related.resource.get("relationship"):
            contact["relationship"] = related.resource["relationship"]
        patient.resource["contact"] = [*contacts, contact]


def on_mrg(scene: Scene, index: int, segment: Segment) -> None:
    """The sender's own merge. It waits for the PV1 after it, whose visit MRG-5 may speak of."""
    finish_merge(scene)
    scene.pending_merge = (index, segment)


def finish_merge(scene: Scene) -> None:
    """The prior patient, account or visit gives way to the one that stands before MRG."""
    pending, patient, reading = scene.pending_merge, scene.patient, scene.reading
    scene.pending_merge = None
    if pending is None or patient is None:
        return
    index, segment = pending
    prior = patient
    key = patient_key(reading, index, segment, (1, 4, 2))
    if key is not None and reading.id_of("Patient", *key) != patient.resource["id"]:
        prior = reading.new("Patient", *key, extent="whole" if scene.trigger.kind in _MERGES else "partial")
        if scene.trigger.kind in _MERGES:
            prior.resource["active"] = False
            _link(prior, "replaced-by", patient)
            _link(patient, "replaces", prior)
        elif scene.trigger.kind == "link":
            _link(patient, "refer", prior)
    slots: dict[str, tuple[Element, str] | str] = {"Prior": (prior.resource, prior.path)}
    if segment.is_valued(3):
        slots["PriorAccount"] = _prior_account(scene, index, segment)
    if segment.is_valued(5) or segment.is_valued(6):
        visit = prior_visit(scene, index, segment)
        slots["Encounter"] = (visit.resource, visit.path) if visit else NO_VISIT
    map_segment(reading, index, slots)


def _prior_account(scene: Scene, index: int, segment: Segment) -> tuple[Element, str] | str:
    prior = _account(scene, index, segment, 3)
    if prior is None:
        return "no account number is given"
    if scene.trigger.kind == "account-merge" and prior is not scene.account:
        prior.resource["status"] = "inactive"
        if scene.account:
            prior.resource["partOf"] = scene.account.reference
    return prior.resource, prior.path


def finish_patient(scene: Scene, patient: Made) -> None:
    """Close a patient of an ADT: keep what the sender merged before, and when it was stated."""
    reading, resource = scene.reading, patient.resource
    current = reading.current("Patient", resource["id"])
    if scene.trigger.code == "A29":
        resource["active"] = False
    stamp(scene, patient)
    if (
        scene.trigger.kind in {"patient-merge", "account-merge", "visit-merge", "link"}
        or scene.trigger.code == "A29"
    ):
        overlay(patient, current, ("extension", "identifier", "name", "link"))
    elif current:
        links = [link for link in current.get("link", []) if link not in resource.get("link", [])]
        if links:
            resource["link"] = [*resource.get("link", []), *links]
        if any(link.get("type") == "replaced-by" for link in links):
            resource["active"] = False


def patient_key(
    reading: Reading, index: int, segment: Segment, fields: tuple[int, ...]
) -> tuple[str, str] | None:
    """System and value of the identifier that names the patient in the sender's system."""
    for number in fields:
        found: list[tuple[int, str, str]] = []
        for cell in cells(index, segment, number):
            value = reading.part_text(cell, 1)
            if value:
                rank = _PREFERRED.get(reading.part_text(cell, 5).upper(), 3)
                found.append((rank, _system(reading, cell.part(4)), value))
        if found:
            _, system, value = min(found, key=lambda item: item[0])
            return system, value
    return None


def _system(reading: Reading, authority: Cell | None) -> str:
    parts = [reading.part_text(authority, number) if authority else "" for number in (1, 2, 3)]
    return system_of_assigner(reading, *parts) if parts[0] or parts[1] else ""


def _forget(scene: Scene) -> None:
    scene.patient = scene.account = scene.visit = scene.coverage = scene.subscriber = None
    scene.order = scene.specimen = scene.clinical = scene.noted = scene.pending_order = None


def _mother(scene: Scene, key: tuple[str, str]) -> tuple[Element, str]:
    concept = {"system": f"{TERMINOLOGY}v3-RoleCode", "code": "MTH", "display": "mother"}
    mother = scene.reading.new("RelatedPerson", *key, "mother", extent=scene.extent, anchor=scene.anchor())
    mother.resource.update({"patient": scene.subject, "relationship": [{"coding": [concept]}]})
    return mother.resource, mother.path


def _account(scene: Scene, index: int, segment: Segment, number: int) -> Made | None:
    key = patient_key(scene.reading, index, segment, (number,))
    if key is None:
        return None
    path = f"Account/{scene.reading.id_of('Account', *key)}"
    if path in scene.reading.made:
        return scene.reading.made[path]
    account = scene.reading.new("Account", *key, extent=scene.extent, anchor=scene.anchor())
    account.resource.update({"status": "active", "subject": [scene.subject]})
    return account


def _link(made: Made, kind: str, other: Made) -> None:
    links: list[Element] = made.resource.setdefault("link", [])
    links.append({"other": other.reference, "type": kind})


def _first_texts(reading: Reading, index: int, segment: Segment, fields: tuple[int, ...]) -> list[str]:
    return [
        " ".join(reading.text(leaf) for leaf in found[0].leaves())
        for number in fields
        if (found := cells(index, segment, number))
    ]


def _birth(reading: Reading, index: int, segment: Segment, resource: Element, path: str) -> None:
    for cell in cells(index, segment, 7)[:1]:
        if reading.is_null(cell):
            continue
        found = moment(reading.text(cell), reading.zone)
        if found is None:
            reading.mark(cell, "rejected", "not a date")
            continue
        resource["birthDate"] = found.text[:10]
        reading.mapped(cell, f"{path}.birthDate")
        if found.has_time:
            extension = {"url": f"{STRUCTURE}patient-birthTime", "valueDateTime": found.text}
            resource["_birthDate"] = {"extension": [extension]}


def _multiple_birth(reading: Reading, index: int, segment: Segment, resource: Element, path: str) -> None:
    for cell in cells(index, segment, 25)[:1]:
        text = reading.text(cell)
        if text.isascii() and text.isdigit() and int(text) < 2**31:
            resource["multipleBirthInteger"] = int(text)
            reading.mapped(cell, f"{path}.multipleBirthInteger")
        elif not reading.is_null(cell):
            reading.mark(cell, "rejected", "not a whole number")
    for cell in cells(index, segment, 24)[:1]:
        found = {"Y": True, "N": False}.get(reading.text(cell).upper())
        if "multipleBirthInteger" in resource:
            reading.mapped(cell, f"{path}.multipleBirthInteger")
        elif found is not None:
            resource["multipleBirthBoolean"] = found
            reading.mapped(cell, f"{path}.multipleBirthBoolean")
        elif not reading.is_null(cell):
            reading.mark(cell, "rejected", "neither Y nor N")


def _deceased(reading: Reading, index: int, segment: Segment, resource: Element, path: str) -> None:
    for cell in cells(index, segment, 29)[:1]:
        found = moment(reading.text(cell), reading.zone)
        if found:
            resource["deceasedDateTime"] = found.text
            reading.mapped(cell, f"{path}.deceasedDateTime")
        elif not reading.is_null(cell):
            reading.mark(cell, "rejected", "not a date")
    for cell in cells(index, segment, 30)[:1]:
        found_flag = {"Y": True, "N": False}.get(reading.text(cell).upper())
        if found_flag is None:
            if not reading.is_null(cell):
                reading.mark(cell, "rejected", "neither Y nor N")
        elif "deceasedDateTime" in resource:
            if found_flag:
                reading.mapped(cell, f"{path}.deceasedDateTime")
            else:
                reading.keep(cell, "PID-29 gives the time of death, and R4 holds one of the two")
        else:
            resource["deceasedBoolean"] = found_flag
            reading.mapped(cell, f"{path}.deceasedBoolean")
