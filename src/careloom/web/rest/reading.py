"""web.rest.reading: read and vread.

Room: web. Standard: https://hl7.org/fhir/R4/http.html#read
"""

from __future__ import annotations

from starlette.responses import Response

from careloom.fhir.outcome import Issue, OutcomeError
from careloom.store.stored import Stored
from careloom.web.call import Call
from careloom.web.rest.answer import of_version, rtype_of


def read(call: Call) -> Response:
    """The current version; 404 if it never was (or is not for this actor), 410 if it was deleted."""
    rtype, id_ = rtype_of(call), call.parts["id"]
    with call.glance() as reader:
        return of_version(call, _there(reader.stored(rtype, id_)))


def vread(call: Call) -> Response:
    """One version, current or older."""
    rtype, id_, version = rtype_of(call), call.parts["id"], call.parts["version"]
    if not version.isdecimal():
        raise OutcomeError(Issue("not-found", "There is no such version."))
    with call.glance() as reader:
        return of_version(call, _there(reader.version(rtype, id_, int(version))))


def _there(stored: Stored | None) -> Stored:
    if stored is None:
        raise OutcomeError(Issue("not-found", "There is no such resource."))
    if stored.is_deleted:
        raise OutcomeError(
            Issue("deleted", "The resource was deleted; its history still holds its versions.")
        )
    return stored
