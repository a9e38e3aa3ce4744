"""web.brief: cells of a table of rows for the eye: six digits of a number, a day where a column holds only days.

Room: web. Pure. What is shortened stands whole beside it, and in every file.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation

DIGITS = 6
_MIDNIGHT = re.compile(r"\d{4}-\d\d-\d\d([T ]00:00(:00(\.0+)?)?(Z|[+-]\d\d(:?\d\d)?)?)")

Cell = tuple[str, str]
"""What is shown, and the whole text; "" where they are the same."""


def brief(rows: Sequence[Sequence[str]], kinds: Sequence[str]) -> list[list[Cell]]:
    """The cells of rows whose columns have these types of DuckDB.

    >>> brief([["1.0952380952380953", "2026-01-01 00:00:00"]], ["DOUBLE", "TIMESTAMP"])
    [[('1.09524', '1.0952380952380953'), ('2026-01-01', '2026-01-01 00:00:00')]]
    """
    are_days = [
        kind.startswith("TIMESTAMP") and all(_MIDNIGHT.fullmatch(row[at]) for row in rows if row[at])
        for at, kind in enumerate(kinds)
    ]
    return [[_cell(text, kinds[at], is_day=are_days[at]) for at, text in enumerate(row)] for row in rows]


def _cell(text: str, kind: str, *, is_day: bool) -> Cell:
    shown = text[:10] if is_day else number(text) if kind in {"DOUBLE", "FLOAT"} else text
    return shown, text if shown != text else ""


def number(text: str) -> str:
    """A number with at most six digits that count; before the point all of them stay.

    >>> number("0.000123456789"), number("1234567.89"), number("12.5"), number("nan")
    ('0.000123457', '1234568', '12.5', 'nan')
    """
    try:
        value = Decimal(text)
    except InvalidOperation:
        return text
    if not value.is_finite() or len(value.as_tuple().digits) <= DIGITS or "e" in text.lower():
        return text
    places = max(0, DIGITS - 1 - value.adjusted())
    shown = f"{value:.{places}f}"
    return shown.rstrip("0").rstrip(".") if "." in shown else shown
