"""The tables name only codes that can exist."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

import careloom
from careloom.analyze.scores.vitals import LOINC, PARAMETER

SOURCES = Path(careloom.__file__).parent


def check_digit(number: str) -> int:
    """LOINC's check digit: mod 10, every second digit doubled from the right."""
    doubled = (int(digit) * (2 if place % 2 == 0 else 1) for place, digit in enumerate(reversed(number)))
    return -sum(value // 10 + value % 10 for value in doubled) % 10


def test_every_loinc_code_of_the_tables_holds_its_check_digit() -> None:
    with (SOURCES / "unify/hl7v2/tables/vital_signs.csv").open(encoding="utf-8", newline="") as file:
        codes = {row["loinc"] for row in csv.DictReader(file)}
    codes |= {code for system, code in PARAMETER if system == LOINC}
    assert len(codes) > 20
    wrong = {
        code for code in codes for number, digit in [code.split("-")] if check_digit(number) != int(digit)
    }
    assert not wrong


@pytest.mark.parametrize("code", ["3150-6", "8480-7", "59408-1"])
def test_a_mistyped_loinc_code_does_not_pass(code: str) -> None:
    number, digit = code.split("-")
    assert check_digit(number) != int(digit)


def test_every_vital_sign_that_a_score_reads_is_known_to_be_one() -> None:
    with (SOURCES / "unify/hl7v2/tables/vital_signs.csv").open(encoding="utf-8", newline="") as file:
        known = {row["loinc"] for row in csv.DictReader(file)}
    assert {code for system, code in PARAMETER if system == LOINC} <= known
