"""web.rest.operations.meta: $meta: the profiles, tags and labels of a resource.

Room: web. Standard: https://hl7.org/fhir/R4/resource-operation-meta.html
"""

from __future__ import annotations

from starlette.responses import Response

from careloom.web.call import Call
from careloom.web.rest.metadata import of_meta
from careloom.web.rest.operation import Operation

OPERATION = Operation(levels=("instance",), methods=("GET", "POST"), right="clinical.read")


def meta(call: Call) -> Response:
    """Parameters that hold the Meta."""
    return of_meta(call)
