"""fhir.instant: a FHIR date, dateTime or instant is a span of time; here text becomes span, and now becomes text.

Room: fhir. May import: fhir.outcome. Standard: https://hl7.org/fhir/R4/datatypes.html#dateTime and
https://hl7.org/fhir/R4/search.html#date

`2020` is the whole year: half-open, [2020-01-01, 2021-01-01). A text without a zone is read as UTC.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from careloom.fhir.outcome import Issue, OutcomeError

Span = tuple[datetime, datetime]

EARLIEST = datetime.min.replace(tzinfo=UTC)
LATEST = datetime.max.replace(tzinfo=UTC)
"""The ends of time: what a Period without start or end reaches to."""

# Seconds may be missing in a search value (R4 search, date), never in a resource: the validator sees to that, and to this:
# the + of a zone that a client did not escape arrives as a blank, and can be nothing else.
_TEXT = re.compile(
    r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:(T\d\d:\d\d)(?:(:\d\d)(?:\.(\d+))?)?(Z|[+ -]\d\d:\d\d)?)?)?)?", re.ASCII
)


@lru_cache(maxsize=8192)
def interval(text: str) -> Span:
    """The half-open span in UTC that a text names; raises OutcomeError(value).

    >>> [end.isoformat() for end in interval("2020-02")]
    ['2020-02-01T00:00:00+00:00', '2020-03-01T00:00:00+00:00']
    """
    match = _TEXT.fullmatch(text)
    if match is None:
        raise _not_a_date()
    year, month, day, clock, second, fraction, zone = match.groups()
    try:
        if clock is None:
            return _calendar_span(int(year), month, day)
        # A leap second has no place in the calendar of Python; it counts as the second before it.
        whole = ":59" if second == ":60" else second or ":00"
        start = datetime.fromisoformat(f"{year}-{month}-{day}{clock}{whole}{(zone or 'Z').replace(' ', '+')}")
    except ValueError:
        raise _not_a_date() from None
    return _clock_span(start, second, fraction)


def period(value: dict[str, Any]) -> Span | None:
    """The span of a Period; None where it has neither start nor end.

    >>> period({"start": "2020"})[1] == LATEST
    True
    """
    start, end = value.get("start"), value.get("end")
    if start is None and end is None:
        return None
    return (EARLIEST if start is None else interval(start)[0], LATEST if end is None else interval(end)[1])


def timing(value: dict[str, Any]) -> Span | None:
    """The outer limits of a Timing (R4 search, date: "only the outer limits matter")."""
    spans = [interval(event) for event in value.get("event", ()) if event is not None]
    bounds = period(value.get("repeat", {}).get("boundsPeriod", {}))
    if bounds is not None:
        spans.append(bounds)
    return (min(lo for lo, _ in spans), max(hi for _, hi in spans)) if spans else None


def instant(now: datetime) -> str:
    """An aware moment as a FHIR instant in UTC, to the millisecond.

    >>> instant(datetime(2020, 1, 2, 3, 4, 5, 678901, UTC))
    '2020-01-02T03:04:05.678Z'
    """
    return now.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def _calendar_span(year: int, month: str | None, day: str | None) -> Span:
    start = datetime(year, int(month or 1), int(day or 1), tzinfo=UTC)
    try:
        if day is not None:
            return start, start + timedelta(days=1)
        if month is not None:
            return start, datetime(year + start.month // 12, start.month % 12 + 1, 1, tzinfo=UTC)
        return start, start.replace(year=year + 1)
    except (OverflowError, ValueError):
        return start, LATEST


def _clock_span(start: datetime, second: str | None, fraction: str | None) -> Span:
    if second is None:
        width = timedelta(minutes=1)
    elif fraction is None:
        width = timedelta(seconds=1)
    else:
        digits = fraction[:6]
        start += timedelta(microseconds=int(digits.ljust(6, "0")))
        width = timedelta(microseconds=10 ** (6 - len(digits)))
    try:
        start = start.astimezone(UTC)
    except OverflowError:
        start = EARLIEST if start.year == 1 else LATEST - width
    return start, LATEST if LATEST - start < width else start + width


def _not_a_date() -> OutcomeError:
    return OutcomeError(
        Issue(
            "value",
            "Not a date or time of FHIR: write YYYY, YYYY-MM, YYYY-MM-DD or YYYY-MM-DDThh:mm:ss+zz:zz.",
        )
    )
