"""web.rest.operations.meta_add: $meta-add: add profiles, tags and labels to a resource.

Room: web. Standard: https://hl7.org/fhir/R4/resource-operation-meta-add.html
"""

from __future__ import annotations

from starlette.responses import Response

from careloom.web.call import Call
from careloom.web.rest.metadata import added, changed
from careloom.web.rest.operation import Operation

OPERATION = Operation(levels=("instance",), methods=("POST",), right="clinical.write")


def meta_add(call: Call) -> Response:
    """Add what the parameter `meta` holds; what stands already stays once."""
    return changed(call, added)
