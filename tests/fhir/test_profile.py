"""Profiles: each thing that a StructureDefinition can ask is asked, with what fits and what does not."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from careloom.fhir.outcome import OutcomeError
from careloom.fhir.profile import Profiles, definitions
from careloom.fhir.profile.terms import Terms

URL = "http://example.org/StructureDefinition/p"
CORE = "http://hl7.org/fhir/StructureDefinition/"
LOINC = "http://loinc.org"
ACT = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
OBSERVATION: dict[str, Any] = {
    "resourceType": "Observation",
    "status": "final",
    "code": {"coding": [{"system": LOINC, "code": "85354-9"}]},
    "subject": {"reference": "Patient/p"},
    "valueQuantity": {"value": 1, "unit": "kg", "system": "http://unitsofmeasure.org", "code": "kg"},
    "component": [
        {"code": {"coding": [{"system": LOINC, "code": "8480-6"}]}, "valueInteger": 120},
        {"code": {"coding": [{"system": LOINC, "code": "8462-4"}]}, "valueInteger": 80},
    ],
}


def profile(*elements: dict[str, Any], rtype: str = "Observation", url: str = URL) -> dict[str, Any]:
    """A StructureDefinition whose snapshot has the root and these elements (ids without the type)."""
    named = [
        {**one, "id": f"{rtype}.{one['id']}", "path": ".".join(part.partition(":")[0] for part in f"{rtype}.{one['id']}".split("."))}
        for one in elements
    ]  # fmt: skip
    root = {"id": rtype, "path": rtype, "min": 0, "max": "*"}
    return {"resourceType": "StructureDefinition", "url": url, "name": "P", "type": rtype, "kind": "resource", "snapshot": {"element": [root, *named]}}  # fmt: skip


def at(id_: str, low: int = 0, high: str = "*", **more: Any) -> dict[str, Any]:
    """One element definition; a slice where its id ends in `:name`."""
    *_, last = id_.split(".")
    _, colon, name = last.partition(":")
    return {"id": id_, "min": low, "max": high, **({"sliceName": name} if colon else {}), **more}


def typed(*codes: str, **more: Any) -> list[dict[str, Any]]:
    return [{"code": code, **more} for code in codes]


def faults(
    profiles: Profiles | dict[str, Any], resource: dict[str, Any], url: str = URL
) -> list[tuple[str, str]]:
    known = profiles if isinstance(profiles, Profiles) else Profiles([profiles])
    return [(issue.code, issue.expression) for issue in known.validate(resource, url) if issue.is_error]


def unchecked(profiles: Profiles | dict[str, Any], resource: dict[str, Any]) -> list[str]:
    known = profiles if isinstance(profiles, Profiles) else Profiles([profiles])
    return [issue.text for issue in known.validate(resource, URL) if issue.severity == "information"]


def changed(**changes: Any) -> dict[str, Any]:
    resource = {**copy.deepcopy(OBSERVATION), **changes}
    return {key: value for key, value in resource.items() if value is not ...}


DISCRIMINATOR = {"discriminator": [{"type": "pattern", "path": "code"}], "rules": "open"}


def coded(code: str) -> dict[str, Any]:
    return {"coding": [{"system": LOINC, "code": code}]}


def blood_pressure(low: int = 1, **slicing: Any) -> dict[str, Any]:
    return profile(
        at("component", slicing={**DISCRIMINATOR, **slicing}),
        at("component:systolic", low, "1"),
        at("component:systolic.code", 1, "1", patternCodeableConcept=coded("8480-6")),
        at("component:systolic.value[x]", 1, "1", type=typed("integer")),
        at("component:diastolic", low, "1"),
        at("component:diastolic.code", 1, "1", patternCodeableConcept=coded("8462-4")),
    )


@pytest.mark.parametrize(
    ("elements", "changes", "expected"),
    [
        ([at("subject", 1, "1")], {"subject": ...}, ("required", "Observation.subject")),
        ([at("component", 0, "1")], {}, ("structure", "Observation.component")),
        ([at("component", 0, "0")], {}, ("structure", "Observation.component")),
        ([at("component", 3)], {}, ("required", "Observation.component")),
        ([at("component"), at("component.value[x]", 1, "1")], {"component": [{"code": coded("1")}]}, ("required", "Observation.component[0].value")),
        ([at("value[x]", type=typed("string"))], {}, ("structure", "Observation.value")),
        ([at("valueQuantity"), at("valueQuantity.comparator", 1, "1")], {}, ("required", "Observation.value.comparator")),
        ([at("status", fixedCode="amended")], {}, ("value", "Observation.status")),
        ([at("code", fixedCodeableConcept=coded("85354-9"))], {"code": {**coded("85354-9"), "text": "x"}}, ("value", "Observation.code")),
        ([at("code", patternCodeableConcept=coded("1"))], {}, ("value", "Observation.code")),
        ([at("value[x]", type=typed("Quantity")), at("value[x].code", fixedCode="g")], {}, ("value", "Observation.value.code")),
        ([at("code"), at("code.text", 0, "1", maxLength=3)], {"code": {"text": "long"}}, ("too-long", "Observation.code.text")),
        ([at("subject", type=typed("Reference", targetProfile=[f"{CORE}Group"]))], {}, ("value", "Observation.subject")),
        ([at("status", binding={"strength": "required", "valueSet": "http://hl7.org/fhir/ValueSet/gender-identity"})], {}, ("code-invalid", "Observation.status")),
    ],
)  # fmt: skip
def test_what_a_profile_asks_and_is_not_there_is_named_by_its_place(
    elements: list[dict[str, Any]], changes: dict[str, Any], expected: tuple[str, str]
) -> None:
    assert faults(profile(*elements), changed(**changes)) == [expected]


@pytest.mark.parametrize(
    "elements",
    [
        [at("subject", 1, "1"), at("component", 2, "2"), at("component.value[x]", 1, "1")],
        [at("value[x]", 1, "1", type=typed("Quantity")), at("value[x].code", 1, "1", fixedCode="kg")],
        [at("code", patternCodeableConcept={"coding": [{"system": LOINC}]})],
        [at("code", fixedCodeableConcept=coded("85354-9"))],
        [
            at(
                "subject",
                type=typed("Reference", targetProfile=[f"{CORE}Patient", "http://example.org/unknown"]),
            )
        ],
        [at("value[x]", type=typed("Quantity", profile=[f"{CORE}SimpleQuantity"]))],
        [
            at(
                "status",
                binding={
                    "strength": "required",
                    "valueSet": "http://hl7.org/fhir/ValueSet/observation-status|4.0.1",
                },
            )
        ],
        [at("status", binding={"strength": "extensible", "valueSet": "http://hl7.org/fhir/ValueSet/other"})],
    ],
)
def test_what_fits_has_no_issue(elements: list[dict[str, Any]]) -> None:
    assert Profiles([profile(*elements)]).validate(changed(), URL) == []


def test_the_profiles_of_r4_itself_are_known() -> None:
    simple = profile(at("value[x]", type=typed("Quantity", profile=[f"{CORE}SimpleQuantity"])))
    found = faults(simple, changed(valueQuantity={"value": 1, "comparator": "<"}))
    assert found == [("structure", "Observation.value.comparator"), ("invariant", "Observation.value")]
    assert ("required", "Observation.category") in faults(Profiles(), changed(), f"{CORE}vitalsigns")


def test_the_faults_of_r4_come_first_and_alone() -> None:
    assert faults(profile(at("subject", 1, "1")), {"resourceType": "Observation", "status": "final"}) == [
        ("required", "Observation.code")
    ]
    assert faults(profile(rtype="Patient"), OBSERVATION) == [("structure", "Observation")]


def test_an_unknown_profile_is_not_found() -> None:
    with pytest.raises(OutcomeError, match="not known here"):
        Profiles().validate(OBSERVATION, "http://example.org/none")


# Slices


def test_slices_are_counted_and_checked() -> None:
    pressure = blood_pressure()
    assert faults(pressure, OBSERVATION) == []
    systolic, diastolic = OBSERVATION["component"]
    assert faults(pressure, changed(component=[diastolic])) == [("required", "Observation.component")]
    assert faults(pressure, changed(component=[systolic, systolic, diastolic])) == [
        ("structure", "Observation.component")
    ]
    other = {"code": coded("8478-0"), "valueInteger": 93}
    assert faults(pressure, changed(component=[systolic, other, diastolic])) == []
    no_value = {"code": systolic["code"], "valueString": "high"}
    assert faults(pressure, changed(component=[no_value, diastolic])) == [
        ("structure", "Observation.component[0].value")
    ]


def test_closed_slicing_refuses_what_belongs_to_none() -> None:
    systolic, diastolic = OBSERVATION["component"]
    other = {"code": coded("8478-0"), "valueInteger": 93}
    closed = blood_pressure(rules="closed")
    assert faults(closed, OBSERVATION) == []
    assert faults(closed, changed(component=[systolic, diastolic, other])) == [
        ("structure", "Observation.component[2]")
    ]
    at_end = blood_pressure(rules="openAtEnd")
    assert faults(at_end, changed(component=[systolic, diastolic, other])) == []
    assert faults(at_end, changed(component=[other, systolic, diastolic])) == [
        ("structure", "Observation.component")
    ]


def test_ordered_slices_stand_in_their_order() -> None:
    systolic, diastolic = OBSERVATION["component"]
    ordered = blood_pressure(ordered=True)
    assert faults(ordered, changed(component=[systolic, diastolic])) == []
    assert faults(ordered, changed(component=[diastolic, systolic])) == [
        ("structure", "Observation.component")
    ]


def sliced_by(kind: str, path: str, *below: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Components of one slice `s`, which must be there once."""
    slicing = {"discriminator": [{"type": kind, "path": path}], "rules": "open"}
    return profile(at("component", slicing=slicing), at("component:s", 1, "1", **more), *below)


@pytest.mark.parametrize(
    ("definition", "component"),
    [
        (sliced_by("value", "code.coding.code", at("component:s.code"), at("component:s.code.coding"), at("component:s.code.coding.code", fixedCode="x")), {"code": coded("x")}),
        (sliced_by("value", "code", at("component:s.code"), at("component:s.code.coding"), at("component:s.code.coding.code", 1, "1", fixedCode="x")), {"code": coded("x")}),
        (sliced_by("value", "code.coding", at("component:s.code", patternCodeableConcept=coded("x"))), {"code": coded("x")}),
        (sliced_by("pattern", "$this", at("component:s.code", patternCodeableConcept=coded("x"))), {"code": coded("x")}),
        (sliced_by("exists", "value", at("component:s.value[x]", 1, "1")), {"code": coded("x"), "valueInteger": 1}),
        (sliced_by("exists", "value", at("component:s.value[x]", 0, "0")), {"code": coded("x")}),
        (sliced_by("type", "value", at("component:s.value[x]", type=typed("string"))), {"code": coded("x"), "valueString": "1"}),
        (sliced_by("value", "value.ofType(boolean)", at("component:s.value[x]", fixedBoolean=True)), {"code": coded("x"), "valueBoolean": True}),
        (sliced_by("value", "extension('urn:x').value", at("component:s.extension"), at("component:s.extension:x"), at("component:s.extension:x.url", fixedUri="urn:x"), at("component:s.extension:x.value[x]", fixedInteger=7)), {"code": coded("x"), "extension": [{"url": "urn:x", "valueInteger": 7}]}),
        (sliced_by("value", "value", at("component:s.value[x]", type=typed("CodeableConcept"), binding={"strength": "required", "valueSet": "http://terminology.hl7.org/ValueSet/v3-ActEncounterCode"})), {"code": coded("x"), "valueCodeableConcept": {"coding": [{"system": ACT, "code": "IMP"}]}}),
    ],
)  # fmt: skip
def test_each_kind_of_discriminator_finds_its_slice(
    definition: dict[str, Any], component: dict[str, Any]
) -> None:
    other: dict[str, Any] = {"code": coded("y"), "valueDateTime": "2020"}
    without = {"code": coded("y")}
    others = (
        [without] if "exists" in str(definition) and "'max': '0'" not in str(definition) else [other, other]
    )
    assert faults(definition, changed(component=[*others, component])) == []
    assert faults(definition, changed(component=others)) == [("required", "Observation.component")]
    assert faults(definition, changed(component=[component, component])) == [
        ("structure", "Observation.component")
    ]


def test_a_choice_is_sliced_by_type() -> None:
    slicing = {"discriminator": [{"type": "type", "path": "$this"}], "rules": "closed"}
    definition = profile(
        at("value[x]", 0, "1", slicing=slicing),
        at("value[x]:valueQuantity", 0, "1", type=typed("Quantity")),
        at("value[x]:valueQuantity.code", 1, "1"),
    )
    assert faults(definition, changed()) == []
    assert faults(definition, changed(valueQuantity={"value": 1})) == [("required", "Observation.value.code")]
    assert faults(definition, changed(valueQuantity=..., valueString="x")) == [
        ("structure", "Observation.value")
    ]


def test_a_slice_is_sliced_again() -> None:
    again = {"discriminator": [{"type": "exists", "path": "value"}], "rules": "open"}
    definition = profile(
        at("component", slicing=DISCRIMINATOR),
        at("component:a", 0, "*", slicing=again),
        at("component:a.code", patternCodeableConcept=coded("8480-6")),
        at("component:a/b", 1, "1"),
        at("component:a/b.value[x]", 1, "1"),
    )
    assert faults(definition, changed()) == []
    assert faults(definition, changed(component=[{"code": coded("8480-6")}])) == [
        ("required", "Observation.component")
    ]


EXTENSION = profile(
    at("url", 1, "1", fixedUri="http://example.org/x"),
    at("value[x]", 1, "1", type=typed("code")),
    rtype="Extension",
    url="http://example.org/x",
)


def with_extension(low: int = 0, *, name: str = "") -> Profiles:
    slicing = {"discriminator": [{"type": "value", "path": "url"}], "rules": "open"}
    return Profiles(
        [
            profile(
                *([at(name)] if name else []),
                at(f"{name}.extension".lstrip("."), slicing=slicing),
                at(
                    f"{name}.extension:x".lstrip("."),
                    low,
                    "1",
                    type=typed("Extension", profile=["http://example.org/x"]),
                ),
            ),
            EXTENSION,
        ]
    )


def test_extensions_are_known_by_their_profiles() -> None:
    good = {"url": "http://example.org/x", "valueCode": "a"}
    for low in (0, 1):
        assert faults(with_extension(low), changed(extension=[{"url": "urn:other", "valueCode": "a"}, good])) == []  # fmt: skip
    wrong_type = {"url": "http://example.org/x", "valueString": "a"}
    assert faults(with_extension(), changed(extension=[wrong_type])) == [
        ("structure", "Observation.extension[0].value")
    ]
    assert faults(with_extension(), changed(extension=[good, good])) == [
        ("structure", "Observation.extension")
    ]
    assert faults(with_extension(1), changed()) == [("required", "Observation.extension")]


def test_a_primitive_has_extensions_too() -> None:
    good = {"url": "http://example.org/x", "valueCode": "a"}
    profiles = with_extension(1, name="issued")
    issued = "2020-01-01T00:00:00Z"
    assert faults(profiles, changed(issued=issued, _issued={"extension": [good]})) == []
    assert faults(profiles, changed(_issued={"extension": [good]})) == []
    assert faults(profiles, changed(issued=issued)) == [("required", "Observation.issued.extension")]


def test_what_is_not_known_here_is_said_and_not_called_wrong() -> None:
    slicing = {"discriminator": [{"type": "value", "path": "url"}], "rules": "open"}
    unknown = typed("Extension", profile=["http://example.org/unknown"])
    resource = changed(extension=[{"url": "http://example.org/unknown", "valueCode": "a"}])
    definition = profile(at("extension", slicing=slicing), at("extension:x", 1, "1", type=unknown))
    assert faults(definition, resource) == []
    assert "profile http://example.org/unknown is not known" in unchecked(definition, resource)[0]
    snomed = {"strength": "required", "valueSet": "http://hl7.org/fhir/ValueSet/observation-methods"}
    assert "not all known here" in unchecked(profile(at("code", binding=snomed)), changed(code={"coding": [{"system": "http://snomed.info/sct", "code": "1"}]}))[0]  # fmt: skip
    no_discriminator = profile(at("component", slicing={"rules": "open"}), at("component:a", 1, "1"))
    assert faults(no_discriminator, changed()) == []
    assert len(unchecked(no_discriminator, changed())) == 1


# References


def test_a_contained_target_must_conform_to_the_profile_asked_for() -> None:
    patient = profile(at("birthDate", 1, "1"), rtype="Patient", url="http://example.org/patient")
    targets = typed("Reference", targetProfile=["http://example.org/patient", f"{CORE}Group"])
    profiles = Profiles([profile(at("subject", type=targets)), patient])

    def about(**more: Any) -> dict[str, Any]:
        inner = {"resourceType": "Patient", "id": "x", **more}
        return changed(contained=[inner], subject={"reference": "#x"})

    assert faults(profiles, about(birthDate="2020")) == []
    assert faults(profiles, about()) == [("value", "Observation.subject")]
    assert faults(profiles, changed()) == []
    assert faults(profiles, changed(subject={"reference": "Device/1"})) == [("value", "Observation.subject")]


def bundle(*resources: dict[str, Any]) -> dict[str, Any]:
    entries = [{"fullUrl": f"urn:uuid:{index}", "resource": one} for index, one in enumerate(resources)]
    return {"resourceType": "Bundle", "type": "collection", "entry": entries}


def test_a_bundle_is_sliced_by_type_and_profile_and_its_references_lead_within_it() -> None:
    slicing = {"discriminator": [{"type": "profile", "path": "resource"}], "rules": "open"}
    heavy = profile(at("subject", 1, "1", type=typed("Reference", targetProfile=["http://example.org/patient"])), url="http://example.org/heavy")  # fmt: skip
    patient = profile(at("birthDate", 1, "1"), rtype="Patient", url="http://example.org/patient")
    of_bundle = profile(
        at("entry", slicing=slicing),
        at("entry:heavy", 1, "1"),
        at("entry:heavy.resource", 1, "1", type=typed("Observation", profile=["http://example.org/heavy"])),
        rtype="Bundle",
    )
    profiles = Profiles([of_bundle, heavy, patient])
    observation = changed(subject={"reference": "urn:uuid:1"})
    born = {"resourceType": "Patient", "id": "p", "birthDate": "2020"}
    assert faults(profiles, bundle(observation, born)) == []
    assert faults(profiles, bundle(observation, {"resourceType": "Patient", "id": "p"})) == [
        ("required", "Bundle.entry")
    ]


def test_resources_that_refer_to_each_other_end() -> None:
    targets = typed("Reference", targetProfile=[URL])
    profiles = Profiles([profile(at("hasMember", type=targets), at("subject", 1, "1"))])
    one = changed(hasMember=[{"reference": "#b"}])
    one["contained"] = [changed(id="b", hasMember=[{"reference": "#b"}, {"reference": "#c"}], component=...), changed(id="c", hasMember=[{"reference": "#b"}])]  # fmt: skip
    assert faults(profiles, one) == []
    del one["contained"][1]["subject"]
    assert faults(profiles, one) == [("value", "Observation.hasMember[0]")]


# Invariants


def test_the_invariants_of_a_profile_are_asked_by_fhirpath() -> None:
    rule = {"key": "p-1", "severity": "error", "human": "It has a unit.", "expression": "value.ofType(Quantity).unit.exists()"}  # fmt: skip
    definition = profile(
        at("status", constraint=[{"key": "p-2", "severity": "warning", "human": "Final.", "expression": "$this = 'final' and %resource.subject.exists()"}])
    )  # fmt: skip
    definition["snapshot"]["element"][0]["constraint"] = [rule]
    assert faults(definition, changed()) == []
    assert faults(definition, changed(valueQuantity={"value": 1})) == [("invariant", "Observation")]
    issues = Profiles([definition]).validate(changed(status="amended"), URL)
    assert [(issue.severity, issue.expression) for issue in issues] == [("warning", "Observation.status")]
    rule["expression"] = "this is not FHIRPath ("
    assert faults(definition, changed()) == []
    assert "cannot be evaluated" in unchecked(definition, changed())[0]


# Value sets


def value_set(**compose: Any) -> dict[str, Any]:
    return {"resourceType": "ValueSet", "url": "urn:v", "compose": compose}


SYSTEM = {
    "resourceType": "CodeSystem",
    "url": "urn:s",
    "content": "complete",
    "concept": [{"code": "a", "concept": [{"code": "b", "concept": [{"code": "c"}]}]}, {"code": "d"}],
}


@pytest.mark.parametrize(
    ("compose", "codes"),
    [
        ({"include": [{"system": "urn:s"}]}, "abcd"),
        ({"include": [{"system": "urn:s", "concept": [{"code": "a"}, {"code": "z"}]}]}, "az"),
        ({"include": [{"system": "urn:s", "filter": [{"property": "concept", "op": "is-a", "value": "b"}]}]}, "bc"),
        ({"include": [{"system": "urn:s", "filter": [{"property": "concept", "op": "descendent-of", "value": "a"}]}]}, "bc"),
        ({"include": [{"system": "urn:s", "filter": [{"property": "concept", "op": "is-not-a", "value": "b"}]}]}, "ad"),
        ({"include": [{"system": "urn:s"}], "exclude": [{"system": "urn:s", "concept": [{"code": "a"}]}]}, "bcd"),
        ({"include": [{"valueSet": ["urn:w"]}]}, "ac"),
        ({"include": [{"system": "urn:s", "concept": [{"code": "a"}, {"code": "d"}], "valueSet": ["urn:w"]}]}, "a"),
    ],
)  # fmt: skip
def test_a_value_set_holds_what_its_definition_says(compose: dict[str, Any], codes: str) -> None:
    other = {**value_set(include=[{"system": "urn:s", "concept": [{"code": "a"}, {"code": "c"}]}]), "url": "urn:w"}  # fmt: skip
    members = Terms([SYSTEM, value_set(**compose), other]).members("urn:v|1.0")
    assert [code for code in "abcdz" if members.holds("urn:s", code)] == list(codes)
    assert {members.holds("urn:s", code) for code in "abcdz" if code not in codes} <= {False}
    assert members.holds("urn:other", "a") is False


@pytest.mark.parametrize(
    ("compose", "expected"),
    [
        ({"include": [{"system": "urn:unknown"}]}, None),
        ({"include": [{"system": "urn:s", "filter": [{"property": "shape", "op": "=", "value": "round"}]}]}, None),
        ({"include": [{"valueSet": ["urn:nowhere"]}]}, None),
        ({"include": [{"valueSet": ["urn:v"]}]}, None),
        ({"include": [{"system": "urn:s"}], "exclude": [{"valueSet": ["urn:nowhere"]}]}, None),
        ({"include": [{"system": "http://unitsofmeasure.org"}]}, False),
        ({}, None),
    ],
)  # fmt: skip
def test_what_a_value_set_may_hold_is_undecided(compose: dict[str, Any], expected: bool | None) -> None:
    members = Terms([SYSTEM, value_set(**compose)]).members("urn:v")
    assert members.holds("urn:s" if expected is None and "unknown" not in str(compose) else "urn:unknown", "a") is expected  # fmt: skip


def test_units_media_types_and_languages_are_known_by_their_grammar() -> None:
    units = Terms().members("http://hl7.org/fhir/ValueSet/ucum-units")
    assert units.holds("http://unitsofmeasure.org", "mm[Hg]") is True
    assert units.holds("http://unitsofmeasure.org", "kilometre") is False
    types = Terms().members("http://hl7.org/fhir/ValueSet/mimetypes")
    assert (types.holds_code("text/plain;charset=utf-8"), types.holds_code("text")) == (True, False)
    languages = Terms().members("http://hl7.org/fhir/ValueSet/all-languages")
    assert (languages.holds_code("de-CH"), languages.holds_code("de CH")) == (True, False)


def test_a_later_edition_of_a_published_system_may_have_more_codes() -> None:
    system = "http://terminology.hl7.org/CodeSystem/observation-category"
    members = Terms([value_set(include=[{"system": system}])]).members("urn:v")
    assert members.holds(system, "vital-signs") is True
    assert members.holds(system, "invented-later") is None


def test_what_is_no_package_is_refused() -> None:
    for raw in (b"", b"{", b"\x1f\x8b\x08garbage", b"[" * 100_000):
        with pytest.raises(OutcomeError):
            definitions(raw)
    assert definitions(b'{"resourceType": "Patient"}') == []
