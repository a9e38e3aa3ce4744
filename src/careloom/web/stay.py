"""web.stay: where people are at this moment, by the visits that go on.

Room: web. Standard: https://hl7.org/fhir/R4/encounter.html (Encounter.location, its status active)
"""

from __future__ import annotations

from collections.abc import Sequence

from careloom.fhir.resource import Resource
from careloom.store.read import Reader
from careloom.web.record import Record

EACH = 4
"""Visits of one person that may go on at once; more say nothing new about the place."""


def places_of(read: Reader, records: Sequence[Record]) -> dict[str, str]:
    """Where each person is now, by the id of the record; one question, however many they are."""
    owners = {f"Patient/{one['id']}": record.id for record in records for one in record.patients}
    if not owners:
        return {}
    pairs = (("patient", ",".join(owners)), ("status", "in-progress"))
    found = read.find("Encounter", *pairs, count=EACH * len(records), sort="-date")
    places: dict[str, str] = {}
    for visit in found:
        owner = owners.get((visit.get("subject") or {}).get("reference", ""))
        place = place_of(visit)
        if owner and place:
            places.setdefault(owner, place)
    return places


def place_of(visit: Resource) -> str:
    """The place of a visit as its source names it: where the patient is now, else the first that is no plan.

    >>> place_of({"location": [{"location": {"display": "MED 01 B"}, "status": "active"}]})
    'MED 01 B'
    """
    places = [one for one in visit.get("location") or () if one.get("status") not in {"planned", "reserved"}]
    places.sort(key=lambda one: one.get("status", "active") != "active")
    return next((text for one in places if (text := (one.get("location") or {}).get("display"))), "")
