"""store.resource_type: what the resource tables know of each R4 type: its number and its hot columns.

Room: store. Pure. Standard: https://hl7.org/fhir/R4/resourcelist.html,
https://hl7.org/fhir/R4/compartmentdefinition-patient.html

Numbers are written to the database: the list is only ever appended to.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import NamedTuple

from careloom.fhir.extractor import indexed_routes
from careloom.fhir.facts import facts
from careloom.fhir.outcome import Issue, OutcomeError
from careloom.fhir.searchparam import SearchParameter, of_r4
from careloom.fhir.searchpath import Key

_WORDS = """
Account ActivityDefinition AdverseEvent AllergyIntolerance Appointment AppointmentResponse
AuditEvent Basic Binary BiologicallyDerivedProduct BodyStructure Bundle CapabilityStatement CarePlan
CareTeam CatalogEntry ChargeItem ChargeItemDefinition Claim ClaimResponse ClinicalImpression
CodeSystem Communication CommunicationRequest CompartmentDefinition Composition ConceptMap Condition
Consent Contract Coverage CoverageEligibilityRequest CoverageEligibilityResponse DetectedIssue
Device DeviceDefinition DeviceMetric DeviceRequest DeviceUseStatement DiagnosticReport
DocumentManifest DocumentReference EffectEvidenceSynthesis Encounter Endpoint EnrollmentRequest
EnrollmentResponse EpisodeOfCare EventDefinition Evidence EvidenceVariable ExampleScenario
ExplanationOfBenefit FamilyMemberHistory Flag Goal GraphDefinition Group GuidanceResponse
HealthcareService ImagingStudy Immunization ImmunizationEvaluation ImmunizationRecommendation
ImplementationGuide InsurancePlan Invoice Library Linkage List Location Measure MeasureReport Media
Medication MedicationAdministration MedicationDispense MedicationKnowledge MedicationRequest
MedicationStatement MedicinalProduct MedicinalProductAuthorization MedicinalProductContraindication
MedicinalProductIndication MedicinalProductIngredient MedicinalProductInteraction
MedicinalProductManufactured MedicinalProductPackaged MedicinalProductPharmaceutical
MedicinalProductUndesirableEffect MessageDefinition MessageHeader MolecularSequence NamingSystem
NutritionOrder Observation ObservationDefinition OperationDefinition OperationOutcome Organization
OrganizationAffiliation Parameters Patient PaymentNotice PaymentReconciliation Person PlanDefinition
Practitioner PractitionerRole Procedure Provenance Questionnaire QuestionnaireResponse RelatedPerson
RequestGroup ResearchDefinition ResearchElementDefinition ResearchStudy ResearchSubject
RiskAssessment RiskEvidenceSynthesis Schedule SearchParameter ServiceRequest Slot Specimen
SpecimenDefinition StructureDefinition StructureMap Subscription Substance SubstanceNucleicAcid
SubstancePolymer SubstanceProtein SubstanceReferenceInformation SubstanceSourceMaterial
SubstanceSpecification SupplyDelivery SupplyRequest Task TerminologyCapabilities TestReport
TestScript ValueSet VerificationResult VisionPrescription
ViewDefinition
"""
RESOURCE_TYPES = tuple(_WORDS.split())

_NUMBERS = {rtype: number for number, rtype in enumerate(RESOURCE_TYPES, 1)}

HOT_DATES = """
authoredon date onset-date authored-on authored created started sent birthdate period effective effective-time
occurrence issued start start-date recorded collected whenhandedover datetime datewritten identified timestamp
entered-date modified
"""
"""The first of these that a type has stands in `dlo, dhi`. Each has one value at most in every R4 type, where
MedicationRequest.date (many events of a Timing) would not: authoredon comes first."""

MANY_PATIENTS = frozenset({"Account", "AuditEvent", "Group", "Person", "Provenance"})
"""Types whose `patient` or `subject` may be several: a search looks for it in `ix`, not in the column."""

UNIONS: dict[str, dict[str, tuple[str, str]]] = {
    "Observation": {
        f"combo-{code}": (code, f"component-{code}")
        for code in ("code", "data-absent-reason", "value-concept", "value-quantity")
    }
}
"""Parameters that find what two others find: a search asks for both, and nothing is stored for the union."""


PLAIN_TYPES = frozenset({"boolean", "code", "id", "string", "uri", "url", "oid", "uuid", "canonical"})
"""Elements that a token finds and that have no system."""


class Columns(NamedTuple):
    """Which search parameters of a type fill its hot columns; ids of search parameters, 0 for none."""

    number: int
    code: int
    date: int
    patients: frozenset[int]
    """`patient`, `subject`: they fill `pat`."""
    single_patients: frozenset[int]
    """Those that `pat` alone answers."""
    sole_patients: frozenset[int]
    """Of those the ones whose every reference to a Patient stands in `pat`: no other element could have filled it."""
    compartment: frozenset[int]
    """All parameters by which a resource belongs to a Patient."""
    bits: Mapping[int, int]
    """Search parameter -> its bit in `present`."""
    unions: frozenset[int]
    """Parameters of which nothing is stored."""
    plain: frozenset[int]
    """Token parameters whose elements can have no system."""


def number_of(rtype: str) -> int:
    """The number of a type in the tables. Raises OutcomeError(not-supported) for a type that R4 does not know.

    >>> number_of("Account")
    1
    """
    number = _NUMBERS.get(rtype)
    if number is None:
        raise OutcomeError(Issue("not-supported", "FHIR R4 has no such resource type."))
    return number


@cache
def columns_of(rtype: str) -> Columns:
    """The hot columns of a type; "Resource" (of a search on all types) has none that all types share."""
    known = of_r4(rtype)

    def id_of(code: str) -> int:
        return known[code].id if code in known else 0

    patients = frozenset(filter(None, (id_of("patient"), id_of("subject"))))
    others = (id_of(code) for code in facts().compartments["Patient"].get(rtype, ()))
    return Columns(
        number=0 if rtype == "Resource" else number_of(rtype),
        code=id_of("code") if _is_coded(known.get("code")) else 0,
        date=next((known[code].id for code in HOT_DATES.split() if _is_date(known.get(code))), 0),
        patients=patients,
        single_patients=frozenset() if rtype in MANY_PATIENTS else patients,
        sole_patients=_sole_patients(rtype, known),
        compartment=patients | frozenset(filter(None, others)),
        bits={}
        if rtype == "Resource"
        else {known[code].id: 1 << n for n, code in enumerate(sorted(known)[:63])},
        unions=frozenset(map(id_of, UNIONS.get(rtype, ()))),
        plain=frozenset(parameter.id for parameter in known.values() if is_plain(parameter)),
    )


def _sole_patients(rtype: str, known: Mapping[str, SearchParameter]) -> frozenset[int]:
    both = [known[code] for code in ("patient", "subject") if code in known]
    read = {
        tuple(hop for hop in route.hops if isinstance(hop, Key))
        for parameter in both
        for route in indexed_routes(parameter.type, parameter.expression)
    }
    is_single = len(read) == 1 and not any(hop.many for hops in read for hop in hops)
    return frozenset(one.id for one in both) if is_single and rtype not in MANY_PATIENTS else frozenset()


def _is_date(parameter: SearchParameter | None) -> bool:
    return parameter is not None and parameter.type == "date"


def _is_coded(parameter: SearchParameter | None) -> bool:
    """Whether its elements are codings: those of type code (OperationDefinition.code) have no system to hash."""
    return parameter is not None and parameter.type == "token" and not is_plain(parameter)


@cache
def is_plain(parameter: SearchParameter) -> bool:
    """Whether no element of this token parameter can have a system.

    >>> is_plain(of_r4("Patient")["gender"])
    True
    """
    routes = indexed_routes(parameter.type, parameter.expression) if parameter.type == "token" else []
    return bool(routes) and all(route.type in PLAIN_TYPES for route in routes)
