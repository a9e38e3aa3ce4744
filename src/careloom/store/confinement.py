"""store.confinement: whom somebody sees who is confined to patients, groups and places, at this moment.

Room: store. Touches: the tables res, account, token, audit. Standards: https://hl7.org/fhir/R4/encounter.html,
https://hl7.org/fhir/R4/location.html, https://hl7.org/fhir/R4/group.html, https://hl7.org/fhir/R4/person.html

Nothing is kept of the answer: who asks is looked up anew (store.accounts), and so is whom they see. So nobody is seen
for longer than their stay, whichever process has stopped.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, Literal

from careloom.fhir.indexvalue import reference_key
from careloom.fhir.instant import EARLIEST, LATEST, interval
from careloom.fhir.outcome import Issue, OutcomeError
from careloom.fhir.resource import Resource, reference_to
from careloom.fhir.searchparam import parameters
from careloom.store.actor import STATION
from careloom.store.audit import Access, record
from careloom.store.compartment import by_reference
from careloom.store.condition import Condition, all_of, overlaps
from careloom.store.current import current
from careloom.store.database import Connection
from careloom.store.fetch import fetch
from careloom.store.hashes import code_entry, hash64, salt
from careloom.store.read import Reader
from careloom.store.resource_type import number_of

Holder = Literal["account", "token"]

CONFINES = ("Patient", "Group", "Location")
"""What one may be confined to."""

PRESENT = ("arrived", "triaged", "in-progress", "onleave")
"""Encounter.status of who is here: on leave a bed is kept; who is planned has not come, of who is unknown nobody can say."""

LONGEST = 500
"""Characters of a line of the audit trail."""

PARTS = b"select r.key from res r where r.ix && %s::bigint[] and r.rtype = %s and not r.is_deleted"


def confine(
    connection: Connection, holder: Holder, name: str, within: Sequence[str] | None, by: str, now: datetime
) -> None:
    """Confine an account or a token to what is named (`Patient/7`, `Group/x`, `Location/w`); None: to nobody's limits.

    It holds from the next request on. Raises OutcomeError `not-found` for a name that is not there.
    """
    told = None if within is None else list(dict.fromkeys(within))
    named = name.strip().lower() if holder == "account" else name
    sql = {
        "account": "UPDATE account SET confined_to = %s WHERE name = %s",
        "token": "UPDATE token SET confined_to = %s WHERE name = %s",
    }[holder]
    if not connection.execute(sql.encode(), [told, named]).rowcount:
        raise OutcomeError(Issue("not-found", f"There is no {holder} {name}."))
    words = f"{holder} {named}: {'everyone' if told is None else ' '.join(told) or 'nobody'}"
    short = words if len(words) <= LONGEST else words[: words.rindex(" ", 0, LONGEST)] + " ..."
    number = None if told is None else len(told)
    record(connection, Access(now, by, "operation", what="$confine", number=number, parameters=short))


def found(connection: Connection, rtype: str, text: str) -> str:
    """`Type/id` of what an administrator names: by id, a Location also by its name or an identifier of it.

    Raises OutcomeError: not-found, or multiple-matches, which names the candidates.
    """
    id_ = text.strip().removeprefix(f"{rtype}/")
    if present(connection, [f"{rtype}/{id_}"]):
        return f"{rtype}/{id_}"
    word = re.sub(r"([\\,$])", r"\\\1", id_)
    ways = [("name:exact", word), ("identifier", word)] if rtype == "Location" and id_ else []
    read = Reader(connection, STATION)
    matches = {reference_to(one): one for way in ways for one in read.find(rtype, way)}
    if not matches:
        also = ", nor one of that name" if ways else ""
        raise OutcomeError(Issue("not-found", f"There is no {rtype} of that id{also}: nothing was changed."))
    if len(matches) > 1:
        told = "; ".join(f"{reference}{_part(one)}" for reference, one in sorted(matches.items()))
        text = f"Several places are called so, name one by its id: {told}."
        raise OutcomeError(Issue("multiple-matches", text))
    return next(iter(matches))


def present(connection: Connection, references: Iterable[str]) -> set[str]:
    """Those of `Type/id` that are there, and to which one may be confined."""
    wanted = [one for one in references if one.partition("/")[0] in CONFINES]
    return {f"{one.rtype}/{one.id}" for one in by_reference(connection, STATION, wanted)}


def names(connection: Connection, references: Sequence[str]) -> list[str]:
    """These as an administrator knows them: a place or a group with its name, a patient without one."""
    known = {
        reference_to(one): str(one["name"])
        for one in (stored.resource() for stored in by_reference(connection, STATION, references))
        if one["resourceType"] != "Patient" and "name" in one
    }
    return [f"{known[one]} ({one})" if one in known else one for one in references]


def patients_within(connection: Connection, within: Iterable[str], now: datetime) -> frozenset[str]:
    """References of the Patients that these name at this moment, with whoever is the same person as one of them.

    Named is a Patient; who is in a Group; who is at a Location or a part of it. What is not there names nobody.
    """
    by_type: dict[str, list[str]] = {}
    for one in within:
        by_type.setdefault(one.partition("/")[0], []).append(one)
    named = set(by_type.get("Patient", ()))
    named.update(_members(connection, by_type.get("Group", ()), now))
    named.update(_present(connection, by_type.get("Location", ()), now))
    return frozenset(named | _same(connection, named))


def _members(connection: Connection, groups: Iterable[str], now: datetime) -> Iterator[str]:
    """The Patients of groups, and of groups in them."""
    asked: set[str] = set()
    pending = set(groups)
    while pending:
        asked |= pending
        references = [
            reference
            for group in by_reference(connection, STATION, pending)
            for reference in _of_group(group.resource(), now)
        ]
        yield from (one for one in references if one.startswith("Patient/"))
        pending = {one for one in references if one.startswith("Group/")} - asked


def _of_group(group: Resource, now: datetime) -> Iterator[str]:
    if group.get("active", True):
        for member in group.get("member", ()):
            if not member.get("inactive", False) and _holds(member.get("period", {}), now):
                yield _reference(member.get("entity", {}))


def _present(connection: Connection, locations: Sequence[str], now: datetime) -> Iterator[str]:
    """The Patients who are at these places, or at a part of them."""
    if not locations:
        return
    places = _with_parts(connection, {hash64(one) for one in locations})
    at, status = (parameters("Encounter")[code].id for code in ("location", "status"))
    here = all_of([
        Condition("r.rtype = %s", (number_of("Encounter"),)),
        overlaps("r.ix", sorted(key ^ salt(at) for key in places)),
        overlaps("r.ix", [code_entry(status, code) for code in PRESENT]),
    ])  # fmt: skip
    for stored in current(connection, STATION, here):
        encounter = stored.resource()
        if _has_ended(encounter.get("period", {}), now):
            continue
        if any(hash64(_reference(stay["location"])) in places for stay in _stays(encounter, now)):
            yield _reference(encounter.get("subject", {}))


def _with_parts(connection: Connection, places: set[int]) -> set[int]:
    """Keys of these places, of what is part of them, and so on; also where places are part of one another."""
    partof = salt(parameters("Location")["partof"].id)
    pending = places
    while pending:
        values = [sorted(key ^ partof for key in pending), number_of("Location")]
        pending = {key for (key,) in fetch(connection, PARTS, values)} - places
        places = places | pending
    return places


def _stays(encounter: Resource, now: datetime) -> Iterator[Any]:
    """Where the patient is: what is said to be active and has not ended, or has no status and holds now.

    A clock that is ahead does not hide who is said to be there.
    """
    for stay in encounter.get("location", ()):
        span = stay.get("period", {})
        if stay.get("status") == "active":
            if not _has_ended(span, now):
                yield stay
        elif "status" not in stay and _holds(span, now):
            yield stay


def _same(connection: Connection, patients: set[str]) -> set[str]:
    """Whoever identity says is the same person as one of these; of several Persons the first speaks (store.person)."""
    link = salt(parameters("Person")["link"].id)
    is_linked = all_of([
        Condition("r.rtype = %s", (number_of("Person"),)),
        overlaps("r.ix", sorted(hash64(one) ^ link for one in patients)),
    ])  # fmt: skip
    persons = [one.resource() for one in current(connection, STATION, is_linked)] if patients else []
    first: dict[str, Resource] = {}
    for person in sorted(persons, key=reference_to):
        if person.get("active", True):
            for one in _links(person):
                first.setdefault(one, person)
    return {other for one in patients if one in first for other in _links(first[one])}


def _links(person: Resource) -> list[str]:
    targets = (_reference(link.get("target", {})) for link in person.get("link", ()))
    return [one for one in targets if one.startswith("Patient/")]


def _reference(reference: dict[str, Any]) -> str:
    return reference_key(str(reference.get("reference", "")))


def _part(location: Resource) -> str:
    wider = location.get("partOf", {})
    name = wider.get("display") or wider.get("reference")
    return f" (part of {name})" if name else ""


def _has_ended(span: dict[str, Any], now: datetime) -> bool:
    return "end" in span and interval(span["end"])[1] <= now


def _holds(span: dict[str, Any], now: datetime) -> bool:
    start = interval(span["start"])[0] if "start" in span else EARLIEST
    return start <= now < (interval(span["end"])[1] if "end" in span else LATEST)
