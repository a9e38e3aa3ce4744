"""unify.hl7v2.times: HL7 v2 times (DTM, DT, TM, TS) to FHIR date, dateTime, instant and time.

Room: unify. May import: fhir. Standard: HL7 v2.9 chapter 2A.3.22 (DTM) and
https://hl7.org/fhir/R4/datatypes.html#dateTime. Precision is kept; a time without an offset is in the zone given.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import lru_cache

from careloom.fhir.instant import interval

_DTM = re.compile(
    r"(\d{4})(?:(\d\d)(?:(\d\d)(?:(\d\d)(?:(\d\d)(?:(\d\d)(?:\.(\d{1,9}))?)?)?)?)?)?([+-]\d{4})?\Z", re.ASCII
)
_TM = re.compile(r"(\d\d)(?:(\d\d)(?:(\d\d)(?:\.(\d{1,9}))?)?)?(?:[+-]\d{4})?\Z", re.ASCII)
_HALF_DAY_MINUTES = 14 * 60


@dataclass(frozen=True, slots=True)
class Moment:
    """A time as it was said: `text` in FHIR's spelling, and the interval [low, high) that it can mean."""

    text: str
    low: datetime
    high: datetime

    @property
    def has_time(self) -> bool:
        """True when it says at least the hour."""
        return "T" in self.text


@lru_cache(maxsize=8192)
def moment(dtm: str, zone: tzinfo) -> Moment | None:
    """Read a DTM; None for what is no time.

    >>> moment("201203", UTC).text
    '2012-03'
    >>> moment("20120314125930.5-0500", UTC).text
    '2012-03-14T12:59:30.5-05:00'
    """
    found = _DTM.match(dtm)
    if not found:
        return None
    year, month, day, hour, minute, second, fraction, offset = found.groups()
    try:
        low = datetime(
            int(year),
            int(month or 1),
            int(day or 1),
            int(hour or 0),
            int(minute or 0),
            int(second or 0),
            tzinfo=zone,
        )
    except ValueError:
        return None
    here = _offset(offset) if offset else _whole_minutes(low.utcoffset())
    if here is None:
        return None
    low = low.replace(tzinfo=timezone(here), microsecond=int((fraction or "0").ljust(6, "0")[:6]))
    if not day:
        text = f"{year}-{month}" if month else year
    elif not hour:
        text = f"{year}-{month}-{day}"
    else:
        clock = f"{hour}:{minute or '00'}:{second or '00'}{'.' + fraction if fraction else ''}"
        text = f"{year}-{month}-{day}T{clock}{_offset_text(here)}"
    try:
        return Moment(text, low.astimezone(UTC), _end(low, found).astimezone(UTC))
    except OverflowError:
        return None


def is_reversed(period: Mapping[str, object]) -> bool:
    """True for a Period whose start is after its end, as invariant per-1 reads it.

    >>> is_reversed({"start": "2024-03-02", "end": "2024-03"})
    False
    """
    start, end = period.get("start"), period.get("end")
    if not isinstance(start, str) or not isinstance(end, str):
        return False
    return interval(start)[0] >= interval(end)[1]


def span(start: str, end: str) -> dict[str, str]:
    """A Period; a start that is after the end is left out.

    >>> span("", "2024")
    {'end': '2024'}
    """
    period = {**({"start": start} if start else {}), **({"end": end} if end else {})}
    return {"end": end} if is_reversed(period) else period


def time_of(tm: str) -> str | None:
    """A TM as a FHIR time; its offset has no place there.

    >>> time_of("1305")
    '13:05:00'
    """
    found = _TM.match(tm)
    if not found:
        return None
    hour, minute, second, fraction = (part or "00" for part in found.groups())
    if int(hour) >= 24 or int(minute) >= 60 or int(second) >= 60:  # noqa: PLR2004
        return None
    return f"{hour}:{minute}:{second}{'.' + fraction if found[4] else ''}"


def _offset(text: str) -> timedelta | None:
    minutes = int(text[1:3]) * 60 + int(text[3:])
    if minutes > _HALF_DAY_MINUTES or int(text[3:]) >= 60:  # noqa: PLR2004
        return None
    return timedelta(minutes=-minutes if text[0] == "-" else minutes)


def _whole_minutes(offset: timedelta | None) -> timedelta:
    """Local mean times of before about 1900 have seconds, which FHIR cannot write."""
    seconds = (offset or timedelta()).total_seconds()
    return timedelta(minutes=round(seconds / 60))


def _offset_text(offset: timedelta) -> str:
    minutes = round(offset.total_seconds() / 60)
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"


def _end(low: datetime, found: re.Match[str]) -> datetime:
    _, month, day, hour, minute, second, fraction, _ = found.groups()
    if not month:
        return low.replace(year=low.year + 1) if low.year < 9999 else low  # noqa: PLR2004
    if not day:
        return (low + timedelta(days=32)).replace(day=1)
    if not hour:
        return low + timedelta(days=1)
    if not minute:
        return low + timedelta(hours=1)
    if not second:
        return low + timedelta(minutes=1)
    return (
        low + timedelta(microseconds=10 ** max(0, 6 - len(fraction)))
        if fraction
        else low + timedelta(seconds=1)
    )
