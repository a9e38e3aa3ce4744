"""analyze.scores.news2: the National Early Warning Score 2: seven parameters, up to three points each.

Room: analyze. Pure: vitals in, points out. Standard: Royal College of Physicians, NEWS2 (London 2017), charts 1 and 2,
https://www.rcp.ac.uk/improving-care/resources/national-early-warning-score-news-2/

A parameter that was not measured has no points: the score is then incomplete, and only its lower bound is known.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Literal

Parameter = Literal["respiration", "spo2", "oxygen", "systolic", "pulse", "consciousness", "temperature"]
Consciousness = Literal["A", "C", "V", "P", "U"]
SpO2Scale = Literal[1, 2]
Band = Literal["low", "low-medium", "medium", "high"]

PARAMETERS: tuple[Parameter, ...] = (
    "respiration",
    "spo2",
    "oxygen",
    "systolic",
    "pulse",
    "consciousness",
    "temperature",
)
"""In the order of the chart."""

RED = 3
"""Points of one parameter that call for an urgent review by themselves (RCP: the red score)."""

HIGH, MEDIUM = 7, 5
"""Aggregate scores from which chart 2 calls the risk high and medium."""

Steps = Sequence[tuple[str | None, int]]

# Chart 1. Each step: the highest value (inclusive) that earns these points; None: anything above.
RESPIRATION: Steps = (("8", 3), ("11", 1), ("20", 0), ("24", 2), (None, 3))
SPO2_SCALE_1: Steps = (("91", 3), ("93", 2), ("95", 1), (None, 0))
SPO2_SCALE_2_AIR: Steps = (("83", 3), ("85", 2), ("87", 1), (None, 0))
SPO2_SCALE_2_OXYGEN: Steps = (("83", 3), ("85", 2), ("87", 1), ("92", 0), ("94", 1), ("96", 2), (None, 3))
SYSTOLIC: Steps = (("90", 3), ("100", 2), ("110", 1), ("219", 0), (None, 3))
PULSE: Steps = (("40", 3), ("50", 1), ("90", 0), ("110", 1), ("130", 2), (None, 3))
TEMPERATURE: Steps = (("35.0", 3), ("36.0", 1), ("38.0", 0), ("39.0", 1), (None, 2))
CONSCIOUSNESS: Mapping[Consciousness, int] = {"A": 0, "C": 3, "V": 3, "P": 3, "U": 3}
OXYGEN: Mapping[bool, int] = {False: 0, True: 2}

WHOLE = Decimal(1)
TENTH = Decimal("0.1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Vitals:
    """What was measured, in the units of the chart; None: not measured, or too old to count."""

    respiration_per_min: Decimal | None = None
    spo2_percent: Decimal | None = None
    is_on_oxygen: bool | None = None
    systolic_mmhg: Decimal | None = None
    pulse_per_min: Decimal | None = None
    consciousness: Consciousness | None = None
    temperature_celsius: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Score:
    """Points by parameter; None where the parameter is missing."""

    points: Mapping[Parameter, int | None]

    @property
    def missing(self) -> tuple[Parameter, ...]:
        """Parameters without points."""
        return tuple(name for name in PARAMETERS if self.points[name] is None)

    @property
    def red(self) -> tuple[Parameter, ...]:
        """Parameters that score 3 by themselves."""
        return tuple(name for name in PARAMETERS if self.points[name] == RED)

    @property
    def lower_bound(self) -> int:
        """The least that the score can be: the sum of what is known."""
        return sum(points or 0 for points in self.points.values())

    @property
    def total(self) -> int | None:
        """The aggregate score, 0 to 20; None while a parameter is missing."""
        return None if self.missing else self.lower_bound

    @property
    def band(self) -> Band:
        """Clinical risk by chart 2; of an incomplete score, the least that it can be."""
        if self.lower_bound >= HIGH:
            return "high"
        if self.lower_bound >= MEDIUM:
            return "medium"
        return "low-medium" if self.red else "low"


def news2(vitals: Vitals, *, spo2_scale: SpO2Scale = 1) -> Score:
    """Score a set of vitals. `spo2_scale` 2 only where a clinician has set the target range to 88-92 %.

    >>> news2(Vitals(respiration_per_min=Decimal(21), spo2_percent=Decimal(93), is_on_oxygen=False,
    ...     systolic_mmhg=Decimal(120), pulse_per_min=Decimal(95), consciousness="A",
    ...     temperature_celsius=Decimal("37.5"))).total
    5
    """
    return Score(
        {
            "respiration": _points(vitals.respiration_per_min, RESPIRATION, WHOLE),
            "spo2": _spo2_points(vitals, spo2_scale),
            "oxygen": None if vitals.is_on_oxygen is None else OXYGEN[vitals.is_on_oxygen],
            "systolic": _points(vitals.systolic_mmhg, SYSTOLIC, WHOLE),
            "pulse": _points(vitals.pulse_per_min, PULSE, WHOLE),
            "consciousness": None if vitals.consciousness is None else CONSCIOUSNESS[vitals.consciousness],
            "temperature": _points(vitals.temperature_celsius, TEMPERATURE, TENTH),
        }
    )


def _spo2_points(vitals: Vitals, spo2_scale: SpO2Scale) -> int | None:
    if spo2_scale == 1:
        return _points(vitals.spo2_percent, SPO2_SCALE_1, WHOLE)
    on_air = _points(vitals.spo2_percent, SPO2_SCALE_2_AIR, WHOLE)
    on_oxygen = _points(vitals.spo2_percent, SPO2_SCALE_2_OXYGEN, WHOLE)
    if vitals.is_on_oxygen is None:
        # From 93 % on, scale 2 asks whether the patient breathes oxygen; below, both columns agree.
        return on_air if on_air == on_oxygen else None
    return on_oxygen if vitals.is_on_oxygen else on_air


def _points(value: Decimal | None, steps: Steps, precision: Decimal) -> int | None:
    """The chart has whole numbers (temperature: tenths); a finer value is rounded half up to them first."""
    if value is None:
        return None
    rounded = value.quantize(precision, ROUND_HALF_UP)
    return next(points for highest, points in steps if highest is None or rounded <= Decimal(highest))
