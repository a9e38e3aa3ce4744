from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from careloom.fhir import extractor
from careloom.fhir.facts import facts, resource_types, search_ids
from careloom.fhir.instant import LATEST
from careloom.fhir.outcome import OutcomeError
from careloom.fhir.searchparam import Indexed, extract, parameters


def values(resource: dict[str, Any], code: str, kind: str) -> list[Any]:
    number = parameters(resource["resourceType"])[code].id
    rows = [row[1:] for row in getattr(extract(resource), kind) if row[0] == number]
    return sorted((row if len(row) > 1 else row[0] for row in rows), key=repr)


def test_every_expression_of_the_registry_compiles_and_leads_to_an_indexable_type() -> None:
    silent = {
        f"{base}.{code}"
        for base, of_base in facts().search.items()
        for code, fact in of_base.items()
        if fact.type not in {"composite", "special"}
        and not extractor.indexed_routes(fact.type, fact.expression)
    }
    assert silent == {"DomainResource._text", "Resource._content", "Resource._query"}


def test_every_type_has_an_extractor_that_finds_nothing_in_an_empty_resource() -> None:
    for rtype in resource_types():
        assert extract({"resourceType": rtype}) == Indexed() or rtype == "Patient"


def test_ids_are_unique_and_small() -> None:
    ids = list(search_ids().values())
    assert len(ids) == len(set(ids))
    assert max(ids) < 2**15


def test_parameters_hold_those_of_every_resource() -> None:
    assert {"_id", "_lastUpdated", "_tag", "_profile", "_security", "_source"} <= parameters(
        "Observation"
    ).keys()
    assert parameters("Observation")["_tag"] is not None
    assert parameters("Observation")["_tag"] == parameters("Patient")["_tag"]
    assert "_text" not in parameters("Bundle")


def test_an_unknown_type_is_refused() -> None:
    with pytest.raises(OutcomeError):
        parameters("Patients")
    with pytest.raises(OutcomeError):
        extract({"resourceType": "Element"})
    with pytest.raises(OutcomeError):
        extract({"resourceType": "Patient", "name": "Ada"})


def test_a_code_with_a_required_binding_implies_its_system() -> None:
    assert parameters("Patient")["gender"].system == "http://hl7.org/fhir/administrative-gender"
    assert parameters("Observation")["code"].system == ""


PATIENT = {
    "resourceType": "Patient",
    "id": "p",
    "meta": {"tag": [{"system": "urn:t", "code": "a"}], "profile": ["http://p|1"], "source": "urn:s"},
    "identifier": [{"system": "urn:mrn", "value": "7"}],
    "name": [
        {
            "family": "Müller",
            "given": ["Zoë", None, "Anna"],
            "_given": [None, {"id": "x"}, None],
            "prefix": ["Dr."],
        },
        {"text": "Zoe Schmidt"},
    ],
    "telecom": [{"system": "email", "value": "a@b.example"}, {"system": "phone", "value": "555"}],
    "gender": "female",
    "birthDate": "1980-02-01",
    "address": [{"line": ["1 Main St"], "city": "Ulm", "postalCode": "89073", "use": "home"}],
    "generalPractitioner": [{"reference": "Organization/o/_history/3"}],
    "managingOrganization": {"identifier": {"system": "urn:org", "value": "h1"}},
}


def test_names_and_addresses_are_strings_without_case_or_accents() -> None:
    assert values(PATIENT, "name", "strings") == ["anna", "dr.", "muller", "zoe schmidt", "zoe"]
    assert values(PATIENT, "given", "strings") == ["anna", "zoe"]
    assert values(PATIENT, "address", "strings") == ["1 main st", "89073", "ulm"]
    assert values(PATIENT, "address-city", "strings") == ["ulm"]


def test_tokens_come_from_codes_identifiers_and_contact_points() -> None:
    assert values(PATIENT, "identifier", "tokens") == [("urn:mrn", "7")]
    assert values(PATIENT, "gender", "tokens") == [(None, "female")]
    assert values(PATIENT, "email", "tokens") == [("email", "a@b.example")]
    assert values(PATIENT, "telecom", "tokens") == [("email", "a@b.example"), ("phone", "555")]
    assert values(PATIENT, "address-use", "tokens") == [(None, "home")]
    assert values(PATIENT, "_tag", "tokens") == [("urn:t", "a")]


def test_uris_and_references_lose_the_version_that_a_search_does_not_name() -> None:
    assert values(PATIENT, "_source", "uris") == ["urn:s"]
    assert values(PATIENT, "general-practitioner", "references") == ["Organization/o"]


def test_a_reference_by_identifier_is_a_token_of_its_parameter() -> None:
    assert values(PATIENT, "organization", "references") == []
    assert values(PATIENT, "organization", "tokens") == [("urn:org", "h1")]


@pytest.mark.parametrize(
    ("element", "expected"),
    [
        ({}, "false"),
        ({"deceasedBoolean": False}, "false"),
        ({"deceasedBoolean": True}, "true"),
        ({"deceasedDateTime": "2020"}, "true"),
    ],
)
def test_deceased_is_whether_there_is_a_value_other_than_false(
    element: dict[str, Any], expected: str
) -> None:
    assert values({"resourceType": "Patient", **element}, "deceased", "tokens") == [(None, expected)]


OBSERVATION = {
    "resourceType": "Observation",
    "status": "final",
    "code": {"coding": [{"system": "http://loinc.org", "code": "85354-9"}, {"code": "local"}], "text": "BP"},
    "subject": {"reference": "Patient/p"},
    "effectivePeriod": {"start": "2020-01-01T10:00:00Z"},
    "component": [
        {
            "code": {"coding": [{"system": "http://loinc.org", "code": "8480-6"}]},
            "valueQuantity": {
                "value": Decimal("120.0"),
                "unit": "mmHg",
                "system": "http://unitsofmeasure.org",
                "code": "mm[Hg]",
            },
        }
    ],
}


def test_one_element_serves_all_parameters_that_read_it() -> None:
    assert values(OBSERVATION, "code", "tokens") == [("http://loinc.org", "85354-9"), (None, "local")]
    assert ("http://loinc.org", "8480-6") in values(OBSERVATION, "combo-code", "tokens")
    assert ("http://loinc.org", "8480-6") not in values(OBSERVATION, "code", "tokens")


def test_a_quantity_keeps_its_code_and_a_period_its_open_end() -> None:
    row = ("http://unitsofmeasure.org", "mm[Hg]", 120.0, 120.0)
    as_people_read_it = (None, "mmHg", 120.0, 120.0)
    assert values(OBSERVATION, "combo-value-quantity", "quantities") == [row, as_people_read_it]
    assert values(OBSERVATION, "value-quantity", "quantities") == []
    assert values(OBSERVATION, "date", "dates") == [(datetime(2020, 1, 1, 10, tzinfo=UTC), LATEST)]


def test_resolve_is_patient_judges_by_text_or_by_type() -> None:
    def patients(reference: dict[str, Any]) -> list[str]:
        return values({**OBSERVATION, "subject": reference}, "patient", "references")

    assert patients({"reference": "Patient/p"}) == ["Patient/p"]
    assert patients({"reference": "http://a.example/fhir/Patient/p"}) == ["http://a.example/fhir/Patient/p"]
    assert patients({"reference": "urn:uuid:0", "type": "Patient"}) == ["urn:uuid:0"]
    assert patients({"reference": "Group/g"}) == []
    assert patients({"reference": "#p"}) == []


def test_ranges_comparators_and_numbers_become_bounds() -> None:
    risk = {"resourceType": "RiskAssessment", "prediction": [{"probabilityDecimal": Decimal("0.25")}]}
    assert values(risk, "probability", "quantities") == [(None, None, 0.25, 0.25)]
    value = {"value": 5, "comparator": "<", "unit": "mg"}
    low = {"resourceType": "Observation", "valueQuantity": value}
    assert values(low, "value-quantity", "quantities") == [(None, "mg", float("-inf"), 5.0)]
    condition = {"resourceType": "Condition", "onsetRange": {"low": {"value": 3, "code": "a"}}}
    assert values(condition, "onset-age", "quantities") == [(None, "a", 3.0, float("inf"))]


def test_a_canonical_is_found_with_and_without_its_version() -> None:
    measure = {"resourceType": "Measure", "library": ["http://l.example/x|2"]}
    assert values(measure, "depends-on", "references") == ["http://l.example/x", "http://l.example/x|2"]


def test_the_first_entry_of_a_document_is_its_composition() -> None:
    entries = [
        {"resource": {"resourceType": "Composition", "id": "c"}},
        {"resource": {"resourceType": "Patient", "id": "p"}},
    ]
    assert values({"resourceType": "Bundle", "entry": entries}, "composition", "references") == [
        "Composition/c"
    ]
