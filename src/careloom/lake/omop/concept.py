"""lake.omop.concept: the few concepts that the CDM itself asks for, and whose codes are whose vocabulary.

Room: lake. May import: nothing. Concept ids: https://athena.ohdsi.org (Gender, Race, Ethnicity, Visit, Type Concept,
Meas Value Operator, Currency); conventions: https://ohdsi.github.io/Themis and https://ohdsi.github.io/CommonDataModel/cdm54.html
Code systems: https://hl7.org/fhir/R4/terminologies-systems.html

The type concepts stand where they are used, in etl/: 32817 EHR, 32818 EHR administration record, 32825 EHR dispensing
record, 32838 EHR prescription, 32865 Patient self-report, 32831 EHR note, 32810 Claim; 756265 is CDM 5.4 itself.
"""

from __future__ import annotations

from collections.abc import Iterator

Rows = tuple[tuple[str | int | bool, ...], ...]

GENDER: Rows = (("male", 8507), ("female", 8532))

RACE: Rows = (("2106-3", 8527), ("2054-5", 8516), ("2028-9", 8515), ("1002-5", 8657), ("2076-8", 8557))
"""Categories of OMB, as US Core states them."""

ETHNICITY: Rows = (("2135-2", 38003563), ("2186-5", 38003564))

VISIT_CLASS: Rows = (
    ("IMP", 9201, True),
    ("ACUTE", 9201, True),
    ("NONAC", 9201, True),
    ("SS", 9202, False),
    ("AMB", 9202, False),
    ("FLD", 9202, False),
    ("EMER", 9203, False),
    ("OBSENC", 581385, True),
    ("HH", 581476, False),
    ("VR", 5083, False),
)
"""v3-ActCode of Encounter.class, the concept of the visit, and whether one stays over night."""

OPERATOR: Rows = (("<", 4171756), ("<=", 4171754), (">=", 4171755), (">", 4172704))

CURRENCY: Rows = (("USD", 44818668),)

VOCABULARY_OF: Rows = (
    ("http://snomed.info/sct", "SNOMED"),
    ("http://loinc.org", "LOINC"),
    ("http://www.nlm.nih.gov/research/umls/rxnorm", "RxNorm"),
    ("http://hl7.org/fhir/sid/icd-10-cm", "ICD10CM"),
    ("http://hl7.org/fhir/sid/icd-10", "ICD10"),
    ("http://hl7.org/fhir/sid/icd-9-cm", "ICD9CM"),
    ("http://www.cms.gov/Medicare/Coding/ICD10", "ICD10PCS"),
    ("http://fhir.de/CodeSystem/bfarm/icd-10-gm", "ICD10GM"),
    ("http://www.ama-assn.org/go/cpt", "CPT4"),
    ("https://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets", "HCPCS"),
    ("http://hl7.org/fhir/sid/cvx", "CVX"),
    ("http://hl7.org/fhir/sid/ndc", "NDC"),
    ("http://www.whocc.no/atc", "ATC"),
    ("https://dmd.nhs.uk", "dm+d"),
    ("http://unitsofmeasure.org", "UCUM"),
    ("http://nucc.org/provider-taxonomy", "NUCC"),
    ("urn:oid:2.16.840.1.113883.6.96", "SNOMED"),
    ("urn:oid:2.16.840.1.113883.6.1", "LOINC"),
    ("urn:oid:2.16.840.1.113883.6.88", "RxNorm"),
    ("urn:oid:2.16.840.1.113883.6.90", "ICD10CM"),
    ("urn:oid:2.16.840.1.113883.6.103", "ICD9CM"),
    ("urn:oid:2.16.840.1.113883.6.4", "ICD10PCS"),
    ("urn:oid:2.16.840.1.113883.6.12", "CPT4"),
    ("urn:oid:2.16.840.1.113883.6.285", "HCPCS"),
    ("urn:oid:2.16.840.1.113883.6.69", "NDC"),
    ("urn:oid:2.16.840.1.113883.12.292", "CVX"),
)
"""FHIR's name of a code system -> vocabulary_id of CONCEPT."""

DOMAIN_TABLE: Rows = (
    ("Condition", "condition_occurrence"),
    ("Drug", "drug_exposure"),
    ("Procedure", "procedure_occurrence"),
    ("Device", "device_exposure"),
    ("Measurement", "measurement"),
    ("Observation", "observation"),
)
"""The table that a standard concept of a domain goes to, whatever resource its code came in."""

AMOUNT: Rows = (
    ("submitted", "charge"),
    ("eligible", "allowed"),
    ("benefit", "payer"),
    ("copay", "copay"),
    ("coinsurance", "coinsurance"),
    ("deductible", "deductible"),
    ("paidbypatient", "patient"),
    ("https://bluebutton.cms.gov/resources/variables/line_sbmtd_chrg_amt", "charge"),
    ("https://bluebutton.cms.gov/resources/variables/line_alowd_chrg_amt", "allowed"),
    ("https://bluebutton.cms.gov/resources/variables/line_nch_pmt_amt", "payer"),
    ("https://bluebutton.cms.gov/resources/variables/line_coinsrnc_amt", "coinsurance"),
    ("https://bluebutton.cms.gov/resources/variables/line_bene_ptb_ddctbl_amt", "deductible"),
)
"""Category of an adjudication -> what is added up to a column of cost: R4's codes, CARIN's, and those of Blue Button."""

_RELATIONS: dict[str, tuple[str, Rows]] = {
    "gender": ("code, concept_id", GENDER),
    "race": ("code, concept_id", RACE),
    "ethnicity": ("code, concept_id", ETHNICITY),
    "visit_class": ("code, concept_id, stays", VISIT_CLASS),
    "operator": ("code, concept_id", OPERATOR),
    "currency": ("code, concept_id", CURRENCY),
    "vocabulary_of": ("system, vocabulary_id", VOCABULARY_OF),
    "domain_table": ("domain, target", DOMAIN_TABLE),
    "amount": ("code, means", AMOUNT),
}


def relations() -> Iterator[str]:
    """Statements that make a small table of each of these, for the SQL of etl/ to join.

    >>> next(relations())
    "create temp table gender as select * from (values ('male', 8507), ('female', 8532)) t(code, concept_id)"
    """
    for name, (columns, rows) in _RELATIONS.items():
        values = ", ".join(f"({', '.join(_literal(value) for value in row)})" for row in rows)
        yield f"create temp table {name} as select * from (values {values}) t({columns})"


def _literal(value: object) -> str:
    return f"'{value}'" if isinstance(value, str) else str(value)
