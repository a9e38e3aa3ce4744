"""store.audit_event: a line of the audit trail as FHIR says it.

Room: store. May import: fhir. Pure. Standard: https://hl7.org/fhir/R4/auditevent.html
"""

from __future__ import annotations

from typing import Any

from careloom.fhir.instant import instant
from careloom.fhir.resource import Resource
from careloom.store.audit import Access

DCM = "http://dicom.nema.org/resources/ontology/DCM"
REST = {
    "system": "http://terminology.hl7.org/CodeSystem/audit-event-type",
    "code": "rest",
    "display": "RESTful Operation",
}
AUTHENTICATION = {"system": DCM, "code": "110114", "display": "User Authentication"}
LOGIN = {
    "login": {"system": DCM, "code": "110122", "display": "Login"},
    "logout": {"system": DCM, "code": "110123", "display": "Logout"},
}
ACTIONS = {
    "read": "R",
    "vread": "R",
    "history-instance": "R",
    "history-type": "R",
    "create": "C",
    "update": "U",
    "patch": "U",
    "delete": "D",
}
"""Interaction -> action code; all others execute (E)."""

OBJECT_ROLE = "http://terminology.hl7.org/CodeSystem/object-role"
PATIENT = {"system": OBJECT_ROLE, "code": "1", "display": "Patient"}
DOMAIN_RESOURCE = {"system": OBJECT_ROLE, "code": "4", "display": "Domain Resource"}
QUERY = {"system": OBJECT_ROLE, "code": "24", "display": "Query"}


def to_audit_event(number: int, access: Access) -> Resource:
    """The AuditEvent of line `number`."""
    login = LOGIN.get(access.interaction)
    subtype = {"system": "http://hl7.org/fhir/restful-interaction", "code": access.interaction}
    agent: dict[str, Any] = {
        "who": {"identifier": {"system": "urn:careloom:account", "value": access.actor}},
        "requestor": True,
    }
    if access.address:
        agent["network"] = {"address": access.address, "type": "2"}
    resource: Resource = {
        "resourceType": "AuditEvent",
        "id": str(number),
        "type": AUTHENTICATION if login else REST,
        "subtype": [login or subtype],
        "action": ACTIONS.get(access.interaction, "E"),
        "recorded": instant(access.recorded),
        "outcome": str(access.outcome),
        "agent": [agent],
        "source": {"observer": {"display": "careloom"}},
    }
    entities = _entities(access)
    return resource | {"entity": entities} if entities else resource


def _entities(access: Access) -> list[dict[str, Any]]:
    entities: list[dict[str, Any]] = []
    if access.patient:
        entities.append({"what": {"reference": access.patient}, "role": PATIENT})
    if "/" in access.what and access.what != access.patient:
        entities.append({"what": {"reference": access.what}, "role": DOMAIN_RESOURCE})
    elif access.what and "/" not in access.what:
        query: dict[str, Any] = {"name": access.what, "role": QUERY}
        if access.parameters:
            query["detail"] = [{"type": "parameters", "valueString": access.parameters}]
        entities.append(query)
    if access.event_id is not None:
        identifier = {"system": "urn:careloom:event", "value": str(access.event_id)}
        entities.append({"what": {"identifier": identifier}})
    return entities
