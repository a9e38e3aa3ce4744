"""web.rest.operations.versions: $versions: which versions of FHIR are spoken here.

Room: web. Standard: https://hl7.org/fhir/R5/capabilitystatement-operation-versions.html
"""

from __future__ import annotations

from starlette.responses import Response

from careloom.web.call import Call
from careloom.web.rest.answer import fhir
from careloom.web.rest.operation import Operation
from careloom.web.road import PUBLIC

OPERATION = Operation(
    levels=("system",),
    right=PUBLIC,
    definition="http://hl7.org/fhir/OperationDefinition/CapabilityStatement-versions",
)
VERSION = "4.0"


def versions(_call: Call) -> Response:
    """Parameters: one version, which is the default."""
    told = [{"name": name, "valueCode": VERSION} for name in ("version", "default")]
    return fhir({"resourceType": "Parameters", "parameter": told})
