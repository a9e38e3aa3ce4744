"""train_dictionary: make src/careloom/store/shipped.zdict from resources that are made up from the R4 facts alone.

Run once: `python scripts/train_dictionary.py`. The file is never changed after a release: rows name it by number.
No record of a patient, real or synthetic, goes into it.
"""

from __future__ import annotations

import random
import uuid
from pathlib import Path
from typing import Any

import zstandard

from careloom.fhir.facts import Element, children, facts
from careloom.store.body import kept_of

TARGET = Path(__file__).parent.parent / "src/careloom/store/shipped.zdict"
COMMON = """
Patient Observation Encounter Condition Procedure Immunization MedicationRequest MedicationAdministration Medication
DiagnosticReport ServiceRequest AllergyIntolerance CarePlan CareTeam Goal Claim ExplanationOfBenefit Coverage
DocumentReference Composition Organization Practitioner PractitionerRole Location Device ImagingStudy Specimen
Task Person RelatedPerson Flag Communication CommunicationRequest Appointment QuestionnaireResponse Provenance
RiskAssessment EpisodeOfCare MedicationStatement MedicationDispense FamilyMemberHistory Questionnaire Group
"""
SYSTEMS = """
http://loinc.org http://snomed.info/sct http://unitsofmeasure.org http://www.nlm.nih.gov/research/umls/rxnorm
http://hl7.org/fhir/sid/icd-10 http://hl7.org/fhir/sid/icd-10-cm http://hl7.org/fhir/sid/cvx urn:ietf:rfc:3986
http://hl7.org/fhir/sid/us-npi http://terminology.hl7.org/CodeSystem/v2-0203 urn:oid:2.16.840.1.113883
http://terminology.hl7.org/CodeSystem/v3-ActCode http://terminology.hl7.org/CodeSystem/observation-category
http://terminology.hl7.org/CodeSystem/condition-clinical http://terminology.hl7.org/CodeSystem/condition-ver-status
http://terminology.hl7.org/CodeSystem/v3-ParticipationType http://terminology.hl7.org/CodeSystem/v2-0074
urn:careloom:source urn:careloom:tag urn:careloom:rule urn:careloom:event
"""
UNITS = "mg mL mm[Hg] kg cm Cel /min % mmol/L g/dL kg/m2 10*3/uL U/L {score} h d a"
WORDS = """
final active completed vital-signs laboratory Vital Signs Laboratory Body Weight Height Heart rate Blood pressure
Respiratory Temperature Oxygen saturation Hemoglobin Glucose Creatinine disorder finding procedure Encounter for
check up (procedure) (disorder) (finding) confirmed AMB EMER IMP finished in Blood by Automated count Serum or Plasma
[Mass/volume] [Moles/volume] [#/volume] American English Dr. Mr. Mrs. official home usual phone work female male
"""
DEPTH = 4


def main() -> None:
    """Write the dictionary."""
    chance = random.Random(20)
    samples = [
        kept_of({"resourceType": rtype, **element_values(chance, rtype, 0)})
        for _ in range(160)
        for rtype in COMMON.split()
    ]
    dictionary = zstandard.train_dictionary(65_536, samples)
    TARGET.write_bytes(dictionary.as_bytes())
    print(TARGET, len(dictionary.as_bytes()), "bytes of", sum(map(len, samples)))


def element_values(chance: random.Random, owner: str, depth: int) -> dict[str, Any]:
    """A random part of the elements of a type, more often those that must be there."""
    values: dict[str, Any] = {}
    for name, element in facts().elements.get(owner, {}).items():
        if name in {"id", "extension", "modifierExtension", "contained", "implicitRules", "language"}:
            continue
        if element.min or chance.random() < 0.45 / (depth + 1):
            child = chance.choice(children(owner, name.removesuffix("[x]")))
            value = one_value(chance, child.type, element, depth)
            if value not in (None, {}):
                values[child.key] = [value] if element.many else value
    return values


def one_value(chance: random.Random, kind: str, element: Element, depth: int) -> Any:
    """A value of a type."""
    made = typical(chance, element)
    if kind in made:
        return made[kind]
    if kind in facts().primitives:
        return words(chance)
    return element_values(chance, kind, depth + 1) if depth < DEPTH else None


def typical(chance: random.Random, element: Element) -> dict[str, Any]:
    """Type -> a value as records have it."""
    text, unit, system = words(chance), chance.choice(UNITS.split()), chance.choice(SYSTEMS.split())
    day = f"{chance.randrange(1930, 2027)}-{chance.randrange(1, 13):02}-{chance.randrange(1, 29):02}"
    clock = f"T{chance.randrange(24):02}:{chance.randrange(60):02}:{chance.randrange(60):02}"
    uri, number = f"{system}/{chance.randrange(100)}", chance.randrange(10**4) / 100
    coding = {"system": system, "code": str(chance.randrange(10**7)), "display": text}
    amount = {"value": number, "unit": unit, "system": "http://unitsofmeasure.org", "code": unit}
    codes = [code for codes in facts().codes.get(element.required, {}).values() for code in codes]
    rtype = chance.choice(element.targets or ("Patient", "Encounter"))
    made = str(uuid.UUID(int=chance.getrandbits(128), version=4))
    return {
        "Reference": {"reference": f"{rtype}/{made}"},
        "Coding": coding,
        "CodeableConcept": {"coding": [coding], "text": text},
        **dict.fromkeys(("Quantity", "Age", "Duration"), amount),
        "Identifier": {"use": "official", "system": system, "value": made},
        "Meta": {
            "source": "urn:careloom:source:ehr",
            "tag": [{"system": "urn:careloom:tag", "code": "derived"}],
        },
        "code": chance.choice(codes or ["final"]),
        "boolean": chance.random() < 0.5,
        **dict.fromkeys(("integer", "positiveInt", "unsignedInt"), chance.randrange(1, 9)),
        "decimal": number,
        "date": day,
        "dateTime": f"{day}{clock}{chance.choice(['+00:00', 'Z', '-04:00', '+01:00'])}",
        "instant": f"{day}{clock}.{chance.randrange(1000):03}{chance.choice(['Z', '-04:00'])}",
        **dict.fromkeys(("uri", "url", "canonical"), uri),
        "xhtml": f'<div xmlns="http://www.w3.org/1999/xhtml">{text}</div>',
    }


def words(chance: random.Random) -> str:
    """A few words."""
    return " ".join(chance.choices(WORDS.split(), k=chance.randrange(1, 5)))


if __name__ == "__main__":
    main()
