"""cli.printed: at any width ids and numbers are whole."""

from __future__ import annotations

import re

import pytest

from careloom.cli.printed import print_table

ID = "4mZ0xQ7bTn2Kp1VcAbCdEfGh"
ROW = [ID, "A report with a long name " * 3, "somebody@example.org", "every minute", "263,323", ""]


def test_ids_and_numbers_are_whole_and_texts_fold_at_80_columns(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "80")
    columns = {
        "id": "id",
        "name": "text",
        "owner": "text",
        "schedule": "text",
        "rows": "number",
        "none": "text",
    }
    print_table(columns, [ROW, [ID[::-1], "b", "", "", "1", ""]], "Reports")  # pyright: ignore[reportArgumentType]
    lines = re.sub(r"\x1b\[[\d;]*m", "", capsys.readouterr().out).splitlines()
    assert max(map(len, lines)) <= 80
    shown = "\n".join(lines)
    assert all(word in shown for word in (ID, ID[::-1], "263,323", "Reports"))
    assert "none" not in shown, "a column without a value"


def test_a_file_gets_each_row_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    print_table({"id": "id", "name": "text"}, [[ID, "x" * 120]])
    assert re.search(rf"{ID} +{'x' * 120} *\n", capsys.readouterr().out)
