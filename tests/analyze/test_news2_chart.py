"""NEWS2 against chart 1 as it is printed, value by value, and worse vitals against better ones.

Chart 1: Royal College of Physicians, National Early Warning Score (NEWS) 2 (London 2017), page 29 of the report; scale 2
also as table 1 of a paper in Thorax prints it (https://thorax.bmj.com/highwire/markup/192780/expansion).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from careloom.analyze.scores.news2 import Vitals, news2

# The columns of the chart, from left to right.
POINTS = (3, 2, 1, 0, 1, 2, 3)
CHART: dict[str, tuple[str, ...]] = {
    "respiration_per_min": ("<=8", "", "9-11", "12-20", "", "21-24", ">=25"),
    "systolic_mmhg": ("<=90", "91-100", "101-110", "111-219", "", "", ">=220"),
    "pulse_per_min": ("<=40", "", "41-50", "51-90", "91-110", "111-130", ">=131"),
    "temperature_celsius": ("<=35.0", "", "35.1-36.0", "36.1-38.0", "38.1-39.0", ">=39.1", ""),
}
SPO2: dict[tuple[int, bool], tuple[str, ...]] = {
    (1, False): ("<=91", "92-93", "94-95", ">=96", "", "", ""),
    (1, True): ("<=91", "92-93", "94-95", ">=96", "", "", ""),
    (2, False): ("<=83", "84-85", "86-87", ">=88", "", "", ""),
    (2, True): ("<=83", "84-85", "86-87", "88-92", "93-94", "95-96", ">=97"),
}
RANGES = {"respiration_per_min": 80, "systolic_mmhg": 320, "pulse_per_min": 260, "temperature_celsius": 450}


def points_printed(row: tuple[str, ...], value: Decimal) -> int:
    """The points of the one column of the chart that holds the value."""
    found = [points for points, band in zip(POINTS, row, strict=True) if band and is_in(band, value)]
    assert len(found) == 1
    return found[0]


def is_in(band: str, value: Decimal) -> bool:
    if limit := re.fullmatch(r"<=(.+)", band):
        return value <= Decimal(limit[1])
    if limit := re.fullmatch(r">=(.+)", band):
        return value >= Decimal(limit[1])
    low, high = map(Decimal, band.split("-"))
    return low <= value <= high


def every_value(field: str) -> Iterator[Decimal]:
    step = Decimal("0.1") if field == "temperature_celsius" else Decimal(1)
    return (number * step for number in range(RANGES[field]))


@pytest.mark.parametrize("field", CHART)
def test_every_value_of_a_parameter_has_the_points_of_its_column(field: str) -> None:
    parameter: Any = field.split("_", maxsplit=1)[0]
    for value in every_value(field):
        given_points = news2(Vitals(**{field: value})).points[parameter]
        assert given_points == points_printed(CHART[field], value), value


@pytest.mark.parametrize(("scale", "is_on_oxygen"), SPO2)
def test_every_saturation_has_the_points_of_its_column_on_both_scales(scale: Any, is_on_oxygen: bool) -> None:
    for percent in range(101):
        vitals = Vitals(spo2_percent=Decimal(percent), is_on_oxygen=is_on_oxygen)
        expected = points_printed(SPO2[scale, is_on_oxygen], Decimal(percent))
        assert news2(vitals, spo2_scale=scale).points["spo2"] == expected, percent


def test_the_total_is_the_sum_over_every_combination_of_columns() -> None:
    # One value of each column of each row: all 5 x 5 x 6 x 6 x 4 x 2 x 2 of them, on scale 1.
    def one_of(row: tuple[str, ...]) -> list[tuple[Decimal, int]]:
        numbers = [
            (re.findall(r"[\d.]+", band)[-1], points)
            for band, points in zip(row, POINTS, strict=True)
            if band
        ]
        return [(Decimal(number), points) for number, points in numbers]

    rows = [one_of(CHART[field]) for field in CHART]
    for breaths, a in rows[0]:
        for pressure, b in rows[1]:
            for beats, c in rows[2]:
                for heat, d in rows[3]:
                    for percent, e in one_of(SPO2[1, False]):
                        for is_on_oxygen, f in ((False, 0), (True, 2)):
                            for level, g in (("A", 0), ("C", 3)):
                                score = news2(
                                    Vitals(
                                        respiration_per_min=breaths,
                                        systolic_mmhg=pressure,
                                        pulse_per_min=beats,
                                        temperature_celsius=heat,
                                        spo2_percent=percent,
                                        is_on_oxygen=is_on_oxygen,
                                        consciousness=level,  # type: ignore[arg-type]
                                    )
                                )
                                assert score.total == a + b + c + d + e + f + g


saturations = st.decimals(40, 100, places=1)


@given(saturations, saturations, st.booleans())
def test_on_scale_2_a_saturation_further_from_its_target_never_scores_less(
    one: Decimal, two: Decimal, is_on_oxygen: bool
) -> None:
    near, far = sorted((one, two), reverse=True)
    low, high = Decimal(88), Decimal(92)
    if is_on_oxygen and one >= high and two >= high:
        near, far = far, near
    elif is_on_oxygen and near > low:
        return
    vitals = Vitals(spo2_percent=near, is_on_oxygen=is_on_oxygen)
    better = news2(vitals, spo2_scale=2).points["spo2"]
    worse = news2(replace(vitals, spo2_percent=far), spo2_scale=2).points["spo2"]
    assert better is not None
    assert worse is not None
    assert worse >= better
