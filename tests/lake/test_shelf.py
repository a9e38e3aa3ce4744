"""A folder of views: what is wrong with a file is said of that file, and a change is seen at the next use."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from tests.lake.conftest import NOW

from careloom.fhir.outcome import OutcomeError
from careloom.lake.known import all_views, site_views, view_of
from careloom.lake.shelf import LARGEST, shelf
from careloom.store.actor import STATION, Actor
from careloom.store.commit import Origin, Write, commit
from careloom.store.database import Database

OF_ONE = Actor("dr1", frozenset({"physician"}), frozenset({"Patient/p1"}))


def view(name: str = "", path: str = "id", **more: Any) -> dict[str, Any]:
    named = {"name": name} if name else {}
    select = [{"column": [{"name": "key", "path": path}]}]
    return {
        **named,
        "resourceType": "ViewDefinition",
        "status": "active",
        "resource": "Patient",
        "select": select,
        **more,
    }


def put(folder: Path, **files: Any) -> None:
    for name, what in files.items():
        text = what if isinstance(what, bytes) else json.dumps(what, indent=1).encode()
        (folder / f"{name}.json").write_bytes(text)


def test_a_view_is_called_by_its_name_or_by_its_file(tmp_path: Path) -> None:
    put(tmp_path, wards=view(), b=view("beds"), marked=b"\xef\xbb\xbf" + json.dumps(view()).encode())
    (tmp_path / "readme.txt").write_text("not a view")
    (tmp_path / ".hidden.json").write_text("{")
    (tmp_path / "folder.json").mkdir()
    found = shelf(tmp_path)
    assert {name: file for name, (file, _) in found.views.items()} == {
        "wards": "wards.json",
        "beds": "b.json",
        "marked": "marked.json",
    }
    assert not found.left_out


@pytest.mark.parametrize(
    ("what", "told"),
    [
        (b'{\n "name": "x",\n "a" 1}', r"The file bad\.json is left out: The file is not JSON: .*\(line 3, column 6\)"),
        (b"\xff\xfe", "is not JSON"),
        (b"[]", "a JSON object"),
        ({"resourceType": "Patient"}, "ViewDefinition.resourceType: .*another type"),
        (view(path="hover()"), r"ViewDefinition\.select\[0\]\.column\[0\]\.path: There is no function hover.*character"),
        (view("two words"), "ViewDefinition.name: .*letters, digits"),
        (view('x" as select 1'), "ViewDefinition.name"),
        (view("Patient"), "a view that comes with careloom"),
        (view("good"), "the view in a_good.json"),
        (view(status="retired"), "retired"),
        (b" " * (LARGEST + 1), "at most"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_view_is_named_with_place_and_cause_and_stops_no_other(
    tmp_path: Path, what: Any, told: str
) -> None:
    put(tmp_path, a_good=view("good"), bad=what, z_last=view())
    found = shelf(tmp_path)
    assert set(found.views) == {"good", "z_last"}
    [left] = found.left_out
    with pytest.raises(AssertionError, match=told):
        raise AssertionError(left.words)


def test_a_change_is_seen_and_what_did_not_change_is_not_read_again(tmp_path: Path) -> None:
    put(tmp_path, a=view(), b=view())
    first = shelf(tmp_path)
    assert shelf(tmp_path) is first
    put(tmp_path, b=view(path="gender"), c=view())
    os.utime(tmp_path / "b.json", ns=(1, 1))
    second = shelf(tmp_path)
    assert set(second.views) == {"a", "b", "c"}
    assert second.views["a"][1] is first.views["a"][1]
    assert second.views["b"] != first.views["b"]
    (tmp_path / "a.json").unlink()
    assert set(shelf(tmp_path).views) == {"b", "c"}


def test_there_need_be_no_folder_and_one_that_cannot_be_read_says_so(tmp_path: Path) -> None:
    assert shelf(None) == shelf(tmp_path / "none")
    (tmp_path / "file").write_text("")
    assert "cannot be read" in shelf(tmp_path / "file").left_out[0].words


def test_a_name_of_the_store_is_refused_to_a_file_for_everybody(
    module_database: Database, tmp_path: Path
) -> None:
    put(tmp_path, wards=view("Wards"), beds=view(url="http://example.org/beds"))
    with module_database.connection() as connection:
        commit(connection, [Write(view("wards", id="w"))], Origin(NOW, "ehr"))
    with module_database.connection() as connection:
        assert all_views(connection, STATION, tmp_path)["wards"].id == "w"
        [left] = site_views(connection, tmp_path).left_out
        assert "ViewDefinition/w of the store: give this one another" in left.words
        # Who sees no ViewDefinition of the store does not find the file under its name either.
        assert not {"wards", "Wards"} & all_views(connection, OF_ONE, tmp_path).keys()
        assert all_views(connection, OF_ONE, tmp_path)["beds"].file == "beds.json"
        for told in ("beds", "BEDS", "http://example.org/beds"):
            assert view_of(connection, STATION, told, tmp_path).file == "beds.json"


def test_who_asks_for_a_file_that_is_left_out_is_told_why(module_database: Database, tmp_path: Path) -> None:
    put(tmp_path, odd=view(path="hover()"))
    with module_database.connection() as connection:
        for told in ("odd", "odd.json"):
            with pytest.raises(OutcomeError, match=r"odd\.json is left out.*hover"):
                view_of(connection, STATION, told, tmp_path)
