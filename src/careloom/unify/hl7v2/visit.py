"""unify.hl7v2.visit: PV1, PV2, ROL to Encounter, with what went before: admit, transfer, discharge, cancel.

Room: unify. May import: store, fhir. Standard: HL7 v2.9 chapter 3.3 (trigger events), 3.4.3 (PV1), 3.4.4 (PV2);
https://hl7.org/fhir/R4/encounter.html
"""

from __future__ import annotations

from typing import Any

from careloom.fhir.resource import Resource
from careloom.unify.hl7v2.assigners import system_of_assigner
from careloom.unify.hl7v2.datatypes import coding
from careloom.unify.hl7v2.mapping import Element, cells, map_segment
from careloom.unify.hl7v2.message import Segment
from careloom.unify.hl7v2.reading import Made
from careloom.unify.hl7v2.scene import NO_VISIT, Scene, overlay, stamp
from careloom.unify.hl7v2.tables import TERMINOLOGY, vocabularies
from careloom.unify.hl7v2.times import moment, span

_PERSON_KINDS = frozenset({"person", "patient-merge", "account-merge", "link"})
_UNKNOWN_CLASS = {"system": f"{TERMINOLOGY}v3-NullFlavor", "code": "UNK", "display": "unknown"}
_ENDED = frozenset({"finished", "cancelled", "entered-in-error"})
_UNITED = ("extension", "identifier")
_BEGINS = frozenset({"A01", "A04"})
_REOPENS = frozenset({"A12", "A13"})
_CANCELS_DISCHARGE = "A13"
_DISCHARGE = ("dischargeDisposition", "destination")
_CLASS_CODE = "_patientClass"
"""Key that holds PV1-2 as it came, until the status is known."""


def on_pv1(scene: Scene, index: int, segment: Segment) -> None:
    """A visit of the patient."""
    reading, patient = scene.reading, scene.patient
    if patient is None:
        return
    key = _visit_key(scene, index, segment)
    if key is None:
        scene.visit = None
        map_segment(reading, index, {"Encounter": NO_VISIT})
        _class(scene, index, segment, {}, "")
        return
    visit = reading.new("Encounter", *key, extent=scene.extent)
    visit.resource.update({"status": "", "class": {}, "subject": patient.reference})
    _class(scene, index, segment, visit.resource, visit.path)
    map_segment(reading, index, {"Encounter": (visit.resource, visit.path)})
    scene.visit = visit
    scene.visits.append(visit)
    if scene.account:
        visit.resource["account"] = [scene.account.reference]


def on_pv2(scene: Scene, index: int, _segment: Segment) -> None:
    """More about the visit."""
    visit = scene.visit
    slot = (visit.resource, visit.path) if visit else NO_VISIT
    map_segment(scene.reading, index, {"Encounter": slot})


def on_role(scene: Scene, index: int, segment: Segment) -> None:
    """ROL or PRT: a PractitionerRole that takes part in what stands before it: procedure, visit or patient."""
    reading, patient = scene.reading, scene.patient
    if patient is None:
        return
    texts = [
        " ".join(reading.text(leaf) for leaf in cell.leaves()[:2])
        for number in (1, 3, 4, 5, 8)
        for cell in cells(index, segment, number)[:1]
    ]
    role = reading.new("PractitionerRole", patient.resource["id"], segment.name, *texts, extent="partial")
    map_segment(reading, index, {"PractitionerRole": (role.resource, role.path)})
    display = role.resource.get("practitioner", {}).get("display")
    reference = {**role.reference, **({"display": display} if display else {})}
    holder = scene.clinical or scene.visit or patient
    match holder.resource["resourceType"]:
        case "Procedure":
            holder.resource.setdefault("performer", []).append({"actor": reference})
        case "Encounter":
            participant: Element = {"individual": reference}
            if codes := role.resource.get("code"):
                participant["type"] = codes
            if period := role.resource.get("period"):
                participant["period"] = period
            holder.resource.setdefault("participant", []).append(participant)
        case "Patient":
            holder.resource.setdefault("generalPractitioner", []).append(reference)
        case _:
            pass


def prior_visit(scene: Scene, index: int, segment: Segment) -> Made | None:
    """The visit that MRG-5 or MRG-6 speaks of: it goes over to the visit or patient that stands before."""
    reading = scene.reading
    key = _number(scene, index, segment, 5) or _number(scene, index, segment, 6)
    if scene.trigger.kind != "visit-merge" or key is None:
        return scene.visit
    old = reading.id_of("Encounter", *key)
    if scene.visit is None:
        visit = reading.new("Encounter", *key)
        visit.resource.update({"status": "", "class": _UNKNOWN_CLASS, "subject": scene.subject})
        scene.visits.append(visit)
        return visit
    if old != scene.visit.resource["id"]:
        scene.prior_visits.append(key)
    return scene.visit


def finish_prior_visits(scene: Scene) -> None:
    """A visit whose number was changed or merged away is no visit of its own any more."""
    reading = scene.reading
    for key in scene.prior_visits:
        identity = reading.id_of("Encounter", *key)
        current = reading.current("Encounter", identity)
        if current and f"Encounter/{identity}" not in reading.made:
            prior = reading.new("Encounter", *key)
            prior.resource.update({k: v for k, v in current.items() if k not in {"id", "meta"}})
            prior.resource["status"] = "entered-in-error"


def finish_visit(scene: Scene, visit: Made) -> None:
    """Close a visit: its status by the trigger event, and what the current Encounter knows of the past."""
    resource = visit.resource
    current = None if scene.is_result else scene.reading.current("Encounter", resource["id"])
    resource["status"] = _status(scene, resource, current)
    resource.pop(_CLASS_CODE, None)
    if not resource["class"]:
        resource["class"] = (current or {}).get("class") or _UNKNOWN_CLASS
    if scene.is_result:
        return
    _period(scene, resource, current or {})
    if places := stays(scene, resource, (current or {}).get("location", [])):
        resource["location"] = places
    if current:
        _history(scene, resource, current)
    stamp(scene, visit)
    if scene.trigger.code == _CANCELS_DISCHARGE:
        current = _reopened(scene, resource, current)
    overlay(visit, current, _UNITED)
    if not resource["period"]:
        resource.pop("period")


def _reopened(scene: Scene, resource: Element, current: Resource | None) -> Resource | None:
    """Who is not discharged went nowhere: neither the message nor what was known may still say so."""
    path = f"Encounter/{resource['id']}.hospitalization."
    gone = tuple(path + name for name in _DISCHARGE)
    scene.reading.remark(0, lambda was: None if was.startswith(gone) else was, "the discharge is cancelled")
    _stayed(resource)
    return _stayed(dict(current)) if current else None


def _stayed(encounter: Element) -> Element:
    if "hospitalization" in encounter:
        kept = {
            name: value for name, value in encounter.pop("hospitalization").items() if name not in _DISCHARGE
        }
        if kept:
            encounter["hospitalization"] = kept
    return encounter


def _visit_key(scene: Scene, index: int, segment: Segment) -> tuple[str, ...] | None:
    """PV1-19, else the patient and the admit time; an account or alternate number serves before the patient alone."""
    patient = scene.patient
    if patient is None:
        return None
    if key := _number(scene, index, segment, 19):
        return key
    who = patient.resource["id"]
    for cell in cells(index, segment, 44)[:1]:
        if found := moment(scene.reading.text(cell), scene.reading.zone):
            return who, found.text
    if key := _number(scene, index, segment, 50):
        return key
    if scene.account:
        return "account", scene.account.resource["id"]
    if scene.trigger.kind in _PERSON_KINDS:
        return None
    scene.warn(
        "PV1-19 and PV1-44 are missing: this visit cannot be told from the patient's other visits; send a visit number.",
        "PV1-19",
    )
    return who, "visit"


def _number(scene: Scene, index: int, segment: Segment, number: int) -> tuple[str, str] | None:
    for cell in cells(index, segment, number)[:1]:
        value, authority = scene.reading.part_text(cell, 1), cell.part(4)
        parts = [scene.reading.part_text(authority, part) if authority else "" for part in (1, 2, 3)]
        if value:
            return system_of_assigner(scene.reading, *parts) if parts[0] or parts[1] else "", value
    return None


def _class(scene: Scene, index: int, segment: Segment, resource: Element, path: str) -> None:
    for cell in cells(index, segment, 2)[:1]:
        if not path:
            scene.reading.keep(cell, NO_VISIT)
        elif not scene.reading.is_null(cell):
            found = coding(scene.reading, cell, f"{path}.class", vocabularies()["EncounterClass"])
            resource["class"] = found or {}
            resource[_CLASS_CODE] = scene.reading.text(cell).upper()


def _status(scene: Scene, resource: Element, current: Resource | None) -> str:
    """By the trigger event; else as it was; else by PV1-45 and the patient class."""
    ends = resource.get("period", {}).get("end")
    status = scene.trigger.status
    if status not in {"keep", ""}:
        return status
    known = (current or {}).get("status", "")
    if known and not (ends and known not in _ENDED):
        return str(known)
    if ends:
        return "finished"
    if scene.is_result:
        return "unknown"  # A laboratory never hears of the discharge.
    found = vocabularies()["PatientClassStatus"].concepts.get(resource.get(_CLASS_CODE, ""))
    return found.code if found else "unknown"


def _period(scene: Scene, resource: Element, current: Resource) -> None:
    """An admit or discharge without its own time happened when the event did; a reopened visit has no end."""
    said: Element = resource.get("period", {})
    known: Element = current.get("period", {})
    start = said.get("start") or known.get("start") or (scene.when() if scene.trigger.code in _BEGINS else "")
    end = ""
    if resource["status"] in _ENDED:
        end = said.get("end") or known.get("end") or (scene.when() if scene.trigger.code == "A03" else "")
    elif scene.trigger.code not in _REOPENS:
        end = said.get("end", "")
    resource["period"] = span(start, end)
    gone = {f"Encounter/{resource['id']}.period.{name}" for name in said if name not in resource["period"]}
    if gone:
        reason = (
            "the discharge is cancelled"
            if scene.trigger.code in _REOPENS
            else "the visit would end before it starts"
        )
        scene.reading.remark(0, lambda was: None if was in gone else was, reason)


def stays(scene: Scene, resource: Element, before: list[Element]) -> list[Element]:
    """Encounter.location: what the message says first, then where the patient was before, each with its time.

    Applied again to its own result it gives the same list.
    """
    left = [dict(place) for place in before]
    places: list[Element] = resource.get("location", [])
    moves = any(place["status"] == "active" for place in places)
    for place in places:
        if place["status"] == "active":
            _stay(scene, resource, place, left)
            continue
        wanted = {"active", "completed"} if place["status"] == "completed" else {"planned"}
        found = _taken(left, place, wanted)
        if found and "period" in found:
            place["period"] = _closed(found, scene.when())
    now = {place["location"]["reference"] for place in places}
    for place in left:
        if place.get("status") == "active" and moves:
            if scene.trigger.code == "A12":
                continue  # The transfer is cancelled: the patient was never there.
            place["status"], place["period"] = "completed", _closed(place, scene.when())
        elif place.get("status") == "planned" and place["location"]["reference"] in now:
            continue
        places.append(place)
    return places


def _stay(scene: Scene, resource: Element, place: Element, left: list[Element]) -> None:
    """The place of now: it began when the patient came, and ends with the visit."""
    status = resource["status"]
    if status == "planned":
        place["status"] = "planned"
        _taken(left, place, {"planned"})
        return
    wanted = {"active", "completed"} if status in _ENDED or scene.trigger.code in _REOPENS else {"active"}
    found = _taken(left, place, wanted)
    known: Element = (found or {}).get("period", {})
    if status in _ENDED:
        place["status"] = "completed"
        end = resource["period"].get("end") or known.get("end") or scene.when()
        place["period"] = span(known.get("start", ""), end)
    elif start := known.get("start", "" if found else scene.when()):
        place["period"] = {"start": start}


def _taken(left: list[Element], place: Element, statuses: set[str]) -> Element | None:
    """Take out of `left` the newest stay at the same place."""
    for at, other in enumerate(left):
        if (
            other.get("status") in statuses
            and other["location"]["reference"] == place["location"]["reference"]
        ):
            return left.pop(at)
    return None


def _closed(place: Element, when: str) -> Element:
    period: Element = place.get("period", {})
    return span(period.get("start", ""), period.get("end", when))


def _history(scene: Scene, resource: Element, current: Resource) -> None:
    """Encounter.status and class as they were, with the time that each held."""
    start = current.get("period", {}).get("start")
    for name, history in (("status", "statusHistory"), ("class", "classHistory")):
        past: list[Any] = list(current.get(history, []))
        if current.get(name) and current[name] != resource[name]:
            begun = past[-1]["period"].get("end") if past else start
            past.append({name: current[name], "period": span(begun or "", scene.when())})
        if past:
            resource[history] = past
