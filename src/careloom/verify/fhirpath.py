"""verify.fhirpath: FHIRPath on the official suite of R4, on the suites of two other engines, and against one in speed.

Room: verify. Reads `fhirpath` of the public suites. Speed needs fhirpathpy, which is installed for development only.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from statistics import median
from typing import Any

from careloom.fhir.path import compile, parse  # noqa: A004 - as re.compile
from careloom.fhir.path.tree import Call, Member, parts
from careloom.fhir.path.tree import Node as Tree
from careloom.settings import Settings
from careloom.verify import fhirpath_yaml
from careloom.verify.fhirpath_suite import EXCLUDED, FOLDER, Case, cases, fault
from careloom.verify.figure import Figure

NAME = "fhirpath"
ROUNDS, CALLS = 5, 25
OTHERS = {"js": "fhirpath.js", "py": "fhirpath-py"}
"""Figure -> folder of the suite of another engine; only the first brings the resources."""


def check(settings: Settings) -> list[Figure]:
    """Figures: official, valid, invalid, js, py, speed, speed_reading."""
    folder = settings.conformance / FOLDER
    if not folder.exists():
        return [Figure(check=NAME, note=f"The suite {FOLDER} is absent: set CARELOOM_CONFORMANCE.")]
    official = list(cases(folder))
    return [*_official(official), *_others(settings.conformance / "fhirpath"), *_speed(official)]


def _official(official: list[Case]) -> Iterator[Figure]:
    faults = {True: 0, False: 0}
    excluded = 0
    for case in official:
        if case.name in EXCLUDED:
            # An exclusion that is no longer needed is a failure, so that it is struck off.
            excluded += bool(fault(case))
            faults[False] += not fault(case)
        else:
            faults[case.is_invalid] += bool(fault(case))
    valid = sum(not case.is_invalid for case in official)
    passed = valid - excluded - faults[False]
    yield Figure(check=f"{NAME}.official", passed=passed, failed=faults[False])
    yield Figure(check=f"{NAME}.valid", value=round(100 * passed / valid, 2), unit="%")
    invalid = len(official) - valid
    yield Figure(check=f"{NAME}.invalid", passed=invalid - faults[True], failed=faults[True])


def _others(folder: Path) -> Iterator[Figure]:
    for name, suite in OTHERS.items():
        found = [
            fhirpath_yaml.fault(c) for c in fhirpath_yaml.cases(folder / suite / "cases", _resources(folder))
        ]
        passed = found.count("")
        yield Figure(check=f"{NAME}.{name}", value=round(100 * passed / max(1, len(found)), 2), unit="%")


def _resources(folder: Path) -> Path:
    return folder / OTHERS["js"] / "resources"


def _speed(official: list[Case]) -> Iterator[Figure]:
    """How many times faster than fhirpathpy, both compiled before: the median over the cases that both can evaluate."""
    try:
        theirs: Any = import_module("fhirpathpy")
        model = import_module("fhirpathpy.models").models["r4"]
    except ImportError:
        yield Figure(
            check=f"{NAME}.speed", note="fhirpathpy is not installed; it comes with the development tools."
        )
        return
    ratios: dict[bool, list[float]] = {True: [], False: []}
    for case in official:
        # trace() prints in fhirpathpy.
        if case.is_invalid or "trace" in case.expression or fault(case):
            continue
        resource = case.resource or {}
        try:
            other = theirs.compile(case.expression, model)
            other(resource)
        except Exception:  # noqa: BLE001, S112 - it raises whatever comes to hand for what it cannot do
            continue
        ratios[_reads(case.expression)].append(_ratio(other, compile(case.expression), resource))
    yield Figure(check=f"{NAME}.speed", value=round(median([*ratios[True], *ratios[False]]), 1), unit="times")
    yield Figure(check=f"{NAME}.speed_reading", value=round(median(ratios[True]), 1), unit="times")


def _reads(expression: str) -> bool:
    """Whether an expression looks into the resource; the others are made of literals, which are evaluated once."""
    waiting: list[Tree] = [parse(expression)]
    while waiting:
        node = waiting.pop()
        if isinstance(node, Member) and node.base is None:
            return True
        # The argument of these is the name of a type, and no path.
        is_typing = isinstance(node, Call) and node.name in {"is", "as", "ofType"}
        waiting += parts(node)[:1] if is_typing else parts(node)
    return False


def _ratio(slow: Callable[[Any], Any], fast: Callable[[Any], Any], resource: Any) -> float:
    """The best of some rounds, in turn, in processor time: what else the machine does counts for both or for neither."""
    times: list[tuple[float, float]] = []
    for _ in range(ROUNDS):
        pair = (_seconds(slow, resource), _seconds(fast, resource))
        times.append(pair)
    slowest, fastest = zip(*times, strict=True)
    return min(slowest) / min(fastest)


def _seconds(evaluate: Callable[[Any], Any], resource: Any) -> float:
    started = time.process_time()
    for _ in range(CALLS):
        evaluate(resource)
    return time.process_time() - started
