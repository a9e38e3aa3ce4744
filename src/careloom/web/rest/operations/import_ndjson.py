"""web.rest.operations.import_ndjson: $import: take in a file of resources, one a line.

Room: web. Standard: https://hl7.org/fhir/R4/nd-json.html
The file is the body (application/fhir+ndjson, gzip if need be), of any size: it is on the disk before this is called, and
no more of it is ever in memory than a few lines. careloom fetches nothing from elsewhere.
"""

from __future__ import annotations

from starlette.responses import Response

from careloom.fhir.outcome import Issue, OutcomeError
from careloom.flow.bulk import require_import
from careloom.web.call import Call
from careloom.web.rest.answer import base_of
from careloom.web.rest.bulk import accepted
from careloom.web.rest.form import NDJSON
from careloom.web.rest.operation import Operation


def before(call: Call) -> Response:
    """Refuse who may not import, and what is no NDJSON, before a file of any size is sent for nothing."""
    require_import(call.who)
    media = call.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media not in NDJSON:
        raise OutcomeError(Issue("not-supported", "Send the file as application/fhir+ndjson."))
    return Response()


OPERATION = Operation(
    levels=("system",),
    methods=("POST",),
    right="bulk",
    before=before,
    definition="urn:careloom:OperationDefinition:import",
)


def import_ndjson(call: Call) -> Response:
    """202, with the address at which to ask how far it is."""
    if call.blob is None or not call.blob.size:
        raise OutcomeError(Issue("required", "The body is empty: send the file."))
    return accepted(call, call.site.flow.import_ndjson(call.who, f"{base_of(call)}/$import", call.blob))
