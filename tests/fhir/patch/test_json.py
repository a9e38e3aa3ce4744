"""JSON Patch: operations, pointers, refusals with their codes, bounds, and laws."""

from __future__ import annotations

import contextlib
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from careloom.fhir import patch
from careloom.fhir.outcome import OutcomeError
from careloom.fhir.patch import json
from careloom.fhir.resource import dumps, loads

PATIENT = {
    "resourceType": "Patient",
    "name": [{"family": "A", "given": ["B", "C"]}],
    "extension": [{"url": "x", "valueDecimal": Decimal("1.50")}],
    "active": True,
}


@pytest.mark.parametrize(
    ("operations", "document", "expected"),
    [
        ([{"op": "add", "path": "", "value": 1}], {}, 1),
        ([{"op": "add", "path": "/a~1b~0c", "value": 1}], {}, {"a/b~c": 1}),
        ([{"op": "add", "path": "/-", "value": 2}], [1], [1, 2]),
        ([{"op": "replace", "path": "/0", "value": None}], [1], [None]),
        ([{"op": "move", "from": "/a", "path": "/b/c"}], {"a": 1, "b": {}}, {"b": {"c": 1}}),
        ([{"op": "move", "from": "/a", "path": "/a"}], {"a": 1}, {"a": 1}),
        ([{"op": "copy", "from": "/a", "path": "/b"}], {"a": [1]}, {"a": [1], "b": [1]}),
        ([{"op": "test", "path": "/a", "value": Decimal("1.0")}], {"a": 1}, {"a": 1}),
        ([{"op": "test", "path": "", "value": {"b": 1, "a": 2}}], {"a": 2, "b": 1}, {"a": 2, "b": 1}),
        ([], {"a": 1}, {"a": 1}),
    ],
)
def test_operations_change_a_document(operations: list[Any], document: Any, expected: Any) -> None:
    assert json.apply(document, operations) == expected


@pytest.mark.parametrize(
    ("operation", "code"),
    [
        ({"op": "remove", "path": "/nothing"}, "processing"),
        ({"op": "remove", "path": ""}, "processing"),
        ({"op": "replace", "path": "/name/1", "value": 1}, "processing"),
        ({"op": "add", "path": "/name/2", "value": 1}, "processing"),
        ({"op": "add", "path": "/name/01", "value": 1}, "processing"),
        ({"op": "add", "path": "/active/x", "value": 1}, "processing"),
        ({"op": "remove", "path": "/name/-"}, "processing"),
        ({"op": "test", "path": "/active", "value": 1}, "processing"),
        ({"op": "move", "from": "/name", "path": "/name/0"}, "processing"),
        ({"op": "replace", "path": "", "value": []}, "processing"),
        ({"op": "add", "path": "/x"}, "structure"),
        ({"op": "add", "path": "x", "value": 1}, "structure"),
        ({"op": "add", "path": "/~2", "value": 1}, "structure"),
        ({"op": "add", "path": 7, "value": 1}, "structure"),
        ({"op": "copy", "path": "/x"}, "structure"),
        ({"op": "spam", "path": "/x"}, "structure"),
        ({"op": ["add"], "path": "/x"}, "structure"),
        ("add", "structure"),
    ],
)
def test_what_cannot_be_done_is_refused_and_names_the_operation(operation: Any, code: str) -> None:
    with pytest.raises(OutcomeError) as caught:
        patch.apply(PATIENT, [{"op": "test", "path": "/active", "value": True}, operation])
    assert caught.value.issues[0].code == code
    assert operation == {"op": "replace", "path": "", "value": []} or "patch[1]" in str(caught.value)


@pytest.mark.parametrize("operations", [None, "x", {"resourceType": "Patient"}, 7])
def test_what_is_no_patch_is_refused(operations: Any) -> None:
    with pytest.raises(OutcomeError) as caught:
        patch.apply(PATIENT, operations)
    assert caught.value.issues[0].code == "structure"


def test_the_resource_stays_as_it_was_and_decimals_keep_their_digits() -> None:
    before = dumps(PATIENT)
    patched = patch.apply(
        PATIENT, loads(b'[{"op":"add","path":"/extension/-","value":{"url":"y","valueDecimal":2.000}}]')
    )
    assert dumps(PATIENT) == before
    assert b"1.50" in dumps(patched)
    assert b"2.000" in dumps(patched)


def test_what_a_removal_leaves_empty_goes_with_it() -> None:
    operations = [{"op": "remove", "path": f"/name/0/{key}"} for key in ("given/0", "given/0", "family")]
    assert "name" not in patch.apply(PATIENT, operations)


def test_copies_of_copies_are_stopped() -> None:
    doubling = [{"op": "copy", "from": "", "path": f"/x{number}"} for number in range(60)]
    with pytest.raises(OutcomeError) as caught:
        json.apply({"a": 1}, doubling)
    assert caught.value.issues[0].code == "too-costly"
    with pytest.raises(OutcomeError):
        json.apply({}, [{"op": "test", "path": "", "value": {}}] * 1001)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("ab/~0", max_size=2), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(values, values)
def test_a_value_that_replaces_the_whole_is_what_is_found(document: Any, value: Any) -> None:
    operations = [{"op": "replace", "path": "", "value": value}, {"op": "test", "path": "", "value": value}]
    assert json.apply(document, operations) == value


@given(
    st.dictionaries(st.text("ab/~0", max_size=3), values, max_size=3), st.text("ab/~0", max_size=3), values
)
def test_what_is_added_and_removed_leaves_the_rest(document: dict[str, Any], key: str, value: Any) -> None:
    pointer = "/" + key.replace("~", "~0").replace("/", "~1")
    added = [{"op": "add", "path": pointer, "value": value}, {"op": "test", "path": pointer, "value": value}]
    found = json.apply(document, [*added, {"op": "remove", "path": pointer}])
    assert found == {name: inner for name, inner in document.items() if name != key}


operations = st.fixed_dictionaries(
    {"op": st.sampled_from(["add", "remove", "replace", "move", "copy", "test", "x"])},
    optional={
        "path": st.text("/ab01-~", max_size=5),
        "from": st.text("/ab01-~", max_size=5),
        "value": values,
    },
)


@given(values, st.lists(operations | values, max_size=4))
def test_any_patch_is_applied_or_refused(document: Any, given_operations: list[Any]) -> None:
    with contextlib.suppress(OutcomeError):
        patch.apply(document, given_operations)
