"""fhir.path.temporal: dates, times and moments of FHIRPath: known to a precision, compared and moved with it.

Room: fhir. May import: the standard library, fhir.path.fault. Standard: http://hl7.org/fhirpath/N1/#comparison and
http://hl7.org/fhirpath/N1/#datetime-arithmetic

Seconds and their fractions are one precision. Of two moments one of which has no zone, only that is said which holds
in every zone of the earth.
"""

from __future__ import annotations

import re
from calendar import monthrange
from datetime import datetime, timedelta
from decimal import ROUND_FLOOR, Decimal
from functools import lru_cache
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

Kind = Literal["Date", "DateTime", "Time"]

_DATE = r"(\d{4})(?:-(\d\d)(?:-(\d\d))?)?"
_TIME = r"(\d\d)(?::(\d\d)(?::(\d\d(?:\.\d+)?))?)?"
_PATTERNS: dict[Kind, re.Pattern[str]] = {
    "Date": re.compile(_DATE, re.ASCII),
    "DateTime": re.compile(rf"{_DATE}(?:T(?:{_TIME}(Z|[+-]\d\d:\d\d)?)?)?", re.ASCII),
    "Time": re.compile(f"T?{_TIME}", re.ASCII),
}
HOUR = 3
"""Place of the hour among the parts of a Date or DateTime."""

DAY = 3
"""How many parts a whole date has."""

# A moment without a zone may be this far from UTC, in minutes.
_EASTERNMOST, _WESTERNMOST = 14 * 60, -12 * 60

Part = int | Decimal


class Temporal(Struct, frozen=True, gc=False):
    """A Date, DateTime or Time; `parts` go from the year (for a Time from the hour) to the precision that is known."""

    kind: Kind
    parts: tuple[Part, ...]
    zone: int | None = None
    """Minutes east of UTC; None where it is not known."""

    def __str__(self) -> str:
        """The text as FHIR writes it; a Time without T."""
        first = 0 if self.kind == "Time" else DAY
        year, *rest = self.parts[:first] or (0,)
        date = "-".join([f"{year:04}", *(f"{part:02}" for part in rest)]) if first else ""
        clock = ":".join(_two_digits(part) for part in self.parts[first:])
        return f"{date}{'T' if first and clock else ''}{clock}{_zone_text(self.zone) if clock else ''}"


@lru_cache(maxsize=8192)  # the resources of one encounter repeat its moments
def temporal(kind: Kind, text: str) -> Temporal | None:
    """What a text says; None if it is no such date or time.

    >>> temporal("DateTime", "2014-01-25T14:30+01:00").zone
    60
    """
    match = _PATTERNS[kind].fullmatch(text)
    if match is None:
        return None
    groups = list(match.groups())
    zone = _zone(groups.pop()) if kind == "DateTime" else None
    parts: list[Part] = []
    for group in groups:
        if group is None:
            break
        parts.append(Decimal(group) if len(parts) == (2 if kind == "Time" else 5) else int(group))
    found = Temporal(kind, tuple(parts), zone)
    return found if _is_in_calendar(found) else None


def of_moment(moment: datetime) -> Temporal:
    """An aware moment as a DateTime, to the millisecond."""
    offset = moment.utcoffset() or timedelta()
    second = Decimal(moment.second) + Decimal(moment.microsecond // 1000).scaleb(-3)
    parts = (moment.year, moment.month, moment.day, moment.hour, moment.minute, second)
    return Temporal("DateTime", parts, round(offset.total_seconds() / 60))


def compared(one: Temporal, other: Temporal) -> int | None:
    """-1, 0 or 1; None where the precision does not tell. A Time and a date are None as well.

    >>> compared(temporal("Date", "2018-03"), temporal("Date", "2018-03-01")) is None
    True
    """
    if (one.kind == "Time") != (other.kind == "Time"):
        return None
    if one.zone != other.zone and len(one.parts) > HOUR and len(other.parts) > HOUR:
        if one.zone is None or other.zone is None:
            return _compared_in_every_zone(one, other)
        one, other = in_utc(one), in_utc(other)
    for first, second in zip(one.parts, other.parts, strict=False):
        if first != second:
            return -1 if first < second else 1
    return 0 if len(one.parts) == len(other.parts) else None


def in_utc(moment: Temporal) -> Temporal:
    """The same moment in UTC; what has no zone or no hour stays as it is."""
    if not moment.zone or len(moment.parts) <= HOUR:
        return moment
    return replace(_moved_minutes(moment, -moment.zone), zone=0)


def _compared_in_every_zone(one: Temporal, other: Temporal) -> int | None:
    def limits(moment: Temporal) -> tuple[Temporal, Temporal]:
        if moment.zone is not None:
            return in_utc(moment), in_utc(moment)
        return in_utc(replace(moment, zone=_EASTERNMOST)), in_utc(replace(moment, zone=_WESTERNMOST))

    (one_low, one_high), (other_low, other_high) = limits(one), limits(other)
    if one_high.parts < other_low.parts:
        return -1
    return 1 if one_low.parts > other_high.parts else None


def moved(moment: Temporal, amount: Decimal, unit: str) -> Temporal | None:
    """The moment, `amount` of a calendar unit later; None where the calendar ends. Only seconds may have fractions.

    >>> str(moved(temporal("Date", "2012-01-31"), Decimal(1), "month"))
    '2012-02-29'
    """
    try:
        if moment.kind == "Time":
            return _moved_clock(moment, amount, unit)
        if unit in {"year", "month"}:
            return _moved_months(moment, int(amount) * (12 if unit == "year" else 1))
        return _moved_days_or_less(moment, amount, unit)
    except (OverflowError, ValueError):
        return None


_SECONDS = {"week": 604_800, "day": 86_400, "hour": 3600, "minute": 60, "second": 1}


def _seconds(amount: Decimal, unit: str) -> Decimal:
    """Whole units but for seconds; a millisecond is a fraction of one."""
    if unit == "millisecond":
        return Decimal(int(amount)).scaleb(-3)
    return amount if unit == "second" else Decimal(int(amount) * _SECONDS[unit])


def _moved_clock(moment: Temporal, amount: Decimal, unit: str) -> Temporal | None:
    if unit not in {"hour", "minute", "second", "millisecond"}:
        return None
    hour, minute, second = (*moment.parts, 0, 0)[:3]
    span = _to_precision(_seconds(amount, unit), len(moment.parts) + DAY)
    _, rest = _days_and_seconds(hour * 3600 + minute * 60 + second + span)
    return replace(moment, parts=_clock_parts(rest)[: len(moment.parts)])


def _days_and_seconds(seconds: Part) -> tuple[int, Decimal]:
    """Whole days, rounded down, and the seconds that are left; the remainder of a negative Decimal is negative."""
    days = int((Decimal(seconds) / 86_400).to_integral_value(ROUND_FLOOR))
    return days, Decimal(seconds) - days * 86_400


def _moved_months(moment: Temporal, months: int) -> Temporal:
    if len(moment.parts) == 1:
        return _checked(replace(moment, parts=(int(moment.parts[0]) + int(months / 12),)))
    year, month, *rest = moment.parts
    year, month = divmod(int(year) * 12 + int(month) - 1 + months, 12)
    if rest:
        rest[0] = min(int(rest[0]), monthrange(year, month + 1)[1])
    return _checked(replace(moment, parts=(year, month + 1, *rest)))


def _moved_days_or_less(moment: Temporal, amount: Decimal, unit: str) -> Temporal:
    seconds = _seconds(amount, unit)
    match len(moment.parts):
        case 1 | 2:
            # A year is 365 days here, a month 30 (N1, "Date/Time Arithmetic").
            days = int(seconds / 86_400)
            return _moved_months(moment, int(days / 365) * 12 if len(moment.parts) == 1 else int(days / 30))
        case known:
            return _moved_seconds(moment, _to_precision(seconds, known))


def _to_precision(seconds: Decimal, known: int) -> Decimal:
    """As much of a span as a moment with so many parts can show."""
    whole = {3: 86_400, 4: 3600, 5: 60}.get(known)
    return seconds if whole is None else Decimal(int(seconds / whole) * whole)


def _moved_seconds(moment: Temporal, seconds: Decimal) -> Temporal:
    year, month, day, hour, minute, second = (*moment.parts, 0, 0, 0)[:6]
    days, rest = _days_and_seconds(hour * 3600 + minute * 60 + second + seconds)
    date = datetime(int(year), int(month), int(day)) + timedelta(days=days)  # noqa: DTZ001 - a date
    parts = (date.year, date.month, date.day, *_clock_parts(rest))
    return replace(moment, parts=parts[: len(moment.parts)])


def _moved_minutes(moment: Temporal, minutes: int) -> Temporal:
    try:
        whole = replace(moment, parts=(*moment.parts, 0, 0)[:6])
        return replace(moment, parts=_moved_seconds(whole, Decimal(minutes * 60)).parts[: len(moment.parts)])
    except (OverflowError, ValueError):
        return moment


def _clock_parts(seconds: Decimal) -> tuple[int, int, Decimal]:
    hours, rest = divmod(seconds, 3600)
    minutes, second = divmod(rest, 60)
    return int(hours), int(minutes), second


def _checked(moment: Temporal) -> Temporal:
    if not _is_in_calendar(moment):
        raise ValueError
    return moment


def _is_in_calendar(moment: Temporal) -> bool:
    parts = moment.parts
    if moment.kind != "Time":
        year, month, day = (*parts, 1, 1)[:3]
        is_date = 1 <= year <= 9999 and 1 <= month <= 12 and 1 <= day <= monthrange(int(year), int(month))[1]  # noqa: PLR2004
        if not is_date:
            return False
        parts = parts[DAY:]
    hour, minute, second = (*parts, 0, 0, 0)[:3]
    return hour < 24 and minute < 60 and second < 61 and abs(moment.zone or 0) <= _EASTERNMOST  # noqa: PLR2004


def _zone(text: str | None) -> int | None:
    if text is None or text == "Z":
        return None if text is None else 0
    minutes = int(text[1:3]) * 60 + int(text[4:6])
    return -minutes if text[0] == "-" else minutes


def _zone_text(zone: int | None) -> str:
    if zone is None or zone == 0:
        return "" if zone is None else "Z"
    return f"{'-' if zone < 0 else '+'}{abs(zone) // 60:02}:{abs(zone) % 60:02}"


def _two_digits(part: Part) -> str:
    whole, dot, fraction = f"{part}".partition(".")
    return f"{whole:0>2}{dot}{fraction}"
