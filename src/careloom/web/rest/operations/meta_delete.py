"""web.rest.operations.meta_delete: $meta-delete: take profiles, tags and labels from a resource.

Room: web. Standard: https://hl7.org/fhir/R4/resource-operation-meta-delete.html
"""

from __future__ import annotations

from starlette.responses import Response

from careloom.web.call import Call
from careloom.web.rest.metadata import changed, removed
from careloom.web.rest.operation import Operation

OPERATION = Operation(levels=("instance",), methods=("POST",), right="clinical.write")


def meta_delete(call: Call) -> Response:
    """Take away what the parameter `meta` holds; what is not there is no fault."""
    return changed(call, removed)
