"""web.rest.event: `POST /events`: the front door for systems that speak HTTP but not FHIR REST.

Room: web. The body is taken as it is; the answer is JSON: event_id, status, is_duplicate, issues.
"""

from __future__ import annotations

from dataclasses import asdict

from starlette.responses import Response

from careloom.fhir.outcome import Issue, OutcomeError
from careloom.fhir.resource import dumps
from careloom.flow.interaction import MOST_MEDIA
from careloom.registry import MAPPERS
from careloom.store.event import Arrival
from careloom.web.call import Call

KINDS = {
    "application/hl7-v2": "hl7v2",
    "x-application/hl7-v2+er7": "hl7v2",
    "application/fhir+json": "fhir",
    "application/fhir+xml": "fhir",
    "application/json": "fhir",
}
"""Media type -> kind, where the query does not say `kind=`."""


def take(call: Call) -> Response:
    """Keep the body as an Event of the source that the token names, map it, and say what became of it.

    Query: `kind` (hl7v2, fhir), `key` (the sender's own id of it: a resend with the same key changes nothing).
    202: kept and mapped; 422: kept, and stands in quarantine, with the issues that say why.
    """
    if call.who.patients is not None:
        text = "A message may speak of any patient: whoever is confined to some may not send one."
        raise OutcomeError(Issue("forbidden", text))
    media = call.headers.get("content-type", "").partition(";")[0].strip().lower()
    kind = call.asked("kind") or KINDS.get(media, "")
    if kind != "fhir" and kind not in MAPPERS:
        known = ", ".join(sorted([*MAPPERS, "fhir"]))
        raise OutcomeError(Issue("not-supported", f"Say what the body is: ?kind= one of {known}."))
    if not call.body:
        raise OutcomeError(Issue("required", "The body is empty: send the message."))
    receipt = call.site.flow.accept(
        Arrival(call.who.id, kind, call.body, call.asked("key"), media=media[:MOST_MEDIA])
    )
    status = 422 if receipt.status == "quarantined" else 202
    return Response(dumps(asdict(receipt)), status, media_type="application/json")
