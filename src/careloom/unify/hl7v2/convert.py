"""unify.hl7v2.convert: one HL7 v2 message (ADT, ORU) to the resources it states, with the fate of every field.

Room: unify. May import: store, fhir. Standard: the HL7 v2-to-FHIR implementation guide
(https://build.fhir.org/ig/HL7/v2-to-fhir/); the tables say where this follows it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, tzinfo

from careloom.fhir.outcome import Issue, OutcomeError
from careloom.fhir.resource import Resource
from careloom.store.event import Event
from careloom.store.ledger import Conversion, LedgerLine, Stated
from careloom.unify.hl7v2 import assigners, contacts, mentions
from careloom.unify.hl7v2.clinical import on_allergy, on_diagnosis, on_procedure
from careloom.unify.hl7v2.coverage import on_guarantor, on_insurance, on_insurance_more
from careloom.unify.hl7v2.mapping import cells, map_segment
from careloom.unify.hl7v2.message import Message, Segment, parse
from careloom.unify.hl7v2.patient import finish_merge, finish_patient, on_mrg, on_nk1, on_pd1, on_pid
from careloom.unify.hl7v2.reading import Reading
from careloom.unify.hl7v2.results import (
    finish_order,
    leave_order,
    on_note,
    on_obr,
    on_obx,
    on_orc,
    on_specimen,
)
from careloom.unify.hl7v2.scene import STATED_AT, Scene, stated_at
from careloom.unify.hl7v2.tables import Trigger, triggers, whole_segments
from careloom.unify.hl7v2.times import Moment, moment
from careloom.unify.hl7v2.visit import finish_prior_visits, finish_visit, on_pv1, on_pv2, on_role

AGENT = "hl7v2/1"
CONVERTERS_FROM = (assigners, contacts, mentions)
"""Modules that register what the tables name by string."""
Current = Callable[[str, str], Resource | None]
_RESULT = Trigger("R01", "Unsolicited observation", "result", "keep", "ORU_R01")
_STALE = "an older message: newer state of the resource stands; the message is kept"
_HANDLERS: dict[str, Callable[[Scene, int, Segment], None]] = {
    "PID": on_pid,
    "PD1": on_pd1,
    "NK1": on_nk1,
    "MRG": on_mrg,
    "PV1": on_pv1,
    "PV2": on_pv2,
    "ROL": on_role,
    "PRT": on_role,
    "AL1": on_allergy,
    "IAM": on_allergy,
    "DG1": on_diagnosis,
    "PR1": on_procedure,
    "GT1": on_guarantor,
    "IN1": on_insurance,
    "IN2": on_insurance_more,
    "ORC": on_orc,
    "OBR": on_obr,
    "OBX": on_obx,
    "SPM": on_specimen,
    "NTE": on_note,
}


def to_resources(event: Event, current: Current, *, zone: tzinfo = UTC) -> Conversion:
    """Convert one message. Never raises for what the message holds: issues of severity error quarantine it.

    `current(type, id)` gives the resource as it is now; `zone` is that of times without an offset.
    """
    try:
        message = parse(event.body)
    except OutcomeError as error:
        return Conversion((), (), error.issues, AGENT)
    reading = Reading(message, event.source, zone, current)
    reading.issues.extend(message.issues)
    try:
        scene = _scene(reading, event.received)
        _walk(scene)
    except OutcomeError as error:
        reading.issues.extend(error.issues)
        return _refused(reading)
    if scene.patient is None and not _has_error(reading):
        scene.fail("PID is missing: send a patient identification segment.", "PID")
    if _has_error(reading):
        return _refused(reading)
    _finish(scene)
    _drop_stale(scene)
    _name_nameless(reading)
    stated = tuple(Stated(made.resource, made.extent) for made in reading.made.values())
    return Conversion(stated, reading.ledger(), tuple(reading.issues), AGENT)


def _scene(reading: Reading, received: datetime) -> Scene:
    message = reading.message
    kind, event = message.get("MSH-9[1].1").upper(), message.get("MSH-9[1].2").upper()
    if not kind:
        raise OutcomeError(Issue("required", "MSH-9 is missing: send the message type.", "MSH-9"))
    trigger = _trigger(kind, event or message.get("EVN-1").upper())
    stated = None
    stated_from = ("", "")
    for address in ("EVN-2", "MSH-7"):
        found = moment(message.get(address), reading.zone)
        if found and stated is None:
            stated, stated_from = found, (address, found.text)
    occurred = moment(message.get("EVN-6"), reading.zone)
    arrived = received.astimezone(UTC)
    return Scene(
        reading, trigger, stated or Moment(arrived.isoformat(), arrived, arrived), stated_from, occurred
    )


def _trigger(kind: str, event: str) -> Trigger:
    if kind == "ORU":
        return _RESULT
    if kind != "ADT":
        text = "MSH-9 names a message type that this mapper does not read: it reads ADT and ORU."
        raise OutcomeError(Issue("not-supported", text, "MSH-9"))
    trigger = triggers().get(event)
    if trigger is None or trigger.kind == "refused":
        text = "MSH-9 names an ADT trigger event that this mapper does not read: a person must look."
        raise OutcomeError(Issue("not-supported", text, "MSH-9"))
    return trigger


def _walk(scene: Scene) -> None:
    reading = scene.reading
    for index, segment in enumerate(reading.message.segments):
        handler = _HANDLERS.get(segment.name)
        if handler is not None:
            handler(scene, index, segment)
            if segment.name == "PV1":
                finish_merge(scene)
        elif segment.name in {"MSH", "EVN"}:
            map_segment(reading, index, {})
        elif why := whole_segments().get(segment.name):
            _keep_segment(reading, index, segment, why)
    finish_merge(scene)
    leave_order(scene)


def _finish(scene: Scene) -> None:
    """Close what the segments opened, and say where the times of the event went."""
    reading = scene.reading
    for made in list(reading.made.values()):
        if made.resource["resourceType"] == "Patient" and made.extent == "whole":
            finish_patient(scene, made)
    for visit in scene.visits:
        finish_visit(scene, visit)
    finish_prior_visits(scene)
    for order in scene.orders:
        finish_order(scene, order)
    _event_times(scene)


def _event_times(scene: Scene) -> None:
    """EVN-2 and MSH-7 stand on the resource whose age they say; EVN-6 where it says when a visit changed."""
    reading = scene.reading
    message = reading.message
    holder = next((made for made in reading.made.values() if stated_at(made.resource)), None)
    for index, segment in enumerate(message.segments):
        for address, number in (("MSH-7", 7), ("EVN-2", 2), ("EVN-3", 3), ("EVN-6", 6)):
            if not address.startswith(segment.name):
                continue
            for cell in cells(index, segment, number)[:1]:
                if moment(reading.text(cell), reading.zone) is None:
                    reading.reject(cell, "not a date")
                elif address == scene.stated_from[0] and holder:
                    at = [item.get("url") for item in holder.resource["extension"]].index(STATED_AT)
                    reading.mapped(cell, f"{holder.path}.extension[{at}].valueDateTime")
                elif address == "EVN-6" and (target := _where(scene)):
                    reading.mapped(cell, target)
                else:
                    reading.keep(cell, "another field says when it was stated; the message is kept")


def _where(scene: Scene) -> str:
    """The place in a visit that holds the time of the event."""
    text = scene.occurred.text if scene.occurred else ""
    for visit in scene.visits:
        for name in ("start", "end"):
            if visit.resource.get("period", {}).get(name) == text:
                return f"{visit.path}.period.{name}"
            for at, place in enumerate(visit.resource.get("location", [])):
                if place.get("period", {}).get(name) == text:
                    return f"{visit.path}.location[{at}].period.{name}"
    return ""


def _keep_segment(reading: Reading, index: int, segment: Segment, why: str) -> None:
    for number in range(1, len(segment.fields) + 1):
        for cell in cells(index, segment, number):
            reading.keep(cell, why)


def _drop_stale(scene: Scene) -> None:
    """Leave out what an older message says of resources that a newer one already stated."""
    reading = scene.reading
    is_old: dict[str, bool] = {}
    for path, made in list(reading.made.items()):
        if made.extent != "whole":
            continue
        anchor = made.anchor or path
        if anchor not in is_old:
            is_old[anchor] = _is_older(scene, anchor)
        rtype, _, identity = path.partition("/")
        if is_old[anchor] and (anchor == path or reading.current(rtype, identity)):
            del reading.made[path]
            _forget_targets(reading, path)
    if any(is_old.values()):
        text = "An older message: what it says of resources that a newer message stated is left out."
        reading.issues.append(Issue("informational", text, scene.stated_from[0], "information"))


def _is_older(scene: Scene, path: str) -> bool:
    rtype, _, identity = path.partition("/")
    current = scene.reading.current(rtype, identity) if identity else None
    known = _moment_of(stated_at(current))
    return known is not None and scene.stated.high <= known and scene.stated.low < known


def _moment_of(text: str) -> datetime | None:
    if "T" not in text:
        return None
    return datetime.fromisoformat(text)


def _name_nameless(reading: Reading) -> None:
    """An Organization that turned out to have neither name nor identifier says so (invariant org-1)."""
    for made in reading.made.values():
        if (
            made.resource["resourceType"] == "Organization"
            and not {"name", "identifier"} & made.resource.keys()
        ):
            made.resource["name"] = "not named by the sender"


def _forget_targets(reading: Reading, path: str) -> None:
    reading.remark(0, lambda target: None if target.startswith(path) else target, _STALE)


def _has_error(reading: Reading) -> bool:
    return any(issue.is_error for issue in reading.issues)


def _refused(reading: Reading) -> Conversion:
    """Nothing of the message is stated: each field waits in quarantine."""
    message: Message = reading.message
    ledger = tuple(
        LedgerLine(message.address(position), "rejected", "the message is in quarantine")
        for position, _ in message.leaves()
    )
    return Conversion((), ledger, tuple(reading.issues), AGENT)
