"""demo.hl7: what the hospital's EHR and its laboratory say, as HL7 v2.5.1 messages.

Room: demo. Pure. Standard: HL7 v2.5.1 chapters 3 (ADT) and 7 (ORU), https://www.hl7.org/implement/standards/

Times carry their offset; texts are UTF-8, and MSH-18 says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from careloom.demo.illness import ALLERGIES, Analyte, Complaint, Illness
from careloom.demo.population import Registration
from careloom.demo.vital_signs import VitalSigns

LEVELS = {
    "A": ("248234008", "Mentally alert"),
    "C": ("130987000", "Acute confusion"),
    "V": ("300202002", "Responds to voice"),
    "P": ("450847001", "Responds to pain"),
    "U": ("422768004", "Unresponsive"),
}
_AUTHORITY = {"ehr": "EHR", "lab": "LAB", "clinic": "CLINIC"}
_STRUCTURE = {"A04": "A01", "A08": "A01", "A13": "A01", "A11": "A09", "A31": "A05", "A40": "A39"}
_ESCAPES = str.maketrans({"\\": "\\E\\", "|": "\\F\\", "^": "\\S\\", "&": "\\T\\", "~": "\\R\\"})


@dataclass(frozen=True, slots=True)
class Place:
    """Point of care, room and bed."""

    ward: str
    room: str
    bed: str


@dataclass(frozen=True, slots=True)
class Visit:
    """What PV1 says of a stay."""

    number: str
    place: Place | None
    complaint: Complaint | None
    patient_class: str
    """HL7 table 0004: I inpatient, E emergency, O outpatient."""
    doctor: tuple[str, str]
    admitted: datetime
    discharged: datetime | None = None
    before: Place | None = None


def adt(  # noqa: PLR0913 - the parts of one message
    trigger: str,
    registration: Registration,
    at: datetime,
    control_id: str,
    *,
    visit: Visit | None = None,
    allergy: int | None = None,
    merged: str = "",
) -> bytes:
    """An ADT message. `merged`: the number that an A40 gives up."""
    segments = [
        _msh("ehr", f"ADT^{trigger}^ADT_{_STRUCTURE.get(trigger, trigger)}", at, control_id),
        f"EVN|{trigger}|{_ts(at)}",
        _pid(registration),
    ]
    if merged:
        segments.append(f"MRG|{merged}^^^EHR^MR")
    elif visit is None:
        segments.append("PV1|1|N")
    else:
        segments.append(_pv1(visit))
        if allergy is not None and trigger == "A01":
            known = ALLERGIES[allergy]
            segments.append(f"AL1|1|{known.kind}|{known.snomed}^{_t(known.name)}^SCT|MO")
        if visit.complaint is not None and trigger in {"A01", "A04"}:
            complaint = visit.complaint
            segments.append(f"DG1|1||{complaint.icd_10}^{_t(complaint.name)}^I10C||{_ts(visit.admitted)}|A")
    return _message(segments)


def vital_signs(
    registration: Registration, visit: Visit, signs: VitalSigns, at: datetime, control_id: str
) -> bytes:
    """One set of vital signs, ORU^R01."""
    code, name = LEVELS[signs.level]
    rows = [
        ("NM", "9279-1^Respiratory rate^LN", signs.respiration, "/min", "12-20"),
        ("NM", "59408-5^Oxygen saturation in Arterial blood by Pulse oximetry^LN", signs.spo2, "%", "96-100"),
        ("NM", "3151-8^Inhaled oxygen flow rate^LN", signs.oxygen, "L/min", ""),
        ("NM", "8480-6^Systolic blood pressure^LN", signs.systolic, "mm[Hg]", "111-219"),
        ("NM", "8462-4^Diastolic blood pressure^LN", signs.diastolic, "mm[Hg]", "60-90"),
        ("NM", "8867-4^Heart rate^LN", signs.pulse, "/min", "51-90"),
        ("CWE", "80288-4^Level of consciousness^LN", f"{code}^{name}^SCT", "", ""),
        ("NM", "8310-5^Body temperature^LN", f"{signs.temperature:.1f}", "Cel", "36.1-38.0"),
    ]
    segments = [
        _msh("ehr", "ORU^R01^ORU_R01", at, control_id),
        _pid(registration),
        _pv1(visit),
        _obr(control_id, "ehr", "85353-1^Vital signs, weight, height, head circumference, oxygen saturation and BMI panel^LN", at),
    ]  # fmt: skip
    for number, (kind, what, value, unit, usual) in enumerate(rows, 1):
        units = f"{unit}^^UCUM" if unit else ""
        segments.append(f"OBX|{number}|{kind}|{what}||{value}|{units}|{usual}||||F|||{_ts(at)}")
    return _message(segments)


def results(
    registration: Registration,
    panel: tuple[str, str, str],
    values: Sequence[tuple[Analyte, float]],
    at: datetime,
    control_id: str,
) -> bytes:
    """Laboratory results of one panel, ORU^R01; the lab knows no visit."""
    code, name, system = panel
    segments = [
        _msh("lab", "ORU^R01^ORU_R01", at, control_id),
        _pid(registration),
        _obr(control_id, "lab", f"{code}^{_t(name)}^{system}", at),
    ]
    for number, (analyte, value) in enumerate(values, 1):
        flag = "L" if value < analyte.low else "H" if value > analyte.high else "N"
        shown = f"{value:.{analyte.places}f}"
        segments.append(
            f"OBX|{number}|NM|{analyte.loinc}^{_t(analyte.name)}^LN||{shown}|{_t(analyte.unit)}^^UCUM"
            f"|{analyte.low:g}-{analyte.high:g}|{flag}|||F|||{_ts(at)}"
        )
    return _message(segments)


def problems(registration: Registration, illnesses: Sequence[Illness], visit: Visit, at: datetime, control_id: str) -> bytes:  # fmt: skip
    """The EHR's own list of lasting illnesses, sent with an update (ADT^A08)."""
    segments = [
        _msh("ehr", "ADT^A08^ADT_A01", at, control_id),
        f"EVN|A08|{_ts(at)}",
        _pid(registration),
        _pv1(visit),
    ]
    for number, illness in enumerate(illnesses, 1):
        segments.append(f"DG1|{number}||{illness.icd_10}^{_t(illness.name)}^I10C|||W")
    return _message(segments)


def malformed(number: int, at: datetime, control_id: str) -> bytes:
    """One of three messages that no receiver should believe: they live in quarantine."""
    match number:
        case 0:
            # A result that belongs to nobody: the PID segment was lost on the way.
            return _message(
                [
                    _msh("lab", "ORU^R01^ORU_R01", at, control_id),
                    _obr(control_id, "lab", "51990-0^Basic metabolic panel - Blood^LN", at),
                    f"OBX|1|NM|2823-3^Potassium^LN||6.9|mmol/L^^UCUM|3.5-5.1|HH|||F|||{_ts(at)}",
                ]
            )
        case 1:
            # An admission whose patient has no number.
            return _message(
                [
                    _msh("ehr", "ADT^A01^ADT_A01", at, control_id),
                    f"EVN|A01|{_ts(at)}",
                    "PID|1||||Unknown^Patient||19000101|U",
                    "PV1|1|I|ED^1^1",
                ]
            )
        case _:
            # A result cut off in the middle of a segment's name.
            return _message([_msh("lab", "ORU^R01^ORU_R01", at, control_id), "PI"])


def _message(segments: Sequence[str]) -> bytes:
    return ("\r".join(segments) + "\r").encode()


def _msh(system: str, kind: str, at: datetime, control_id: str) -> str:
    return (
        f"MSH|^~\\&|{_AUTHORITY[system]}||CARELOOM||{_ts(at)}||{kind}|{control_id}|P|2.5.1||||||UNICODE UTF-8"
    )


def _pid(registration: Registration) -> str:
    person = registration.details
    number = f"{registration.number}^^^{_AUTHORITY[registration.system]}^{'MR' if registration.system == 'ehr' else 'PI'}"
    name = f"{_t(person.family)}^{_t(person.given)}^{_t(person.middle)}^^^^L"
    address = f"{_t(person.street)}^^{_t(person.town)}^^{_t(person.postcode)}^GBR^H" if person.street else ""
    phone = f"^PRN^PH^^^^^^^^^{person.phone}" if person.phone else ""
    return f"PID|1||{number}||{name}||{person.born:%Y%m%d}|{person.sex[0].upper()}|||{address}||{phone}"


def _pv1(visit: Visit) -> str:
    fields = [""] * 46
    fields[1], fields[2] = "1", visit.patient_class
    fields[3] = _location(visit.place)
    acute = visit.complaint is not None and visit.complaint.is_acute
    fields[4] = ("E" if acute else "C") if visit.complaint is not None else ""
    fields[6] = _location(visit.before)
    fields[7] = f"D{sum(map(ord, visit.doctor[0])) % 1000:03}^{_t(visit.doctor[0])}^{_t(visit.doctor[1])}"
    fields[10] = visit.place.ward if visit.place else ""
    fields[14] = "7" if acute and visit.patient_class == "I" else ""
    fields[19] = f"{visit.number}^^^EHR^VN"
    fields[36] = "01" if visit.discharged else ""
    fields[44] = _ts(visit.admitted)
    fields[45] = _ts(visit.discharged) if visit.discharged else ""
    return ("PV1|" + "|".join(fields[1:])).rstrip("|")


def _obr(order: str, system: str, what: str, at: datetime) -> str:
    return f"OBR|1||{order}^{_AUTHORITY[system]}|{what}|||{_ts(at)}|||||||||||||||{_ts(at)}|||F"


def _location(place: Place | None) -> str:
    return f"{place.ward}^{place.room}^{place.bed}" if place else ""


def _t(text: str) -> str:
    """Text with the delimiters of HL7 escaped."""
    return text.translate(_ESCAPES)


def _ts(at: datetime) -> str:
    return at.strftime("%Y%m%d%H%M%S%z")
