"""A workbook holds what the rows hold, in cells of their kind; what it cannot hold is refused."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import duckdb
import pyarrow as pa
import pytest

from careloom.fhir.outcome import OutcomeError
from careloom.lake import sheet
from careloom.lake.delivery import delivered

SPACE = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"


class Rows:
    """What DuckDB answers."""

    def __init__(self, sql: str, *, is_cut: bool = False) -> None:
        self._found = duckdb.connect().sql(sql)
        self.columns = [
            (name, str(kind)) for name, kind in zip(self._found.columns, self._found.types, strict=True)
        ]
        self.is_cut = is_cut
        self.count = 0

    @property
    def schema(self) -> pa.Schema:
        return self._found.limit(0).to_arrow_table().schema

    def batches(self) -> Iterator[pa.RecordBatch]:
        yield from self._found.to_arrow_reader(2_000)


def book(sql: str, scratch: Path, **more: Any) -> zipfile.ZipFile:
    return zipfile.ZipFile(io.BytesIO(b"".join(delivered(Rows(sql, **more), "xlsx", scratch))))


def cells(found: zipfile.ZipFile) -> list[list[tuple[str, str]]]:
    """Type and text of each cell: `n` a number (a date has a style), `b` a boolean, `inlineStr` a text."""
    tree = ET.fromstring(found.read("xl/worksheets/sheet1.xml"))
    return [
        [
            (
                cell.get("t", "d" if cell.get("s") else "n"),
                "".join(cell.itertext()),
            )
            for cell in row.iter(f"{SPACE}c")
        ]
        for row in tree.iter(f"{SPACE}row")
    ]


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        ("'007'", ("inlineStr", "007")),
        ("'=1+1'", ("inlineStr", "=1+1")),
        ("'=cmd|x!A1'", ("inlineStr", "=cmd|x!A1")),
        ("'{=1}'", ("inlineStr", "{=1}")),
        ("'http://example.org/x'", ("inlineStr", "http://example.org/x")),
        ("'Zoë 中 😀'", ("inlineStr", "Zoë 中 😀")),
        ("'12'", ("inlineStr", "12")),
        ("12", ("n", "12")),
        ("1.5::double", ("n", "1.5")),
        ("1.50::decimal(9,2)", ("n", "1.50")),
        ("123456789012345::bigint", ("n", "123456789012345")),
        ("1234567890123456::bigint", ("inlineStr", "1234567890123456")),
        ("'nan'::double", ("inlineStr", "nan")),
        ("true", ("b", "1")),
        ("date '2024-02-29'", ("d", "45351")),
        ("timestamp '2024-02-29 12:00:00'", ("d", "45351.5")),
        ("timestamptz '2024-02-29T13:00:00+01:00'", ("d", "45351.5")),
        ("date '1899-05-06'", ("inlineStr", "1899-05-06")),
        ("date '1900-02-28'", ("inlineStr", "1900-02-28")),
        ("[1, 2]", ("inlineStr", "[1,2]")),
        ("{'a': 'b'}", ("inlineStr", '{"a":"b"}')),
    ],
)  # fmt: skip
def test_a_cell_is_of_the_kind_of_its_value(value: str, wanted: tuple[str, str], tmp_path: Path) -> None:
    names, row = cells(book(f"select {value} as v", tmp_path))
    assert ([name for _, name in names], row) == (["v"], [wanted])
    assert not list(tmp_path.iterdir())


def test_nothing_is_an_empty_cell_and_a_column_may_be_called_twice(tmp_path: Path) -> None:
    names, row = cells(book("select null as a, 1 as a", tmp_path))
    assert ([name for _, name in names], row) == (["a", "a"], [("n", "1")])


def test_that_there_are_more_rows_is_said_on_a_sheet_of_its_own(tmp_path: Path) -> None:
    assert "xl/worksheets/sheet2.xml" not in book("select 1 as a", tmp_path).namelist()
    assert b"not all" in book("select 1 as a", tmp_path, is_cut=True).read("xl/workbook.xml")


@pytest.mark.parametrize(
    ("sql", "told"),
    [
        (
            "select 'x' as id, repeat('x', 32768) as raw",
            "A cell of 'raw' has more than the 32,767 characters",
        ),
        ("select repeat('😀', 16384) as raw", "A cell of 'raw'"),
        ("from range(6)", "at most 5 rows"),
    ],
)
def test_what_a_sheet_cannot_hold_is_refused_and_not_cut(
    sql: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sheet, "MOST_ROWS", 5)
    with pytest.raises(OutcomeError, match=told):
        book(sql, tmp_path)
    assert not list(tmp_path.iterdir())
