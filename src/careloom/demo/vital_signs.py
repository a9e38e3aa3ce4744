"""demo.vital_signs: sets of vital signs: ordinary ones, slow decline, and the star's story.

Room: demo. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Literal

Level = Literal["A", "C", "V", "P", "U"]


@dataclass(frozen=True, slots=True)
class VitalSigns:
    """One set at the bedside. Oxygen in L/min (0: air), temperature in degrees Celsius."""

    respiration: int
    spo2: int
    oxygen: int
    systolic: int
    diastolic: int
    pulse: int
    level: Level
    temperature: float


STORY: tuple[VitalSigns, ...] = (
    VitalSigns(16, 97, 0, 124, 72, 78, "A", 36.9),
    VitalSigns(18, 96, 0, 122, 70, 86, "A", 37.5),
    VitalSigns(20, 95, 0, 118, 68, 94, "A", 37.9),
    VitalSigns(20, 95, 0, 114, 66, 100, "A", 38.4),
    VitalSigns(21, 95, 0, 112, 64, 104, "A", 38.6),
    VitalSigns(22, 93, 0, 106, 60, 109, "A", 38.8),
    VitalSigns(24, 92, 2, 101, 57, 114, "A", 38.9),
    VitalSigns(26, 91, 4, 96, 52, 122, "C", 39.2),
)
"""The star's sets in order: NEWS2 0, 0, 2, 3, 5, 7, 10, 17 (a test holds them to it)."""


def ordinary(rng: Random, severity: float) -> VitalSigns:
    """A set for somebody as ill as `severity` says: 0 well (NEWS2 near 0), 1 in danger."""
    return VitalSigns(
        respiration=round(rng.gauss(16 + 5 * severity, 0.8)),
        spo2=min(100, round(rng.gauss(97.2 - 4 * severity, 0.6))),
        oxygen=0 if severity < 0.55 else 2,  # noqa: PLR2004
        systolic=round(rng.gauss(128 - 20 * severity, 5)),
        diastolic=round(rng.gauss(74 - 12 * severity, 4)),
        pulse=round(rng.gauss(76 + 26 * severity, 3)),
        level="A",
        temperature=round(rng.gauss(36.8 + 1.1 * severity, 0.15), 1),
    )


def on_target_of_88_to_92(rng: Random) -> VitalSigns:
    """A set for somebody with hypercapnic respiratory failure, on a little oxygen and well with it."""
    return VitalSigns(
        respiration=round(rng.gauss(18, 0.8)),
        spo2=round(rng.gauss(90, 0.5)),
        oxygen=1,
        systolic=round(rng.gauss(130, 4)),
        diastolic=round(rng.gauss(76, 3)),
        pulse=round(rng.gauss(84, 2)),
        level="A",
        temperature=round(rng.gauss(36.8, 0.1), 1),
    )
