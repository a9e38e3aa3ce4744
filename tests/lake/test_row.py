"""lake.row, lake.shape, lake.schema: a row loses nothing; three engines agree on its columns."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from careloom.fhir.facts import resource_types
from careloom.fhir.outcome import OutcomeError
from careloom.lake.column import table_schema
from careloom.lake.row import to_resource, to_row, to_table
from careloom.lake.schema import arrow_schema, duckdb_columns, spark_ddl
from careloom.lake.shape import leaves, shape_of

PATIENT: dict[str, Any] = {
    "resourceType": "Patient",
    "id": "7",
    "active": True,
    "birthDate": "2020-06",
    "_birthDate": {"extension": [{"url": "time", "valueDateTime": "2020-06-01T00:00:00Z"}]},
    "name": [{"id": "n1", "family": "Chalmers", "given": ["Peter", None], "_given": [None, {"id": "g2"}]}],
    "extension": [
        {
            "url": "race",
            "extension": [{"url": "deep", "extension": [{"url": "deeper", "valueBoolean": True}]}],
        },
        {"url": "place", "valueAddress": {"city": "Utrecht"}},
        {"url": "share", "valueDecimal": Decimal("1.50")},
    ],
    "managingOrganization": {"reference": "Organization/1", "identifier": {"value": "A"}},
    "contained": [{"resourceType": "Organization", "id": "o", "name": "General"}],
}


def test_what_has_no_column_is_in_more_of_its_element() -> None:
    row = to_row(PATIENT)
    assert row["more"] == (
        '{"_birthDate":{"extension":[{"url":"time","valueDateTime":"2020-06-01T00:00:00Z"}]}}'
    )
    assert row["name"][0]["more"] == '{"id":"n1","_given":[null,{"id":"g2"}]}'
    assert row["name"][0]["given"] == ["Peter", None]
    assert row["extension"][1] == {"url": "place", "more": '{"valueAddress":{"city":"Utrecht"}}'}
    assert row["extension"][2] == {"url": "share", "valueDecimal": 1.5, "valueDecimal_text": "1.50"}


def test_what_does_not_fit_its_column_is_in_more_and_stops_nothing() -> None:
    row = to_row(
        {"resourceType": "Patient", "active": "yes", "name": {"family": "F"}, "gender": 7, "odd": [1]}
    )
    assert row["more"] == '{"active":"yes","name":{"family":"F"},"gender":7,"odd":[1]}'
    assert "active" not in row
    huge = to_row(
        {"resourceType": "Observation", "valueInteger": 2**40, "valueQuantity": {"value": Decimal("1e999")}}
    )
    assert huge["more"] == '{"valueInteger":1099511627776}'
    assert huge["valueQuantity"] == {"more": '{"value":"1E+999"}'}


def test_a_row_gives_its_resource_back() -> None:
    again = to_resource(to_table([to_row(PATIENT)], "Patient").to_pylist()[0], "Patient")
    assert again == PATIENT
    assert str(again["extension"][2]["valueDecimal"]) == "1.50"


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text()
    | st.decimals(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=6,
)


@settings(max_examples=200, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["name", "active", "birthDate", "contact", "extension", "odd"]), json_values
    )
)
def test_any_json_at_all_becomes_a_row(elements: dict[str, Any]) -> None:
    table = to_table([to_row({"resourceType": "Patient", **elements})], "Patient")
    again = to_resource(table.to_pylist()[0], "Patient")
    assert set(again) - {"resourceType"} == {
        key for key, value in elements.items() if value is not None or key in again
    }


def test_every_type_has_a_table_of_bounded_width_in_arrow_and_in_duckdb() -> None:
    connection = duckdb.connect()
    for kind in sorted(resource_types()):
        assert leaves(shape_of(kind)) < 1500
        connection.execute(f'CREATE TABLE "{kind}" ({duckdb_columns(kind)})')
        found = connection.sql(f'SELECT * FROM "{kind}"').to_arrow_table().schema
        assert found.equals(arrow_schema(kind)), kind


def test_what_is_no_resource_type_has_no_table() -> None:
    with pytest.raises(OutcomeError, match="no table"):
        shape_of("Elephant")


def test_spark_is_told_the_columns_of_a_table_in_their_order() -> None:
    ddl = spark_ddl("Observation")
    assert ddl.startswith("`version_id` INT, `last_updated` TIMESTAMP, `seq_from` BIGINT, `seq_to` BIGINT, ")
    places = [ddl.index(f"`{name}` ") for name in table_schema("Observation").names]
    assert places == sorted(places)


def test_spark_is_told_the_same_names_as_arrow() -> None:
    ddl = spark_ddl("Observation")
    assert all(f"`{name}` " in ddl for name in arrow_schema("Observation").names)
    assert "`value`: DOUBLE, `value_text`: STRING" in ddl
    assert isinstance(arrow_schema("Observation").field("component").type, pa.ListType)
