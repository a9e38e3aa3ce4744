"""The browser's files: vendored as published, ours within the budget, and nothing from elsewhere."""

from __future__ import annotations

import gzip
import re
from hashlib import sha256
from pathlib import Path

import pytest

from careloom.web.assets import FOLDER, assets

VENDORED = (FOLDER / "vendor", Path(__file__).parents[1] / "journeys" / "vendor")
OWN_SCRIPT_BUDGET = 60 * 1024


@pytest.mark.parametrize("folder", VENDORED, ids=lambda folder: folder.parent.name)
def test_vendored_files_are_what_their_list_says(folder: Path) -> None:
    listed = re.findall(
        r"^(\S+)  (\S+@\S+)  (\S+)  \S+  sha256:(\w+)$", (folder / "VENDOR").read_text(), re.MULTILINE
    )
    assert {name for name, *_ in listed} == {
        path.name for path in folder.iterdir() if path.suffix in {".js", ".css"}
    }
    for name, _, _, digest in listed:
        assert sha256((folder / name).read_bytes()).hexdigest() == digest


def test_own_scripts_stay_under_60_kb_compressed() -> None:
    own = [path.read_bytes() for path in FOLDER.glob("*.js")]
    assert 0 < len(gzip.compress(b"".join(own))) < OWN_SCRIPT_BUDGET


def test_no_file_and_no_template_names_another_host() -> None:
    templates = Path(FOLDER).with_name("templates").glob("*.html")
    ours = [path for path in (*FOLDER.glob("*.*"), *templates) if path.is_file()]
    for path in ours:
        found = set(re.findall(r"https?://[\w.]+", path.read_text()))
        assert found <= {"http://www.w3.org"}, path.name


def test_templates_hold_no_inline_script_style_or_handler() -> None:
    for path in Path(FOLDER).with_name("templates").glob("*.html"):
        text = path.read_text()
        assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=", text), path.name


def test_the_address_of_a_file_changes_with_its_content() -> None:
    marks = [asset.mark for asset in assets().values()]
    assert len(set(marks)) == len(marks)
