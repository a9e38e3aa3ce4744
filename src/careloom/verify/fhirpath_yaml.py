"""verify.fhirpath_yaml: the suites of two other engines, as cases of expressions with plain values.

Room: verify. Reads `fhirpath/fhirpath.js` (github.com/HL7/fhirpath.js) and `fhirpath/fhirpath-py`
(github.com/beda-software/fhirpath-py) of the public suites. Cases for models other than R4 are left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import yaml

from careloom.fhir.outcome import OutcomeError
from careloom.fhir.path import Context, Quantity, compile, system  # noqa: A004
from careloom.fhir.path.temporal import Temporal
from careloom.fhir.path.value import json_value
from careloom.fhir.resource import dumps, loads
from careloom.verify.fhirpath_suite import NOW


@dataclass(frozen=True, slots=True)
class Case:
    """One test: an expression on a subject; `result` is None where it must be refused."""

    file: str
    text: str
    expression: str
    subject: Any
    variables: dict[str, Any]
    result: list[Any] | None


def cases(folder: Path, resources: Path) -> Iterator[Case]:
    """Every case of the folder that is for no model or for R4 and that is not disabled."""
    for path in sorted(folder.glob("*.yaml")):
        document = yaml.safe_load(path.read_text("utf-8"))
        subject = _plain(document.get("subject"))
        for test in _tests(document["tests"]):
            expressions = test["expression"]
            for expression in expressions if isinstance(expressions, list) else [expressions]:
                given = _subject(test, subject, resources)
                yield _case(path.name, test, expression, given)


def _tests(tree: Any) -> Iterator[dict[str, Any]]:
    if isinstance(tree, list):
        for item in tree:
            yield from _tests(item)
    elif isinstance(tree, dict) and not tree.get("disable"):
        if "expression" in tree:
            if tree.get("model", "r4") in {"r4", None}:
                yield tree
        else:
            for key, value in tree.items():
                if str(key).startswith("group"):
                    yield from _tests(value)


def _subject(test: dict[str, Any], subject: Any, resources: Path) -> Any:
    name = test.get("inputfile")
    if not name:
        return subject
    path = next((p for p in (resources / "r4" / name, resources / name) if p.exists()), None)
    return None if path is None else loads(path.read_bytes())


def _case(file: str, test: dict[str, Any], expression: Any, subject: Any) -> Case:
    context = test.get("context")
    base = ""
    if isinstance(expression, dict):
        base, expression = expression.get("base", ""), expression["expression"]
    if context:
        subject = next(iter(compile(context)(subject)), None)
    result = test.get("result")
    is_error = bool(test.get("error")) or (result is None and "result" not in test)
    wanted = None if is_error else result if isinstance(result, list) else [] if result is None else [result]
    text = f"{base}.{expression}" if base else str(expression)
    return Case(file, str(test.get("desc", "")), text, subject, _plain(test.get("variables") or {}), wanted)


def _plain(value: Any) -> Any:
    """What YAML read, with decimals as this project keeps them."""
    return loads(dumps(value))


def fault(case: Case) -> str:
    """What is wrong with the result of a case; "" if it is as expected."""
    try:
        found = compile(case.expression).nodes(case.subject, Context(now=NOW, variables=case.variables))
    except OutcomeError as error:
        return "" if case.result is None else f"refused: {error}"
    shown = [_shown(item) for item in found]
    if case.result is None:
        return f"not refused: {shown}"
    expected = _plain(case.result)
    same = len(shown) == len(expected) and all(map(_is_same, shown, expected))
    return "" if same else f"gave {shown}, expected {expected}"


def _shown(item: Any) -> Any:
    value = system(item)
    return value if isinstance(value, Temporal | Quantity) else json_value(item)


def _is_same(shown: Any, expected: Any) -> bool:
    if isinstance(expected, bool) or isinstance(shown, bool):
        return shown is expected
    if isinstance(shown, int | Decimal) and isinstance(expected, int | Decimal):
        return abs(Decimal(shown) - Decimal(expected)) <= abs(Decimal(expected)) * Decimal("1e-8")
    if isinstance(shown, Temporal | Quantity) and isinstance(expected, str):
        return str(shown) == expected.removeprefix("@").removeprefix("T")
    return shown == expected or (isinstance(shown, Quantity) and expected == json_value(shown))
