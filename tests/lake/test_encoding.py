"""A file that is written by what its columns hold is read as it was given, and is smaller."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given
from hypothesis import strategies as st

from careloom.lake.encoding import encodings
from careloom.lake.parquet import FORMAT

IDS = [str(UUID(int=(number * 2**89 - 1) % 2**127)) for number in range(1, 5_001)]


def written(path: Path, table: pa.Table, **more: object) -> int:
    pq.write_table(table, path, **FORMAT["fed"], **more)
    assert pq.read_table(path).equals(table)
    return path.stat().st_size


def test_ids_and_amounts_are_smaller_than_with_a_dictionary_for_all(tmp_path: Path) -> None:
    table = pa.table(
        {
            "id": IDS,
            "code": ["a", "b"] * 2_500,
            "list": [[{"text": id_, "unit": "mg"}] for id_ in IDS],
            "seq": pa.array(range(0, 10_000, 2), pa.int64()),
        }
    )
    told = encodings(table)
    assert told["use_dictionary"] == ["code", "list.list.element.unit"]
    assert told["column_encoding"] == {
        "id": "DELTA_LENGTH_BYTE_ARRAY",
        "list.list.element.text": "DELTA_LENGTH_BYTE_ARRAY",
        "seq": "DELTA_BINARY_PACKED",
    }
    assert written(tmp_path / "new", table, **told) < 0.9 * written(tmp_path / "old", table)


_LEAF = st.one_of(st.none(), st.text(max_size=5), st.sampled_from(["a", "b"]))


@given(st.lists(st.tuples(_LEAF, st.lists(st.fixed_dictionaries({"x": _LEAF}), max_size=3) | st.none()), max_size=20), st.integers(1, 60))  # fmt: skip
def test_any_rows_come_back_as_they_were(rows: list[tuple[object, object]], times: int) -> None:
    kind = pa.list_(pa.struct([("x", pa.string())]))
    table = pa.table(
        {
            "id": pa.array([row[0] for row in rows] * times, pa.string()),
            "deep": pa.array([row[1] for row in rows] * times, kind),
        }
    )
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, **FORMAT["settled"], **encodings(table))
    assert pq.read_table(pa.BufferReader(sink.getvalue())).equals(table)
