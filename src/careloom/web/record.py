"""web.record: one person's whole record: every source Patient that the person has, and where each value came from.

Room: web. May import: store. A page asks about a person; the store is asked about all of the person's Patients.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlencode

from careloom.fhir.outcome import Issue, OutcomeError
from careloom.fhir.query import parse
from careloom.fhir.resource import Resource, reference_to
from careloom.store.person import linked
from careloom.store.read import Reader
from careloom.store.stored import Stored
from careloom.web.call import Call
from careloom.web.wording import SOURCE, age, concept, day, person_name, sex, source_name

TABS = (
    ("Summary", ""),
    ("Timeline", "/timeline"),
    ("Vitals", "/vitals"),
    ("Results", "/results"),
    ("Identity", "/identity"),
)


@dataclass(frozen=True, slots=True)
class Shown:
    """A value on a page: its text, the message that brought it, the sender's flag, and if sources disagree."""

    text: str
    href: str = ""
    flag: str = ""
    differs: bool = False


@dataclass(slots=True)
class Evidence:
    """Where values came from: one look-up for each resource, however many of its values a page shows."""

    read: Reader
    events: dict[str, int | None] = field(default_factory=dict[str, int | None])

    def find(self, rtype: str, *pairs: tuple[str, str], count: int = 100, sort: str = "") -> list[Resource]:
        """As `Reader.find`; and where each came from is known then without another look."""
        query = parse(rtype, [*pairs, *([("_sort", sort)] if sort else [])], strict=True)
        found: list[Resource] = []
        while len(found) < count:
            page = self.read.search(replace(query, count=count - len(found)))
            for stored in page.matches:
                found.append(sourced(stored))
                self.events[f"{stored.rtype}/{stored.id}"] = stored.event_id
            if page.next is None:
                break
            query = replace(query, cursor=page.next)
        return found

    def resource(self, reference: str) -> Resource | None:
        """The current resource behind a relative reference; one look-up, and its origin is known."""
        rtype, _, logical_id = reference.partition("/")
        stored = self.read.stored(rtype, logical_id) if rtype and logical_id else None
        if stored is None or stored.is_deleted:
            return None
        self.events[reference] = stored.event_id
        return sourced(stored)

    def shown(self, resource: Resource, path: str, text: str, flag: str = "") -> Shown:
        """The value at `path` of the resource, as text, with the address of the message that brought it."""
        return Shown(text, self.link(resource, path), flag)

    def link(self, resource: Resource, path: str) -> str:
        """The address of the message that brought an element; "" for what careloom derived itself."""
        if source_name(resource) == "careloom":
            return ""
        reference = reference_to(resource)
        if reference not in self.events:
            stored = self.read.stored(*reference.split("/"))
            self.events[reference] = stored.event_id if stored else None
        event_id = self.events[reference]
        return message_path(event_id, reference, path) if event_id is not None else ""


def sourced(stored: Stored) -> Resource:
    """The resource with its source: a sender of FHIR does not name itself in meta.source, the store knows who it was."""
    resource = stored.resource()
    meta = resource.setdefault("meta", {})
    if source_name(resource) == "unknown":
        meta["source"] = SOURCE + stored.actor_id
    return resource


def message_path(event_id: int, reference: str, path: str) -> str:
    """The address of a message in which one element is lit.

    >>> message_path(7, "Patient/1", "gender")
    '/messages/7?resource=Patient/1&path=gender'
    """
    return f"/messages/{event_id}?{urlencode({'resource': reference, 'path': path}, safe='/[].')}"


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

    @property
    def tabs(self) -> list[Tab]:
        """The pages of the record."""
        return [Tab(title, self.href + path) for title, path in TABS]


@dataclass(frozen=True, slots=True)
class Record:
    """A person and the source Patients that are this person, the reference patient first."""

    id: str
    person: Resource | None
    patients: tuple[Resource, ...]

    @property
    def href(self) -> str:
        """The address of the record."""
        return f"/patients/{self.id}"

    @property
    def whose(self) -> tuple[str, str]:
        """The search pair that finds what is about any of the Patients."""
        return ("patient", ",".join(reference_to(patient) for patient in self.patients))

    @property
    def subjects(self) -> tuple[str, str]:
        """The same for resources that have a subject and no patient parameter."""
        return ("subject", self.whose[1])

    @property
    def face(self) -> Resource:
        """Who speaks for the name, birth date and sex: the Person, else the only Patient."""
        return self.person or self.patients[0]


def record_of(read: Reader, record_id: str) -> Record:
    """The record of a Person, or of a Patient by the Person that links it. Raises OutcomeError(not-found)."""
    person = _living(read, read.resource("Person", record_id))
    if person is None:
        if read.resource("Patient", record_id) is None:
            raise OutcomeError(Issue("not-found", "There is no such person, or your role may not see them."))
        key = linked(read, f"Patient/{record_id}").key
        person = read.resource(*key.split("/")) if key.startswith("Person/") else None
        if person is None:
            return Record(record_id, None, tuple(_present(read, [f"Patient/{record_id}"])))
    targets = [str(link["target"]["reference"]) for link in person.get("link", ()) if "target" in link]
    patients = tuple(_present(read, dict.fromkeys(targets)))
    if not patients:
        raise OutcomeError(Issue("not-found", "No record of this person is open to your role."))
    return Record(person["id"], person, patients)


def _living(read: Reader, person: Resource | None) -> Resource | None:
    """The Person itself; of one that links nobody any more, the first that now does."""
    if person is None or person.get("active", True):
        return person
    targets = [str((link.get("target") or {}).get("reference", "")) for link in person.get("link") or ()]
    successors = (read.resource(*target.split("/")) for target in targets if target.startswith("Person/"))
    return next((one for one in successors if one and one.get("active", True)), None)


def _present(read: Reader, references: Iterable[str]) -> Iterator[Resource]:
    for reference in references:
        rtype, _, logical_id = reference.partition("/")
        found = read.stored(rtype, logical_id) if rtype == "Patient" else None
        if found is not None and not found.is_deleted:
            yield sourced(found)


def banner_of(call: Call, read: Reader, record: Record) -> Banner:
    """The banner: it leaves the line in the audit trail, and asks for allergies and flags, so that no page about a person goes without them."""
    call.seen("read", f"{record.face['resourceType']}/{record.id}", patient=reference_to(record.patients[0]))
    face = record.face
    died = next(
        (patient["deceasedDateTime"] for patient in record.patients if "deceasedDateTime" in patient), None
    )
    return Banner(
        id=record.id,
        href=record.href,
        name=person_name(face),
        born=day(face.get("birthDate")),
        age=age(face.get("birthDate"), call.now, died),
        died=day(died),
        sex=sex(face),
        identifiers=tuple(identifiers(record.patients)),
        allergies=tuple(
            dict.fromkeys(_names(read.find("AllergyIntolerance", record.whose), "clinicalStatus"))
        ),
        flags=tuple(dict.fromkeys(_names(read.find("Flag", record.whose), "status"))),
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


def identifiers(patients: Iterable[Resource]) -> Iterator[Identifier]:
    """Every identifier of the Patients once, with its kind or its source.

    >>> [one.label for one in identifiers([{"identifier": [{"type": {"text": "MRN"}, "value": "7"}]}])]
    ['MRN']
    """
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
