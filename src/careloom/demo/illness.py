"""demo.illness: what the people of Loomford have, take and cannot bear, in codes.

Room: demo. Data. ICD-10-CM, SNOMED CT, ATC and LOINC codes as published; units are UCUM.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Illness:
    """A lasting illness: ICD-10-CM, SNOMED CT, name, the medicine for it (ATC), share of people over 60 who have it."""

    icd_10: str
    snomed: str
    name: str
    atc: str
    medicine: str
    share: float


ILLNESSES: tuple[Illness, ...] = (
    Illness("I10", "38341003", "Hypertension", "C08CA01", "amlodipine 5 mg once daily", 0.4),
    Illness("E11.9", "44054006", "Type 2 diabetes mellitus", "A10BA02", "metformin 500 mg twice daily", 0.2),
    Illness("I50.9", "84114007", "Heart failure", "C03CA01", "furosemide 40 mg once daily", 0.08),
    Illness("J44.9", "13645005", "Chronic obstructive pulmonary disease", "R03BB04", "tiotropium 18 ug once daily", 0.1),
    Illness("J45.909", "195967001", "Asthma", "R03AC02", "salbutamol 100 ug as needed", 0.08),
    Illness("I48.91", "49436004", "Atrial fibrillation", "B01AF02", "apixaban 5 mg twice daily", 0.1),
    Illness("I25.2", "399211009", "Old myocardial infarction", "C10AA05", "atorvastatin 40 mg at night", 0.07),
    Illness("N18.3", "433144002", "Chronic kidney disease stage 3", "C09AA03", "lisinopril 10 mg once daily", 0.1),
    Illness("G30.9", "26929004", "Alzheimer's disease", "N06DA02", "donepezil 10 mg at night", 0.05),
    Illness("M06.9", "69896004", "Rheumatoid arthritis", "L04AX03", "methotrexate 15 mg once weekly", 0.04),
    Illness("C50.919", "254837009", "Malignant tumor of breast", "L02BA01", "tamoxifen 20 mg once daily", 0.03),
    Illness("F32.9", "35489007", "Depression", "N06AB06", "sertraline 50 mg once daily", 0.12),
)  # fmt: skip
COPD = "13645005"
DIABETES = "44054006"


@dataclass(frozen=True, slots=True)
class Allergy:
    """SNOMED CT code and name; its kind in FHIR and in HL7 table 0127."""

    snomed: str
    name: str
    category: str
    kind: str


ALLERGIES: tuple[Allergy, ...] = (
    Allergy("91936005", "Allergy to penicillin", "medication", "DA"),
    Allergy("91935009", "Allergy to peanut", "food", "FA"),
    Allergy("300916003", "Allergy to latex", "environment", "EA"),
    Allergy("91930004", "Allergy to egg", "food", "FA"),
)


@dataclass(frozen=True, slots=True)
class Complaint:
    """Why somebody lies in hospital: ICD-10-CM, name, ward, whether it came by the emergency department."""

    icd_10: str
    name: str
    ward: str
    is_acute: bool


COMPLAINTS: tuple[Complaint, ...] = (
    Complaint("J18.9", "Pneumonia", "MED", is_acute=True),
    Complaint("N39.0", "Urinary tract infection", "MED", is_acute=True),
    Complaint("I50.9", "Heart failure", "CAR", is_acute=True),
    Complaint("I21.4", "Non-ST elevation myocardial infarction", "CAR", is_acute=True),
    Complaint("J44.1", "COPD with acute exacerbation", "RES", is_acute=True),
    Complaint("K35.80", "Acute appendicitis", "SUR", is_acute=True),
    Complaint("S72.001A", "Fracture of neck of right femur", "SUR", is_acute=True),
    Complaint("K80.20", "Calculus of gallbladder", "SUR", is_acute=False),
    Complaint("M17.11", "Osteoarthritis of right knee", "SUR", is_acute=False),
    Complaint("I63.9", "Cerebral infarction", "MED", is_acute=True),
)
STORY_COMPLAINT = COMPLAINTS[0]
COPD_COMPLAINT = COMPLAINTS[4]

WARDS: dict[str, tuple[str, int]] = {
    "MED": ("Medicine", 24),
    "SUR": ("Surgery", 20),
    "CAR": ("Cardiology", 16),
    "RES": ("Respiratory", 12),
    "ED": ("Emergency", 12),
}
"""Ward -> name, number of beds."""


@dataclass(frozen=True, slots=True)
class Analyte:
    """One laboratory test: LOINC, name, UCUM unit, reference range, decimals, and how far illness moves it."""

    loinc: str
    name: str
    unit: str
    low: float
    high: float
    places: int
    illness: float


PANELS: dict[tuple[str, str, str], tuple[Analyte, ...]] = {
    ("51990-0", "Basic metabolic panel - Blood", "LN"): (
        Analyte("2951-2", "Sodium [Moles/volume] in Serum or Plasma", "mmol/L", 136, 145, 0, -4),
        Analyte("2823-3", "Potassium [Moles/volume] in Serum or Plasma", "mmol/L", 3.5, 5.1, 1, 0.4),
        Analyte("2160-0", "Creatinine [Mass/volume] in Serum or Plasma", "mg/dL", 0.6, 1.2, 2, 0.7),
        Analyte("3094-0", "Urea nitrogen [Mass/volume] in Serum or Plasma", "mg/dL", 7, 20, 0, 14),
        Analyte("2345-7", "Glucose [Mass/volume] in Serum or Plasma", "mg/dL", 70, 99, 0, 50),
    ),
    ("58410-2", "CBC panel - Blood by Automated count", "LN"): (
        Analyte("718-7", "Hemoglobin [Mass/volume] in Blood", "g/dL", 12, 16, 1, -2),
        Analyte("6690-2", "Leukocytes [#/volume] in Blood by Automated count", "10*3/uL", 4, 11, 1, 8),
        Analyte("777-3", "Platelets [#/volume] in Blood by Automated count", "10*3/uL", 150, 400, 0, -60),
    ),
    ("INFL", "Inflammation panel", "L"): (
        Analyte("1988-5", "C reactive protein [Mass/volume] in Serum or Plasma", "mg/L", 0, 5, 0, 180),
        Analyte("2524-7", "Lactate [Moles/volume] in Serum or Plasma", "mmol/L", 0.5, 2.0, 1, 2.4),
    ),
}
"""Panel (code, name, HL7 coding system) -> tests."""

HBA1C_PANEL = ("55454-3", "Hemoglobin A1c in Blood", "LN")
HBA1C = Analyte("4548-4", "Hemoglobin A1c/Hemoglobin.total in Blood", "%", 4.0, 5.6, 1, 3.0)
"""Measured every few months of those who have diabetes."""
