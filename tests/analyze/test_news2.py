"""NEWS2 scores as the Royal College of Physicians printed it in 2017."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from careloom.analyze.scores.news2 import PARAMETERS, Score, Vitals, news2

WELL = Vitals(
    respiration_per_min=Decimal(16),
    spo2_percent=Decimal(97),
    is_on_oxygen=False,
    systolic_mmhg=Decimal(120),
    pulse_per_min=Decimal(72),
    consciousness="A",
    temperature_celsius=Decimal("36.8"),
)

# Chart 1, both sides of every boundary.
BOUNDARIES: dict[str, list[tuple[str, int]]] = {
    "respiration_per_min": [("0", 3), ("8", 3), ("9", 1), ("11", 1), ("12", 0), ("20", 0), ("21", 2), ("24", 2), ("25", 3), ("60", 3)],
    "spo2_percent": [("50", 3), ("91", 3), ("92", 2), ("93", 2), ("94", 1), ("95", 1), ("96", 0), ("100", 0)],
    "systolic_mmhg": [("40", 3), ("90", 3), ("91", 2), ("100", 2), ("101", 1), ("110", 1), ("111", 0), ("219", 0), ("220", 3), ("260", 3)],
    "pulse_per_min": [("20", 3), ("40", 3), ("41", 1), ("50", 1), ("51", 0), ("90", 0), ("91", 1), ("110", 1), ("111", 2), ("130", 2), ("131", 3), ("200", 3)],
    "temperature_celsius": [("30", 3), ("35.0", 3), ("35.1", 1), ("36.0", 1), ("36.1", 0), ("38.0", 0), ("38.1", 1), ("39.0", 1), ("39.1", 2), ("42", 2)],
}  # fmt: skip
SCALE_2_AIR = [("80", 3), ("83", 3), ("84", 2), ("85", 2), ("86", 1), ("87", 1), ("88", 0), ("92", 0), ("93", 0), ("100", 0)]  # fmt: skip
SCALE_2_OXYGEN = [("83", 3), ("84", 2), ("85", 2), ("86", 1), ("87", 1), ("88", 0), ("92", 0), ("93", 1), ("94", 1), ("95", 2), ("96", 2), ("97", 3), ("100", 3)]  # fmt: skip


def points_of(vitals: Vitals, field: str, **options: Any) -> int | None:
    parameter = "oxygen" if field == "is_on_oxygen" else field.split("_", maxsplit=1)[0]
    return news2(vitals, **options).points[parameter]  # type: ignore[index]


@pytest.mark.parametrize(
    ("field", "value", "points"),
    [(field, value, points) for field, cases in BOUNDARIES.items() for value, points in cases],
)
def test_each_band_of_chart_1_begins_and_ends_where_it_is_printed(field: str, value: str, points: int):
    assert points_of(replace(WELL, **{field: Decimal(value)}), field) == points


@pytest.mark.parametrize(("value", "points"), SCALE_2_AIR)
def test_scale_2_on_air_never_scores_above_its_target(value: str, points: int):
    assert points_of(replace(WELL, spo2_percent=Decimal(value)), "spo2_percent", spo2_scale=2) == points


@pytest.mark.parametrize(("value", "points"), SCALE_2_OXYGEN)
def test_scale_2_on_oxygen_scores_too_much_oxygen(value: str, points: int):
    vitals = replace(WELL, spo2_percent=Decimal(value), is_on_oxygen=True)
    assert points_of(vitals, "spo2_percent", spo2_scale=2) == points


def test_oxygen_adds_two_and_air_nothing():
    assert news2(replace(WELL, is_on_oxygen=True)).total == 2
    assert news2(WELL).total == 0


@pytest.mark.parametrize("level", ["C", "V", "P", "U"])
def test_any_consciousness_but_alert_scores_three_and_new_confusion_is_one_of_them(level: Any):
    assert news2(replace(WELL, consciousness=level)).points["consciousness"] == 3


@pytest.mark.parametrize(
    ("value", "rounded"), [("20.4", 0), ("20.5", 2), ("24.49", 2), ("24.5", 3), ("8.4", 3), ("8.5", 1)]
)
def test_a_value_finer_than_the_chart_is_rounded_half_up_first(value: str, rounded: int):
    assert news2(replace(WELL, respiration_per_min=Decimal(value))).points["respiration"] == rounded


def test_temperature_is_read_to_a_tenth_of_a_degree():
    assert news2(replace(WELL, temperature_celsius=Decimal("38.04"))).total == 0
    assert news2(replace(WELL, temperature_celsius=Decimal("38.05"))).total == 1


# Published examples. The first is the NEWS2 example that NHS Digital and NHS Wales print for FHIR; its sub-scores
# are kept but for temperature, where they print 1 point beside 37.5 degrees (docs/spec-notes.md). The second is the
# worst case of the Norwegian base profile (no-basis NEWS2): all parameters red, on oxygen, scale 2.
EXAMPLES = [
    (
        Vitals(respiration_per_min=Decimal(21), spo2_percent=Decimal(93), is_on_oxygen=False, systolic_mmhg=Decimal(120),
               pulse_per_min=Decimal(95), consciousness="A", temperature_celsius=Decimal("38.2")),
        1, (2, 2, 0, 0, 1, 0, 1), 6, "medium",
    ),
    (
        Vitals(respiration_per_min=Decimal(25), spo2_percent=Decimal(97), is_on_oxygen=True, systolic_mmhg=Decimal(90),
               pulse_per_min=Decimal(131), consciousness="U", temperature_celsius=Decimal("35.0")),
        2, (3, 3, 2, 3, 3, 3, 3), 20, "high",
    ),
    (
        Vitals(respiration_per_min=Decimal(16), spo2_percent=Decimal(97), is_on_oxygen=False, systolic_mmhg=Decimal(120),
               pulse_per_min=Decimal(72), consciousness="V", temperature_celsius=Decimal("36.8")),
        1, (0, 0, 0, 0, 0, 3, 0), 3, "low-medium",
    ),
    (
        Vitals(respiration_per_min=Decimal(22), spo2_percent=Decimal(90), is_on_oxygen=True, systolic_mmhg=Decimal(105),
               pulse_per_min=Decimal(95), consciousness="A", temperature_celsius=Decimal("37.0")),
        2, (2, 0, 2, 1, 1, 0, 0), 6, "medium",
    ),
    (
        Vitals(respiration_per_min=Decimal(22), spo2_percent=Decimal(90), is_on_oxygen=True, systolic_mmhg=Decimal(105),
               pulse_per_min=Decimal(95), consciousness="A", temperature_celsius=Decimal("37.0")),
        1, (2, 3, 2, 1, 1, 0, 0), 9, "high",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("vitals", "scale", "points", "total", "band"), EXAMPLES)
def test_charts_worked_by_hand_give_the_same_points(
    vitals: Vitals, scale: Any, points: Any, total: int, band: str
):
    score = news2(vitals, spo2_scale=scale)
    assert tuple(score.points[name] for name in PARAMETERS) == points
    assert (score.total, score.band) == (total, band)


@pytest.mark.parametrize(
    ("points", "band"),
    [
        ((0, 0, 0, 0, 0, 0, 0), "low"),
        ((2, 0, 0, 0, 2, 0, 0), "low"),
        ((1, 0, 0, 0, 0, 3, 0), "low-medium"),
        ((2, 2, 0, 0, 1, 0, 0), "medium"),
        ((2, 2, 2, 0, 0, 0, 0), "medium"),
        ((2, 3, 0, 0, 0, 0, 0), "medium"),
        ((2, 2, 2, 1, 0, 0, 0), "high"),
        ((3, 3, 2, 3, 3, 3, 3), "high"),
    ],
)
def test_the_bands_of_chart_2_are_0_to_4_a_red_3_then_5_to_6_then_7(points: tuple[int, ...], band: str):
    assert Score(dict(zip(PARAMETERS, points, strict=True))).band == band


def test_a_missing_parameter_is_never_a_silent_zero():
    score = news2(replace(WELL, consciousness=None, respiration_per_min=Decimal(25)))
    assert score.total is None
    assert score.missing == ("consciousness",)
    assert score.lower_bound == 3
    assert score.band == "low-medium"


def test_scale_2_needs_to_know_about_oxygen_from_93_percent_on():
    known = news2(replace(WELL, is_on_oxygen=None, spo2_percent=Decimal(92)), spo2_scale=2)
    unknown = news2(replace(WELL, is_on_oxygen=None, spo2_percent=Decimal(93)), spo2_scale=2)
    assert known.points["spo2"] == 0
    assert unknown.missing == ("spo2", "oxygen")


def values(low: int, high: int, places: int = 0) -> st.SearchStrategy[Decimal]:
    return st.decimals(low, high, places=places, allow_nan=False, allow_infinity=False)


any_vitals = st.builds(
    Vitals,
    respiration_per_min=st.none() | values(0, 70, 1),
    spo2_percent=st.none() | values(40, 100, 1),
    is_on_oxygen=st.none() | st.booleans(),
    systolic_mmhg=st.none() | values(30, 280),
    pulse_per_min=st.none() | values(0, 250),
    consciousness=st.none() | st.sampled_from("ACVPU"),
    temperature_celsius=st.none() | values(28, 43, 2),
)
# Where on the chart nothing is wrong; away from it, in either direction, is worse.
CALM = {
    "respiration_per_min": (Decimal(12), Decimal(20)),
    "spo2_percent": (Decimal(96), Decimal(100)),
    "systolic_mmhg": (Decimal(111), Decimal(219)),
    "pulse_per_min": (Decimal(51), Decimal(90)),
    "temperature_celsius": (Decimal("36.1"), Decimal("38.0")),
}


@given(any_vitals, st.sampled_from(sorted(CALM)), values(0, 40, 1))
def test_a_vital_that_moves_away_from_calm_never_lowers_the_score(vitals: Vitals, field: str, by: Decimal):
    value = getattr(vitals, field)
    if value is None:
        return
    low, high = CALM[field]
    worse = value - by if value <= low else value + by if value >= high else value
    if field == "spo2_percent":
        worse = value - by
    before, after = news2(vitals), news2(replace(vitals, **{field: worse}))
    assert after.lower_bound >= before.lower_bound
    assert after.total is None or before.total is None or after.total >= before.total


@given(any_vitals, st.sampled_from([1, 2]))
def test_losing_alertness_or_needing_oxygen_on_scale_1_never_lowers_the_score(vitals: Vitals, scale: Any):
    before = news2(vitals, spo2_scale=scale).lower_bound
    assert news2(replace(vitals, consciousness="U"), spo2_scale=scale).lower_bound >= before
    assert news2(replace(vitals, is_on_oxygen=True), spo2_scale=1).lower_bound >= news2(vitals).lower_bound


@given(any_vitals, st.sampled_from([1, 2]), st.sampled_from([*CALM, "is_on_oxygen", "consciousness"]))
def test_measuring_more_never_lowers_the_lower_bound(vitals: Vitals, scale: Any, field: str):
    fewer = news2(replace(vitals, **{field: None}), spo2_scale=scale)
    full = news2(vitals, spo2_scale=scale)
    assert full.lower_bound >= fewer.lower_bound
    assert full.total is None or 0 <= full.total <= 20
