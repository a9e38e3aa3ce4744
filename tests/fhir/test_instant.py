from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from careloom.fhir.instant import EARLIEST, LATEST, instant, interval, period, timing
from careloom.fhir.outcome import OutcomeError


def test_a_partial_date_is_the_whole_of_its_year_month_or_day() -> None:
    assert interval("2019") == (datetime(2019, 1, 1, tzinfo=UTC), datetime(2020, 1, 1, tzinfo=UTC))
    assert interval("2019-12") == (datetime(2019, 12, 1, tzinfo=UTC), datetime(2020, 1, 1, tzinfo=UTC))
    assert interval("2020-02-29") == (datetime(2020, 2, 29, tzinfo=UTC), datetime(2020, 3, 1, tzinfo=UTC))


def test_a_moment_is_as_wide_as_its_last_digit() -> None:
    start = datetime(2013, 1, 14, 9, 0, tzinfo=UTC)
    assert interval("2013-01-14T10:00+01:00") == (start, start + timedelta(minutes=1))
    assert interval("2013-01-14T10:00:00+01:00") == (start, start + timedelta(seconds=1))
    tenth = start + timedelta(milliseconds=500)
    assert interval("2013-01-14T09:00:00.5Z") == (tenth, tenth + timedelta(milliseconds=100))


def test_a_leap_second_counts_as_the_second_before_it() -> None:
    assert interval("2016-12-31T23:59:60Z")[0] == datetime(2016, 12, 31, 23, 59, 59, tzinfo=UTC)


def test_the_ends_of_the_calendar_do_not_overflow() -> None:
    assert interval("9999")[1] == LATEST
    assert interval("9999-12-31")[1] == LATEST
    assert interval("0001-01-01T00:00:00+14:00")[0] == EARLIEST
    assert interval("9999-12-31T23:59:59-12:00")[1] == LATEST


@pytest.mark.parametrize(
    "text",
    ["", "20190101", "2019-13", "2019-02-30", "2019-W01", "2019-01-01 10:00", "٢٠١٩", "2019-01-01T25:00:00Z"],
)
def test_what_is_no_fhir_date_is_refused(text: str) -> None:
    with pytest.raises(OutcomeError):
        interval(text)


def test_a_period_without_an_end_reaches_to_the_end_of_time() -> None:
    assert period({"start": "2020"}) == (datetime(2020, 1, 1, tzinfo=UTC), LATEST)
    assert period({"end": "2020"}) == (EARLIEST, datetime(2021, 1, 1, tzinfo=UTC))
    assert period({}) is None


def test_of_a_timing_only_the_outer_limits_matter() -> None:
    value = {
        "event": ["2020-03-01", "2020-01-01"],
        "repeat": {"boundsPeriod": {"start": "2020-02", "end": "2020-05"}},
    }
    assert timing(value) == (datetime(2020, 1, 1, tzinfo=UTC), datetime(2020, 6, 1, tzinfo=UTC))
    assert timing({"code": {"text": "BID"}}) is None


# The first hours of the year 1 east of Greenwich have no date in UTC.
@given(st.datetimes(datetime(1, 1, 2), timezones=st.just(timezone(timedelta(hours=5, minutes=30)))))  # noqa: DTZ001
def test_an_instant_read_back_holds_the_moment(now: datetime) -> None:
    start, end = interval(instant(now))
    assert start <= now <= end


@given(st.dates(max_value=date(9998, 12, 31)))
def test_a_day_lies_within_its_month_and_its_year(day: date) -> None:
    text = day.isoformat()
    spans = [interval(text), interval(text[:7]), interval(text[:4])]
    for (inner_lo, inner_hi), (outer_lo, outer_hi) in pairwise(spans):
        assert outer_lo <= inner_lo < inner_hi <= outer_hi


@given(st.text(max_size=40))
def test_any_text_gives_a_span_or_an_outcome(text: str) -> None:
    try:
        start, end = interval(text)
    except OutcomeError:
        return
    assert start < end
