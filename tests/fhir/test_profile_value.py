"""Profiles: bounds, bindings of each strength, and slicing rules, with what fits and what does not."""

from __future__ import annotations

from typing import Any

import pytest

from careloom.fhir.profile import Profiles

URL = "urn:profile"
CORE = "http://hl7.org/fhir/StructureDefinition/"
UCUM = "http://unitsofmeasure.org"
GENDERS = "http://hl7.org/fhir/ValueSet/administrative-gender"
GENDER = "http://hl7.org/fhir/administrative-gender"
LANGUAGES = "http://hl7.org/fhir/ValueSet/all-languages"


def derived(*elements: dict[str, Any], rtype: str = "Observation", url: str = URL) -> dict[str, Any]:
    """A profile with a differential only; elements are named by their ids, without the type."""
    named = [
        {**one, "id": f"{rtype}.{one['id']}", "path": ".".join(p.partition(":")[0] for p in f"{rtype}.{one['id']}".split("."))}
        for one in elements
    ]  # fmt: skip
    return {
        "resourceType": "StructureDefinition", "url": url, "name": "P", "type": rtype, "kind": "resource",
        "derivation": "constraint", "baseDefinition": CORE + rtype, "differential": {"element": named},
    }  # fmt: skip


def slice_(id_: str, **more: Any) -> dict[str, Any]:
    return {"id": id_, "sliceName": id_.rpartition(":")[2], **more}


def observation(**more: Any) -> dict[str, Any]:
    return {"resourceType": "Observation", "status": "final", "code": {"text": "c"}, **more}


def issues(resource: dict[str, Any], *profiles: dict[str, Any]) -> list[tuple[str, str, str]]:
    found = Profiles(profiles).validate(resource, URL)
    return [(issue.severity, issue.code, issue.expression) for issue in found]


def kilograms(value: float, code: str = "kg") -> dict[str, Any]:
    return {"valueQuantity": {"value": value, "unit": code, "system": UCUM, "code": code}}


QUANTITY = {"value": 10, "system": UCUM, "code": "kg"}


@pytest.mark.parametrize(
    ("element", "limits", "good", "bad"),
    [
        ("value[x]", {"minValueInteger": 1, "maxValueInteger": 5}, [{"valueInteger": 1}, {"valueInteger": 5}, {"valueString": "z"}], [{"valueInteger": 0}, {"valueInteger": 6}]),
        ("value[x]", {"minValueQuantity": QUANTITY}, [kilograms(10), kilograms(10000, "g"), kilograms(1, "m")], [kilograms(9), kilograms(9999, "g")]),
        ("value[x]", {"maxValueTime": "12:00:00"}, [{"valueTime": "11:59:59"}], [{"valueTime": "12:00:01"}]),
        ("effective[x]", {"maxValueDateTime": "2020-06"}, [{"effectiveDateTime": "2020-06-30"}, {"effectiveDateTime": "2020"}, {"effectivePeriod": {"start": "2030"}}], [{"effectiveDateTime": "2020-07"}, {"effectiveDateTime": "2021-01-01T00:00:00Z"}]),
        ("effective[x]", {"minValueQuantity": {"value": -1, "system": UCUM, "code": "a"}}, [{"effectiveDateTime": "1900"}], []),
        ("issued", {"minValueInstant": "2020-01-01T00:00:00Z"}, [{"issued": "2020-01-01T01:00:00+01:00"}], [{"issued": "2019-12-31T23:59:59Z"}]),
    ],
)  # fmt: skip
def test_a_value_lies_within_its_bounds(
    element: str, limits: dict[str, Any], good: list[dict[str, Any]], bad: list[dict[str, Any]]
) -> None:
    profile = derived({"id": element, **limits})
    place = f"Observation.{element.removesuffix('[x]')}"
    assert [issues(observation(**one), profile) for one in good] == [[] for _ in good]
    assert [issues(observation(**one), profile) for one in bad] == [[("error", "value", place)] for _ in bad]


def test_a_text_is_no_longer_than_it_may_be() -> None:
    profile = derived({"id": "code.text", "maxLength": 3})
    assert issues(observation(), profile) == []
    assert issues(observation(code={"text": "long"}), profile) == [
        ("error", "too-long", "Observation.code.text")
    ]


@pytest.mark.parametrize(
    ("strength", "severity"),
    [("required", "error"), ("extensible", "warning"), ("preferred", "information"), ("example", "")],
)
def test_the_strength_of_a_binding_is_how_bad_it_is(strength: str, severity: str) -> None:
    profile = derived({"id": "code", "binding": {"strength": strength, "valueSet": GENDERS}})
    outside = observation(code={"coding": [{"system": GENDER, "code": "nonsense"}]})
    inside = observation(
        code={"coding": [{"system": "urn:x", "code": "1"}, {"system": GENDER, "code": "male"}]}
    )
    expected = [(severity, "code-invalid", "Observation.code")] if severity else []
    assert issues(outside, profile) == expected
    assert issues(inside, profile) == []


def test_text_alone_and_codes_that_nobody_knows_are_no_matter_of_an_extensible_binding() -> None:
    snomed = "http://hl7.org/fhir/ValueSet/observation-methods"
    coded = observation(code={"coding": [{"system": "http://snomed.info/sct", "code": "1"}]})
    assert issues(observation(), derived({"id": "code", "binding": {"strength": "extensible", "valueSet": GENDERS}})) == []  # fmt: skip
    assert (
        issues(coded, derived({"id": "code", "binding": {"strength": "extensible", "valueSet": snomed}}))
        == []
    )


def test_a_maximum_binding_is_a_must() -> None:
    most = {"url": f"{CORE}elementdefinition-maxValueSet", "valueCanonical": LANGUAGES}
    binding = {
        "strength": "preferred",
        "valueSet": "http://hl7.org/fhir/ValueSet/languages",
        "extension": [most],
    }
    profile = derived({"id": "code", "binding": binding})

    def coded(language: str) -> dict[str, Any]:
        return observation(code={"coding": [{"system": "urn:ietf:bcp:47", "code": language}]})

    assert issues(coded("en"), profile) == []
    assert issues(coded("gsw"), profile) == [("information", "code-invalid", "Observation.code")]
    assert ("error", "code-invalid", "Observation.code") in issues(coded("no language"), profile)


def test_must_support_asks_nothing_of_a_resource() -> None:
    assert issues(observation(), derived({"id": "subject", "mustSupport": True})) == []


# Slicing


def component(text: str, **more: Any) -> dict[str, Any]:
    return {"code": {"text": text}, **more}


@pytest.mark.parametrize(
    ("slicing", "texts", "is_good"),
    [
        ({"rules": "open"}, "bxa", True),
        ({"rules": "closed"}, "ba", True),
        ({"rules": "closed"}, "abx", False),
        ({"rules": "openAtEnd"}, "bax", True),
        ({"rules": "openAtEnd"}, "axb", False),
        ({"rules": "open", "ordered": True}, "xabx", True),
        ({"rules": "open", "ordered": True}, "ba", False),
        ({"rules": "openAtEnd", "ordered": True}, "abx", True),
        ({"rules": "openAtEnd", "ordered": True}, "bax", False),
    ],
)
def test_slices_keep_the_rules_of_their_slicing(
    slicing: dict[str, Any], texts: str, *, is_good: bool
) -> None:
    by = {"discriminator": [{"type": "value", "path": "code.text"}], **slicing}
    profile = derived(
        {"id": "component", "slicing": by},
        slice_("component:a"),
        {"id": "component:a.code.text", "fixedString": "a"},
        slice_("component:b"),
        {"id": "component:b.code.text", "fixedString": "b"},
    )
    found = issues(observation(component=[component(text) for text in texts]), profile)
    assert (found == []) is is_good


def test_the_default_slice_takes_what_belongs_to_no_other() -> None:
    by = {"discriminator": [{"type": "value", "path": "code.text"}], "rules": "closed"}
    profile = derived(
        {"id": "component", "slicing": by},
        slice_("component:a"),
        {"id": "component:a.code.text", "fixedString": "a"},
        slice_("component:@default"),
        {"id": "component:@default.interpretation", "min": 1},
    )
    good = observation(component=[component("a"), component("x", interpretation=[{"text": "i"}])])
    bad = observation(component=[component("a"), component("x")])
    assert issues(good, profile) == []
    assert issues(bad, profile) == [("error", "required", "Observation.component[1].interpretation")]


def members_by(kind: str, path: str, *below: dict[str, Any], targets: list[str]) -> dict[str, Any]:
    """Members of which one slice must be there once; `targets` are the profiles to which they lead."""
    by = {"discriminator": [{"type": kind, "path": path}], "rules": "open"}
    led = [{"code": "Reference", "targetProfile": targets}]
    return derived(
        {"id": "hasMember", "slicing": by}, slice_("hasMember:s", min=1, max="1", type=led), *below
    )


FINAL = derived({"id": "code", "patternCodeableConcept": {"text": "final"}}, url="urn:final")


@pytest.mark.parametrize(
    "profile",
    [
        members_by("value", "resolve().code", targets=["urn:final"]),
        members_by("pattern", "resolve().code", targets=["urn:final"]),
        members_by("profile", "resolve()", targets=["urn:final"]),
    ],
)
def test_a_discriminator_leads_through_a_reference(profile: dict[str, Any]) -> None:
    contained = [
        {"resourceType": "Observation", "id": "1", "status": "final", "code": {"text": "final"}},
        {"resourceType": "Observation", "id": "2", "status": "final", "code": {"text": "other"}},
    ]

    def with_members(*addresses: str) -> dict[str, Any]:
        members = [{"reference": address} for address in addresses]
        # Contained resources must be referred to.
        others = [{"reference": "#1"}, {"reference": "#2"}]
        return observation(contained=contained, hasMember=members, derivedFrom=others)

    assert [one for one in issues(with_members("#1", "#2"), profile, FINAL) if one[0] == "error"] == []
    assert ("error", "required", "Observation.hasMember") in issues(with_members("#2"), profile, FINAL)
    # What is not here is not called wrong.
    unsure = issues(with_members("Observation/elsewhere"), profile, FINAL)
    assert [severity for severity, _, _ in unsure] == ["information"]


def test_a_discriminator_leads_through_one_type_of_a_choice() -> None:
    by = {"discriminator": [{"type": "value", "path": "value.ofType(Quantity).code"}], "rules": "open"}
    profile = derived(
        {"id": "component", "slicing": by},
        slice_("component:s", min=1, max="1"),
        {"id": "component:s.value[x]", "slicing": {"discriminator": [{"type": "type", "path": "$this"}], "rules": "open"}},
        {"id": "component:s.value[x]:valueQuantity", "sliceName": "valueQuantity", "type": [{"code": "Quantity"}]},
        {"id": "component:s.value[x]:valueQuantity.code", "fixedCode": "kg"},
    )  # fmt: skip
    assert issues(observation(component=[component("a", **kilograms(1)), component("b", **kilograms(1, "g"))]), profile) == []  # fmt: skip
    assert issues(observation(component=[component("b", **kilograms(1, "g"))]), profile) == [
        ("error", "required", "Observation.component")
    ]
