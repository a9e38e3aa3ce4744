"""How much is wanted of what an expression finds (nodes, values, JSON) changes nothing of what it finds."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from careloom.fhir.outcome import OutcomeError
from careloom.fhir.path import compile  # noqa: A004 - as re.compile
from careloom.fhir.path.arguments import boolean
from careloom.fhir.path.value import json_value

EXPRESSIONS = [
    "name", "name.given", "Patient.name.given", "name.family", "name[0].given", "name.given.first()", "name.tail().given",
    "name.given.count()", "name.given | name.family", "name.given.exists()", "name.select(given | family)",
    "name.where(use = 'official').given", "name.all(given.exists())", "birthDate", "birthDate = '1990'", "birthDate.exists()",
    "birthDate < today()", "active", "active = true", "active.not()", "multipleBirth", "multipleBirth = 2", "multipleBirth is integer",
    "contact.name.family", "contact.name.given", "name.given.hasValue()", "name.given.combine(name.family).distinct()",
    "name.given.join(',')", "name.family in name.given", "name.given contains 'a'", "name.given.isDistinct()", "gender & 'x'",
    "iif(active, name, birthDate)", "name.given.take(2)", "name.period.start", "gender.length()", "gender.matches('a')",
    "extension.value", "extension.value.unit", "name.extension.value", "extension.value is Quantity",
    "contained.id", "link.other.reference", "name = contact.name", "name.given ~ contact.name.given", "name.given.subsetOf(name.family)",
]  # fmt: skip
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(0, 3), st.sampled_from(["a", "b", "official", "1990", "1990-01-01"])
)


def _either_shape(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """One or several: what comes in need not have the shape that R4 asks for."""
    return st.one_of(inner, st.lists(inner, max_size=3))


EXTENSIONS = _either_shape(
    st.fixed_dictionaries(
        {},
        optional={
            "valueString": _either_shape(SCALARS),
            "_valueString": st.just({"id": "v"}),
            "valueQuantity": _either_shape(st.just({"value": 1, "unit": "kg"})),
        },
    )
)
NAMES = _either_shape(
    st.fixed_dictionaries(
        {},
        optional={
            "given": _either_shape(SCALARS),
            "_given": _either_shape(st.one_of(st.none(), st.just({"id": "g"}))),
            "family": _either_shape(SCALARS),
            "_family": st.just({"extension": [{"url": "urn:e", "valueString": "x"}]}),
            "use": SCALARS,
            "extension": EXTENSIONS,
            "period": _either_shape(st.just({"start": "1990"})),
        },
    )
)
PATIENTS = st.fixed_dictionaries(
    {"resourceType": st.just("Patient")},
    optional={
        "name": NAMES,
        "extension": EXTENSIONS,
        "birthDate": _either_shape(SCALARS),
        "_birthDate": st.just({"id": "b"}),
        "active": SCALARS,
        "gender": SCALARS,
        "multipleBirthInteger": SCALARS,
        "multipleBirthBoolean": SCALARS,
        "contact": _either_shape(st.fixed_dictionaries({}, optional={"name": NAMES})),
        "contained": _either_shape(st.just({"resourceType": "Basic", "id": "1"})),
        "link": _either_shape(st.just({"other": {"reference": "Patient/1"}})),
    },
)


def found(run: Any) -> Any:
    """What comes of it, or the code of its refusal."""
    try:
        return run()
    except OutcomeError as error:
        return error.issues[0].code


@pytest.mark.parametrize("expression", EXPRESSIONS)
@settings(max_examples=40)
@given(patient=PATIENTS)
def test_what_is_found_does_not_hang_on_what_is_wanted(expression: str, patient: dict[str, Any]) -> None:
    compiled = compile(expression)
    nodes = found(lambda: compiled.nodes(patient))
    if isinstance(nodes, str):
        assert found(lambda: compiled(patient)) == nodes
        return
    assert compiled(patient) == [value for node in nodes if (value := json_value(node)) is not None]
    truth = found(lambda: boolean(nodes) is True)
    assert found(lambda: compiled.holds(patient)) == truth


def test_what_is_handed_out_is_not_the_list_of_the_resource() -> None:
    patient: dict[str, Any] = {"resourceType": "Patient", "name": [{"given": ["a"]}]}
    compile("name.given")(patient).append("b")
    compile("name.given").nodes(patient).clear()
    assert patient["name"] == [{"given": ["a"]}]
