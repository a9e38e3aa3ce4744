"""web.pages.patients: find a person by name, birth date or identifier, as one types.

Room: web. What is typed travels in the body of a POST: a name has no place in an address or a log.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from starlette.responses import Response

from careloom.fhir.resource import Resource
from careloom.store.read import Reader
from careloom.web.banner import identifiers
from careloom.web.call import Call
from careloom.web.record import Record, escaped, records_of
from careloom.web.road import Road, deed, page
from careloom.web.wording import age, day, human_name, person_name, sex, source_name

MOST = 40
_ISO_DATE = re.compile(r"\d{4}(-\d{2}(-\d{2})?)?$")
_LOCAL_DATE = re.compile(r"(\d{1,2})[-./ ]([A-Za-z]{3}|\d{1,2})[-./ ](\d{4})$")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


@dataclass(frozen=True, slots=True)
class Row:
    """One person found."""

    href: str
    name: str
    other_names: list[str]
    born: str
    age: str
    sex: str
    identifiers: list[str]
    sources: list[str]


def patients(call: Call) -> Response:
    """The page; posted, the people that fit what was typed."""
    asked = call.form().get("q", "").strip() if call.method == "POST" else ""
    with call.reader() as read:
        found = _found(read, asked)
        rows = [_row(call, record) for record in found[:MOST]]
    names = ",".join(dict.fromkeys(name for name, _ in pairs_of(asked)))
    call.seen("search-type", "Patient", number=len(rows), parameters=names)
    said = _said(asked, len(found))
    return call.show(
        "patients_found.html" if call.is_fragment else "patients.html", rows=rows, asked=asked, said=said
    )


def _said(asked: str, count: int) -> str:
    if not asked:
        return "Latest changes first. Type to find somebody." if count else "Nobody is known yet."
    people = (
        "nobody"
        if count == 0
        else "1 person"
        if count == 1
        else f"{count} people"
        if count <= MOST
        else f"the first {MOST}"
    )
    return f"Found: {people}."


def _found(read: Reader, asked: str) -> list[Record]:
    """Each person once: a search finds Patients (also under a former name), their Persons are shown."""
    if not asked:
        hits = read.find("Patient", count=MOST, sort="-_lastUpdated")
    else:
        hits = read.find("Patient", *pairs_of(asked), count=MOST * 3)
    return list(_records(read, hits))


def _records(read: Reader, hits: Iterable[Resource]) -> Iterable[Record]:
    seen: set[str] = set()
    for record in records_of(read, (patient["id"] for patient in hits)).values():
        if record.id not in seen:
            seen.add(record.id)
            yield record


def pairs_of(asked: str) -> list[tuple[str, str]]:
    """What was typed, as search parameters: a date, an identifier (it has a digit), else parts of a name.

    >>> pairs_of("okafor 03-May-1980")
    [('name', 'okafor'), ('birthdate', '1980-05-03')]
    >>> pairs_of("MRN1234")
    [('identifier', 'MRN1234')]
    """
    pairs: list[tuple[str, str]] = []
    for word in re.split(r"[,\s]+", asked):
        if (date := _date(word)) is not None:
            pairs.append(("birthdate", date))
        elif any(letter.isdigit() for letter in word):
            pairs.append(("identifier", escaped(word)))
        elif word:
            pairs.append(("name", escaped(word)))
    return pairs


def _date(word: str) -> str | None:
    if _ISO_DATE.match(word):
        return word
    found = _LOCAL_DATE.match(word)
    if not found:
        return None
    day_text, month_text, year = found.groups()
    month = _MONTHS.index(month_text.lower()) + 1 if month_text.lower() in _MONTHS else month_text
    return f"{year}-{int(month):02d}-{int(day_text):02d}" if str(month).isdigit() else None


def _row(call: Call, record: Record) -> Row:
    face = record.face
    shown = person_name(face)
    names = {human_name(name) for patient in record.patients for name in patient.get("name") or ()}
    return Row(
        href=record.href,
        name=shown,
        other_names=sorted(names - {shown}),
        born=day(face.get("birthDate")),
        age=age(face.get("birthDate"), call.now),
        sex=sex(face),
        identifiers=[f"{one.label} {one.text}" for one in identifiers(record.patients)][:4],
        sources=list(dict.fromkeys(source_name(patient) for patient in record.patients)),
    )


ROADS: tuple[Road, ...] = (
    page("/patients", "clinical.read", patients),
    deed("/patients", "clinical.read", patients),
)
