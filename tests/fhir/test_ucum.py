"""UCUM: codes and what they mean, conversions known from elsewhere, laws, and every unit of the table."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from careloom.fhir import ucum
from careloom.fhir.ucum import canonical, converted, is_comparable, unit_of


@pytest.mark.parametrize(
    ("value", "source", "target", "expected"),
    [
        ("1", "[in_i]", "cm", "2.54"),
        ("1", "[lb_av]", "kg", "0.45359237"),
        ("37", "Cel", "[degF]", "98.6"),
        ("98.6", "[degF]", "Cel", "37"),
        ("80", "[degRe]", "Cel", "100"),
        ("1000", "mCel", "Cel", "1"),
        ("1", "wk", "d", "7"),
        ("1", "a", "d", "365.25"),
        ("4", "g", "mg", "4000"),
        ("1", "m[H2O]", "kPa", "9.80665"),
        ("120", "mm[Hg]", "kPa", "15.99864"),
        ("90", "mg/dL", "g/L", "0.9"),
        ("5", "%", "1", "0.05"),
        ("1", "10*3/uL", "10*9/L", "1"),
        ("1", "10^3/ul", "10*9/l", "1"),
        ("72", "/min", "Hz", "1.2"),
        ("72", "{beats}/min", "/min", "72"),
        ("1", "k[iU]/mL", "[IU]/L", "1000000"),
        ("1", "meq/L", "mmol/L", "1"),
        ("180", "deg", "[pi].rad", "1"),
        ("1", "L/(min.m2)", "mL/min/m2", "1000"),
        ("10", "dB[SPL]", "B[SPL]", "1"),
        ("1", "KiBy", "bit", "8192"),
        ("1", "dag", "g", "10"),
    ],
)
def test_a_value_converts(value: str, source: str, target: str, expected: str) -> None:
    assert converted(Decimal(value), source, target) == Decimal(expected)


@pytest.mark.parametrize(
    ("one", "other"),
    [("cm", "s"), ("[iU]", "1"), ("[iU]", "[arb'U]"), ("[pH]", "mol/L"), ("kg", "wrong"), ("Cel", "B")],
)
def test_what_is_of_another_kind_does_not_compare(one: str, other: str) -> None:
    assert not is_comparable(one, other)
    assert converted(Decimal(1), one, other) is None


@pytest.mark.parametrize(
    "code",
    [
        "",
        "kilogram",
        "MG/DL",
        "m/",
        "m..s",
        "(m",
        "m)",
        "{x",
        "k[in_i]",
        "m s",
        "Cel2",
        "Cel.m",
        "[",
        "10*1000",
        "m" * 500,
    ],
)
def test_what_is_no_code_means_nothing(code: str) -> None:
    assert unit_of(code) is None
    assert canonical(Decimal(1), code) is None


def test_every_unit_of_the_table_is_understood() -> None:
    table = ucum._table()
    assert len(table.units) == 303
    assert [code for code in table.units if unit_of(code) is None] == []
    metric = [code for code, (_, _, flags) in table.units.items() if "m" in flags]
    assert [code for code in metric if unit_of(f"m{code}") is None] == []


def test_a_prefix_is_not_read_into_a_unit_of_its_own() -> None:
    assert canonical(Decimal(1), "cd") == (Decimal(1), "cd")
    assert canonical(Decimal(1), "min") == (Decimal(60), "s")
    assert canonical(Decimal(1), "Pa") == (Decimal(1000), "g.m-1.s-2")


codes = st.sampled_from(
    ["m", "cm", "kg", "mg/dL", "mm[Hg]", "[degF]", "/min", "10*3/uL", "[lb_av]", "mol", "d", "%"]
)
values = st.decimals(min_value=-(10**6), max_value=10**6, places=4)


@given(values, codes, codes)
def test_a_conversion_there_and_back_gives_the_value(value: Decimal, one: str, other: str) -> None:
    there = converted(value, one, other)
    assert (there is not None) == is_comparable(one, other)
    if there is not None:
        back = converted(there, other, one)
        assert back is not None
        assert abs(back - value) < Decimal("1e-15")


@given(st.text(max_size=20) | st.text(st.sampled_from("mgskL[]{}()./*^-0123 "), max_size=20))
def test_any_text_is_a_unit_or_none(code: str) -> None:
    unit = unit_of(code)
    assert unit is None or unit_of(unit.base) is not None
