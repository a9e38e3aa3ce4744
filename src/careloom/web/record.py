"""web.record: one person's whole record: every source Patient that the person has, and where each value came from.

Room: web. May import: store. A page asks about a person; the store is asked about all of the person's Patients.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from urllib.parse import urlencode

from careloom.fhir.facts import resource_types
from careloom.fhir.outcome import Issue, OutcomeError
from careloom.fhir.query import parse
from careloom.fhir.resource import Resource, reference_to
from careloom.store.read import Reader
from careloom.store.stored import Stored
from careloom.web.wording import SOURCE, source_name

_PLAIN = re.compile(r"[\w./\[\]-]*", re.ASCII).fullmatch


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
    known: dict[str, Resource | None] = field(default_factory=dict[str, Resource | None])

    def find(self, rtype: str, *pairs: tuple[str, str], count: int = 100, sort: str = "") -> list[Resource]:
        """As `Reader.find`; and where each came from is known then without another look."""
        query = parse(rtype, [*pairs, *([("_sort", sort)] if sort else [])], strict=True)
        found: list[Resource] = []
        while len(found) < count:
            page = self.read.search(replace(query, count=count - len(found)))
            for stored in page.matches:
                found.append(sourced(stored))
                reference = f"{stored.rtype}/{stored.id}"
                self.known[reference], self.events[reference] = found[-1], stored.event_id
            if page.next is None:
                break
            query = replace(query, cursor=page.next)
        return found

    def gather(self, references: Iterable[str]) -> None:
        """Look many resources up at once, one question for each type: a long list asks no more than a short one."""
        by_type: dict[str, list[str]] = {}
        for reference in dict.fromkeys(references):
            rtype, _, logical_id = reference.partition("/")
            if rtype in resource_types() and logical_id and reference not in self.known:
                by_type.setdefault(rtype, []).append(logical_id)
                self.known[reference] = None
        for rtype, ids in by_type.items():
            for resource in self.find(rtype, ("_id", ",".join(map(escaped, ids))), count=len(ids)):
                self.known[reference_to(resource)] = resource

    def resource(self, reference: str) -> Resource | None:
        """The current resource behind a relative reference; one look-up, and its origin is known."""
        if reference not in self.known:
            self.gather([reference])
        return self.known.get(reference)

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


def escaped(word: str) -> str:
    r"""Commas, pipes and dollars have a meaning in a search value (https://hl7.org/fhir/R4/search.html#escaping).

    >>> escaped("a,b")
    'a\\,b'
    """
    return re.sub(r"([\\,|$])", r"\\\1", word)


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
    if _PLAIN(reference) and _PLAIN(path):
        # Nearly always: a page has hundreds of these, and quoting what needs none is a tenth of its time.
        return f"/messages/{event_id}?resource={reference}&path={path}"
    return f"/messages/{event_id}?{urlencode({'resource': reference, 'path': path}, safe='/[].')}"


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
        found = records_of(read, [record_id]).get(record_id)
        if found is None:
            raise OutcomeError(Issue("not-found", "There is no such person, or your role may not see them."))
        return found
    patients = _patients(read, _links(person))
    if not patients:
        raise OutcomeError(Issue("not-found", "No record of this person is open to your role."))
    return Record(person["id"], person, tuple(patients.values()))


def records_of(read: Reader, patient_ids: Iterable[str]) -> dict[str, Record]:
    """The records of many Patients, by the id of the Patient, with three questions to the store in all.

    What the actor may not see, or is not there, is left out.
    """
    ids = [one for one in dict.fromkeys(patient_ids) if one]
    patients = _patients(read, ids)
    persons = _persons(read, list(patients))
    others = [one for person in persons.values() for one in _links(person) if one not in patients]
    patients |= _patients(read, dict.fromkeys(others))
    records: dict[str, Record] = {}
    for one in ids:
        if one not in patients:
            continue
        person = persons.get(one)
        if person is None:
            records[one] = Record(one, None, (patients[one],))
        else:
            mine = tuple(patients[link] for link in _links(person) if link in patients)
            records[one] = Record(person["id"], person, mine)
    return records


def _persons(read: Reader, ids: list[str]) -> dict[str, Resource]:
    """The active Person of each Patient; of several the one with the lowest id, as store.person chooses."""
    if not ids:
        return {}
    links = ",".join(f"Patient/{escaped(one)}" for one in ids)
    found: dict[str, Resource] = {}
    for person in sorted(read.find("Person", ("link", links), count=2 * len(ids)), key=reference_to):
        if person.get("active", True):
            for one in _links(person):
                found.setdefault(one, person)
    return found


def _links(person: Resource) -> list[str]:
    """The ids of the Patients that a Person links, the reference patient first."""
    targets = (str((link.get("target") or {}).get("reference", "")) for link in person.get("link") or ())
    return list(dict.fromkeys(one.removeprefix("Patient/") for one in targets if one.startswith("Patient/")))


def _living(read: Reader, person: Resource | None) -> Resource | None:
    """The Person itself; of one that links nobody any more, the first that now does."""
    if person is None or person.get("active", True):
        return person
    targets = [str((link.get("target") or {}).get("reference", "")) for link in person.get("link") or ()]
    successors = (read.resource(*target.split("/")) for target in targets if target.startswith("Person/"))
    return next((one for one in successors if one and one.get("active", True)), None)


def _patients(read: Reader, ids: Iterable[str]) -> dict[str, Resource]:
    """These Patients by id, in this order; those that are not there for this actor are left out."""
    wanted = list(ids)
    evidence = Evidence(read)
    evidence.gather(f"Patient/{one}" for one in wanted)
    found = {one: evidence.resource(f"Patient/{one}") for one in wanted}
    return {one: patient for one, patient in found.items() if patient is not None}
