"""lake.view.moment: dates, moments and clock times in SQL: compared as precisely as they are known, and their bounds.

Room: lake. May import: lake.view. Standard: http://hl7.org/fhirpath/N1/#comparison and
https://hl7.org/fhirpath/#boundary-functions

They are texts in the tables. R4 lets a moment be a year, a month, a day, or a whole instant with its zone; hence the
length of the text says how precise it is.
"""

from __future__ import annotations

import re
from decimal import Decimal

from careloom.lake.view.fault import unsupported
from careloom.lake.view.sql import NULL, Case, Constant, Sql, fn, when
from careloom.lake.view.value import Value

_DAY = 10
"""Characters of a whole date."""
_CLOCK = 8
"""Characters of a time with its seconds."""
_WHOLE = re.compile(r"T\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$")


def compared(left: Value, right: Value, at: int) -> Sql:
    """-1, 0 or 1; NULL where the precision does not tell, or a side is not there."""
    for side in (left, right):
        _check_literal(side, at)
    a, b = left.sql, right.sql
    if left.type in {"time", "Time"}:
        whole = fn("and", fn(">=", _long(a), Constant(_CLOCK)), fn(">=", _long(b), Constant(_CLOCK)))
        return Case(((whole, _sign(fn("clock", a), fn("clock", b))),), _by_prefix(a, b))
    whole = fn("and", fn(">", _long(a), Constant(_DAY)), fn(">", _long(b), Constant(_DAY)))
    return Case(((whole, _sign(fn("microseconds", a), fn("microseconds", b))),), _by_prefix(a, b))


def _check_literal(side: Value, at: int) -> None:
    """A literal may be less precise than an element of R4 can be: hours without minutes, moments without a zone."""
    if isinstance(side.sql, Constant) and isinstance(written := side.sql.value, str):
        clock = written.partition("T")[1] != ""
        if clock and _WHOLE.search(written) is None:
            raise unsupported("A moment is compared in SQL only with seconds and a zone, or as a date", at)


def _long(text: Sql) -> Sql:
    return fn("length of text", text)


def _sign(a: Sql, b: Sql) -> Sql:
    return Case(((fn("<", a, b), Constant(-1)), (fn("=", a, b), Constant(0)), (fn(">", a, b), Constant(1))))


def _by_prefix(a: Sql, b: Sql) -> Sql:
    """Part by part as far as both are known; texts of one length are equally precise."""
    known = fn("least", _long(a), _long(b))
    head_a, head_b = fn("left", a, known), fn("left", b, known)
    return Case((
        (fn("<", head_a, head_b), Constant(-1)),
        (fn(">", head_a, head_b), Constant(1)),
        (fn("=", _long(a), _long(b)), Constant(0)),
    ))  # fmt: skip


def date_boundary(date: Sql, *, is_high: bool) -> Sql:
    """A year or month as its first or last day."""
    month = fn("last day", date) if is_high else fn("concat", date, Constant("-01"))
    year = fn("concat", date, Constant("-12-31" if is_high else "-01-01"))
    return Case((
        (fn("=", _long(date), Constant(4)), year),
        (fn("=", _long(date), Constant(7)), month),
        (fn("=", _long(date), Constant(_DAY)), date),
    ))  # fmt: skip


def moment_boundary(moment: Sql, *, is_high: bool) -> Sql:
    """A moment to the millisecond; a date stands for all its hours in every zone."""
    day = fn(
        "concat",
        date_boundary(moment, is_high=is_high),
        Constant("T23:59:59.999-12:00" if is_high else "T00:00:00.000+14:00"),
    )
    zone = fn("matched", moment, Constant(r"(Z|[+-]\d\d:\d\d)$"))
    clock = fn("matched", moment, Constant(r"^(.*?)(?:Z|[+-]\d\d:\d\d)?$"))
    filled = fn("concat", _milliseconds(clock, 19, is_high=is_high), zone)
    return Case(((fn("<=", _long(moment), Constant(_DAY)), day),), filled)


def begun(moment: Sql, *, is_instant: bool) -> Sql:
    """A text that SQL reads as a date or time: a year or month as its first day; as an instant, a day begins in UTC."""
    day = Case((
        (fn("=", _long(moment), Constant(4)), fn("concat", moment, Constant("-01-01"))),
        (fn("=", _long(moment), Constant(7)), fn("concat", moment, Constant("-01"))),
    ), moment)  # fmt: skip
    if not is_instant:
        return day
    return Case(
        ((fn("<=", _long(moment), Constant(_DAY)), fn("concat", day, Constant("T00:00:00Z"))),), moment
    )


def time_boundary(time: Sql, *, is_high: bool) -> Sql:
    """A clock time to the millisecond."""
    return _milliseconds(time, _CLOCK, is_high=is_high)


def _milliseconds(clock: Sql, seconds: int, *, is_high: bool) -> Sql:
    """`seconds`: characters up to the whole seconds; from there a point and at least three digits are made."""
    digit = "9" if is_high else "0"
    fraction = fn("right padded", clock, Constant(seconds + 4), Constant(digit))
    return Case((
        (fn("=", _long(clock), Constant(seconds)), fn("concat", clock, Constant("." + digit * 3))),
        (fn("<", _long(clock), Constant(seconds + 4)), fraction),
    ), clock)  # fmt: skip


def decimal_boundary(digits: Sql, *, is_high: bool) -> Sql:
    """Half a unit of the last digit that was written, above or below: 1.0 may be 0.95, 1.00 only 0.995."""
    fraction = fn("length of text", fn("matched", digits, Constant(r"\.(\d+)")))
    number = fn("double", digits)
    half = fn("*", Constant(Decimal("0.5")), fn("power", Constant(10), fn("negative", fraction)))
    edge = fn("+" if is_high else "-", number, half)
    return when(fn("is not null", number), fn("round to", edge, fn("+", fraction, Constant(1))), NULL)
