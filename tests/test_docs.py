"""The docs are held to what is there: settings, registry lines, commands, and the code they show."""

from __future__ import annotations

import ast
import re
from dataclasses import fields
from importlib.util import find_spec
from pathlib import Path

import pytest
from click import Context
from pytest_examples import CodeExample, EvalExample, find_examples

from careloom import registry
from careloom.cli import careloom
from careloom.settings import Settings

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = [ROOT / name for name in ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md")] + sorted(
    DOCS.rglob("*.md")
)


def _headings(page: Path) -> set[str]:
    return {match.strip().strip("`") for match in re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)}


def test_every_setting_has_a_heading() -> None:
    headings = _headings(DOCS / "reference" / "settings.md")
    assert {f"CARELOOM_{setting.name.upper()}" for setting in fields(Settings)} <= headings


def test_every_registry_line_has_a_heading() -> None:
    headings = _headings(DOCS / "reference" / "registry.md")
    tables = (
        registry.MAPPERS,
        registry.STATIONS,
        registry.TIMERS,
        registry.OPERATIONS,
        registry.JOBS,
        registry.STEPS,
        registry.CHECKS,
    )
    assert {name for table in tables for name in table} <= headings


def test_every_command_has_a_heading() -> None:
    context = Context(careloom)
    commands = {name: careloom.get_command(context, name) for name in careloom.list_commands(context)}
    shown = {f"careloom {name}" for name, command in commands.items() if not command.hidden}
    assert shown <= _headings(DOCS / "reference" / "commands.md")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_relative_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", page.read_text()):
        if "://" not in target and not target.startswith("mailto:"):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_page_names_a_path_of_one_machine(page: Path) -> None:
    assert not re.search(r"/(work|root|tmp)/\w", page.read_text())


@pytest.mark.parametrize("example", list(find_examples(*[str(page) for page in PAGES])), ids=str)
def test_python_in_the_docs_runs(example: CodeExample, eval_example: EvalExample) -> None:
    missing = [name for name in _imported(example.source) if find_spec(name) is None]
    if missing:
        pytest.skip(f"only read, not run: {', '.join(missing)} is not here")
    eval_example.run_print_check(example)


def _imported(source: str) -> set[str]:
    """The packages that a block imports; one that is no Python is an error."""
    nodes = list(ast.walk(ast.parse(source)))
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)]
    return {name.partition(".")[0] for name in names}
