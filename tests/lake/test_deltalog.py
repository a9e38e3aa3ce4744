from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable

from careloom.fhir.outcome import OutcomeError
from careloom.lake.table import CHECKPOINT_EVERY, Table
from careloom.store.feed import Cursor


def rows(number: int) -> pa.Table:
    return pa.table({
        "id": [f"p{number}"],
        "version_id": pa.array([1], pa.int32()),
        "seq_from": [number],
    })  # fmt: skip


def test_the_library_reads_what_was_appended_without_it(tmp_path: Path) -> None:
    table = Table(tmp_path, "Patient")
    for number in (1, 2):
        table.append(rows(number), Cursor(number - 1, 3), Cursor(number, 4))
    delta = DeltaTable(tmp_path / "Patient")
    assert delta.version() == table.version == 2
    assert delta.to_pyarrow_table(columns=["id"]).to_pydict() == {"id": ["p2", "p1"]}
    assert delta.transaction_version("reached.tx") == 2
    again = Table(tmp_path, "Patient")
    assert (again.began, again.reached) == (Cursor(1, 3), Cursor(2, 4))
    assert [(part.rows, part.first_seq, part.last_version) for part in again.parts()] == [
        (1, 1, 1),
        (1, 2, 1),
    ]


def test_a_second_writer_of_the_same_version_is_refused_and_nothing_is_overwritten(tmp_path: Path) -> None:
    first, second = Table(tmp_path, "Patient"), Table(tmp_path, "Patient")
    first.append(rows(1), Cursor(0, 0), Cursor(1, 0))
    before = (tmp_path / "Patient/_delta_log/00000000000000000001.json").read_bytes()
    with pytest.raises(OutcomeError, match="Another process has written version 1 "):
        second.append(rows(2), Cursor(0, 0), Cursor(2, 0))
    assert (tmp_path / "Patient/_delta_log/00000000000000000001.json").read_bytes() == before
    assert not list((tmp_path / "Patient/_delta_log").glob("*.new"))


def test_the_log_is_summed_up_every_hundred_commits(tmp_path: Path) -> None:
    table = Table(tmp_path, "Patient")
    for number in range(1, CHECKPOINT_EVERY + 2):
        table.append(rows(number), Cursor(number - 1, 0), Cursor(number, 0))
    assert [path.name[:20] for path in tmp_path.glob("Patient/_delta_log/*.checkpoint.parquet")] == [
        f"{CHECKPOINT_EVERY:020}"
    ]
    again = Table(tmp_path, "Patient")
    assert (len(again.parts()), again.reached) == (CHECKPOINT_EVERY + 1, Cursor(CHECKPOINT_EVERY + 1, 0))
    older = Table(tmp_path, "Patient", 7)
    assert len(older.parts()) == 7
