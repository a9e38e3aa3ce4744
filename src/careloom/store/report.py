"""store.report: what a saved report is: a statement, its parameters, its chart, and when it is due.

Room: store. Pure. The values of parameters are bound, never pasted into the statement.
"""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from math import isfinite
from typing import Literal, NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from careloom.fhir.outcome import Issue, OutcomeError

Kind = Literal["text", "number", "date", "code", "choice"]
KINDS: tuple[Kind, ...] = ("text", "number", "date", "code", "choice")
ChartKind = Literal["line", "bar", "scatter", "histogram", "number"]
CHARTS: tuple[ChartKind, ...] = ("line", "bar", "scatter", "histogram", "number")
Period = Literal["minutes", "daily", "weekly", "monthly"]
PERIODS: tuple[Period, ...] = ("minutes", "daily", "weekly", "monthly")
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

MOST_TEXT = 4_000
MOST_MINUTES = 7 * 24 * 60
_CODE = re.compile(r"[^\s]+( [^\s]+)*")
"""https://hl7.org/fhir/R4/datatypes.html#code"""
_NAME = re.compile(r"[A-Za-z_]\w{0,62}")
LAST_DAY = 31
_LOOK_AHEAD = 64
"""Days among which every period has a due time."""


class Parameter(msgspec.Struct, frozen=True):
    """One `$name` of a statement."""

    name: str
    type: Kind = "text"
    label: str = ""
    default: str = ""
    choices: tuple[str, ...] = ()


class Chart(msgspec.Struct, frozen=True):
    """How a result is drawn; empty columns are chosen by the page."""

    kind: ChartKind
    x: str = ""
    y: str = ""
    unit: str = ""


class Schedule(msgspec.Struct, frozen=True):
    """When it is due, by the clock on the wall of the setting time_zone."""

    period: Period
    minutes: int = 60
    at: str = "06:00"
    weekday: int = 0
    """0: Monday."""
    day: int = 1
    """Of the month; a month that is shorter has its last day instead."""

    @property
    def words(self) -> str:
        """As a person says it.

        >>> Schedule("weekly", at="06:30", weekday=4).words
        'Fridays at 06:30'
        """
        match self.period:
            case "minutes":
                return "every minute" if self.minutes == 1 else f"every {self.minutes} minutes"
            case "daily":
                return f"daily at {self.at}"
            case "weekly":
                return f"{WEEKDAYS[self.weekday]}s at {self.at}"
            case "monthly":
                return f"on day {self.day} of the month at {self.at}"


@dataclass(frozen=True, slots=True)
class Draft:
    """What somebody saves."""

    name: str
    description: str
    sql: str
    parameters: tuple[Parameter, ...] = ()
    chart: Chart | None = None
    shared: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Report(Draft):
    """The same as it is kept."""

    id: str = ""
    owner: str = ""
    schedule: Schedule | None = None
    next_due: datetime | None = None
    keep_days: int = 30
    changed: datetime | None = None


class Plan(NamedTuple):
    """When a report runs by itself, the next time of it, and for how many days results are kept."""

    schedule: Schedule | None
    due: datetime | None = None
    keep_days: int = 30


class Bound(NamedTuple):
    """Values by name; which of them are dates."""

    values: dict[str, str | int | float]
    dates: tuple[str, ...]


def bound(parameters: Sequence[Parameter], texts: Mapping[str, str]) -> Bound:
    """The texts of a form as values of their types; what is not given is the default. No error tells a value.

    >>> bound([Parameter("n", "number"), Parameter("day", "date", default="2026-01-01")], {"n": "3"})
    Bound(values={'n': 3, 'day': '2026-01-01'}, dates=('day',))
    """
    values: dict[str, str | int | float] = {}
    for one in parameters:
        text = texts.get(one.name, "").strip() or one.default
        if not text and one.type != "text":
            raise OutcomeError(Issue("required", f"A value is missing for ${one.name}.", one.name))
        values[one.name] = _value(one, text)
    return Bound(values, tuple(one.name for one in parameters if one.type == "date"))


def _value(one: Parameter, text: str) -> str | int | float:
    try:
        match one.type:
            case "number":
                found = int(text) if re.fullmatch(r"[+-]?\d{1,18}", text) else float(text)
                if isfinite(found):
                    return found
            case "date":
                return date.fromisoformat(text).isoformat()
            case "code":
                if _CODE.fullmatch(text) and len(text) <= MOST_TEXT:
                    return text
            case "choice":
                if text in one.choices:
                    return text
            case "text":
                if len(text) <= MOST_TEXT:
                    return text
    except ValueError:
        pass
    words = {
        "number": "a number", "date": "a date as 2026-01-31", "code": "a code: no space at its ends, or two in a row",
        "choice": "one of its choices", "text": f"a text of at most {MOST_TEXT} characters",
    }  # fmt: skip
    raise OutcomeError(Issue("value", f"${one.name} must be {words[one.type]}.", one.name))


def refuse_draft(draft: Draft, roles: Sequence[str]) -> None:
    """Raise OutcomeError if a report cannot be kept so; `roles`: those that it may be shared with."""
    issues: list[Issue] = []
    if not draft.name.strip() or len(draft.name) > 120:  # noqa: PLR2004
        issues.append(Issue("required", "A report has a name of at most 120 characters.", "name"))
    if len(draft.description) > MOST_TEXT:
        issues.append(Issue("too-long", f"The description may have {MOST_TEXT} characters.", "description"))
    if not draft.sql.strip():
        issues.append(Issue("required", "A report has a statement.", "sql"))
    if foreign := set(draft.shared) - set(roles):
        issues.append(
            Issue("value", f"It cannot be shared with {', '.join(sorted(foreign))}: they may not ask in SQL.")
        )
    for one in draft.parameters:
        if not _NAME.fullmatch(one.name):
            issues.append(
                Issue("value", "The name of a parameter is of letters, digits and _.", "parameters")
            )
        elif one.type == "choice" and not one.choices:
            issues.append(Issue("required", f"${one.name} is a choice and has none.", one.name))
        elif one.default:
            try:
                _value(one, one.default)
            except OutcomeError as error:
                issues += error.issues
    if issues:
        raise OutcomeError(*issues)


def refuse_schedule(schedule: Schedule, parameters: Sequence[Parameter]) -> None:
    """Raise OutcomeError for what can never be due, or cannot run alone: each parameter needs a default."""
    if (
        not 1 <= schedule.minutes <= MOST_MINUTES
        or not 0 <= schedule.weekday < len(WEEKDAYS)
        or not 1 <= schedule.day <= LAST_DAY
    ):
        raise OutcomeError(
            Issue("value", "Minutes are 1 to 10080, a weekday 0 to 6 from Monday, a day 1 to 31.")
        )
    if not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", schedule.at):
        raise OutcomeError(Issue("value", "The time is written as 06:30.", "at"))
    if lacking := [f"${one.name}" for one in parameters if not one.default and one.type != "text"]:
        text = f"Nobody is there to give {', '.join(lacking)}: a scheduled report needs defaults."
        raise OutcomeError(Issue("required", text, "parameters"))


def next_due(schedule: Schedule, after: datetime, zone: ZoneInfo) -> datetime:
    """The first due time after a moment. An hour that comes twice in a night counts once; one that is left out is an hour later.

    >>> next_due(Schedule("daily", at="06:30"), datetime(2026, 3, 1, 12, tzinfo=UTC), ZoneInfo("Europe/Berlin")).isoformat()
    '2026-03-02T05:30:00+00:00'
    """
    if schedule.period == "minutes":
        step = schedule.minutes * 60
        return datetime.fromtimestamp((int(after.timestamp()) // step + 1) * step, UTC)
    today = after.astimezone(zone).date()
    at = time.fromisoformat(schedule.at)
    for ahead in range(-1, _LOOK_AHEAD):
        day = today + timedelta(days=ahead)
        found = datetime.combine(day, at, zone).astimezone(UTC)
        if found > after and _is_day(schedule, day):
            return found
    raise OutcomeError(Issue("value", "The schedule has no due time."))


def _is_day(schedule: Schedule, day: date) -> bool:
    match schedule.period:
        case "weekly":
            return day.weekday() == schedule.weekday
        case "monthly":
            return day.day == min(schedule.day, monthrange(day.year, day.month)[1])
        case _:
            return True
