"""verify.figure: one measured figure of a check, and the floor that it must hold.

Room: verify. Floors live in floors.toml beside this file; a floor may only be made stricter.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

FLOORS = Path(__file__).with_name("floors.toml")


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """What one check, or one figure of a check (`mllp-once.lost`), gave.

    A check counts cases (`passed`, `failed`), or measures a `value` in a `unit`, or both. `floor` and `ok` are
    filled in by `judged`; a check never judges itself.
    """

    check: str
    passed: int = 0
    failed: int = 0
    value: float | None = None
    unit: str = ""
    floor: float | None = None
    ok: bool = False
    seconds: float = 0.0
    note: str = ""
    """Why a check could not run (a suite that is absent); a check that did not run is not ok."""


def floors(path: Path = FLOORS) -> dict[str, dict[str, Any]]:
    """The floors by figure name: `{"mllp-once.lost": {"most": 0}}`."""
    return tomllib.loads(path.read_text())


def judged(figure: Figure, limits: dict[str, dict[str, Any]], seconds: float) -> Figure:
    """The figure with its floor and verdict.

    `least`: the value must be at least this; `most`: at most this. Failed cases are allowed up to `failed`
    (0 where nothing is said). A figure with neither cases nor a floor proves nothing and is not ok.

    >>> judged(Figure(check="x", value=3), {"x": {"most": 2}}, 0.1).ok
    False
    """
    limit = limits.get(figure.check, {})
    floor = limit.get("least", limit.get("most"))
    ok = not figure.note and figure.failed <= limit.get("failed", 0)
    if figure.value is None:
        ok = ok and figure.passed > 0 and figure.passed >= limit.get("passed", 1)
    elif "least" in limit:
        ok = ok and figure.value >= limit["least"]
    elif "most" in limit:
        ok = ok and figure.value <= limit["most"]
    else:
        ok = ok and figure.passed > 0
    return replace(figure, floor=floor, ok=ok, seconds=round(seconds, 3))
