"""bench_fhirpath: what FHIRPath costs on one resource: microseconds of one core, beside fhirpathpy where it is installed.

    PYTHONPATH=src python bench/bench_fhirpath.py

Both are compiled before. The patient is patient-example.xml of the official suite, under the setting `conformance`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any

from careloom.fhir.path import compile, parse  # noqa: A004 - as re.compile
from careloom.fhir.path.compiler import closure
from careloom.settings import settings_from
from careloom.verify.fhirpath_suite import FOLDER, read

ROUNDS, CALLS = 15, 200
EXPRESSIONS = (
    "active",
    "name.given",
    "Patient.name.where(use = 'official').given.first()",
    "telecom.where(system = 'phone' and use in ('work' | 'home')).value",
    "name.exists(family.exists() or given.exists() or text.exists())",
    "birthDate < today()",
    "deceased.ofType(boolean)",
    "name.select(use & ': ' & given.first())",
    "descendants().count()",
    "identifier.period.start + 1 year > @2002",
)


def main() -> None:
    patient = read(settings_from().conformance / FOLDER / "r4", "patient-example.xml")
    other = _other()
    print(f"{'us, best of rounds':72} {'parse':>7} {'compile':>7} {'careloom':>8} {'fhirpathpy':>10}")
    for expression in EXPRESSIONS:
        tree = parse(expression)
        times = [
            best(partial(parse.__wrapped__, expression)),
            best(partial(closure, tree)),
            best(partial(compile(expression), patient)),
        ]
        theirs = best(partial(other(expression), patient)) if other else float("nan")
        print(f"{expression:72} {times[0]:7.1f} {times[1]:7.1f} {times[2]:8.1f} {theirs:10.1f}")


def _other() -> Callable[[str], Callable[[Any], Any]] | None:
    try:
        engine = import_module("fhirpathpy")
        model = import_module("fhirpathpy.models").models["r4"]
    except ImportError:
        return None
    return lambda expression: engine.compile(expression, model)


def best(step: Callable[[], object]) -> float:
    times: list[float] = []
    for _ in range(ROUNDS):
        start = time.process_time()
        for _ in range(CALLS):
            step()
        times.append(time.process_time() - start)
    return min(times) / CALLS * 1e6


if __name__ == "__main__":
    main()
