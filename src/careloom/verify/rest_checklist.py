"""verify.rest_checklist: the behaviours that public suites test of FHIR servers: which tests hold them here, and what is left.

Room: verify. The suites' areas stand in fhir-rest/CHECKLIST.md, the mapping in rest_checklist.toml beside this file.
"""

from __future__ import annotations

import ast
import tomllib
from functools import cache
from pathlib import Path

from careloom.settings import Settings
from careloom.verify.figure import Figure

SUITE = Path("fhir-rest") / "CHECKLIST.md"
MAPPING = Path(__file__).with_name("rest_checklist.toml")
TESTS = Path(__file__).parents[3] / "tests"

SECOND = "Crucible"

Behaviours = dict[str, dict[str, list[str] | str]]
"""Area -> behaviour -> tests that hold it, or the reason why there is none."""


def check(settings: Settings) -> list[Figure]:
    """Count behaviours with a test, those with a reason, areas that the mapping forgets, and tests that are not there."""
    suite = settings.conformance / SUITE
    if not suite.exists():
        return [
            Figure(check="rest-checklist", note=f"The suite {SUITE} is absent: set CARELOOM_CONFORMANCE.")
        ]
    mapped = behaviours()
    forgotten = set(areas(suite.read_text("utf-8"))) - set(mapped)
    held = [tests for area in mapped.values() for tests in area.values() if isinstance(tests, list)]
    reasons = [text for area in mapped.values() for text in area.values() if isinstance(text, str)]
    number = len(held) + len(reasons)
    missing = [test for tests in held for test in tests if not exists(test)]
    return [
        Figure(
            check="rest-checklist.share", value=round(100 * len(held) / number, 1), unit="% of behaviours"
        ),
        Figure(check="rest-checklist.held", value=len(held), unit=f"of {number} behaviours"),
        Figure(check="rest-checklist.forgotten-areas", value=len(forgotten), unit="areas"),
        Figure(check="rest-checklist.missing-tests", value=len(missing), unit="tests"),
    ]


def behaviours() -> Behaviours:
    """The mapping."""
    return tomllib.loads(MAPPING.read_text("utf-8"))["areas"]


def areas(checklist: str) -> list[str]:
    """The areas that the checklist names: the first cells of its table, and the second suite, which it tells in a line."""
    rows = [line.strip("|").split("|") for line in checklist.splitlines() if line.startswith("| ")]
    cells = [row[0].strip() for row in rows]
    lines = [SECOND] if f"\n{SECOND}: " in checklist else []
    return [cell for cell in cells if cell and cell != "area" and not cell.startswith("--")] + lines


def exists(test: str) -> bool:
    """Whether `file::name` names a test function."""
    path, _, name = test.partition("::")
    return name in _tests(TESTS / path)


@cache
def _tests(path: Path) -> frozenset[str]:
    if not path.exists():
        return frozenset()
    nodes = ast.walk(ast.parse(path.read_text("utf-8")))
    return frozenset(node.name for node in nodes if isinstance(node, ast.FunctionDef))
