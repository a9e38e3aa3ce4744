"""web.happening: the kinds of things that happen to a person: how each is asked for, when it was, what it says.

Room: web. One line of KINDS is one kind of entry in the timeline.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol, TypeVar
from zoneinfo import ZoneInfo

from careloom.fhir.resource import Resource
from careloom.store.score import NEWS2, is_score, reading
from careloom.web.record import Evidence, Record, Shown
from careloom.web.tasks import BANDS
from careloom.web.vitals import NOT_RESULTS, name_of
from careloom.web.wording import (
    concept,
    instant_of,
    interpretation,
    shortened,
    source_name,
    value_of,
    value_path,
    words_of,
)

BARE_DATE = len("2026-11-25")


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind. `times`: elements that say when, the best first; `date`: the search parameter of the first."""

    code: str
    title: str
    rtype: str
    date: str
    sign: str
    times: tuple[str, ...]
    pairs: tuple[tuple[str, str], ...] = ()
    path: str = "code"
    say: Callable[[Resource], str]


@dataclass(frozen=True, slots=True)
class Happening:
    """One resource at its time. A time may be a bare date: then the hour says nothing."""

    at: datetime
    kind: Kind
    resource: Resource
    has_hour: bool


@dataclass(frozen=True, slots=True)
class Item:
    """A value with its name; the name is empty where the value says it all. `band`: of a score, how grave it is."""

    label: str
    value: Shown
    band: str = ""


def code_text(resource: Resource) -> str:
    """What the resource's code says."""
    return concept(resource.get("code"))


def medicine(resource: Resource) -> str:
    """The name of what was ordered or given."""
    named = concept(resource.get("medicationCodeableConcept"))
    return named or (resource.get("medicationReference") or {}).get("display") or "Medicine without a name"


_CLASSES = {
    "AMB": "Outpatient",
    "EMER": "Emergency",
    "IMP": "Inpatient",
    "ACUTE": "Inpatient",
    "NONAC": "Inpatient",
    "OBSENC": "Observation",
    "PRENC": "Pre-admission",
    "SS": "Short stay",
    "HH": "Home health",
    "VR": "Virtual",
    "FLD": "Field",
}
"""https://terminology.hl7.org/ValueSet-v3-ActEncounterCode.html, as people on a ward say it."""

_ADMISSIONS = {
    "A": "accident",
    "C": "elective",
    "E": "emergency",
    "L": "labor and delivery",
    "N": "newborn",
    "R": "routine",
    "U": "urgent",
}
"""Table 0007 of HL7 v2: senders give the code alone."""


def visit(resource: Resource) -> str:
    """What kind of visit it was, in words: a code alone says nothing to who reads.

    >>> visit({"class": {"code": "IMP", "display": "inpatient encounter"}, "type": [{"coding": [{"code": "E"}]}]})
    'Inpatient, emergency'
    """
    types: list[Resource] = list(resource.get("type") or ())
    codings: list[Resource] = [coding for one in types for coding in one.get("coding") or ()]
    named = [text for one in (*types, *codings) if (text := one.get("text") or one.get("display"))]
    if named:
        return str(named[0])
    klass = resource.get("class") or {}
    word = _CLASSES.get(klass.get("code", "")) or klass.get("display") or klass.get("code") or "Visit"
    admission = next(
        (_ADMISSIONS[code] for one in codings if (code := one.get("code", "")) in _ADMISSIONS), ""
    )
    return word[:1].upper() + word[1:] + (f", {admission}" if admission and admission != word.lower() else "")


def _vaccine(resource: Resource) -> str:
    return concept(resource.get("vaccineCode"))


def _document(resource: Resource) -> str:
    return resource.get("description") or concept(resource.get("type"))


def _task(resource: Resource) -> str:
    said = resource.get("description") or code_text(resource)
    return f"{said}: {concept(resource.get('businessStatus'))}"


def _visit(resource: Resource) -> str:
    return f"{visit(resource)}: {words_of(resource.get('status', ''))}"


_OBSERVED = ("effectiveDateTime", "effectiveInstant", "effectivePeriod.start")
_NOTED = ("recordedDate", "onsetDateTime", "onsetPeriod.start")


def _observed(code: str, title: str, sign: str, pair: tuple[str, str]) -> Kind:
    return Kind(
        code=code,
        title=title,
        rtype="Observation",
        date="date",
        sign=sign,
        times=_OBSERVED,
        pairs=(pair,),
        say=code_text,
    )


def _of(
    code: str,
    rtype: str,
    date: str,
    times: tuple[str, ...],
    words: tuple[str, Callable[[Resource], str]],
) -> Kind:
    title = f"{code.capitalize()}s" if code != "allergy" else "Allergies"
    path, say = words
    return Kind(code=code, title=title, rtype=rtype, date=date, sign=code, times=times, path=path, say=say)


_CODE = ("code", code_text)

KINDS: tuple[Kind, ...] = (
    _of("visit", "Encounter", "date", ("period.start",), ("class", _visit)),
    _observed("vital", "Vital signs", "vital", ("category", "vital-signs")),
    _observed("result", "Results", "result", NOT_RESULTS),
    _observed("score", "Scores", "score", ("category", "survey")),
    _of("report", "DiagnosticReport", "date", _OBSERVED, _CODE),
    _of("problem", "Condition", "recorded-date", _NOTED, _CODE),
    _of("allergy", "AllergyIntolerance", "date", _NOTED, _CODE),
    *(
        _of("medicine", rtype, date, times, ("medicationCodeableConcept", medicine))
        for rtype, date, times in (
            ("MedicationRequest", "authoredon", ("authoredOn",)),
            (
                "MedicationStatement",
                "effective",
                ("effectiveDateTime", "effectivePeriod.start", "dateAsserted"),
            ),
            ("MedicationAdministration", "effective-time", ("effectiveDateTime", "effectivePeriod.start")),
            ("MedicationDispense", "whenhandedover", ("whenHandedOver",)),
        )
    ),
    _of("procedure", "Procedure", "date", ("performedDateTime", "performedPeriod.start"), _CODE),
    _of("immunization", "Immunization", "date", ("occurrenceDateTime",), ("vaccineCode", _vaccine)),
    _of("document", "DocumentReference", "date", ("date",), ("type", _document)),
    _of("task", "Task", "authored-on", ("authoredOn",), ("status", _task)),
)


def happened(
    evidence: Evidence, record: Record, kind: Kind, zone: ZoneInfo, before: datetime | None, count: int
) -> tuple[list[Happening], bool]:
    """What of one kind happened before a moment, at most `count`, the newest first; and whether there may be more."""
    pairs = (record.subjects if kind.rtype == "Task" else record.whose, *kind.pairs)

    def told(resource: Resource) -> Happening | None:
        text = next(filter(None, (element_text(resource, path) for path in kind.times)), "")
        at = instant_of(text, zone)
        return None if at is None else Happening(at, kind, resource, len(text) > BARE_DATE)

    return latest(evidence, (kind.rtype, kind.date, pairs), told, before, count)


class Timed(Protocol):
    """Anything with a moment."""

    @property
    def at(self) -> datetime:
        """When it was."""
        ...


T = TypeVar("T", bound=Timed)


def latest(
    evidence: Evidence,
    asked: tuple[str, str, Sequence[tuple[str, str]]],
    told: Callable[[Resource], T | None],
    before: datetime | None,
    count: int,
) -> tuple[list[T], bool]:
    """The newest of a type before a moment, by a date parameter; and whether there may be more.

    A bare date is a whole day of some zone, so the search reaches a day further than the moment. Where that day alone
    fills the answer, more is asked for: nothing is passed over because much happened at once.
    """
    rtype, date, given = asked
    pairs = list(given)
    if before is not None:
        pairs.append((date, f"lt{(before + timedelta(days=1)).isoformat(timespec='seconds')}"))
    looked_at = count
    while True:
        found = evidence.find(rtype, *pairs, count=looked_at, sort=f"-{date}")
        kept = [one for one in map(told, found) if one and (before is None or one.at < before)]
        if len(found) < looked_at or len(kept) >= count or (before is None and kept):
            return kept[:count], len(found) == looked_at or len(kept) > count
        looked_at *= 4


def element_text(resource: Resource, path: str) -> str:
    """A text at a path such as `period.start`; "" if there is none."""
    value: object = resource
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value if isinstance(value, str) else ""


def items_of(evidence: Evidence, one: Happening) -> list[Item]:
    """What a line of the timeline says of it, each value with the message that brought it."""
    resource, kind = one.resource, one.kind
    label = kind.say(resource) or kind.title
    if kind.rtype != "Observation":
        return [Item("", evidence.shown(resource, kind.path, label))]
    if source_name(resource) == "careloom":
        if is_score(resource, NEWS2):
            found = reading(resource)
            return [Item("NEWS2", Shown(found.text), BANDS.get(found.band, BANDS["low"])[0])]
        return [Item(label, Shown(value_of(resource)))]
    label = name_of(resource) or shortened(label)
    path, text = value_path(resource), value_of(resource)
    if path and text:
        return [Item(label, evidence.shown(resource, path, text, interpretation(resource)))]
    parts = [
        Item(
            name_of(part) or concept(part.get("code")),
            evidence.shown(resource, f"component[{at}].{value_path(part)}", value_of(part)),
        )
        for at, part in enumerate(resource.get("component") or ())
    ]
    return parts or [Item("", evidence.shown(resource, kind.path, label))]
