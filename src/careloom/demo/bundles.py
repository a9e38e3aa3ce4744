"""demo.bundles: what the clinic says, as FHIR R4 transaction bundles.

Room: demo. Pure. Standard: https://hl7.org/fhir/R4/http.html#transaction

The Patient is created once (ifNoneExist on the clinic's number); everything else has ids that the clinic gives (PUT),
so that a bundle sent twice changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from random import Random
from uuid import NAMESPACE_URL, uuid5

from careloom.demo.illness import ALLERGIES, Allergy, Illness
from careloom.demo.population import Registration
from careloom.fhir.instant import instant
from careloom.fhir.resource import Resource, dumps

CLINIC = "https://clinic.loomford.example"
NUMBER = f"{CLINIC}/number"
LOINC = "http://loinc.org"
SNOMED = "http://snomed.info/sct"
ICD_10 = "http://hl7.org/fhir/sid/icd-10-cm"
ATC = "http://www.whocc.no/atc"
UCUM = "http://unitsofmeasure.org"
_TERMINOLOGY = "http://terminology.hl7.org/CodeSystem"


def record(
    registration: Registration,
    illnesses: Sequence[Illness],
    allergy: int | None,
    doctor: tuple[str, str],
    at: datetime,
) -> bytes:
    """What the clinic holds of a person: lasting illnesses, medicines, allergies."""
    patient, subject = _patient(registration, doctor)
    entries = [patient, _practitioner(doctor)]
    for illness in illnesses:
        entries += [
            _put(_condition(registration, subject, illness, at)),
            _put(_medicine(registration, subject, illness, at)),
        ]
    if allergy is not None:
        entries.append(_put(_allergy(registration, subject, ALLERGIES[allergy], at)))
    return _bundle(entries)


def visit(registration: Registration, doctor: tuple[str, str], at: datetime, rng: Random) -> bytes:
    """One visit to the clinic with blood pressure and weight."""
    patient, subject = _patient(registration, doctor)
    name = f"visit:{at:%Y%m%d%H%M}"
    encounter: Resource = {
        "resourceType": "Encounter",
        "id": _id(registration, name),
        "status": "finished",
        "class": {"system": f"{_TERMINOLOGY}/v3-ActCode", "code": "AMB", "display": "ambulatory"},
        "subject": subject,
        "participant": [{"individual": {"reference": _urn(f"doctor:{doctor[0]}")}}],
        "period": {"start": instant(at), "end": instant(at)},
    }
    systolic, diastolic = round(rng.gauss(134, 9)), round(rng.gauss(80, 6))
    weight = round(rng.gauss(76, 12), 1)
    panel = _observation(registration, subject, f"{name}:bp", ("85354-9", "Blood pressure panel"), at)
    panel["component"] = [
        {"code": _loinc("8480-6", "Systolic blood pressure"), "valueQuantity": _quantity(systolic, "mm[Hg]")},
        {
            "code": _loinc("8462-4", "Diastolic blood pressure"),
            "valueQuantity": _quantity(diastolic, "mm[Hg]"),
        },
    ]
    body_weight = _observation(registration, subject, f"{name}:weight", ("29463-7", "Body weight"), at)
    body_weight["valueQuantity"] = _quantity(weight, "kg")
    linked = [
        {**entry, "encounter": {"reference": f"Encounter/{encounter['id']}"}}
        for entry in (panel, body_weight)
    ]
    return _bundle([patient, _practitioner(doctor), _put(encounter), *map(_put, linked)])


def saturation_target(registration: Registration, doctor: tuple[str, str], at: datetime) -> bytes:
    """The clinician's decision that this person's saturation target is 88-92 % (NEWS2 scale 2)."""
    patient, subject = _patient(registration, doctor)
    flag: Resource = {
        "resourceType": "Flag",
        "id": _id(registration, "spo2-scale-2"),
        "status": "active",
        "category": [{"coding": [{"system": f"{_TERMINOLOGY}/flag-category", "code": "clinical"}]}],
        "code": {
            "coding": [{"system": "urn:careloom:flag", "code": "spo2-scale-2"}],
            "text": "Saturation target 88-92 % (hypercapnic respiratory failure)",
        },
        "subject": subject,
        "period": {"start": instant(at)},
        "author": {"reference": _urn(f"doctor:{doctor[0]}")},
    }
    return _bundle([patient, _practitioner(doctor), _put(flag)])


def _patient(registration: Registration, doctor: tuple[str, str]) -> tuple[Resource, Resource]:
    """The entry that creates the Patient once, and the reference to it."""
    person = registration.details
    url = _urn(f"patient:{registration.number}")
    resource: Resource = {
        "resourceType": "Patient",
        "identifier": [{"use": "usual", "system": NUMBER, "value": registration.number}],
        "active": True,
        "name": [
            {
                "use": "official",
                "family": person.family,
                "given": [n for n in (person.given, person.middle) if n],
            }
        ],
        "gender": person.sex,
        "birthDate": person.born.isoformat(),
        "generalPractitioner": [{"reference": _urn(f"doctor:{doctor[0]}")}],
    }
    if person.phone:
        resource["telecom"] = [{"system": "phone", "value": person.phone, "use": "home"}]
    if person.street:
        resource["address"] = [
            {
                "use": "home",
                "line": [person.street],
                "city": person.town,
                "postalCode": person.postcode,
                "country": "GB",
            }
        ]
    request = {
        "method": "POST",
        "url": "Patient",
        "ifNoneExist": f"identifier={NUMBER}|{registration.number}",
    }
    return {"fullUrl": url, "resource": resource, "request": request}, {"reference": url}


def _practitioner(doctor: tuple[str, str]) -> Resource:
    family, given = doctor
    number = f"D-{family.lower()}"
    resource: Resource = {
        "resourceType": "Practitioner",
        "identifier": [{"system": f"{CLINIC}/staff", "value": number}],
        "name": [{"family": family, "given": [given], "prefix": ["Dr"]}],
    }
    request = {"method": "POST", "url": "Practitioner", "ifNoneExist": f"identifier={CLINIC}/staff|{number}"}
    return {"fullUrl": _urn(f"doctor:{family}"), "resource": resource, "request": request}


def _condition(registration: Registration, subject: Resource, illness: Illness, at: datetime) -> Resource:
    return {
        "resourceType": "Condition",
        "id": _id(registration, f"condition:{illness.icd_10}"),
        "clinicalStatus": {"coding": [{"system": f"{_TERMINOLOGY}/condition-clinical", "code": "active"}]},
        "verificationStatus": {
            "coding": [{"system": f"{_TERMINOLOGY}/condition-ver-status", "code": "confirmed"}]
        },
        "category": [
            {"coding": [{"system": f"{_TERMINOLOGY}/condition-category", "code": "problem-list-item"}]}
        ],
        "code": {
            "coding": [
                {"system": SNOMED, "code": illness.snomed, "display": illness.name},
                {"system": ICD_10, "code": illness.icd_10},
            ],
            "text": illness.name,
        },
        "subject": subject,
        "recordedDate": at.date().isoformat(),
    }


def _medicine(registration: Registration, subject: Resource, illness: Illness, at: datetime) -> Resource:
    name = illness.medicine.split(" ")[0]
    return {
        "resourceType": "MedicationStatement",
        "id": _id(registration, f"medicine:{illness.atc}"),
        "status": "active",
        "medicationCodeableConcept": {
            "coding": [{"system": ATC, "code": illness.atc, "display": name}],
            "text": illness.medicine,
        },
        "subject": subject,
        "effectivePeriod": {"start": at.date().isoformat()},
        "dosage": [{"text": illness.medicine}],
    }


def _allergy(registration: Registration, subject: Resource, allergy: Allergy, at: datetime) -> Resource:
    return {
        "resourceType": "AllergyIntolerance",
        "id": _id(registration, f"allergy:{allergy.snomed}"),
        "clinicalStatus": {
            "coding": [{"system": f"{_TERMINOLOGY}/allergyintolerance-clinical", "code": "active"}]
        },
        "verificationStatus": {
            "coding": [{"system": f"{_TERMINOLOGY}/allergyintolerance-verification", "code": "confirmed"}]
        },
        "category": [allergy.category],
        "criticality": "high",
        "code": {
            "coding": [{"system": SNOMED, "code": allergy.snomed, "display": allergy.name}],
            "text": allergy.name,
        },
        "patient": subject,
        "recordedDate": at.date().isoformat(),
    }


def _observation(
    registration: Registration, subject: Resource, name: str, what: tuple[str, str], at: datetime
) -> Resource:
    return {
        "resourceType": "Observation",
        "id": _id(registration, name),
        "status": "final",
        "category": [{"coding": [{"system": f"{_TERMINOLOGY}/observation-category", "code": "vital-signs"}]}],
        "code": _loinc(*what),
        "subject": subject,
        "effectiveDateTime": instant(at),
    }


def _loinc(code: str, name: str) -> Resource:
    return {"coding": [{"system": LOINC, "code": code, "display": name}], "text": name}


def _quantity(value: float, unit: str) -> Resource:
    return {"value": value, "unit": unit, "system": UCUM, "code": unit}


def _put(resource: Resource) -> Resource:
    url = f"{resource['resourceType']}/{resource['id']}"
    return {"fullUrl": f"{CLINIC}/fhir/{url}", "resource": resource, "request": {"method": "PUT", "url": url}}


def _bundle(entries: Sequence[Resource]) -> bytes:
    return dumps({"resourceType": "Bundle", "type": "transaction", "entry": list(entries)})


def _id(registration: Registration, name: str) -> str:
    return str(uuid5(NAMESPACE_URL, f"{CLINIC}/{registration.number}/{name}"))


def _urn(name: str) -> str:
    return f"urn:uuid:{uuid5(NAMESPACE_URL, f'{CLINIC}/{name}')}"
