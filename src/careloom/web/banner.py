"""web.banner: what stands on top of every page about a person: who it is, where, what must not be overlooked.

Room: web. May import: store. The banner leaves the line in the audit trail, so that no look goes without one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from careloom.fhir.resource import Resource, reference_to
from careloom.store.read import Reader
from careloom.web.call import Call
from careloom.web.record import Record
from careloom.web.stay import places_of
from careloom.web.wording import age, concept, day, person_name, sex, source_name

TABS = (
    ("Summary", ""),
    ("Timeline", "/timeline"),
    ("Vitals", "/vitals"),
    ("Results", "/results"),
    ("Identity", "/identity"),
)


@dataclass(frozen=True, slots=True)
class Identifier:
    """An identifier with the name of who gave it."""

    label: str
    text: str


@dataclass(frozen=True, slots=True)
class Tab:
    """One page of the record."""

    title: str
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Banner:
    """What stands on top of every page about this person."""

    id: str
    href: str
    name: str
    born: str
    age: str
    died: str
    sex: str
    identifiers: tuple[Identifier, ...]
    allergies: tuple[str, ...]
    flags: tuple[str, ...]
    place: str
    """Where the person is now, if a visit goes on."""

    @property
    def tabs(self) -> list[Tab]:
        """The pages of the record."""
        return [Tab(title, self.href + path) for title, path in TABS]


def banner_of(call: Call, read: Reader, record: Record) -> Banner:
    """The banner: it leaves the line in the audit trail, and asks for allergies and flags, so that no page about a person goes without them."""
    call.seen("read", f"{record.face['resourceType']}/{record.id}", patient=reference_to(record.patients[0]))
    face = record.face
    died = next(
        (patient["deceasedDateTime"] for patient in record.patients if "deceasedDateTime" in patient), None
    )
    is_dead = any(patient.get("deceasedBoolean") for patient in record.patients)
    return Banner(
        id=record.id,
        href=record.href,
        name=person_name(face),
        born=day(face.get("birthDate")),
        age=age(face.get("birthDate"), call.now, died),
        died=day(died) or ("date not known" if is_dead else ""),
        sex=sex(face),
        identifiers=tuple(identifiers(record.patients)),
        allergies=tuple(
            dict.fromkeys(_names(read.find("AllergyIntolerance", record.whose), "clinicalStatus"))
        ),
        flags=tuple(dict.fromkeys(_names(read.find("Flag", record.whose), "status"))),
        place=places_of(read, [record]).get(record.id, ""),
    )


_OVER = frozenset({"inactive", "resolved", "entered-in-error"})


def _names(resources: Iterable[Resource], status: str) -> Iterator[str]:
    for resource in resources:
        value: Any = resource.get(status)
        codes = (
            {value}
            if isinstance(value, str)
            else {coding.get("code") for coding in (value or {}).get("coding", ())}
        )
        name = concept(resource.get("code"))
        if name and not codes & _OVER:
            yield name


def identifiers(patients: Iterable[Resource]) -> list[Identifier]:
    """Every identifier of the Patients once, with its kind or its source.

    >>> [one.label for one in identifiers([{"identifier": [{"type": {"text": "MRN"}, "value": "7"}]}])]
    ['MRN']
    """
    return sorted(_identifiers(patients), key=_is_lesser)


def _is_lesser(one: Identifier) -> bool:
    """The number that a hospital goes by stands first, on every row at the same place."""
    return not one.label.startswith("MRN")


def _identifiers(patients: Iterable[Resource]) -> Iterator[Identifier]:
    seen: set[str] = set()
    for patient in patients:
        for identifier in patient.get("identifier") or ():
            value = identifier.get("value")
            if not value or value in seen:
                continue
            seen.add(value)
            label = identifier_label(identifier)
            source = source_name(patient)
            yield Identifier(f"{label or 'ID'} {source}" if source != "unknown" else label or "ID", value)


def identifier_label(identifier: Resource) -> str:
    """What kind of number it is, as far as its sender says.

    >>> identifier_label({"type": {"coding": [{"code": "MR"}]}})
    'MRN'
    """
    kind = identifier.get("type") or {}
    code = next((str(coding.get("code", "")) for coding in kind.get("coding") or ()), "")
    return kind.get("text") or {"MR": "MRN", "NI": "National no.", "PI": "Patient no."}.get(code, code)
