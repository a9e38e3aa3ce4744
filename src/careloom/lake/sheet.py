"""lake.sheet: the rows of a statement as a workbook of Excel (XLSX), row by row to the disk: none is held in memory.

Room: lake. May import: pyarrow, xlsxwriter. Touches: a folder of its own in the scratch of the lake.
https://xlsxwriter.readthedocs.io/working_with_memory.html

A text stays a text: `007` keeps its zeros, and `=1+1` is no formula. What a sheet cannot hold is refused, never cut: a cell of
more than 32,767 characters, a row beyond the 1,048,576th, a column beyond the 16,384th.
"""

# pyarrow has no types.
# pyright: reportUnknownParameterType=false

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import xlsxwriter

from careloom.fhir.outcome import Issue, OutcomeError

if TYPE_CHECKING:
    from careloom.lake.delivery import Answer

MOST_ROWS, MOST_COLUMNS, MOST_CHARACTERS = 1_048_575, 16_384, 32_767
"""https://support.microsoft.com/office/excel-specifications-and-limits; one row is that of the names."""
_DIGITS = 10**15
"""A number of more digits is another number in Excel."""
_FIRST_DAY = date(1900, 3, 1)
"""Excel believes in a 29 February 1900, and knows nothing earlier than that year."""
_PIECE = 1 << 16
_OPTIONS = {
    "constant_memory": True,
    "strings_to_formulas": False,
    "strings_to_urls": False,
    "strings_to_numbers": False,
    "default_date_format": "yyyy-mm-dd",
}
_OTHER = "Ask for fewer, or for CSV or Parquet."


def workbook(rows: Answer, scratch: Path) -> Iterator[bytes]:
    """The answer as the bytes of a file, once it is whole. Raises OutcomeError for what a sheet cannot hold."""
    if len(rows.columns) > MOST_COLUMNS:
        raise OutcomeError(Issue("too-costly", f"A sheet has at most {MOST_COLUMNS:,} columns. {_OTHER}"))
    scratch.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="sheet-", dir=scratch) as folder:
        path = Path(folder) / "rows.xlsx"
        _write(rows, path)
        with path.open("rb") as file:
            while piece := file.read(_PIECE):
                yield piece


def _write(rows: Answer, path: Path) -> None:
    with xlsxwriter.Workbook(path, {**_OPTIONS, "tmpdir": str(path.parent)}) as book:
        sheet = book.add_worksheet("rows")
        sheet.freeze_panes(1, 0)
        bold = book.add_format({"bold": True})
        for at, (name, _) in enumerate(rows.columns):
            sheet.write_string(0, at, name, bold)
        pen = _Pen(sheet, book, [name for name, _ in rows.columns])
        number = 0
        for batch in rows.batches():
            for row in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                number += 1
                if number > MOST_ROWS:
                    text = f"A sheet has at most {MOST_ROWS:,} rows. {_OTHER}"
                    raise OutcomeError(Issue("too-costly", text))
                for at, value in enumerate(row):
                    pen.write(number, at, value)
        if rows.is_cut:
            about = book.add_worksheet("not all")
            about.write_string(0, 0, f"There are more rows than the {number:,} of this file.")


class _Pen:
    """Writes cells."""

    def __init__(self, sheet: Any, book: Any, names: list[str]) -> None:
        self._sheet = sheet
        self._names = names
        self._day = book.add_format({"num_format": "yyyy-mm-dd"})
        self._moment = book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss.000"})

    def write(self, row: int, at: int, value: Any) -> None:
        match value:
            case None:
                pass
            case bool():
                self._sheet.write_boolean(row, at, value)
            case int() | float() | Decimal() if _fits(value):
                self._sheet.write_number(row, at, value)
            case datetime() if value.date() > _FIRST_DAY:
                # A cell knows no zone: an instant is told in UTC.
                plain = value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value
                self._sheet.write_datetime(row, at, plain, self._moment)
            case date() if not isinstance(value, datetime) and value >= _FIRST_DAY:
                self._sheet.write_datetime(row, at, value, self._day)
            case _:
                self._text(row, at, value)

    def _text(self, row: int, at: int, value: Any) -> None:
        from careloom.lake.delivery import text_of

        text = text_of(value)
        # Excel counts in UTF-16.
        if len(text) > MOST_CHARACTERS or len(text.encode("utf-16-le", "replace")) > 2 * MOST_CHARACTERS:
            told = f"A cell of '{self._names[at]}' has more than the {MOST_CHARACTERS:,} characters that a sheet holds. {_OTHER}"
            raise OutcomeError(Issue("too-costly", told))
        self._sheet.write_string(row, at, text)


def _fits(value: float | Decimal) -> bool:
    if isinstance(value, int):
        return abs(value) < _DIGITS
    if isinstance(value, Decimal):
        return value.is_finite() and len(value.normalize().as_tuple().digits) < 16  # noqa: PLR2004 - those of a double
    return math.isfinite(value)
