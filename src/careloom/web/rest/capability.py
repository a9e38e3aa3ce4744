"""web.rest.capability: the CapabilityStatement, computed from what is there.

Room: web. Standard: https://hl7.org/fhir/R4/capabilitystatement.html
"""

from __future__ import annotations

from datetime import datetime
from functools import cache

from starlette.responses import Response

from careloom import __version__
from careloom.fhir.catalogue import R4_ALONE, Catalogue
from careloom.fhir.clause import is_known
from careloom.fhir.facts import resource_types
from careloom.fhir.instant import instant
from careloom.fhir.resource import Resource, dumps
from careloom.fhir.searchparam import of_r4
from careloom.store.session import session_of
from careloom.web.call import Call
from careloom.web.errors import FHIR_JSON
from careloom.web.rest.answer import base_of
from careloom.web.rest.form import JSON_PATCH, MEDIA
from careloom.web.rest.operation import Operation, operations


def capability(call: Call) -> Response:
    """What this server can do."""
    with call.site.database.autocommit() as connection:
        catalogue = session_of(connection).current(connection)
    return Response(dumps(statement_of(base_of(call), call.now, catalogue)), media_type=FHIR_JSON)


def statement_of(base: str, now: datetime, catalogue: Catalogue = R4_ALONE) -> Resource:
    """The CapabilityStatement of a server at this address, whose store has these search parameters beside R4's."""
    statement: Resource = {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": instant(now),
        "kind": "instance",
        "software": {"name": "careloom", "version": __version__},
        "implementation": {"description": "careloom", "url": base},
        "fhirVersion": "4.0.1",
        "format": sorted(MEDIA),
        "patchFormat": [JSON_PATCH, "application/fhir+json", "application/fhir+xml"],
        "rest": [
            {
                "mode": "server",
                "security": {
                    "cors": False,
                    "description": "A Bearer token, or the session of a signed-in person.",
                },
                "resource": [_with_own(_of_type(rtype), catalogue) for rtype in sorted(resource_types())],
                "interaction": [{"code": code} for code in _interactions()[1]],
                "operation": [
                    _operation(name) for name, one in operations().items() if "system" in one.levels
                ],
            }
        ],
    }
    rest = statement["rest"][0]
    statement["rest"] = [{name: value for name, value in rest.items() if value != []}]
    return statement


@cache
def _interactions() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Those of a type and those of the system, as the roads say."""
    from careloom.web.rest import ROADS  # they name `capability`, above

    told = [(road.path, code) for road in ROADS for code in road.interactions]
    on_type = tuple(code for path, code in told if "{rtype" in path)
    return on_type, tuple(code for path, code in told if "{rtype" not in path)


@cache
def _of_type(rtype: str) -> Resource:
    known = sorted(of_r4(rtype).values(), key=lambda one: one.code)
    search = [one for one in known if is_known(rtype, one.code)]
    references = [f"{rtype}:{one.code}" for one in search if one.type == "reference"]
    made: Resource = {
        "type": rtype,
        "profile": f"http://hl7.org/fhir/StructureDefinition/{rtype}",
        "interaction": [{"code": code} for code in _interactions()[0]],
        "versioning": "versioned-update",
        "readHistory": True,
        "updateCreate": True,
        "conditionalCreate": True,
        "conditionalRead": "full-support",
        "conditionalUpdate": True,
        "conditionalDelete": "multiple",
        "referencePolicy": ["literal", "logical"],
        "searchInclude": references,
        "searchRevInclude": _revincludes().get(rtype, []),
        "searchParam": [
            *({"name": one.code, "type": one.type} for one in search),
            *({"name": name, "type": "special"} for name in ("_filter", "_list")),
        ],
        "operation": [_operation(name) for name, one in operations().items() if _belongs(one, rtype)],
    }
    return {name: value for name, value in made.items() if value != []}


def _with_own(told: Resource, catalogue: Catalogue) -> Resource:
    """What is told of a type, with the parameters that R4 does not have."""
    own = sorted(catalogue.ready.get(told["type"], {}).values(), key=lambda one: one.code)
    if not own:
        return told
    search = [{"name": one.code, "definition": one.url, "type": one.type} for one in own]
    follows = [f"{one.rtype}:{one.code}" for one in own if one.type == "reference"]
    more = {"searchParam": [*told["searchParam"], *search]}
    return {**told, **more, "searchInclude": [*told.get("searchInclude", ()), *follows]}


@cache
def _revincludes() -> dict[str, list[str]]:
    """Type -> the parameters of others that may refer to it."""
    found: dict[str, list[str]] = {}
    for source in sorted(resource_types()):
        for one in sorted(of_r4(source).values(), key=lambda one: one.code):
            if one.type == "reference" and one.is_indexed:
                for target in one.targets:
                    found.setdefault(target, []).append(f"{source}:{one.code}")
    return found


def _belongs(one: Operation, rtype: str) -> bool:
    return set(one.levels) != {"system"} and (not one.types or rtype in one.types)


def _operation(name: str) -> Resource:
    one = operations()[name]
    owner = one.types[0] if one.types else "Resource"
    return {
        "name": name,
        "definition": one.definition or f"http://hl7.org/fhir/OperationDefinition/{owner}-{name}",
    }
