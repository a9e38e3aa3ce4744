from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from careloom.fhir.facts import facts, resource_types
from careloom.fhir.resource import loads
from careloom.fhir.validate import MAX_ISSUES, validate
from careloom.verify.exclusion import FAULTY_FILES

PATIENT = {
    "resourceType": "Patient",
    "id": "p",
    "text": {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">A&nbsp;<b>b</b></div>'},
    "contained": [{"resourceType": "Organization", "id": "o", "name": "Clinic"}],
    "name": [{"family": "Doe", "given": ["A", None, "C"], "_given": [None, {"extension": [{"url": "urn:x", "valueCode": "masked"}]}, None]}],
    "_birthDate": {"extension": [{"url": "urn:time", "valueDateTime": "1980-02-01T10:00:00Z"}]},
    "birthDate": "1980-02-29",
    "multipleBirthInteger": 2,
    "generalPractitioner": [{"reference": "#o"}, {"reference": "urn:uuid:0"}, {"reference": "https://a.example/Practitioner/1"}],
    "managingOrganization": {"reference": "Organization/1/_history/2"},
    "photo": [{"contentType": "image/png", "data": "aGVs bG8="}],
}  # fmt: skip
OBSERVATION = {
    "resourceType": "Observation",
    "status": "final",
    "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4"}]},
    "subject": {"reference": "Patient/p"},
    "effectiveDateTime": "2020-01-01T10:00:00.123+14:00",
    "valueQuantity": {"value": Decimal("1.50"), "unit": "mg"},
}


def faults(resource: dict[str, Any], **changes: Any) -> list[tuple[str, str]]:
    changed = {**resource, **changes}
    for name, value in changes.items():
        if value is ...:
            del changed[name]
    return [(issue.code, issue.expression) for issue in validate(changed)]


def test_what_is_valid_gives_no_issue() -> None:
    assert validate(PATIENT) == []
    assert validate(OBSERVATION) == []


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"shoe": 7}, ("structure", "Patient.shoe")),
        ({"name": {"family": "Doe"}}, ("structure", "Patient.name")),
        ({"name": []}, ("structure", "Patient.name")),
        ({"name": [{"given": ["A", ""]}]}, ("value", "Patient.name[0].given[1]")),
        ({"name": [{}]}, ("structure", "Patient.name[0]")),
        ({"name": [{"id": "a"}]}, ("invariant", "Patient.name[0]")),
        ({"maritalStatus": {"id": "a"}}, ("invariant", "Patient.maritalStatus")),
        ({"_gender": {"id": "a"}}, ("invariant", "Patient.gender")),
        ({"name": [{"given": ["A", None], "_given": [None, {"id": "a"}]}]}, ("invariant", "Patient.name[0].given[1]")),
        ({"language": "en_US"}, ("value", "Patient.language")),
        ({"photo": [{"contentType": "an image"}]}, ("value", "Patient.photo[0].contentType")),
        ({"extension": [{"url": "urn:x", "valueCode": "a\tb"}]}, ("value", "Patient.extension[0].value")),
        ({"extension": [{"url": "urn:x", "valueMoney": {"currency": "pence"}}]}, ("value", "Patient.extension[0].value.currency")),
        ({"managingOrganization": {"reference": "#o"}, "contained": [{"resourceType": "Patient", "id": "o"}]}, ("value", "Patient.managingOrganization.reference")),
        ({"contained": [{"resourceType": "Organization", "id": "o", "name": name} for name in "ab"]}, ("invariant", "Patient.contained")),
        ({"name": [{"given": [None]}]}, ("value", "Patient.name[0].given[0]")),
        ({"name": [{"given": "A"}]}, ("structure", "Patient.name[0].given")),
        ({"name": [{"given": ["A"], "_given": [None, {"id": "x"}]}]}, ("structure", "Patient.name[0].given")),
        ({"gender": ["male"]}, ("structure", "Patient.gender")),
        ({"gender": "m"}, ("code-invalid", "Patient.gender")),
        ({"active": "true"}, ("value", "Patient.active")),
        ({"active": None}, ("structure", "Patient.active")),
        ({"birthDate": "2019-02-30"}, ("value", "Patient.birthDate")),
        ({"birthDate": "20190101"}, ("value", "Patient.birthDate")),
        ({"birthDate": "2019-01-01T00:00:00Z"}, ("value", "Patient.birthDate")),
        ({"_birthDate": {"shoe": 1}}, ("structure", "Patient.birthDate.shoe")),
        ({"_birthDate": {}}, ("structure", "Patient.birthDate")),
        ({"id": "bad id"}, ("value", "Patient.id")),
        ({"id": 17}, ("value", "Patient.id")),
        ({"meta": {}}, ("structure", "Patient.meta")),
        ({"deceasedBoolean": True, "deceasedDateTime": "2020"}, ("structure", "Patient.deceased")),
        ({"deceasedBoolean": True, "_deceasedDateTime": {"id": "x"}}, ("structure", "Patient.deceased")),
        ({"multipleBirthInteger": Decimal("1.0")}, ("value", "Patient.multipleBirth")),
        ({"multipleBirthInteger": True}, ("value", "Patient.multipleBirth")),
        ({"managingOrganization": {"reference": "Patient/1"}}, ("value", "Patient.managingOrganization.reference")),
        ({"managingOrganization": {"reference": "http://a.example/Patient/1"}}, ("value", "Patient.managingOrganization.reference")),
        ({"managingOrganization": {"reference": "Clinic 7"}}, ("value", "Patient.managingOrganization.reference")),
        ({"managingOrganization": {"type": "Patient", "display": "x"}}, ("value", "Patient.managingOrganization.type")),
        ({"contact": [{"gender": "male"}]}, ("invariant", "Patient.contact[0]")),
        ({"contained": [{"resourceType": "Shoe"}]}, ("structure", "Patient.contained[0].resourceType")),
        ({"contained": [{"resourceType": "Basic"}]}, ("required", "Patient.contained[0].code")),
        ({"contained": [PATIENT]}, ("invariant", "Patient.contained[0].contained")),
        ({"extension": [{"valueString": "x"}]}, ("required", "Patient.extension[0].url")),
        ({"extension": [{"url": "urn:x"}]}, ("invariant", "Patient.extension[0]")),
        ({"extension": [{"url": "urn:x", "valueString": "a", "extension": [{"url": "y", "valueCode": "b"}]}]}, ("invariant", "Patient.extension[0]")),
        ({"extension": [{"url": "urn:x", "valueQuantity": {"value": "12"}}]}, ("value", "Patient.extension[0].value.value")),
        ({"photo": [{"data": "abc", "contentType": "image/png"}]}, ("value", "Patient.photo[0].data")),
        ({"photo": [{"data": "aGVsbG8="}]}, ("invariant", "Patient.photo[0]")),
        ({"language": "a\x00b"}, ("value", "Patient.language")),
        ({"text": {"status": "generated", "div": "<div><script>x</script></div>"}}, ("value", "Patient.text.div")),
        ({"text": {"status": "generated", "div": "<div><p>open</div>"}}, ("value", "Patient.text.div")),
        ({"text": {"status": "generated", "div": '<div><a href="javascript:x">y</a></div>'}}, ("value", "Patient.text.div")),
        ({"text": {"status": "generated", "div": '<div onclick="x">y</div>'}}, ("value", "Patient.text.div")),
    ],
)  # fmt: skip
def test_each_kind_of_fault_is_named_by_its_place(changes: dict[str, Any], expected: tuple[str, str]) -> None:
    assert expected in faults(PATIENT, **changes)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"code": ...}, ("required", "Observation.code")),
        ({"status": "done"}, ("code-invalid", "Observation.status")),
        ({"effectiveDateTime": "2020-01-01T10:00"}, ("value", "Observation.effective")),
        ({"effectiveDateTime": "2020-01-01T10:00:00"}, ("value", "Observation.effective")),
        ({"effectiveDateTime": "2020-01-01T10:00:00+14:30"}, ("value", "Observation.effective")),
        ({"effectiveDateTime": "2020-02-30T10:00:00Z"}, ("value", "Observation.effective")),
        ({"valueQuantity": {"value": "12"}}, ("value", "Observation.value.value")),
        ({"valueQuantity": {"value": 1, "code": "mg"}}, ("invariant", "Observation.value")),
        ({"dataAbsentReason": {"text": "x"}}, ("invariant", "Observation")),
        ({"component": [{"code": OBSERVATION["code"]}]}, ("invariant", "Observation")),
    ],
)
def test_the_faults_of_an_observation(changes: dict[str, Any], expected: tuple[str, str]) -> None:
    assert expected in faults(OBSERVATION, **changes)


CONTAINED = {"resourceType": "Organization", "id": "o", "name": "Clinic"}


@pytest.mark.parametrize(
    ("resource", "expected"),
    [
        ({"resourceType": "Bundle", "type": "collection", "total": 1}, ("invariant", "Bundle")),
        ({"resourceType": "Bundle", "type": "collection", "entry": [{"fullUrl": "urn:uuid:1", "resource": OBSERVATION}] * 2}, ("invariant", "Bundle")),
        ({"resourceType": "Bundle", "type": "document", "entry": [{"fullUrl": "urn:uuid:1", "resource": OBSERVATION}]}, ("invariant", "Bundle")),
        ({"resourceType": "Bundle", "type": "collection", "entry": [{"fullUrl": "http://a/Observation/1/_history/2", "resource": OBSERVATION}]}, ("invariant", "Bundle.entry[0]")),
        ({"resourceType": "Questionnaire", "status": "draft", "item": [{"linkId": "1", "type": "group"}]}, ("invariant", "Questionnaire.item[0]")),
        ({"resourceType": "Questionnaire", "status": "draft", "item": [{"linkId": "1", "type": "display"}] * 2}, ("invariant", "Questionnaire")),
        ({"resourceType": "Questionnaire", "status": "draft", "item": [{"linkId": "1", "type": "string", "enableWhen": [{"question": "2", "operator": "exists", "answerString": "x"}]}]}, ("invariant", "Questionnaire.item[0].enableWhen[0]")),
        ({"resourceType": "Appointment", "status": "booked", "participant": [{"status": "accepted", "type": [{"text": "x"}]}]}, ("invariant", "Appointment")),
        ({"resourceType": "RiskAssessment", "status": "final", "subject": {"reference": "Patient/1"}, "prediction": [{"probabilityDecimal": 101}]}, ("invariant", "RiskAssessment.prediction[0]")),
        ({"resourceType": "CodeSystem", "status": "draft", "content": "complete", "concept": [{"code": "a", "concept": [{"code": "a"}]}]}, ("invariant", "CodeSystem")),
        ({**PATIENT, "contained": [CONTAINED, {**CONTAINED, "id": "q"}]}, ("invariant", "Patient.contained")),
        ({**PATIENT, "contained": [{**CONTAINED, "meta": {"versionId": "1"}}]}, ("invariant", "Patient.contained")),
        ({**PATIENT, "contained": [{**CONTAINED, "meta": {"security": [{"code": "R"}]}}]}, ("invariant", "Patient.contained")),
        ({**PATIENT, "generalPractitioner": [{"reference": "#o"}, {"reference": "#x"}]}, ("invariant", "Patient.generalPractitioner[1].reference")),
    ],
)  # fmt: skip
def test_the_invariants_of_r4_are_asked(resource: dict[str, Any], expected: tuple[str, str]) -> None:
    assert expected in faults(resource)


def test_an_invariant_never_stumbles_over_what_is_wrong_otherwise() -> None:
    local = {**PATIENT, "generalPractitioner": [{"reference": "#o"}]}
    for contained in (
        [{**CONTAINED, "id": ["o"]}],
        [{**CONTAINED, "id": {}}],
        {"id": "o"},
        ["o"],
        [None],
        7,
        [],
    ):
        assert faults({**local, "contained": contained})
    concepts = [{"code": []}, {"code": {}}, {"concept": 7}, {}, "a", None]
    for concept in concepts:
        assert faults(
            {"resourceType": "CodeSystem", "status": "draft", "content": "complete", "concept": [concept]}
        )
    for entry in (
        {"fullUrl": []},
        {"fullUrl": "urn:x", "resource": {"resourceType": "Basic", "meta": []}},
        7,
    ):
        assert faults({"resourceType": "Bundle", "type": "collection", "entry": [entry, entry]})


@pytest.mark.parametrize(
    "resource",
    [
        {"resourceType": "Basic", "code": {"text": "x"}, "contained": [{**CONTAINED, "partOf": {"reference": "#"}}]},
        {"resourceType": "MedicationDispense", "status": "completed", "medicationReference": {"reference": "Medication/1"}, "whenPrepared": "2015-01-15T10:20:00Z", "whenHandedOver": "2015-01-15"},
        {"resourceType": "MessageDefinition", "status": "draft", "date": "2020", "eventUri": "urn:x", "focus": [{"code": "Patient", "min": 0}]},
        {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": {**PATIENT, "generalPractitioner": [{"reference": "#o"}]}}]},
    ],
)  # fmt: skip
def test_what_an_invariant_cannot_decide_is_no_fault(resource: dict[str, Any]) -> None:
    assert faults(resource) == []


@pytest.mark.parametrize(
    ("div", "is_valid"),
    [
        ('<div xmlns="http://www.w3.org/1999/xhtml">a</div>', True),
        ('<div xmlns="http://www.w3.org/1999/xhtml"><img src="#a" alt="b"/></div>', True),
        ('<div xmlns="http://www.w3.org/1999/xhtml">&copy;</div>', True),
        ('<div xmlns="http://www.w3.org/1999/xhtml">&no-such;</div>', False),
        ('<div xmlns="http://www.w3.org/1999/xhtml"/>', True),
        ('<div xmlns="urn:other">a</div>', False),
        ("<div>a</div>", False),
    ],
)
def test_a_narrative_is_xhtml(div: str, *, is_valid: bool) -> None:
    found = faults(PATIENT, text={"status": "generated", "div": div})
    assert found == ([] if is_valid else [("value", "Patient.text.div")])


def test_a_required_choice_is_required() -> None:
    request = {
        "resourceType": "MedicationRequest",
        "status": "active",
        "intent": "order",
        "subject": {"reference": "Patient/1"},
    }
    assert faults(request) == [("required", "MedicationRequest.medication")]
    assert faults(request, _medicationReference={"id": "x"}) == [
        ("structure", "MedicationRequest._medicationReference"),
        ("required", "MedicationRequest.medication"),
    ]


def test_a_required_binding_on_a_concept_asks_for_a_coding_of_the_value_set() -> None:
    bound = {
        (owner, name)
        for owner, elements in facts().elements.items()
        for name, element in elements.items()
        if element.required and "CodeableConcept" in element.types
    }
    assert ("Condition", "clinicalStatus") in bound
    condition = {"resourceType": "Condition", "subject": {"reference": "Patient/1"}}
    system = "http://terminology.hl7.org/CodeSystem/condition-clinical"
    assert (
        faults(condition, clinicalStatus={"coding": [{"code": "x"}, {"system": system, "code": "active"}]})
        == []
    )
    wrong = ("code-invalid", "Condition.clinicalStatus.coding")
    assert faults(condition, clinicalStatus={"coding": [{"system": system, "code": "acute"}]}) == [wrong]
    assert faults(condition, clinicalStatus={"text": "active"}) == [wrong]


def test_a_period_cannot_end_before_it_starts() -> None:
    def ends(start: str, end: str) -> list[tuple[str, str]]:
        return faults(OBSERVATION, effectiveDateTime=..., effectivePeriod={"start": start, "end": end})

    assert ends("2020-01-01", "2020-01-01") == []
    assert ends("2020-01-01T23:00:00-05:00", "2020-01-02T01:00:00+00:00") == [
        ("invariant", "Observation.effective")
    ]
    assert ends("2020-06", "2020") == []
    assert ends("2021", "2020-06") == [("invariant", "Observation.effective")]


def test_what_is_no_resource_is_said_to_be_none() -> None:
    assert [issue.code for issue in validate([])] == ["structure"]  # type: ignore[arg-type]
    assert faults({}) == [("structure", "Resource.resourceType")]
    assert faults({"resourceType": "Element"}) == [("structure", "Resource.resourceType")]
    assert faults({"resourceType": ["Patient"]}) == [("structure", "Resource.resourceType")]


def test_an_issue_never_repeats_a_value() -> None:
    secret = "SECRET"
    resource = {
        **PATIENT,
        "gender": secret,
        "birthDate": secret,
        "id": secret + " ",
        "managingOrganization": {"reference": secret},
    }
    issues = validate(resource)
    assert len(issues) == 4
    assert secret not in repr(issues)


def test_deep_nesting_is_an_issue_and_many_faults_are_cut_off() -> None:
    extension: dict[str, Any] = {"url": "urn:x", "valueString": "x"}
    for _ in range(5000):
        extension = {"url": "urn:x", "extension": [extension]}
    assert [issue.code for issue in validate({"resourceType": "Patient", "extension": [extension]})] == [
        "too-costly"
    ]
    assert len(validate({"resourceType": "Patient", "name": [{"shoe": 1}] * 500})) == MAX_ISSUES


def test_floats_and_integers_pass_for_decimals() -> None:
    for value in (1, 1.5, Decimal("1.50"), Decimal("1E+2")):
        assert faults(OBSERVATION, valueQuantity={"value": value}) == []
    for value in (True, "1", float("nan"), Decimal("Infinity")):
        assert faults(OBSERVATION, valueQuantity={"value": value}) == [("value", "Observation.value.value")]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.decimals() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@st.composite
def nearly_resources(draw: st.DrawFn) -> Any:
    """JSON that uses the element names of a type, with any values behind them."""
    rtype = draw(st.sampled_from(sorted(resource_types())))
    names = [name.replace("[x]", "String") for name in facts().elements[rtype]]
    keys = st.sampled_from([*names, *(f"_{name}" for name in names)])
    inner = st.sampled_from(
        ["value", "start", "end", "reference", "coding", "code", "system", "extension", "url", "low"]
    )
    values = (
        JSON
        | st.lists(st.dictionaries(inner, JSON, min_size=1), min_size=1, max_size=2)
        | st.dictionaries(inner, JSON)
    )
    return {"resourceType": rtype, **draw(st.dictionaries(keys, values, max_size=6))}


@given(JSON | nearly_resources())
def test_any_json_is_valid_or_has_issues(value: Any) -> None:
    for issue in validate(value):
        assert issue.text
        assert issue.severity == "error"


@pytest.mark.conformance
def test_every_official_example_is_valid(r4_examples: dict[str, bytes]) -> None:
    wrong = {name for name, raw in r4_examples.items() if validate(loads(raw))}
    assert len(r4_examples) >= 738
    assert wrong == FAULTY_FILES.keys()
