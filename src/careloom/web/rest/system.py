"""web.rest.system: transaction and batch.

Room: web. Standard: https://hl7.org/fhir/R4/http.html#transaction
"""

from __future__ import annotations

from starlette.responses import Response

from careloom.web.call import Call
from careloom.web.errors import FHIR_JSON


def transaction(call: Call) -> Response:
    """Run a Bundle: all of a transaction or nothing; each entry of a batch by itself."""
    return Response(call.site.flow.transact(call.body, call.who), media_type=FHIR_JSON)
