"""web.errors: what went wrong, as an answer of HTTP; the status of an issue code stands in fhir.outcome.

Room: web. May import: fhir, logs. Standard: https://hl7.org/fhir/R4/http.html#Status-Codes and
https://hl7.org/fhir/R4/valueset-issue-type.html
"""

from __future__ import annotations

from collections.abc import Sequence

import structlog
from starlette.responses import Response

from careloom.fhir.outcome import Issue, OutcomeError, operation_outcome, our_fault, status_of
from careloom.fhir.resource import dumps
from careloom.logs import place_of

log = structlog.get_logger(__name__)

FHIR_JSON = "application/fhir+json; charset=utf-8"
FAULT = Issue(
    "exception", "careloom could not do this, and nothing was changed. Try again, or tell the operator."
)
"""What is said of a fault of ours."""


def outcome(issues: Sequence[Issue], status: int = 0) -> Response:
    """The answer of a FHIR road that could not do its work: an OperationOutcome."""
    code = status or status_of(issues)
    answer = Response(dumps(operation_outcome(issues)), code, media_type=FHIR_JSON)
    if code == 401:  # noqa: PLR2004 (RFC 9110, 11.6.1: a 401 names its scheme)
        answer.headers["WWW-Authenticate"] = 'Bearer realm="careloom"'
    return answer


def noted(error: OutcomeError, where: str) -> None:
    """Leave a line in the log where it is not the client's fault: what kind it is and where it arose, never its words."""
    if codes := our_fault(error.issues):
        status = status_of(error.issues)
        log.warning("request_not_served", where=where, status=status, codes=codes, error=place_of(error))


TITLES = {
    400: "That request cannot be read",
    401: "Sign in first",
    403: "Your role may not see this",
    404: "Not found",
    405: "That cannot be done here",
    409: "Somebody else changed this first",
    410: "This was deleted",
    412: "Somebody else changed this first",
    413: "That is too large",
    422: "That cannot be done as asked",
    429: "Too many tries",
    500: "Something went wrong on our side",
    503: "Not available at this moment",
    507: "The disk is full",
}


def title_of(status: int) -> str:
    """The headline of an error page."""
    return TITLES.get(status, TITLES[500])
