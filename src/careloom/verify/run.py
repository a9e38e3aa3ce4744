"""verify.run: run checks by name, judge each figure against its floor, print one line each.

Room: verify. What exists stands in registry.CHECKS.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict

from careloom.fhir.outcome import Issue, OutcomeError
from careloom.fhir.resource import dumps
from careloom.logs import place_of
from careloom.registry import CHECKS, load
from careloom.settings import Settings
from careloom.verify.figure import Figure, floors, judged


def figures(settings: Settings, names: Sequence[str]) -> Iterator[Figure]:
    """Run the named checks (all, if none is named), one after the other; yield judged figures."""
    unknown = [name for name in names if name not in CHECKS]
    if unknown:
        known = ", ".join(sorted(CHECKS))
        raise OutcomeError(
            Issue("not-found", f"No check is called {', '.join(unknown)}. There are: {known}.")
        )
    limits = floors()
    for name in names or sorted(CHECKS):
        yield from _of_one(name, settings, limits)


def _of_one(name: str, settings: Settings, limits: dict[str, dict[str, float]]) -> Iterator[Figure]:
    started = time.perf_counter()
    try:
        measured = list(load(CHECKS[name])(settings))
        measured += unmeasured(name, measured, limits)
    except OutcomeError as error:
        measured = [Figure(check=name, failed=1, note=str(error))]
    except Exception as error:  # noqa: BLE001 - a check that breaks has failed, and the others are still to be run
        measured = [Figure(check=name, failed=1, note=place_of(error))]
    seconds = time.perf_counter() - started
    for figure in measured:
        yield judged(figure, limits, seconds)


def unmeasured(
    name: str, measured: Sequence[Figure], limits: Mapping[str, Mapping[str, float]]
) -> list[Figure]:
    """A failed figure for each floor of a check that ran, of which there is no figure: it would not be missed.

    >>> [one.check for one in unmeasured("x", [Figure(check="x.a")], {"x.a": {}, "x.b": {}, "xy.c": {}})]
    ['x.b']
    """
    if any(figure.note for figure in measured):
        return []
    told = {figure.check for figure in measured}
    missed = [key for key in limits if key.partition(".")[0] == name and key not in told]
    return [Figure(check=key, failed=1, note="It has a floor and was not measured.") for key in missed]


def line(figure: Figure) -> str:
    """One line for a person.

    >>> line(Figure(check="x.y", value=2, unit="ms", floor=3, ok=True, seconds=1.5))
    'ok      x.y  2 ms  floor 3  1.5 s'
    """
    parts = ["ok    " if figure.ok else "FAILED", figure.check]
    if figure.passed or figure.failed:
        parts.append(f"{figure.passed} passed, {figure.failed} failed")
    if figure.value is not None:
        parts.append(f"{figure.value:g} {figure.unit}".strip())
    if figure.floor is not None:
        parts.append(f"floor {figure.floor:g}")
    parts.append(f"{figure.seconds:.1f} s")
    if figure.note:
        parts.append(figure.note)
    return "  ".join(parts)


def json_line(figure: Figure) -> str:
    """One JSON object with the keys check, passed, failed, value, unit, floor, ok, seconds (and note, if any)."""
    values = asdict(figure)
    if not values["note"]:
        del values["note"]
    return dumps(values).decode()
