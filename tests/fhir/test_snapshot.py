"""Snapshots: what a differential says is found at its place, and what it does not say is as in the base."""

from __future__ import annotations

from typing import Any

import pytest

from careloom.fhir.outcome import OutcomeError
from careloom.fhir.profile import Profiles
from careloom.fhir.profile.structures import Structures

CORE = "http://hl7.org/fhir/StructureDefinition/"
URL = "urn:profile"


def derived(
    *elements: dict[str, Any], rtype: str = "Observation", url: str = URL, base: str = ""
) -> dict[str, Any]:
    """A profile with a differential only."""
    return {
        "resourceType": "StructureDefinition", "url": url, "name": "P", "type": rtype, "kind": "resource",
        "derivation": "constraint", "baseDefinition": base or CORE + rtype, "differential": {"element": list(elements)},
    }  # fmt: skip


def made(*profiles: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The snapshot of the last of these profiles, by id."""
    found = Structures(profiles).elements(profiles[-1]["url"])
    assert found is not None
    return {one["id"]: one for one in found}


def keys(element: dict[str, Any]) -> list[str]:
    return [one["key"] for one in element.get("constraint", ())]


def test_an_empty_differential_gives_the_base() -> None:
    base = Structures().elements(f"{CORE}Observation")
    assert Structures([derived()]).elements(URL) == base


def test_a_differential_changes_what_it_says_and_leaves_the_rest() -> None:
    rule = {"key": "x-1", "severity": "error", "human": "H", "expression": "true"}
    subject = made(derived({"path": "Observation.subject", "min": 1, "constraint": [rule]}))[
        "Observation.subject"
    ]
    assert (subject["min"], subject["max"]) == (1, "1")
    assert keys(subject) == ["ele-1", "x-1"]
    assert subject["constraint"][1]["source"] == URL


def test_a_walk_into_a_type_opens_it() -> None:
    found = made(derived({"path": "Observation.code.coding.system", "min": 1}))
    assert found["Observation.code.coding.system"]["min"] == 1
    assert found["Observation.code.text"]["max"] == "1"
    assert "Observation.category.coding" not in found


def test_a_slice_begins_as_its_element_was_with_all_below_it() -> None:
    found = made(
        derived(
            {"path": "Observation.component", "min": 2, "slicing": {"rules": "closed"}},
            {"path": "Observation.component.code", "max": "0"},
            {"path": "Observation.component", "sliceName": "a", "max": "1"},
            {"path": "Observation.component.interpretation", "min": 1},
        )
    )
    assert (found["Observation.component:a"]["min"], found["Observation.component:a"]["max"]) == (0, "1")
    assert "slicing" not in found["Observation.component:a"]
    assert found["Observation.component:a.code"]["max"] == "0"
    # Without an id an element belongs to the slice named last.
    assert found["Observation.component:a.interpretation"]["min"] == 1
    assert found["Observation.component.interpretation"]["min"] == 0


def test_a_slice_of_a_slice_begins_as_that_slice() -> None:
    found = made(
        derived(
            {"id": "Observation.category:a", "path": "Observation.category", "sliceName": "a", "max": "3"},
            {"id": "Observation.category:a/b", "path": "Observation.category", "sliceName": "a/b", "min": 1},
        )
    )
    assert found["Observation.category:a/b"]["min"] == 1
    assert found["Observation.category:a/b"]["sliceName"] == "a/b"


@pytest.mark.parametrize(("low", "rules", "types"), [(0, "open", 11), (1, "closed", 1)])
def test_one_type_of_a_choice_is_a_slice_of_it_and_all_of_it_where_it_is_required(
    low: int, rules: str, types: int
) -> None:
    found = made(derived({"path": "Observation.valueQuantity", "min": low}, {"path": "Observation.valueQuantity.code", "min": 1}))  # fmt: skip
    choice, quantity = found["Observation.value[x]"], found["Observation.value[x]:valueQuantity"]
    assert (choice["min"], choice["slicing"]["rules"], len(choice["type"])) == (low, rules, types)
    assert quantity["type"] == [{"code": "Quantity"}]
    assert found["Observation.value[x]:valueQuantity.code"]["min"] == 1


def test_within_a_slice_one_type_of_a_choice_narrows_it() -> None:
    found = made(
        derived(
            {"id": "Observation.component:a", "path": "Observation.component", "sliceName": "a"},
            {
                "id": "Observation.component:a.valueQuantity",
                "path": "Observation.component.valueQuantity",
                "min": 1,
            },
        )
    )
    assert found["Observation.component:a.value[x]"]["type"] == [{"code": "Quantity"}]
    assert found["Observation.component:a.value[x]"]["min"] == 1


def test_a_content_reference_is_opened_as_what_it_repeats() -> None:
    found = made(derived({"path": "Observation.component.referenceRange.low", "min": 1}))
    assert found["Observation.component.referenceRange"]["type"] == [{"code": "BackboneElement"}]
    assert "contentReference" not in found["Observation.component.referenceRange"]
    assert found["Observation.component.referenceRange.low"]["min"] == 1


def test_an_extension_is_sliced_by_its_url_and_opened_as_its_profile() -> None:
    rule = {"key": "x-1", "severity": "error", "human": "H", "expression": "true"}
    extension = derived(
        {"path": "Extension", "constraint": [rule]},
        {"path": "Extension.url", "fixedUri": "urn:e"},
        {"path": "Extension.value[x]", "type": [{"code": "string"}]},
        rtype="Extension",
        url="urn:e",
    )
    slice_ = {
        "id": "Observation.extension:e",
        "path": "Observation.extension",
        "sliceName": "e",
        "type": [{"code": "Extension", "profile": ["urn:e"]}],
    }
    below = {"id": "Observation.extension:e.value[x]", "path": "Observation.extension.value[x]", "min": 1}
    found = made(extension, derived(slice_, below))
    assert found["Observation.extension"]["slicing"]["discriminator"] == [{"type": "value", "path": "url"}]
    assert keys(found["Observation.extension:e"]) == ["ele-1", "ext-1", "x-1"]
    assert found["Observation.extension:e.url"]["fixedUri"] == "urn:e"
    assert found["Observation.extension:e.value[x]"]["type"] == [{"code": "string"}]


def test_a_binding_keeps_the_value_set_that_it_does_not_name() -> None:
    code = made(derived({"path": "Observation.code", "binding": {"strength": "required"}}))[
        "Observation.code"
    ]
    assert code["binding"] == {
        "strength": "required",
        "valueSet": "http://hl7.org/fhir/ValueSet/observation-codes",
    }


def test_a_profile_of_a_profile_inherits_from_it() -> None:
    first = derived({"path": "Observation.subject", "min": 1}, url="urn:first")
    second = derived({"path": "Observation.subject", "max": "1"}, base="urn:first|1.0")
    assert made(first, second)["Observation.subject"]["min"] == 1


@pytest.mark.parametrize(
    ("profiles", "code"),
    [
        ([derived(base="urn:absent")], "not-supported"),
        ([derived(base="urn:other"), derived(base=URL, url="urn:other")], "structure"),
        ([derived({"path": "Observation.nonsense", "min": 1})], "structure"),
    ],
)
def test_what_cannot_be_made_is_said(profiles: list[dict[str, Any]], code: str) -> None:
    with pytest.raises(OutcomeError) as caught:
        Structures(profiles).elements(URL)
    assert caught.value.issues[0].code == code
    with pytest.raises(OutcomeError):
        Profiles(profiles).conformance({"resourceType": "Observation"}, URL)


def test_a_profile_with_a_differential_only_is_asked() -> None:
    profiles = Profiles([derived({"path": "Observation.subject", "min": 1})])
    observation = {"resourceType": "Observation", "status": "final", "code": {"text": "c"}}
    issues = profiles.validate(observation, URL)
    assert [(issue.code, issue.expression) for issue in issues] == [("required", "Observation.subject")]
