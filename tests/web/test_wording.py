"""How values read on a page."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from careloom.web import wording

BERLIN = ZoneInfo("Europe/Berlin")

JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def test_a_name_reads_family_first_and_the_official_one_wins() -> None:
    patient = {
        "name": [
            {"use": "nickname", "given": ["Addie"]},
            {"use": "official", "family": "Okafor", "given": ["Ada"]},
        ]
    }
    assert wording.person_name(patient) == "OKAFOR, Ada"
    assert wording.person_name({}) == "Name unknown"


def test_a_moment_is_told_in_the_zone_of_the_setting() -> None:
    assert wording.moment("2026-07-01T22:30:00Z", BERLIN) == "02-Jul-2026 00:30"
    assert wording.moment("2026-07-01", BERLIN) == "01-Jul-2026"


def test_units_read_as_clinicians_write_them() -> None:
    assert wording.quantity({"value": Decimal(120), "code": "mm[Hg]", "unit": "mm[Hg]"}) == "120 mmHg"
    assert wording.quantity({"value": Decimal("5.90"), "comparator": "<", "unit": "mmol/L"}) == "<5.90 mmol/L"
    assert wording.quantity({"value": Decimal("0.0000001"), "unit": "g"}) == "0.0000001 g"


def test_the_path_of_a_value_goes_down_to_the_number() -> None:
    assert wording.value_path({"valueQuantity": {"value": 1}}) == "valueQuantity.value"
    assert wording.value_path({"valueString": "x"}) == "valueString"


def test_a_baby_is_aged_in_months_and_the_dead_no_longer_age() -> None:
    now = datetime(2026, 11, 25, tzinfo=UTC)
    assert wording.age("2025-12-26", now) == "10 m"
    assert wording.age("1940-01-01", now, died="2020-01-02T10:00:00Z") == "80 y"


def test_what_careloom_derived_is_named_so() -> None:
    assert (
        wording.source_name({"meta": {"tag": [{"system": "urn:careloom:tag", "code": "derived"}]}})
        == "careloom"
    )
    assert wording.source_name({"meta": {"source": "urn:careloom:source:lab"}}) == "lab"


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=30))
def test_no_text_in_the_place_of_a_date_breaks_a_page(text: str) -> None:
    wording.day(text)
    wording.moment(text, BERLIN)
    wording.age(text, datetime(2026, 1, 1, tzinfo=UTC))
