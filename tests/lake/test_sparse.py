from __future__ import annotations

from typing import Any

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from careloom.lake.sparse import sparse

INNER = pa.struct([("code", pa.string()), ("value", pa.float64())])
WHOLE = pa.schema([
    ("id", pa.string()),
    ("flag", pa.bool_()),
    ("rank", pa.int32()),
    ("one", INNER),
    ("many", pa.list_(pa.struct([("inner", INNER), ("texts", pa.list_(pa.string()))]))),
])  # fmt: skip

_inner = st.fixed_dictionaries(
    {}, optional={"code": st.text(max_size=2), "value": st.floats(allow_nan=False)}
)
_texts = st.lists(st.none() | st.text(max_size=2), max_size=2)
_many = st.lists(
    st.none() | st.fixed_dictionaries({}, optional={"inner": _inner, "texts": _texts}), max_size=3
)
_row = st.fixed_dictionaries(
    {"id": st.text(max_size=2)},
    optional={"flag": st.booleans(), "rank": st.integers(-9, 9), "one": _inner, "many": _many},
)


def without_nulls(value: Any) -> Any:
    """A struct is what of it has a value."""
    if isinstance(value, dict):
        return {key: without_nulls(held) for key, held in value.items() if held is not None}
    return [without_nulls(each) for each in value] if isinstance(value, list) else value


@given(st.lists(_row, min_size=1, max_size=6))
def test_nothing_of_the_rows_is_lost_and_types_are_those_of_the_schema(rows: list[dict[str, Any]]) -> None:
    table = sparse(rows, WHOLE)
    assert without_nulls(table.to_pylist()) == without_nulls(pa.Table.from_pylist(rows, WHOLE).to_pylist())
    pa.concat_tables([WHOLE.empty_table(), table], promote_options="permissive").validate(full=True)


def test_columns_and_fields_without_a_value_are_left_out() -> None:
    table = sparse([{"id": "a", "flag": None, "one": {"code": "x"}, "many": [{"texts": []}]}], WHOLE)
    assert table.column_names == ["id", "one", "many"]
    assert table.schema.field("one").type == pa.struct([("code", pa.string())])
    assert table.schema.field("many").type == pa.list_(pa.struct([("texts", pa.list_(pa.string()))]))


def test_what_is_empty_throughout_keeps_as_little_as_parquet_can_write() -> None:
    table = sparse([{"one": {}, "many": [None]}], WHOLE)
    assert table.schema.field("one").type == pa.struct([("code", pa.string())])
    assert table.schema.field("many").type == pa.list_(
        pa.struct([("inner", pa.struct([("code", pa.string())]))])
    )
