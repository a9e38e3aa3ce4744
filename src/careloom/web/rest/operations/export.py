"""web.rest.operations.export: $export: begin a bulk export of the system, of all patients, or of a group.

Room: web. Standard: https://hl7.org/fhir/uv/bulkdata/STU2/export.html
"""

from __future__ import annotations

import re
from datetime import datetime

from starlette.responses import Response

from careloom.fhir.facts import resource_types
from careloom.fhir.instant import interval
from careloom.fhir.outcome import Issue, OutcomeError
from careloom.flow.bulk import Shape
from careloom.store.snapshot import Scope
from careloom.web.call import Call
from careloom.web.rest.answer import base_of, prefers
from careloom.web.rest.bulk import accepted
from careloom.web.rest.form import NDJSON
from careloom.web.rest.operation import Operation, Parameters, parameters_of
from careloom.web.rest.reading import there

OPERATION = Operation(
    levels=("system", "type", "instance"),
    types=("Patient", "Group"),
    paths=("/fhir/$export", "/fhir/Patient/$export", "/fhir/Group/{id}/$export"),
    right="bulk",
    definition="http://hl7.org/fhir/uv/bulkdata/OperationDefinition/export",
)
PROVENANCE = "LatestProvenanceResources"
KNOWN = {
    "includeAssociatedData",
    "_outputFormat",
    "_typeFilter",
    "_since",
    "_type",
    "_elements",
    "_format",
    "_pretty",
}


def export(call: Call) -> Response:
    """202, with the address at which to ask how far it is."""
    parameters = parameters_of(call)
    if "respond-async" not in call.headers.get("prefer", ""):
        raise OutcomeError(Issue("value", "An export takes time: send Prefer: respond-async."))
    unknown = sorted(set(parameters.values) - KNOWN)
    if unknown and prefers(call, "handling") != "lenient":
        raise OutcomeError(Issue("not-supported", f"$export does not know {', '.join(unknown)[:200]}."))
    form = parameters.text("_outputFormat", "ndjson").replace(" ", "+")
    if form not in NDJSON:
        raise OutcomeError(Issue("not-supported", "The files are application/fhir+ndjson.", "_outputFormat"))
    scope = Scope(_types(parameters), _since(parameters), _patients(call))
    elements = tuple(parameters.texts("_elements"))
    # A comma between filters is told from one within a value by the type that follows it.
    given = [str(value) for value in parameters.values.get("_typeFilter", [])]
    filters = tuple(one for text in given for one in re.split(r",(?=[A-Z][A-Za-z]*\?)", text))
    shape = Shape(elements, filters, has_provenance=_has_provenance(call, parameters))
    return accepted(call, call.site.flow.export(call.who, _url(call), scope, shape))


def _has_provenance(call: Call, parameters: Parameters) -> bool:
    """Each version has one Provenance, made of who wrote it and from what: that is the latest, and all that is here."""
    asked = parameters.texts("includeAssociatedData")
    if set(asked) - {PROVENANCE} and prefers(call, "handling") != "lenient":
        text = f"Of associated data $export knows {PROVENANCE} alone."
        raise OutcomeError(Issue("not-supported", text, "includeAssociatedData"))
    return PROVENANCE in asked


def _types(parameters: Parameters) -> list[str]:
    types = parameters.texts("_type")
    if any(rtype not in resource_types() for rtype in types):
        raise OutcomeError(Issue("value", "_type names what is no resource type of R4.", "_type"))
    return types


def _since(parameters: Parameters) -> datetime | None:
    text = parameters.text("_since")
    return interval(text)[0] if text else None


def _patients(call: Call) -> list[str] | None:
    """None: all that there is; empty: all patients; else the members of the group."""
    if "id" not in call.parts:
        return [] if call.path.endswith("/Patient/$export") else None
    with call.reader() as reader:
        group = there(reader.stored("Group", call.parts["id"])).resource()
    members = [one for one in group.get("member", []) if not one.get("inactive")]
    found = [one.get("entity", {}).get("reference", "") for one in members]
    # An empty list would mean all patients: a group without patients has one that nobody is.
    return [reference for reference in found if reference.startswith("Patient/")] or ["Patient/"]


def _url(call: Call) -> str:
    query = "&".join(f"{name}={value}" for name, value in call.query)
    return base_of(call) + call.path.removeprefix("/fhir") + (f"?{query}" if query else "")
