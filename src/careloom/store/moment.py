"""store.moment: how a stored span of time lies to a searched one, by prefix.

Room: store. May import: fhir. Pure. Standard: https://hl7.org/fhir/R4/search.html#prefix

Spans are half-open. Stored [a, b), searched [lo, hi): eq means a >= lo and b <= hi; gt means that something of the
stored span lies after the searched one, b > hi; ge is gt or eq. An index on a serves all but spans longer than a
day, which have an index on b.
"""

from __future__ import annotations

from careloom.fhir.instant import EARLIEST
from careloom.fhir.queryvalue import DAY, Moment, ap_span
from careloom.store.condition import Condition


def on_hot_date(moment: Moment, row: str) -> Condition:
    """On the columns dlo, dhi; an undated row (dhi null) meets none."""
    return _on(moment, f"{row}.dlo", f"{row}.dhi")


def on_other_date(moment: Moment) -> Condition:
    """On a row of s_dat, aliased s."""
    return _on(moment, "s.lo", "s.hi")


def on_last_updated(moment: Moment, row: str) -> Condition:
    """On the column lm: an instant, which lies before, in or after the searched span."""
    sql, names = _INSTANT[moment.prefix]
    return _filled(sql.format(a=f"{row}.lm"), names, moment)


# The end of the span is beyond hi, told twice: the index on the start serves spans of a day at most, and the index
# on the end serves the longer ones.
_AFTER = "({a} >= %s and {b} > %s or {b} - {a} > interval '1 day' and {b} > %s)"

_SPAN: dict[str, tuple[str, str]] = {
    "eq": ("{a} >= %s and {a} < %s and {b} <= %s", "lo hi hi"),
    "ne": ("({a} < %s or {b} > %s) and {b} is not null", "lo hi"),
    "gt": (_AFTER, "day_before hi hi"),
    "ge": (f"({{a}} >= %s or {_AFTER})", "lo day_before hi hi"),
    "lt": ("{a} < %s and {b} is not null", "lo"),
    "le": ("{a} < %s and ({a} < %s or {b} <= %s) and {b} is not null", "hi lo hi"),
    "sa": ("{a} >= %s", "hi"),
    "eb": ("{a} < %s and {b} <= %s", "lo lo"),
    "ap": ("{a} < %s and {b} > %s", "late early"),
    "po": ("{a} < %s and {b} > %s", "hi lo"),
}
_INSTANT: dict[str, tuple[str, str]] = {
    "eq": ("{a} >= %s and {a} < %s", "lo hi"),
    "ne": ("({a} < %s or {a} >= %s)", "lo hi"),
    "gt": ("{a} >= %s", "hi"),
    "ge": ("{a} >= %s", "lo"),
    "lt": ("{a} < %s", "lo"),
    "le": ("{a} < %s", "hi"),
    "sa": ("{a} >= %s", "hi"),
    "eb": ("{a} < %s", "lo"),
    "ap": ("{a} >= %s and {a} < %s", "early late"),
    "po": ("{a} >= %s and {a} < %s", "lo hi"),
}
"""Prefix -> SQL on the span [a, b), and which moments fill its placeholders."""


def _on(moment: Moment, a: str, b: str) -> Condition:
    sql, names = _SPAN[moment.prefix]
    return _filled(sql.format(a=a, b=b), names, moment)


def _filled(sql: str, names: str, moment: Moment) -> Condition:
    early, late = ap_span(moment)
    moments = {
        "lo": moment.lo,
        "hi": moment.hi,
        "day_before": moment.hi - DAY if moment.hi - EARLIEST > DAY else EARLIEST,
        "early": early,
        "late": late,
    }
    return Condition(sql, tuple(moments[name] for name in names.split()))
