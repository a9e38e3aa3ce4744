"""fhir.patch: a resource and a patch to the patched resource: JSON Patch (a list) or FHIRPath Patch (Parameters).

Room: fhir. No I/O. Standard: https://hl7.org/fhir/R4/http.html#patch, RFC 6902 and https://hl7.org/fhir/R4/fhirpatch.html

    from careloom.fhir import patch
    patched = patch.apply(resource, operations)

The resource that is given stays as it is. Whether the patched one is valid is for fhir.validate to say. Raises
OutcomeError: `structure` for what is no patch, `processing` for one that does not fit the resource (a place that is
not there, a test that fails), `too-costly` for one that would grow without bound.
"""

from __future__ import annotations

from base64 import b64decode
from typing import Any

from careloom.fhir.outcome import Issue, OutcomeError
from careloom.fhir.patch import fhirpath, json
from careloom.fhir.patch.tree import without_empties
from careloom.fhir.resource import Resource, loads

JSON_PATCH = "application/json-patch+json"
"""The media type of a JSON Patch; a FHIRPath Patch comes as any FHIR resource does."""


def apply(resource: Resource, operations: Any) -> Resource:
    """The resource with the patch applied, all of it or nothing.

    >>> apply({"resourceType": "Patient", "active": True}, [{"op": "remove", "path": "/active"}])
    {'resourceType': 'Patient'}
    """
    try:
        if isinstance(operations, list):
            return _whole(json.apply(resource, operations))
        if isinstance(operations, dict) and operations.get("resourceType") == "Parameters":
            return _whole(fhirpath.apply(resource, operations))
    except RecursionError:
        raise OutcomeError(Issue("too-costly", "The patch or the resource is nested too deeply.")) from None
    raise OutcomeError(
        Issue("structure", "A patch is a list of JSON Patch operations or a Parameters resource.")
    )


def operations_of(body: Any) -> Any:
    """What a PATCH brings: Parameters (FHIRPath Patch), a list, or a Binary that holds a JSON Patch. Raises OutcomeError.

    >>> operations_of({"resourceType": "Binary", "contentType": JSON_PATCH, "data": "W10="})
    []
    """
    if not isinstance(body, dict) or body.get("resourceType") != "Binary":
        return body
    if body.get("contentType") != JSON_PATCH:
        raise OutcomeError(Issue("not-supported", f"A Binary that patches holds {JSON_PATCH}."))
    try:
        raw = b64decode(str(body.get("data", "")), validate=True)
    except ValueError:
        raise OutcomeError(Issue("structure", "The data of the Binary are not base64.")) from None
    return loads(raw)


def _whole(patched: Any) -> Resource:
    """In FHIR nothing is empty: what a removal left so goes with it."""
    if not isinstance(patched, dict):
        raise OutcomeError(
            Issue("processing", "The patch makes something of the resource that is no object.")
        )
    return without_empties(patched)
