"""web.pages.patients: find a person by name, birth date or identifier, as one types.

Room: web. What is typed travels in the body of a POST: a name has no place in an address or a log.
"""

from __future__ import annotations

from dataclasses import dataclass

from starlette.responses import Response

from careloom.web.banner import identifiers
from careloom.web.call import Call
from careloom.web.finding import MOST, Found, found, latest, pairs_of
from careloom.web.record import Record
from careloom.web.road import Road, deed, page
from careloom.web.wording import age, day, human_name, person_name, sex, source_name


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
        people = found(read, asked) if pairs_of(asked) else Found(latest(read))
        rows = [_row(call, record) for record in people.records[:MOST]]
    names = ",".join(dict.fromkeys(name for name, _ in pairs_of(asked)))
    call.seen("search-type", "Patient", number=len(rows), parameters=names)
    said = _said(asked, len(people.records), is_close=people.is_close)
    return call.show(
        "patients_found.html" if call.is_fragment else "patients.html", rows=rows, asked=asked, said=said
    )


def _said(asked: str, count: int, *, is_close: bool) -> str:
    if not asked:
        return "Latest changes first. Type to find somebody." if count else "Nobody is known yet."
    if not count:
        return "Found: nobody. Try fewer letters, or the birth date alone."
    people = "1 person" if count == 1 else f"{count} people" if count <= MOST else f"the first {MOST}"
    return f"Nobody is spelled exactly so; spelled nearly so: {people}." if is_close else f"Found: {people}."


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
