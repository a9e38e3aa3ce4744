"""analyze.scores.vitals: Observations of vital signs -> measurements in the units of the NEWS2 chart.

Room: analyze. Pure. Standards: https://hl7.org/fhir/R4/observation-vitalsigns.html, LOINC, UCUM.
What may be missing, stale or unusable, and what then happens: docs/reference/scores.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import cast

from careloom.analyze.scores.news2 import TENTH, Consciousness, Parameter, Vitals
from careloom.fhir.instant import interval
from careloom.fhir.resource import Resource, reference_to
from careloom.store.score import SNOMED

LOINC = "http://loinc.org"

PARAMETER: dict[tuple[str, str], Parameter] = {
    (LOINC, "9279-1"): "respiration",
    (LOINC, "59408-5"): "spo2",
    (LOINC, "2708-6"): "spo2",
    (LOINC, "3151-8"): "oxygen",
    (LOINC, "3150-0"): "oxygen",
    (SNOMED, "722742002"): "oxygen",
    (SNOMED, "371825009"): "oxygen",
    (LOINC, "8480-6"): "systolic",
    (LOINC, "8867-4"): "pulse",
    (LOINC, "80288-4"): "consciousness",
    (SNOMED, "1104441000000107"): "consciousness",
    (LOINC, "8310-5"): "temperature",
    (LOINC, "8331-1"): "temperature",
    (LOINC, "8333-7"): "temperature",
}
"""What an Observation or one of its components must be coded as."""

SEARCHED: tuple[str, ...] = (*("|".join(code) for code in PARAMETER), f"{LOINC}|85354-9", f"{LOINC}|55284-4")
"""The same as values of the search parameter `code`, with the blood pressure panels."""

ON_OXYGEN = {(SNOMED, "371825009"): True, (SNOMED, "722742002"): False}
ROOM_AIR_PERCENT = Decimal(21)

STALE_AFTER: dict[Parameter, timedelta] = {
    "respiration": timedelta(hours=1),
    "spo2": timedelta(hours=1),
    "oxygen": timedelta(hours=1),
    "systolic": timedelta(hours=1),
    "pulse": timedelta(hours=1),
    "consciousness": timedelta(hours=6),
    "temperature": timedelta(hours=6),
}
"""A measurement counts for an assessment no later than this after it was made."""
LONGEST = max(STALE_AFTER.values())

COUNTED = frozenset({"final", "amended", "corrected", "preliminary"})
"""Observation.status that counts."""

Bounds = tuple[Decimal, Decimal]
POSSIBLE: dict[Parameter, Bounds] = {
    "respiration": (Decimal(0), Decimal(120)),
    "spo2": (Decimal(1), Decimal(100)),
    "oxygen": (Decimal(0), Decimal(100)),
    "systolic": (Decimal(0), Decimal(350)),
    "pulse": (Decimal(0), Decimal(350)),
    "temperature": (Decimal(15), Decimal(46)),
}
"""What a human being can have; anything else is an error of measurement."""

_PER_MIN = ("/min", "1/min", "{beats}/min", "{breaths}/min", "bpm", "beats/min", "breaths/min")
UNITS: dict[Parameter, tuple[str, ...]] = {
    "respiration": _PER_MIN,
    "spo2": ("%",),
    "oxygen": ("L/min", "%"),
    "systolic": ("mm[Hg]", "mmHg"),
    "pulse": _PER_MIN,
    "temperature": ("Cel", "°C", "degC", "[degF]", "°F", "degF"),
}
"""Units that are understood, by their UCUM code or their name; the case of letters does not count."""
SHOWN = {"respiration": "/min", "spo2": "%", "systolic": "mmHg", "pulse": "/min", "temperature": "°C"}

LEVELS: dict[tuple[str, str], Consciousness] = {
    (SNOMED, "248234008"): "A",
    (SNOMED, "130987000"): "C",
    (SNOMED, "300202002"): "V",
    (SNOMED, "450847001"): "P",
    (SNOMED, "422768004"): "U",
}
LEVEL_WORDS: dict[Consciousness, tuple[str, ...]] = {
    "A": ("a", "alert", "mentally alert"),
    "C": ("c", "confusion", "confused", "new confusion", "acute confusion"),
    "V": ("v", "voice", "verbal", "responds to voice"),
    "P": ("p", "pain", "responds to pain"),
    "U": ("u", "unresponsive", "unconscious"),
}
LEVEL_NAMES: dict[Consciousness, str] = {
    "A": "Alert",
    "C": "New confusion",
    "V": "Voice",
    "P": "Pain",
    "U": "Unresponsive",
}

Value = Decimal | bool | Consciousness


@dataclass(frozen=True, slots=True)
class Measurement:
    """One parameter as measured; `value` None: it was recorded but cannot be used, and `problem` says why."""

    parameter: Parameter
    value: Value | None
    shown: str
    problem: str
    at: datetime
    recorded: str
    reference: str


def measurements(observation: Resource) -> list[Measurement]:
    """Every NEWS2 parameter that an Observation states; none if its status or its time does not count."""
    at = measured_at(observation)
    if at is None or observation.get("status") not in COUNTED:
        return []
    recorded = str(observation.get("meta", {}).get("lastUpdated", ""))
    return [
        Measurement(parameter, *_value(parameter, code, holder), at, recorded, reference_to(observation))
        for parameter, code, holder in _coded(observation)
        if "dataAbsentReason" not in holder
    ]


def measured_at(observation: Resource) -> datetime | None:
    """When it was measured; None unless known to the minute."""
    text = observation.get("effectiveDateTime") or observation.get("effectiveInstant")
    text = text or observation.get("effectivePeriod", {}).get("start")
    if not text:
        return None
    start, end = interval(str(text))
    return start if end - start <= timedelta(minutes=1) else None


def latest(measured: Iterable[Measurement], at: datetime) -> dict[Parameter, Measurement]:
    """For each parameter the last measurement at or before `at`, stale or not."""
    last: dict[Parameter, Measurement] = {}
    for measurement in sorted(measured, key=_order):
        if measurement.at <= at:
            last[measurement.parameter] = measurement
    return last


def is_stale(measurement: Measurement, at: datetime) -> bool:
    """True if it is too old to count at `at`."""
    return at - measurement.at > STALE_AFTER[measurement.parameter]


def vitals(last: Mapping[Parameter, Measurement], at: datetime) -> Vitals:
    """What counts at `at`."""
    fresh = {name: entry.value for name, entry in last.items() if not is_stale(entry, at)}
    return Vitals(
        respiration_per_min=cast("Decimal | None", fresh.get("respiration")),
        spo2_percent=cast("Decimal | None", fresh.get("spo2")),
        is_on_oxygen=cast("bool | None", fresh.get("oxygen")),
        systolic_mmhg=cast("Decimal | None", fresh.get("systolic")),
        pulse_per_min=cast("Decimal | None", fresh.get("pulse")),
        consciousness=cast("Consciousness | None", fresh.get("consciousness")),
        temperature_celsius=cast("Decimal | None", fresh.get("temperature")),
    )


def _order(measurement: Measurement) -> tuple[datetime, bool, str, str]:
    # At one moment, oxygen given outweighs air; else what was recorded last.
    return measurement.at, measurement.value is True, measurement.recorded, measurement.reference


def _coded(observation: Resource) -> Iterator[tuple[Parameter, tuple[str, str], Resource]]:
    for holder in (observation, *observation.get("component", ())):
        for coding in holder.get("code", {}).get("coding", ()):
            code = (str(coding.get("system", "")), str(coding.get("code", "")))
            if code in PARAMETER and (holder is not observation or _has_value(holder, code)):
                yield PARAMETER[code], code, holder
                break


def _has_value(holder: Resource, code: tuple[str, str]) -> bool:
    return code in ON_OXYGEN or any(key.startswith("value") for key in holder)


def _value(parameter: Parameter, code: tuple[str, str], holder: Resource) -> tuple[Value | None, str, str]:
    if parameter == "consciousness":
        level = _level(holder)
        return (
            level,
            LEVEL_NAMES[level] if level else "",
            "" if level else "Level of consciousness not understood",
        )
    if parameter == "oxygen":
        return _oxygen(code, holder)
    number, problem = _number(parameter, holder)
    return number, "" if number is None else f"{number.normalize():f} {SHOWN[parameter]}", problem


def _number(parameter: Parameter, holder: Resource) -> tuple[Decimal | None, str]:
    quantity = holder.get("valueQuantity", {})
    if "value" not in quantity or "comparator" in quantity:
        return None, "No plain number"
    unit = str(quantity.get("code") or quantity.get("unit") or "").strip()
    if unit.lower() not in {known.lower() for known in UNITS[parameter]}:
        return None, "Unit not understood"
    number = Decimal(str(quantity["value"]))
    if unit.lower() in {"[degf]", "°f", "degf"}:
        number = ((number - 32) * 5 / 9).quantize(TENTH, ROUND_HALF_UP)
    low, high = POSSIBLE[parameter]
    return (number, "") if low <= number <= high else (None, "Not a possible value")


def _oxygen(code: tuple[str, str], holder: Resource) -> tuple[Value | None, str, str]:
    stated = [code, *_codings(holder)]
    given = next((ON_OXYGEN[one] for one in stated if one in ON_OXYGEN), None)
    if given is not None:
        return given, "Oxygen" if given else "Air", ""
    number, problem = _number("oxygen", holder)
    if number is None:
        return None, "", problem
    unit = str(holder["valueQuantity"].get("code") or holder["valueQuantity"].get("unit"))
    is_given = number > ROOM_AIR_PERCENT if unit == "%" else number > 0
    return is_given, f"Oxygen {number.normalize():f} {unit}" if is_given else "Air", ""


def _level(holder: Resource) -> Consciousness | None:
    for code in _codings(holder):
        if code in LEVELS:
            return LEVELS[code]
    concept = holder.get("valueCodeableConcept", {})
    said = [concept.get("text"), holder.get("valueString")]
    for coding in concept.get("coding", ()):
        said += [coding.get("code"), coding.get("display")]
    words = {str(word).strip().lower() for word in said if word}
    return next((level for level, known in LEVEL_WORDS.items() if words & set(known)), None)


def _codings(holder: Resource) -> list[tuple[str, str]]:
    codings = holder.get("valueCodeableConcept", {}).get("coding", ())
    return [(str(coding.get("system", "")), str(coding.get("code", ""))) for coding in codings]
