"""web.rest.operations.import_ndjson: $import: take in a file of resources, one a line.

Room: web. Standard: https://hl7.org/fhir/R4/nd-json.html
The file is the body (application/fhir+ndjson, gzip if need be): careloom fetches nothing from elsewhere.
"""

from __future__ import annotations

from starlette.responses import Response

from careloom.fhir.outcome import Issue, OutcomeError
from careloom.web.call import Call
from careloom.web.rest.answer import base_of
from careloom.web.rest.bulk import accepted
from careloom.web.rest.form import NDJSON
from careloom.web.rest.operation import Operation

OPERATION = Operation(
    levels=("system",), methods=("POST",), right="bulk", definition="urn:careloom:OperationDefinition:import"
)


def import_ndjson(call: Call) -> Response:
    """202, with the address at which to ask how far it is."""
    media = call.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media not in NDJSON:
        raise OutcomeError(Issue("not-supported", "Send the file as application/fhir+ndjson."))
    if not call.body.strip():
        raise OutcomeError(Issue("required", "The body is empty: send the file."))
    url = f"{base_of(call)}/$import"
    return accepted(call, call.site.flow.import_ndjson(call.who, url, call.body))
