"""`careloom load` where there is no terminal: it says how far it is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from careloom.cli import careloom, exchange
from careloom.store.database import Database


def test_without_a_terminal_a_line_says_how_far_a_load_is(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CARELOOM_DATABASE_URL", database.url)
    monkeypatch.setattr(exchange, "LINE_EVERY_S", 0.0)
    file = tmp_path / "p.ndjson"
    file.write_text("".join(json.dumps({"resourceType": "Patient", "id": f"p{n}"}) + "\n" for n in range(3)))
    told = CliRunner().invoke(
        careloom, ["load", "--workers", "1", "--home", str(tmp_path / "home"), str(file)]
    )
    assert told.exit_code == 0, told.output
    assert "Loading: 1 events, 3 resources, 100%" in told.stderr
