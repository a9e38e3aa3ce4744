"""web.pages.identity: why these source Patients are one person: what each source says, and what each field weighs.

Room: web. May import: unify.identity (which links, explains, and chooses what is shown of a person).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from starlette.responses import Response

from careloom.fhir.resource import Resource, reference_to
from careloom.unify.identity.golden import PersonView, Told, person_view
from careloom.unify.identity.person import Reason, reasons_of
from careloom.unify.identity.score import Part
from careloom.web.banner import banner_of, identifier_label
from careloom.web.call import Call
from careloom.web.record import Evidence, Record, Shown, record_of
from careloom.web.road import Road, page
from careloom.web.wording import day, human_name, postal_address, sex_word, source_name

FIELDS = {
    "given": "Given name",
    "middle": "Middle name",
    "family": "Family name",
    "birth": "Birth date",
    "sex": "Sex",
    "national": "National number",
    "issued": "Record number",
    "other": "Other number",
    "phone": "Telephone",
    "email": "E-mail",
    "address": "Address",
    "place": "Place",
}
LEVELS = {
    "exact": "the same",
    "same": "the same",
    "nickname": "a short form of the same",
    "initial": "an initial that fits",
    "middle": "known by the middle name",
    "swapped": "given and family name in each other's place",
    "crossed": "the given name of one is the family name of the other",
    "common": "the same, and very many bear it",
    "similar": "one slip of the pen apart",
    "near": "alike",
    "previous": "the former name of one is the other's",
    "part": "one part of a double name",
    "digit": "one digit apart",
    "year_slip": "same day, the year is a little off",
    "same_month": "same month, another day",
    "year": "one knows only the year",
    "year_month": "one knows only the month",
    "slip": "one slip apart",
    "street": "same street, another number",
    "postal_code": "same postal code",
    "city": "same city",
    "differs": "different",
    "changed": "different, as after a marriage",
}
RULES = {
    "score": "by the sum of the weights",
    "must-link": "a steward ruled so",
    "replaced-by": "their own system merged them",
    "same-number": "one issuer gave them the same number",
    "national-id": "they have the same number for life",
}
SCALE = Decimal(25)
"""Bits that fill half of the bar."""


@dataclass(frozen=True, slots=True)
class Row:
    """One field: what is shown of the person, how many say so, and what each source says."""

    label: str
    shown: str
    votes: str
    cells: list[list[Shown]]


@dataclass(frozen=True, slots=True)
class Weight:
    """What one field adds; `x` and `width` draw it, from -100 to 100."""

    label: str
    said: str
    bits: str
    x: str
    width: str
    is_against: bool


@dataclass(frozen=True, slots=True)
class Link:
    """Why two source Patients are one person."""

    one: str
    other: str
    method: str
    total: str
    probability: str
    weights: list[Weight]


@dataclass(frozen=True, slots=True)
class Field:
    """One line of the table: where it stands in a Patient, and how it reads."""

    label: str
    element: str
    say: Callable[[Any], str]


def _identifier(value: Any) -> str:
    return f"{value.get('value', '')} ({identifier_label(value) or 'ID'})"


def _telecom(value: Any) -> str:
    return str(value.get("value", ""))


TABLE: tuple[Field, ...] = (
    Field("Name", "name", human_name),
    Field("Birth date", "birthDate", day),
    Field("Sex", "gender", sex_word),
    Field("Identifiers", "identifier", _identifier),
    Field("Telephone, e-mail", "telecom", _telecom),
    Field("Address", "address", postal_address),
)


def identity(call: Call) -> Response:
    """The page."""
    with call.reader() as read:
        record = record_of(read, call.parts["id"])
        patient = banner_of(call, read, record)
        rows = list(_rows(record, Evidence(read)))
    count = len(record.patients)
    return call.show(
        "identity.html",
        tab="Identity",
        patient=patient,
        headline=f"One person from {count} records" if count > 1 else "One person, one record",
        columns=[source_name(one) for one in record.patients],
        rows=rows,
        links=_links(record),
    )


def _rows(record: Record, evidence: Evidence) -> Iterator[Row]:
    view = person_view(record.face, record.patients)
    conflicts = {conflict.element.partition(".")[0]: conflict.values for conflict in view.conflicts}
    for field in TABLE:
        shown = _shown(view, field)
        cells = [_cell(evidence, patient, field, shown) for patient in record.patients]
        values = conflicts.get(field.element, ())
        votes = f"{len(values[0].by)} of {sum(len(told.by) for told in values)} say so" if values else ""
        yield Row(field.label, ", ".join(shown) if len(shown) == 1 else "", votes, cells)


def _shown(view: PersonView, field: Field) -> list[str]:
    """What a page shows of the person: one value, or for lists all that is known."""

    def all_of(told: Sequence[Told]) -> list[str]:
        return [field.say(one.value) for one in told]

    match field.element:
        case "name":
            return [field.say(view.name)] if view.name else []
        case "birthDate":
            return [field.say(view.birth_date)] if view.birth_date else []
        case "gender":
            return [field.say(view.sex)] if view.sex else []
        case "identifier":
            return all_of(view.identifiers)
        case "telecom":
            return all_of(view.telecoms)
        case _:
            return all_of(view.addresses)


def _cell(evidence: Evidence, patient: Resource, field: Field, shown: list[str]) -> list[Shown]:
    value = patient.get(field.element)
    if not value:
        return []
    values: list[tuple[str, Any]] = [(field.element, value)]
    if isinstance(value, list):
        values = [(f"{field.element}[{at}]", one) for at, one in enumerate(value)]
    is_single = field.element in {"name", "birthDate", "gender"}
    cells: list[Shown] = []
    for path, one in values:
        text = field.say(one) + (
            f" ({one['use']})" if isinstance(one, dict) and one.get("use") == "maiden" else ""
        )
        link = evidence.link(patient, path)
        cells.append(Shown(text, link, differs=is_single and bool(shown) and text != shown[0]))
    return cells


def _links(record: Record) -> list[Link]:
    sources = {reference_to(patient).partition("/")[2]: source_name(patient) for patient in record.patients}
    return [_link(why, sources) for why in (reasons_of(record.person) if record.person else [])]


def _link(why: Reason, sources: dict[str, str]) -> Link:
    return Link(
        one=sources.get(why.patient, "unknown"),
        other=sources.get(why.other, "unknown"),
        method=RULES.get(why.rule, why.rule),
        total=f"{why.score:+}",
        probability=_probability(why.probability),
        weights=[_weight(part) for part in sorted(why.parts, key=lambda part: -part.weight)],
    )


def _probability(value: float) -> str:
    return "above 99.99 %" if value > 0.9999 else f"{value:.2%}"  # noqa: PLR2004


def _weight(part: Part) -> Weight:
    said = LEVELS.get(part.level, part.level)
    if (part.field, part.level) == ("birth", "swapped"):
        said = "day and month exchanged"
    width = min(abs(part.weight) / SCALE, Decimal(1)) * 100
    x = -width if part.weight < 0 else Decimal(0)
    label = FIELDS.get(part.field, part.field)
    return Weight(label, said, f"{part.weight:+}", f"{x:.1f}", f"{width:.1f}", part.weight < 0)


ROADS: tuple[Road, ...] = (page("/patients/{id}/identity", "clinical.read", identity),)
