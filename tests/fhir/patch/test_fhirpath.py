"""FHIRPath Patch: choices, lists of primitives with extensions, backbone elements, and refusals with their codes."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from careloom.fhir import patch
from careloom.fhir.outcome import OutcomeError
from careloom.fhir.resource import dumps
from careloom.fhir.validate import validate

EXTENSION = [{"url": "http://x", "valueString": "y"}]
PATIENT: dict[str, Any] = {
    "resourceType": "Patient",
    "birthDate": "1974-12-25",
    "_birthDate": {"extension": EXTENSION},
    "name": [{"given": ["A", None, "C"], "_given": [None, {"extension": EXTENSION}, {"id": "c"}]}],
    "deceasedBoolean": False,
    "gender": "male",
    "contact": [{"name": {"text": "N"}}],
}


def operation(kind: str, path: str, **parts: Any) -> dict[str, Any]:
    """An operation; `value` is the content of its part, the others are strings and integers."""
    found: list[dict[str, Any]] = [{"name": "type", "valueCode": kind}, {"name": "path", "valueString": path}]
    for name, value in parts.items():
        content = (
            value if name == "value" else {"valueInteger" if isinstance(value, int) else "valueString": value}
        )
        found.append({"name": name, **content})
    return {"name": "operation", "part": found}


def patched(*operations: dict[str, Any], resource: dict[str, Any] = PATIENT) -> dict[str, Any]:
    before = dumps(resource)
    found = patch.apply(resource, {"resourceType": "Parameters", "parameter": list(operations)})
    assert dumps(resource) == before
    return found


def test_a_choice_gets_the_key_of_its_value_in_the_same_place() -> None:
    found = patched(operation("replace", "Patient.deceased", value={"valueDateTime": "2020"}))
    assert found["deceasedDateTime"] == "2020"
    assert [*found] == [key.replace("Boolean", "DateTime") for key in PATIENT]
    added = patched(
        operation("delete", "Patient.deceased"),
        operation("add", "Patient", name="deceased", value={"valueBoolean": True}),
    )
    assert added["deceasedBoolean"] is True


def test_a_primitive_is_replaced_with_what_stands_beside_it() -> None:
    found = patched(operation("replace", "birthDate", value={"valueDate": "1980", "_valueDate": {"id": "b"}}))
    assert (found["birthDate"], found["_birthDate"]) == ("1980", {"id": "b"})
    assert "_birthDate" not in patched(operation("replace", "birthDate", value={"valueDate": "1980"}))
    assert patched(operation("delete", "birthDate")).keys().isdisjoint({"birthDate", "_birthDate"})


def test_lists_of_primitives_move_with_their_extensions() -> None:
    name = patched(operation("delete", "Patient.name[0].given[0]"))["name"][0]
    assert name == {"given": [None, "C"], "_given": [{"extension": EXTENSION}, {"id": "c"}]}
    name = patched(operation("move", "Patient.name[0].given", source=1, destination=0))["name"][0]
    assert name == {"given": [None, "A", "C"], "_given": [{"extension": EXTENSION}, None, {"id": "c"}]}
    name = patched(operation("insert", "Patient.name[0].given", index=1, value={"valueString": "B"}))["name"][
        0
    ]
    assert name["given"] == ["A", "B", None, "C"]
    assert name["_given"] == [None, None, {"extension": EXTENSION}, {"id": "c"}]
    name = patched(operation("replace", "Patient.name[0].given[2]", value={"valueString": "D"}))["name"][0]
    assert name == {"given": ["A", None, "D"], "_given": [None, {"extension": EXTENSION}, None]}


def test_an_extension_is_added_to_a_primitive() -> None:
    value = {"valueExtension": {"url": "http://z", "valueCode": "q"}}
    found = patched(operation("add", "Patient.gender", name="extension", value=value))
    assert found["_gender"] == {"extension": [{"url": "http://z", "valueCode": "q"}]}
    name = patched(operation("add", "Patient.name.given[0]", name="extension", value=value))["name"][0]
    assert name["_given"][0] == {"extension": [{"url": "http://z", "valueCode": "q"}]}
    assert validate(found) == []


def test_an_extension_of_an_extension_is_replaced() -> None:
    found = patched(
        operation("replace", "Patient.birthDate.extension('http://x').value", value={"valueInteger": 7})
    )
    assert found["_birthDate"] == {"extension": [{"url": "http://x", "valueInteger": 7}]}


def test_a_list_that_is_not_there_is_begun_by_insert() -> None:
    value = {"valueContactPoint": {"system": "phone", "value": "1"}}
    assert patched(operation("insert", "Patient.telecom", index=0, value=value))["telecom"] == [
        value["valueContactPoint"]
    ]
    assert patched(operation("insert", "Patient.contact[0].telecom", index=0, value=value))["contact"][0][
        "telecom"
    ]


def test_a_backbone_element_is_made_of_parts() -> None:
    parts = [
        {"name": "relationship", "valueCodeableConcept": {"text": "R1"}},
        {"name": "relationship", "valueCodeableConcept": {"text": "R2"}},
        {"name": "gender", "valueCode": "female"},
    ]
    found = patched(operation("add", "Patient", name="contact", value={"part": parts}))
    assert found["contact"][1] == {"relationship": [{"text": "R1"}, {"text": "R2"}], "gender": "female"}


def test_a_contained_resource_is_added_whole() -> None:
    resource = {"resourceType": "Organization", "id": "o", "name": "Home"}
    found = patched(operation("add", "Patient", name="contained", value={"resource": resource}))
    assert found["contained"] == [resource]


def test_what_is_left_empty_goes_too_and_what_is_not_there_is_deleted_already() -> None:
    assert "contact" not in patched(operation("delete", "Patient.contact.name.text"))
    assert patched(operation("delete", "Patient.photo")) == PATIENT


@pytest.mark.parametrize(
    ("given_operation", "code"),
    [
        (operation("add", "Patient", name="gender", value={"valueCode": "male"}), "processing"),
        (operation("add", "Patient", name="deceased", value={"valueDateTime": "2020"}), "processing"),
        (operation("add", "Patient", name="nothing", value={"valueCode": "male"}), "processing"),
        (operation("add", "Patient.photo", name="title", value={"valueString": "x"}), "processing"),
        (operation("add", "Patient", name="maritalStatus", value={"valueString": "x"}), "processing"),
        (operation("add", "Patient.name.given", name="id", value={"valueString": "x"}), "processing"),
        (operation("replace", "Patient.deceased", value={"valueQuantity": {"value": 1}}), "processing"),
        (operation("replace", "Patient.photo", value={"valueString": "x"}), "processing"),
        (operation("replace", "Patient", value={"valueString": "x"}), "processing"),
        (operation("replace", "Patient.name.count()", value={"valueInteger": 1}), "processing"),
        (operation("delete", "Patient.name.given"), "processing"),
        (operation("delete", "Patient"), "processing"),
        (operation("insert", "Patient.name", index=2, value={"valueHumanName": {"text": "x"}}), "processing"),
        (operation("insert", "Patient.gender", index=0, value={"valueCode": "male"}), "processing"),
        (operation("move", "Patient.name", source=0, destination=1), "processing"),
        (operation("move", "Patient.name", source=0), "structure"),
        (operation("add", "Patient", name="gender"), "structure"),
        (operation("add", "Patient", value={"valueCode": "male"}), "structure"),
        (operation("add", "Patient", name="contact", value={}), "structure"),
        (operation("change", "Patient"), "structure"),
        (operation("delete", "Patient.name.("), "invalid"),
        ({"name": "spam"}, "structure"),
        ({"name": "operation", "part": 7}, "structure"),
        ({"name": "operation", "part": [{"name": "type", "valueCode": "delete"}] * 2}, "structure"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_refused_and_names_the_operation(given_operation: Any, code: str) -> None:
    with pytest.raises(OutcomeError) as caught:
        patched(operation("delete", "Patient.photo"), given_operation)
    assert caught.value.issues[0].code == code
    assert caught.value.issues[0].expression == "Parameters.parameter[1]"


def test_a_refusal_holds_no_value_of_the_patient() -> None:
    with pytest.raises(OutcomeError) as caught:
        patched(
            operation(
                "add", "Patient.name.where(family = 'Chalmers')", name="text", value={"valueString": "Jones"}
            )
        )
    assert "Chalmers" not in str(caught.value)
    assert "Jones" not in str(caught.value)


paths = st.sampled_from(
    ["Patient", "Patient.name", "name[0].given", "name.given[1]", "birthDate", "contact", "deceased", "photo", "(", "1 + 1", "type()",
     "birthDate.extension", "%resource", "name.given[1].extension[0].value"]
)  # fmt: skip
contents = st.sampled_from(
    [{"valueString": "x"}, {"valueInteger": 1}, {"valueHumanName": {}}, {"part": []}, {"part": [{"name": "x"}]}, {}, {"value": 3},
     {"valueDate": ["x"]}, {"part": [{"name": "gender", "valueCode": "m"}]}, {"valueExtension": {"url": "x"}}, {"resource": 1}]
)  # fmt: skip
junk = st.recursive(
    st.none() | st.integers() | st.text(max_size=3),
    lambda i: st.lists(i) | st.dictionaries(st.sampled_from(["name", "part", "valueString"]), i),
    max_leaves=5,
)


@given(
    st.lists(
        st.builds(
            operation,
            st.sampled_from(["add", "insert", "delete", "replace", "move"]),
            paths,
            name=st.sampled_from(
                ["name", "given", "gender", "deceased", "extension", "id", "value", "x", "contact"]
            ),
            value=contents,
            index=st.integers(-1, 3),
            source=st.integers(-1, 3),
            destination=st.integers(-1, 3),
        )
        | junk,
        max_size=4,
    )
    | junk
)
def test_any_patch_is_applied_or_refused(operations: Any) -> None:
    with contextlib.suppress(OutcomeError):
        patch.apply(PATIENT, {"resourceType": "Parameters", "parameter": operations})
