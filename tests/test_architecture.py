"""The house keeps its own rules: contracts catch every breach, files stay small, modules say what they are."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = sorted(path for path in (ROOT / "src").rglob("*.py") if "/r4/" not in path.as_posix())

BREACHES = {
    "rooms": ("careloom/unify/breach.py", "import careloom.connect"),
    "http": ("careloom/unify/breach.py", "import starlette"),
    "sockets": ("careloom/act/breach.py", "import socket"),
    "commit": ("careloom/web/breach.py", "import careloom.store.commit"),
    "database": ("careloom/analyze/breach.py", "import psycopg"),
    "engines": ("careloom/analyze/breach.py", "import duckdb"),
}


@pytest.mark.parametrize("contract", BREACHES)
def test_a_breach_of_an_import_contract_is_caught(contract: str, tmp_path: Path) -> None:
    shutil.copytree(
        ROOT / "src" / "careloom", tmp_path / "careloom", ignore=shutil.ignore_patterns("__pycache__")
    )
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    assert _lint(tmp_path, contract).returncode == 0
    name, line = BREACHES[contract]
    (tmp_path / name).write_text(f"{line}\n")
    broken = _lint(tmp_path, contract)
    assert broken.returncode != 0
    assert "breach" in broken.stdout


def test_a_room_that_is_not_placed_is_caught(tmp_path: Path) -> None:
    shutil.copytree(
        ROOT / "src" / "careloom", tmp_path / "careloom", ignore=shutil.ignore_patterns("__pycache__")
    )
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / "careloom" / "billing.py").write_text("")
    assert _lint(tmp_path, "rooms").returncode != 0


def _lint(folder: Path, contract: str) -> subprocess.CompletedProcess[str]:
    tool = Path(sys.executable).with_name("lint-imports")
    return subprocess.run(
        [tool, "--contract", contract, "--no-cache"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_no_file_is_longer_than_400_lines() -> None:
    lengths = {path.relative_to(ROOT).as_posix(): len(path.read_text().splitlines()) for path in SOURCES}
    assert not {name: length for name, length in lengths.items() if length > 400}


def test_no_function_is_longer_than_60_lines() -> None:
    assert not {name: length for name, length in _functions() if length > 60}


def test_95_of_100_functions_stay_under_40_lines() -> None:
    lengths = sorted(length for _, length in _functions())
    assert lengths[int(len(lengths) * 0.95)] < 40


def test_each_module_says_what_it_is() -> None:
    for path in SOURCES:
        words = ast.get_docstring(ast.parse(path.read_text()))
        assert words, path
        module = path.relative_to(ROOT / "src" / "careloom").with_suffix("").as_posix().replace("/", ".")
        name = module.removesuffix(".__init__").removesuffix(".__main__")
        if name not in {"__init__", "__main__"}:
            assert words.startswith(f"{name}: "), f"{path}: the first line must begin with '{name}: '"


def _functions() -> list[tuple[str, int]]:
    found: list[tuple[str, int]] = []
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                words = len((ast.get_docstring(node) or "").splitlines())
                length = (node.end_lineno or node.lineno) - node.lineno + 1 - words
                found.append((f"{path.relative_to(ROOT)}:{node.lineno} {node.name}", length))
    return found
