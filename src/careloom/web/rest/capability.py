"""web.rest.capability: the CapabilityStatement, computed from what is there.

Room: web. Standard: https://hl7.org/fhir/R4/capabilitystatement.html
"""

from __future__ import annotations

from functools import cache

from starlette.responses import Response

from careloom import __version__
from careloom.fhir.facts import resource_types
from careloom.fhir.instant import instant
from careloom.fhir.resource import Resource, dumps
from careloom.fhir.searchparam import parameters
from careloom.web.call import Call
from careloom.web.errors import FHIR_JSON
from careloom.web.rest.answer import base_of

INTERACTIONS = (
    "read",
    "vread",
    "update",
    "delete",
    "history-instance",
    "history-type",
    "create",
    "search-type",
)
SYSTEM = ("transaction", "batch", "history-system")


def capability(call: Call) -> Response:
    """What this server can do."""
    statement: Resource = {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": instant(call.now),
        "kind": "instance",
        "software": {"name": "careloom", "version": __version__},
        "implementation": {"description": "careloom", "url": base_of(call)},
        "fhirVersion": "4.0.1",
        "format": ["application/fhir+json", "json"],
        "rest": [
            {
                "mode": "server",
                "security": {
                    "cors": False,
                    "description": "A Bearer token, or the session of a signed-in person.",
                },
                "resource": [_of_type(rtype) for rtype in sorted(resource_types())],
                "interaction": [{"code": code} for code in SYSTEM],
            }
        ],
    }
    return Response(dumps(statement), media_type=FHIR_JSON)


@cache
def _of_type(rtype: str) -> Resource:
    known = [one for one in parameters(rtype).values() if one.type not in {"special", "composite"}]
    return {
        "type": rtype,
        "interaction": [{"code": code} for code in INTERACTIONS],
        "versioning": "versioned-update",
        "readHistory": True,
        "updateCreate": True,
        "conditionalCreate": False,
        "conditionalRead": "not-match",
        "searchParam": [
            {"name": one.code, "type": one.type} for one in sorted(known, key=lambda one: one.code)
        ],
    }
