"""web.rest.operations.reindex_status: SearchParameter/$reindex-status: how far each search parameter of our own is.

Room: web. The name of an own operation; R4 defines none.
"""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from careloom.store.catalogue import Progress, progress
from careloom.web.call import Call
from careloom.web.rest.answer import fhir
from careloom.web.rest.operation import Operation

OPERATION = Operation(
    levels=("type",),
    types=("SearchParameter",),
    methods=("GET",),
    definition="urn:careloom:OperationDefinition:reindex-status",
)


def reindex_status(call: Call) -> Response:
    """Parameters: one `parameter` for each that R4 does not have, with its url, code, bases, status, and how far it is."""
    with call.site.database.autocommit() as connection:
        told = [_told(one) for one in progress(connection)]
    call.seen("operation", "SearchParameter", number=len(told))
    return fhir({"resourceType": "Parameters", **({"parameter": told} if told else {})})


def _told(one: Progress) -> dict[str, Any]:
    entry = one.entry
    parts: list[dict[str, Any]] = [
        {"name": "url", "valueUri": entry.definition.url},
        {"name": "code", "valueCode": entry.definition.code},
        *({"name": "base", "valueCode": base.rtype} for base in entry.definition.bases),
        {"name": "status", "valueCode": one.word},
    ]
    if one.total is not None:
        parts += [
            {"name": "done", "valueDecimal": one.done},
            {"name": "total", "valueDecimal": one.total},
        ]
    return {"name": "parameter", "part": parts}
