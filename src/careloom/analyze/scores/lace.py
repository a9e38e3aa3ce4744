"""analyze.scores.lace: the LACE index: death or unplanned readmission within 30 days after discharge.

Room: analyze. Pure. Standard: van Walraven and others, CMAJ 2010;182(6):551-7, doi 10.1503/cmaj.091117.

L: length of stay; A: acute admission; C: comorbidity (analyze.scores.charlson); E: emergency visits in six months.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Letter = Literal["L", "A", "C", "E"]
Band = Literal["low", "moderate", "high"]

LETTERS: tuple[Letter, ...] = ("L", "A", "C", "E")
STAY = ((0, 0), (1, 1), (2, 2), (3, 3), (6, 4), (13, 5))
"""Days in hospital, up to and including -> points; longer: 7."""
LONG_STAY = 7
ACUTE = 3
COMORBIDITY = (0, 1, 2, 3)
"""A comorbidity score up to 3 counts as it is; from 4: 5."""
HEAVY_COMORBIDITY = 5
MOST_VISITS = 4
MODERATE, HIGH = 5, 10
"""Where the bands begin: 0-4 low, 5-9 moderate, from 10 high."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stay:
    """What the index asks for; None: not known."""

    days: int | None = None
    """Days from admission to discharge; 0: discharged on the day of admission."""
    is_acute: bool | None = None
    comorbidity: int | None = None
    emergency_visits: int | None = None
    """In the six months before admission, without the visit that led to it."""


@dataclass(frozen=True, slots=True)
class Score:
    """Points by letter; None where it is missing."""

    points: Mapping[Letter, int | None]

    @property
    def lower_bound(self) -> int:
        """The least that the index can be."""
        return sum(points or 0 for points in self.points.values())

    @property
    def total(self) -> int | None:
        """0 to 19; None while a letter is missing."""
        return None if None in self.points.values() else self.lower_bound

    @property
    def band(self) -> Band:
        """Risk; of an incomplete index, the least that it can be."""
        if self.lower_bound >= HIGH:
            return "high"
        return "moderate" if self.lower_bound >= MODERATE else "low"


def lace(stay: Stay) -> Score:
    """Score a stay.

    >>> lace(Stay(days=5, is_acute=True, comorbidity=5, emergency_visits=2)).total
    14
    """
    return Score(
        {
            "L": None if stay.days is None else _stay_points(stay.days),
            "A": None if stay.is_acute is None else ACUTE * stay.is_acute,
            "C": None if stay.comorbidity is None else _comorbidity_points(stay.comorbidity),
            "E": None if stay.emergency_visits is None else min(stay.emergency_visits, MOST_VISITS),
        }
    )


def _stay_points(days: int) -> int:
    return next((points for most, points in STAY if days <= most), LONG_STAY)


def _comorbidity_points(comorbidity: int) -> int:
    return comorbidity if comorbidity in COMORBIDITY else HEAVY_COMORBIDITY
