"""fhir.path.component: the parts of dates and times: yearOf() and its like.

Room: fhir. May import: fhir.path. Standard: https://hl7.org/fhirpath/#extract-datetime-component-functions
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from careloom.fhir.path.arguments import EMPTY, single
from careloom.fhir.path.env import Env
from careloom.fhir.path.function import FUNCTIONS, Function
from careloom.fhir.path.temporal import DAY, Temporal, temporal
from careloom.fhir.path.value import Collection


def _part(place: int, *, of_clock: bool) -> Callable[[Temporal], Any]:
    def find(moment: Temporal) -> Any:
        if moment.kind == "Time":
            parts = moment.parts if of_clock else ()
        else:
            parts = moment.parts[DAY:] if of_clock else moment.parts[:DAY]
        return int(parts[place]) if place < len(parts) else None

    return find


def _millisecond(moment: Temporal) -> int | None:
    second = moment.parts[-1]
    exponent = second.as_tuple().exponent if isinstance(second, Decimal) else 0
    return int(second % 1 * 1000) if isinstance(exponent, int) and exponent < 0 else None


def _zone(moment: Temporal) -> Decimal | None:
    return None if moment.zone is None else Decimal(moment.zone) / 60


def _date(moment: Temporal) -> Temporal | None:
    return None if moment.kind == "Time" else Temporal("Date", moment.parts[:DAY])


def _time(moment: Temporal) -> Temporal | None:
    return Temporal("Time", moment.parts[DAY:]) if moment.kind != "Time" and len(moment.parts) > DAY else None


def _put(name: str, find: Callable[[Temporal], Any]) -> None:
    def run(_env: Env, items: Collection) -> Collection:
        value = single(items, f"{name}()")
        if type(value) is str:
            value = temporal("DateTime", value)
        found = find(value) if type(value) is Temporal else None
        return EMPTY if found is None else [found]

    FUNCTIONS[name] = Function(run, 0, 0)


for _place, _name in enumerate(("year", "month", "day")):
    _put(f"{_name}Of", _part(_place, of_clock=False))
for _place, _name in enumerate(("hour", "minute", "second")):
    _put(f"{_name}Of", _part(_place, of_clock=True))
_put("millisecondOf", _millisecond)
_put("timezoneOffsetOf", _zone)
_put("dateOf", _date)
_put("timeOf", _time)
