"""web.rest: FHIR REST under /fhir: one file for each group of interactions, and `POST /events`.

Room: web. Standard: https://hl7.org/fhir/R4/http.html
"""

from __future__ import annotations

from careloom.web.rest.capability import capability
from careloom.web.rest.event import take
from careloom.web.rest.history import instance_history, system_history, type_history
from careloom.web.rest.reading import read, vread
from careloom.web.rest.searching import search
from careloom.web.rest.system import transaction
from careloom.web.rest.writing import create, delete, update
from careloom.web.road import PUBLIC, Road


def _road(path: str, right: str, answer: object, *methods: str) -> Road:
    return Road(path=path, right=right, answer=answer, methods=methods or ("GET",), speaks="fhir")  # pyright: ignore[reportArgumentType]


# Who writes is asked again by flow, which knows the type: a nurse may write a Task and nothing else.
ROADS: tuple[Road, ...] = (
    _road("/fhir/metadata", PUBLIC, capability),
    _road("/fhir", "clinical.write", transaction, "POST"),
    _road("/fhir/", "clinical.write", transaction, "POST"),
    _road("/fhir/_history", "clinical.read", system_history),
    _road("/fhir/{rtype}/_search", "clinical.read", search, "POST"),
    _road("/fhir/{rtype}/_history", "clinical.read", type_history),
    _road("/fhir/{rtype}/{id}/_history/{version}", "clinical.read", vread),
    _road("/fhir/{rtype}/{id}/_history", "clinical.read", instance_history),
    _road("/fhir/{rtype}/{id}", "clinical.read", read, "GET", "HEAD"),
    _road("/fhir/{rtype}/{id}", "clinical.read", update, "PUT"),
    _road("/fhir/{rtype}/{id}", "clinical.read", delete, "DELETE"),
    _road("/fhir/{rtype}", "clinical.read", search),
    _road("/fhir/{rtype}", "clinical.read", create, "POST"),
    _road("/events", "event.write", take, "POST"),
)
