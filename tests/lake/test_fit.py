"""lake.fit gives the same rows as laying key by key, or raises; whatever a Resource holds."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from careloom.fhir.resource import dumps
from careloom.lake import intake
from careloom.lake.fit import fitted
from careloom.lake.intake import Placed
from careloom.lake.row import Misfit
from careloom.store.feed import Cursor
from careloom.store.stored import Stored

NOW = datetime(2026, 3, 1, tzinfo=UTC)

_leaf = st.sampled_from([None, True, 1, 2**40, Decimal("1.50"), "x", "null", {}, []])
_keys = st.sampled_from([
    "value", "value_text", "more", "raw", "seq_from", "coding", "code", "system", "text", "id", "contained", "component",
    "extension", "url", "valueString", "valueQuantity", "valueInteger", "status", "identifier", "subject", "reference",
    "userSelected", "referenceRange", "low",
])  # fmt: skip
_anything = st.recursive(
    _leaf,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(_keys, inner, max_size=3),
    max_leaves=6,
)
_coding = st.fixed_dictionaries(
    {}, optional={"code": st.just("c"), "userSelected": st.booleans(), "id": _leaf}
)
_concept = st.fixed_dictionaries({}, optional={"coding": st.lists(_coding, max_size=2), "text": st.just("t")})
_quantity = st.fixed_dictionaries(
    {}, optional={"value": st.integers() | st.decimals(-9, 9), "unit": st.just("kg")}
)
_observation = st.fixed_dictionaries(
    {},
    optional={
        "code": _concept,
        "valueQuantity": _quantity,
        "component": st.lists(
            st.fixed_dictionaries({"code": _concept}, optional={"valueQuantity": _quantity}), max_size=2
        ),
        "subject": st.just({"reference": "Patient/1", "identifier": {"value": "A"}}),
        "contained": st.just([{"resourceType": "Patient", "id": "p"}]),
        "text": st.just({"status": "empty"}),
        "status": st.just("final") | _leaf,
    },
)


def placed(*resources: dict[str, Any] | None, rtype: str = "Observation") -> list[Placed]:
    """Versions as the feed gives them; None: a deletion."""
    found: list[Placed] = []
    for at, resource in enumerate(resources):
        body = b"" if resource is None else dumps({"resourceType": rtype, "id": f"r{at}"} | resource)
        stored = Stored(rtype, f"r{at}", 1, NOW, resource is None, body, None, "ehr", "", 0, at, "create")
        found.append((Cursor(7, at), stored))
    return found


def held(table: pa.Table) -> list[dict[str, Any]]:
    """Rows, without what has no value: a column may be there for another row, or not."""

    def of(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: of(each) for key, each in value.items() if each is not None}
        return [of(each) for each in value] if isinstance(value, list) else value

    return [of(row) for row in table.to_pylist()]


@given(
    st.lists(st.none() | _observation | st.dictionaries(_keys, _anything, max_size=3), min_size=1, max_size=4)
)
def test_rows_are_those_that_are_laid_key_by_key(resources: list[dict[str, Any] | None]) -> None:
    whole = placed(*resources)
    try:
        fit = fitted("Observation", whole)
    except (*intake._FAULTS, Misfit, pa.ArrowException):
        return
    slow = intake._key_by_key("Observation", whole)
    assert slow.aside == []
    assert held(fit) == held(slow.table)


def test_most_of_what_comes_fits() -> None:
    quantity = {"value": Decimal("1.50"), "unit": "kg", "extension": [{"url": "u"}]}
    whole = placed(
        {"valueQuantity": quantity, "code": {"coding": [{"code": "c"}]}, "language": "en"},
        {"valueQuantity": {"value": 7}, "text": {"status": "empty"}, "component": []},
        {"contained": [{"resourceType": "Patient"}, {"resourceType": "Basic", "code": "x"}], "note": None},
        None,
    )
    rows = fitted("Observation", whole).to_pylist()
    assert [row["id"] for row in rows] == ["r0", "r1", "r2", "r3"]
    assert rows[0]["valueQuantity"]["value"] == 1.5
    assert rows[0]["valueQuantity"]["value_text"] == "1.50"
    assert rows[0]["valueQuantity"]["more"] == '{"extension":[{"url":"u"}]}'
    assert rows[1]["valueQuantity"]["value"] == 7.0
    assert rows[1]["component"] == []
    assert rows[2]["contained"] == ['{"resourceType":"Patient"}', '{"resourceType":"Basic","code":"x"}']
    assert rows[2]["more"] == '{"note":null}'
    assert rows[3]["raw"] is None
    assert rows[3]["is_deleted"]


@pytest.mark.parametrize("wrong", [{"status": ["x"]}, {"valueInteger": 2**40}, {"code": "c"}])
def test_what_does_not_fit_beside_what_does_is_laid_all_the_same(wrong: dict[str, Any]) -> None:
    whole = placed({"status": "final", "valueInteger": 1, "code": {"text": "t"}}, wrong)
    laid = intake.laid("Observation", whole)
    assert laid.aside == []
    assert held(laid.table) == held(intake._key_by_key("Observation", whole).table)
    assert held(laid.table)[1]["more"] == dumps(wrong).decode()
