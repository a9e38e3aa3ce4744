"""verify.exclusion: files of public suites that break the standard themselves, each with its reason.

Room: verify. The list may only shrink: a check fails where a file no longer has exactly the faults named here.
"""

from __future__ import annotations

from typing import Literal, NamedTuple


class Exclusion(NamedTuple):
    """Why a file is no valid example: `bug` of the suite, or `wontfix`: it is no example at all."""

    kind: Literal["bug", "wontfix"]
    reason: str
    faults: frozenset[str] = frozenset()
    """The expressions, without indexes, of the issues that the validator must find; it may find no others."""


def _bug(reason: str, *faults: str) -> Exclusion:
    return Exclusion("bug", reason, frozenset(faults))


_GUIDE = Exclusion(
    "wontfix",
    "the package's own guide, not an example: it has neither the required name nor status",
    frozenset({"ImplementationGuide.name", "ImplementationGuide.status"}),
)
FAULTY_FILES: dict[str, Exclusion] = {
    "Bundle-dataelements.json": _bug(
        "data elements of Quantity stand three times under one fullUrl; bdl-7 allows one for each version",
        "Bundle",
    ),
    "DeviceMetric-example.json": _bug(
        "parent refers to a DeviceDefinition; R4: Reference(Device)", "DeviceMetric.parent.reference"
    ),
    "DeviceUseStatement-example.json": _bug(
        "reasonReference refers to a Procedure; R4: Condition, Observation, DiagnosticReport, DocumentReference, Media",
        "DeviceUseStatement.reasonReference.reference",
    ),
    "ImplementationGuide-fhir.json": _GUIDE,
    "ig-r4.json": _GUIDE,
    "MedicationRequest-medrx0301.json": _bug(
        "dispenseRequest.performer refers to a Practitioner; R4: Reference(Organization)",
        "MedicationRequest.dispenseRequest.performer.reference",
    ),
    "Observation-clinical-gender.json": _bug(
        "performer refers to an Encounter, which R4 does not allow", "Observation.performer.reference"
    ),
    "Questionnaire-qs1.json": _bug(
        "display items without linkId, which R4 requires (1..1)",
        "Questionnaire.item.item.linkId",
        "Questionnaire.item.item.item.linkId",
        "Questionnaire.item.item.item.item.linkId",
    ),
}
_NO_BASE = _bug(
    "made by the publisher's tools without base, which R4 requires (1..*)", "SearchParameter.base"
)
FAULTY_SEARCH_PARAMETERS: dict[str, Exclusion] = {
    **{
        f"SearchParameter-{kind.lower()}-extensions-{kind}-{code}.json": _NO_BASE
        for kind, codes in {
            "CodeSystem": ("author", "effective", "end", "keyword", "workflow"),
            "ValueSet": ("author", "effective", "end", "keyword", "workflow"),
        }.items()
        for code in codes
    },
    "SearchParameter-questionnaireresponse-extensions-QuestionnaireResponse-item-subject.json": _bug(
        "its id has 66 characters; R4 allows 64", "SearchParameter.id"
    ),
}
FOREIGN_XML: dict[str, Exclusion] = {
    "observation-example.xml": _bug(
        "an extension was added behind the last element; R4 gives the order of elements"
    ),
    "examples/observation-example.xml": _bug("as published, but for an extension that the tests added"),
    "examples/observation-decimal.xml": Exclusion(
        "wontfix", "1.0e0 is written 1.0: the same value with the same precision, but not the same characters"
    ),
    "patch/fhir-patch-tests.xml": Exclusion("wontfix", "a list of tests, not a resource"),
    "patch/xml-patch-tests.xml": Exclusion("wontfix", "a list of tests, not a resource"),
}
