"""cli.views: a view is run on files, in every format, and what cannot be read is told."""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
from pathlib import Path
from typing import Any

import duckdb
import pytest
from click.testing import CliRunner, Result

from careloom.cli import careloom

PATIENTS = [
    {
        "resourceType": "Patient",
        "id": "1",
        "active": True,
        "name": [{"family": 'A, "B"', "given": ["C", "D"]}],
    },
    {"resourceType": "Patient", "id": "2", "name": [{"family": "É"}]},
]
VIEW = {
    "resource": "Patient",
    "select": [
        {
            "column": [
                {"name": "id", "path": "id"},
                {"name": "active", "path": "active"},
                {"name": "family", "path": "name.family"},
                {"name": "given", "path": "name.given", "collection": True},
            ]
        }
    ],
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "view.json").write_text(json.dumps(VIEW))
    data = tmp_path / "data"
    data.mkdir()
    (data / "a.ndjson").write_text(json.dumps(PATIENTS[0]) + "\n\n")
    with gzip.open(data / "b.ndjson.gz", "wt") as packed:
        packed.write(json.dumps(PATIENTS[1]) + "\n")
    entries = [
        {"resource": {"resourceType": "Observation", "id": "o"}},
        {"resource": {**PATIENTS[1], "id": "3"}},
    ]
    (data / "c.json").write_text(
        json.dumps({"resourceType": "Bundle", "type": "collection", "entry": entries})
    )
    return tmp_path


def run(folder: Path, *options: str, view: str = "") -> Result:
    given = ["lake", "run", view or str(folder / "view.json"), "--from", str(folder / "data"), *options]
    return CliRunner().invoke(careloom, given)


def test_csv_comes_to_the_terminal_and_to_a_file_alike(folder: Path) -> None:
    shown = run(folder)
    assert shown.exit_code == 0, shown.output
    assert run(folder, "--out", str(folder / "out.csv")).exit_code == 0
    wanted = [
        ["id", "active", "family", "given"],
        ["1", "true", 'A, "B"', '["C","D"]'],
        ["2", "", "É", "[]"],
        ["3", "", "É", "[]"],
    ]
    assert list(csv.reader(io.StringIO(shown.stdout))) == wanted
    assert list(csv.reader((folder / "out.csv").open(newline=""))) == wanted


def test_ndjson_and_parquet_keep_types_and_lists(folder: Path) -> None:
    shown = [json.loads(line) for line in run(folder, "--format", "ndjson").stdout.splitlines()]
    assert shown[0] == {"id": "1", "active": True, "family": 'A, "B"', "given": ["C", "D"]}
    path = folder / "out.parquet"
    assert run(folder, "--format", "parquet", "--out", str(path)).exit_code == 0
    found: list[Any] = duckdb.connect().execute(f"SELECT * FROM '{path}'").fetchall()
    assert found[0] == ("1", True, 'A, "B"', ["C", "D"])


def test_rows_are_limited_and_the_header_left_out(folder: Path) -> None:
    assert len(run(folder, "--limit", "1", "--no-header").stdout.splitlines()) == 1
    assert json.loads(run(folder, "--format", "json", "--limit", "2").stdout)[1]["id"] == "2"


def test_a_line_that_cannot_be_read_is_left_out_and_told(folder: Path) -> None:
    (folder / "data" / "d.ndjson").write_text('{"resourceType": "Patient", "id": "4"}\nCanary\n')
    shown = run(folder)
    assert shown.exit_code == 2
    assert "file 4, line 2" in shown.stderr
    assert "Canary" not in shown.stderr
    assert shown.stdout.splitlines()[-1].startswith("4,")


def test_a_ready_view_is_run_by_its_name_and_printed_as_sql(folder: Path) -> None:
    shown = run(folder, view="patient")
    assert shown.stdout.splitlines()[1].startswith("1,true,")
    assert "`Patient`" in run(folder, "--sql", "spark", view="patient").stdout
    assert "observation  (Observation): id" in CliRunner().invoke(careloom, ["lake", "views"]).stdout


def test_a_resource_on_which_the_view_cannot_be_run_is_left_out_and_named(folder: Path) -> None:
    odd = {"resourceType": "Patient", "id": "odd", "name": [{"family": "Canary"}, {"family": "Canary"}]}
    (folder / "data" / "z.ndjson").write_text(json.dumps(odd) + "\n" + json.dumps(odd | {"id": "odder"}))
    column = [{"name": "id", "path": "id"}, {"name": "family", "path": "name.family"}]
    path = folder / "one.json"
    path.write_text(json.dumps({"resource": "Patient", "select": [{"column": column}]}))
    shown = run(folder, view=str(path))
    assert shown.exit_code == 2
    assert [line.split(",")[0] for line in shown.stdout.splitlines()] == ["id", "1", "2", "3"]
    for words in (
        "Patient/odd is left out",
        "Patient/odder is left out",
        "'family' has several values",
        "2 resources",
    ):
        assert words in shown.stderr
    assert "Canary" not in shown.stderr
    assert run(folder, "--out", str(folder / "out.csv"), view=str(path)).exit_code == 2
    assert (folder / "out.csv").read_text() == shown.stdout


@pytest.mark.parametrize(
    ("path", "more", "said"),
    [
        (
            "name.hover()",
            {},
            r"{file} at ViewDefinition\.select\[0\]\.column\[1\]\.path, column odd: .*character 6",
        ),
        (
            "id",
            {"pth": "x"},
            r"{file} at ViewDefinition\.select\[0\]\.column\[1\], column odd: Unknown element 'pth'",
        ),
    ],
)
def test_an_error_names_file_place_column_and_character(
    folder: Path, path: str, more: Any, said: str
) -> None:
    columns = [{"name": "id", "path": "id"}, {"name": "odd", "path": path, **more}]
    file = folder / "odd.json"
    file.write_text(json.dumps({"resource": "Patient", "select": [{"column": columns}]}))
    shown = run(folder, view=str(file))
    assert re.search(said.format(file=re.escape(str(file))), str(shown.exception))


def test_a_file_that_is_no_json_is_named_with_line_and_column(folder: Path) -> None:
    file = folder / "odd.json"
    file.write_text('{\n "resource" 1}')
    assert re.fullmatch(
        rf"{re.escape(str(file))}: The file .*\(line 2, column \d+\)",
        str(run(folder, view=str(file)).exception),
    )


def test_a_misspelt_element_is_warned_of_with_its_place(folder: Path) -> None:
    file = folder / "odd.json"
    file.write_text(
        json.dumps({"resource": "Patient", "select": [{"column": [{"name": "a", "path": "brithDate"}]}]})
    )
    shown = run(folder, view=str(file))
    assert shown.exit_code == 0
    assert f"warning: {file} at ViewDefinition.select[0].column[0].path, column a: " in shown.stderr
