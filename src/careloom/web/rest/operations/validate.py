"""web.rest.operations.validate: $validate: R4, the profile asked for, and those that a resource claims.

Room: web. Standard: https://hl7.org/fhir/R4/resource-operation-validate.html
Profiles are those of the guides in the settings, and the StructureDefinitions, ValueSets and CodeSystems stored.
"""

from __future__ import annotations

from functools import lru_cache

from starlette.responses import Response

from careloom.fhir.outcome import Issue, OutcomeError, operation_outcome
from careloom.fhir.profile import Profiles
from careloom.fhir.profile.operation import validation_outcome
from careloom.fhir.resource import Resource
from careloom.flow.validity import view_faults
from careloom.store.read import Reader
from careloom.web.call import Call
from careloom.web.rest.answer import fhir
from careloom.web.rest.operation import Operation, parameters_of

OPERATION = Operation(levels=("type", "instance"))
DEFINING = ("CodeSystem", "StructureDefinition", "ValueSet")
MOST = 20_000


def validate(call: Call) -> Response:
    """An OperationOutcome with status 200, whatever it says."""
    parameters = parameters_of(call)
    resource = parameters.resource
    with call.reader() as reader:
        if resource is None and "id" in call.parts:
            resource = reader.resource(call.parts["rtype"], call.parts["id"])
        amiss = _amiss(call, reader, parameters.text("mode"), resource)
        profiles = _profiles(reader, call.site.flow.profiles)
    if resource is not None and resource.get("resourceType") != call.parts["rtype"]:
        raise OutcomeError(Issue("invalid", "The resource is of another type than the address."))
    profile, mode = parameters.text("profile"), parameters.text("mode")
    told = validation_outcome(resource, profiles, profile=profile, mode=mode, more=view_faults)
    if amiss is not None:
        told = operation_outcome([amiss])
    return fhir(told)


def _amiss(call: Call, reader: Reader, mode: str, resource: Resource | None) -> Issue | None:
    """Why an update or delete of what the address names could not be done, whatever the content."""
    id_ = call.parts.get("id")
    if id_ is None or mode not in {"update", "delete"}:
        return None
    rtype = call.parts["rtype"]
    if mode == "update" and resource is not None and resource.get("id") != id_:
        return Issue("invalid", "The id in the resource must be the id in the address.", f"{rtype}.id")
    stored = reader.stored(rtype, id_) if mode == "delete" else None
    if mode == "delete" and (stored is None or stored.is_deleted):
        return Issue("not-found", "There is nothing to delete under this id.", "id")
    return None


def _profiles(reader: Reader, guides: Profiles) -> Profiles:
    """Those of the guides, and those stored; compiled anew when one of the definitions was written."""
    newest = [reader.history(rtype, count=1).versions for rtype in DEFINING]
    stamp = tuple((version.key, version.version) for versions in newest for version in versions)
    if not stamp:
        return guides
    kept = _kept()
    if kept.get("stamp") != stamp:
        found: list[Resource] = [one for rtype in DEFINING for one in reader.find(rtype, count=MOST)]
        kept.update(stamp=stamp, profiles=guides.and_of(found))
    return kept["profiles"]  # pyright: ignore[reportReturnType]


@lru_cache(maxsize=1)
def _kept() -> dict[str, object]:
    return {}
