"""web.wording: how values read on a page: FAMILY, Given; DD-Mon-YYYY; units always; the setting's time zone.

Room: web. May import: fhir. Every function takes plain JSON elements and never raises on a strange one: a page shows
what it can. Data types: https://hl7.org/fhir/R4/datatypes.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

Element = Mapping[str, Any]

SOURCE = "urn:careloom:source:"
"""What stands in meta.source before the name of a source."""

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_UNITS = {
    "mm[Hg]": "mmHg",
    "Cel": "°C",
    "[degF]": "°F",
    "{score}": "",
    "{ScoreOf}": "",
    "1": "",
    "10*3/uL": "10³/µL",
    "10*6/uL": "10⁶/µL",
    "10*9/L": "10⁹/L",
    "10*12/L": "10¹²/L",
    "umol/L": "µmol/L",
}
_PROPERTY = re.compile(
    r" \[(?:#|Mass|Moles|Units|Enzymatic activity|Arbitrary|Volume|Entitic \w+)"
    r"/(?:volume|mass|time|area)(?: of \w+)?\]",
    re.IGNORECASE,
)
_DATE = re.compile(r"(\d{4})(?:-(\d{2})(?:-(\d{2}))?)?$")


def person_name(resource: Element | None) -> str:
    """The name to show: the official or usual one, else the first.

    >>> person_name({"name": [{"family": "Okafor", "given": ["Ada", "Ngozi"]}]})
    'OKAFOR, Ada Ngozi'
    """
    names: list[Element] = list((resource or {}).get("name") or ())
    ranked = sorted(
        names,
        key=lambda name: (
            ("official", "usual").index(name["use"]) if name.get("use") in {"official", "usual"} else 2
        ),
    )
    return human_name(ranked[0]) if ranked else "Name unknown"


def human_name(name: Element) -> str:
    """One HumanName as FAMILY, Given; its text where it has no parts."""
    family, given = name.get("family") or "", " ".join(name.get("given") or ())
    if family or given:
        return ", ".join(part for part in (family.upper(), given) if part)
    return name.get("text") or "Name unknown"


def day(text: str | None) -> str:
    """A FHIR date, also a partial one.

    >>> day("1980-05-03"), day("1980-05"), day("1980")
    ('03-May-1980', 'May-1980', '1980')
    """
    found = _DATE.match((text or "")[:10])
    if not found:
        return text or ""
    year, month, day_of_month = found.groups()
    parts = (
        day_of_month,
        _MONTHS[int(month) - 1] if month and 1 <= int(month) <= len(_MONTHS) else None,
        year,
    )
    return "-".join(part for part in parts if part)


def instant_of(text: str | None, zone: ZoneInfo) -> datetime | None:
    """A FHIR date, dateTime or instant as an aware datetime: a date is its midnight in the zone."""
    try:
        found = datetime.fromisoformat(text or "")
    except ValueError:
        padded = f"{text}-01-01"[:10] if _DATE.match(text or "") else ""
        found = datetime.fromisoformat(padded) if padded else None
    if found is None:
        return None
    return found if found.tzinfo else found.replace(tzinfo=zone)


def moment(value: str | datetime | None, zone: ZoneInfo, *, seconds: bool = False) -> str:
    """Date and time of day in the zone; a bare date stays one.

    >>> moment("2026-11-25T04:21:00Z", ZoneInfo("Asia/Kolkata"))
    '25-Nov-2026 09:51'
    """
    if isinstance(value, str) and len(value) <= len("2026-11-25"):
        return day(value)
    found = instant_of(value, zone) if isinstance(value, str) else value
    if found is None:
        return value if isinstance(value, str) else ""
    local = found.astimezone(zone)
    return (
        f"{day(local.date().isoformat())} {local:%H:%M:%S}"
        if seconds
        else f"{day(local.date().isoformat())} {local:%H:%M}"
    )


def age(birth: str | None, now: datetime, died: str | None = None) -> str:
    """Age in years; in months below two years; at death, if there was one.

    >>> age("1980-05-03", datetime(2026, 5, 2))
    '45 y'
    """
    born = _whole_date(birth)
    until = _whole_date(died) or now.date()
    if born is None:
        return ""
    months = (until.year - born.year) * 12 + until.month - born.month - (until.day < born.day)
    return f"{months // 12} y" if months >= 24 else f"{max(months, 0)} m"  # noqa: PLR2004


def _whole_date(text: str | None) -> date | None:
    found = _DATE.match((text or "")[:10])
    if not found:
        return None
    year, month, day_of_month = found.groups()
    try:
        return date(int(year), int(month or 1), int(day_of_month or 1))
    except ValueError:
        return None


def span(lapse: timedelta) -> str:
    """A lapse of time, short.

    >>> span(timedelta(seconds=42)), span(timedelta(minutes=90)), span(timedelta(days=3))
    ('42 s', '1 h 30 min', '3 d')
    """
    seconds = max(int(lapse.total_seconds()), 0)
    if seconds < 60:  # noqa: PLR2004
        return f"{seconds} s"
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    if hours < 1:
        return f"{minutes} min"
    if days < 2:  # noqa: PLR2004
        return f"{hours} h {minutes % 60} min" if minutes % 60 else f"{hours} h"
    return f"{days} d"


def concept(element: Element | None) -> str:
    """What a CodeableConcept says: its text, a display, at last its code.

    >>> concept({"coding": [{"code": "8867-4", "display": "Heart rate"}]})
    'Heart rate'
    """
    if not element:
        return ""
    codings: list[Element] = list(element.get("coding") or ())
    shown = (coding.get("display") for coding in codings)
    return (
        element.get("text")
        or next(filter(None, shown), "")
        or next((coding.get("code") or "" for coding in codings), "")
    )


def unit(quantity: Element) -> str:
    """The unit as clinicians write it."""
    code = quantity.get("code") or quantity.get("unit") or ""
    return _UNITS.get(code, _UNITS.get(quantity.get("unit") or "", quantity.get("unit") or code))


def quantity(element: Element | None) -> str:
    """A Quantity with its unit; its decimals as they came.

    >>> quantity({"value": Decimal("37.50"), "unit": "Cel"})
    '37.50 °C'
    """
    if not element or element.get("value") is None:
        return ""
    return f"{element.get('comparator', '')}{number(element['value'])} {unit(element)}".strip()


def number(value: Decimal | float | str) -> str:
    """A number as it came."""
    return f"{value:f}" if isinstance(value, Decimal) else str(value)


def value_of(observation: Element) -> str:
    """The value of an Observation or of one of its components, as text; "" if there is none."""
    for name, say in _VALUES.items():
        if (value := observation.get(name)) is not None:
            return say(value)
    absent = observation.get("dataAbsentReason")
    return f"not known: {concept(absent).lower()}" if absent else ""


def _yes_no(value: object) -> str:
    return "yes" if value else "no"


def _ratio(element: Element) -> str:
    return f"{quantity(element.get('numerator'))} : {quantity(element.get('denominator'))}"


def _range(element: Element) -> str:
    return f"{quantity(element.get('low'))} to {quantity(element.get('high'))}"


_VALUES: dict[str, Any] = {
    "valueQuantity": quantity,
    "valueCodeableConcept": concept,
    "valueString": str,
    "valueInteger": str,
    "valueBoolean": _yes_no,
    "valueDateTime": day,
    "valueTime": str,
    "valueRange": _range,
    "valueRatio": _ratio,
}


def value_path(observation: Element) -> str:
    """The element that holds the value, down to the number."""
    name = next((name for name in _VALUES if name in observation), "")
    return f"{name}.value" if name == "valueQuantity" else name


def interpretation(observation: Element) -> str:
    """H, L, HH ... of an Observation."""
    codes = [
        coding.get("code") or ""
        for one in observation.get("interpretation") or ()
        for coding in one.get("coding") or ()
    ]
    return next((code for code in codes if code and code != "N"), "")


def words_of(code: str) -> str:
    """A code of FHIR as words.

    >>> words_of("in-progress")
    'in progress'
    """
    return code.replace("-", " ")


def shortened(text: str) -> str:
    """The name of a test without the kind of quantity that LOINC puts in brackets: the unit beside the value says it.

    >>> shortened("Lactate [Moles/volume] in Serum or Plasma")
    'Lactate in Serum or Plasma'
    """
    return _PROPERTY.sub("", text)


def sex(resource: Element | None) -> str:
    """Administrative gender, said in full."""
    return sex_word((resource or {}).get("gender") or "")


def sex_word(gender: str) -> str:
    """A code of administrative gender, said in full."""
    return {"female": "Female", "male": "Male", "other": "Other"}.get(gender, "Not known")


def postal_address(element: Element) -> str:
    """An Address on one line."""
    parts = [
        *(element.get("line") or ()),
        element.get("city"),
        element.get("state"),
        element.get("postalCode"),
    ]
    return ", ".join(str(part) for part in parts if part) or str(element.get("text", ""))


def source_name(resource: Element | None) -> str:
    """Which system said it: `ehr` of `urn:careloom:source:ehr`; "careloom" for what was derived here."""
    meta = (resource or {}).get("meta") or {}
    source = meta.get("source") or ""
    if source.startswith(SOURCE):
        return source.removeprefix(SOURCE).partition("#")[0]
    is_derived = any(tag.get("code") == "derived" for tag in meta.get("tag") or ())
    return "careloom" if is_derived else source or "unknown"


def size(count: float) -> str:
    """Bytes for people.

    >>> size(1536), size(3 * 1024**3)
    ('1.5 KB', '3.0 GB')
    """
    for name in ("B", "KB", "MB", "GB"):
        if count < 1024:  # noqa: PLR2004
            return f"{count:.0f} {name}" if name == "B" else f"{count:.1f} {name}"
        count /= 1024
    return f"{count:.1f} TB"
